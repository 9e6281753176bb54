//! The rules' own examples, and lines that are nobody's business.

use std::collections::BTreeSet;

use super::*;
use crate::{
    event::{Severity, info},
    parser::rules::{
        RuleSet,
        capture::INSTEAD,
        pattern::{Alphabet, Compiled},
    },
    record::{LogRecord, Stamp},
};

const TIME: Stamp = Stamp { monotonic_ns: Some(1), realtime_us: 1 };

fn line(text: &str) -> LogRecord {
    LogRecord { text: text.to_owned(), ..LogRecord::default() }
}

#[test]
fn nothing_is_wrong_with_any_file() {
    let mut names = BTreeSet::new();
    for (file, text) in PACKS {
        let (rules, problems) = read_rules(file, text, Author::BuiltIn);
        assert!(problems.is_empty(), "{file}: {problems:#?}");
        for rule in rules {
            let Rule { name, origin, .. } = &rule;
            assert!(names.insert(name.clone()), "{origin}: the name {name} stands twice");
            assert!(info(rule.event_type.as_str()).is_some(), "{origin}: {} is no type", rule.event_type);
            assert!(rule.sub_system.is_known(), "{origin}: {} is no subsystem", rule.sub_system);
            let regex = Compiled::new(rule.pattern.as_str(), Alphabet::Ascii)
                .unwrap_or_else(|e| panic!("{origin}: {e}"));
            assert!(!regex.is_match(""), "{origin}");
            let unflagged = rule.pattern.as_str().trim_start_matches("(?s)");
            assert!(unflagged.starts_with('^') && unflagged.ends_with('$'), "{origin}: not anchored");
            let groups: Vec<&str> = regex.group_names().collect();
            let names_device = groups.iter().any(|g| *g == "kdev" || INSTEAD.contains(g));
            assert_eq!(names_device, !rule.no_kdev, "{origin}: kdev and no_kdev");
            assert!(!rule.starts_with.is_empty() || rule.contains.is_some(), "{origin}: runs on every line");
            assert!(!rule.examples.is_empty(), "{origin}: no example");
        }
    }
}

#[test]
fn every_example_is_taken_by_its_own_rule_and_gives_what_it_says() {
    let set = RuleSet::built_in();
    let errors: Vec<String> = set
        .rules()
        .iter()
        .flat_map(|rule| set.try_examples(rule).into_iter().map(|e| format!("{}: {e}", rule.name)))
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    let examples: usize = set.rules().iter().map(|r| r.examples.len()).sum();
    println!("{} rules, {examples} examples", set.rules().len());
}

/// A healthy boot with disks, mkfs, mounts and unmounts, and lines of others that look alike.
#[test]
fn a_healthy_machine_has_nothing_to_warn_of() {
    let set = RuleSet::built_in();
    for text in include_str!("healthy.txt").lines().filter(|l| !l.starts_with("# ")) {
        if let Some(event) = set.parse(&line(text), TIME) {
            assert!(!event.severity.at_least(Severity::Warning), "{text}: {event:#?}");
        }
    }
}

#[test]
fn near_misses_are_no_events() {
    let set = RuleSet::built_in();
    for text in include_str!("near-misses.txt").lines().filter(|l| !l.starts_with("# ")) {
        assert_eq!(set.parse(&line(text), TIME), None, "{text}");
    }
}

#[test]
fn what_a_process_says_is_not_the_kernels() {
    let set = RuleSet::built_in();
    for rule in set.rules() {
        for example in &rule.examples {
            let record = LogRecord { identifier: Some("logger".to_owned()), ..line(&example.line) };
            assert_eq!(set.parse(&record, TIME), None, "{}", example.line);
        }
    }
}

#[test]
fn the_dictionary_names_the_device_more_exactly() {
    let set = RuleSet::built_in();
    let with = |text: &str, device: &str| {
        let record = LogRecord { device: Some(device.to_owned()), ..line(text) };
        set.parse(&record, TIME).unwrap()
    };
    let io = "I/O error, dev sda, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2";
    assert_eq!(with(io, "b8:16").kdev.to_text(), "8:16", "a number is more exact than a name");
    assert_eq!(with(io, "+scsi:4:0:0:1").kdev.to_text(), "sda", "an address is not");
    assert_eq!(with(io, "+scsi:4:0:0:1").extension["hctl"], "4:0:0:1");
    for nonsense in ["", "b", "b8", "b99999:1", "+scsi:", "+scsi:1:2", "c10:1", "n3", "bé:1"] {
        assert_eq!(with(io, nonsense).kdev.to_text(), "sda", "{nonsense}");
    }
}
