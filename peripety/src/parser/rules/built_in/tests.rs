//! The rules' own examples, and lines that are nobody's business.

use std::collections::BTreeSet;

use super::*;
use crate::{
    event::{Severity, info},
    parser::rules::{
        RuleSet,
        pattern::{Alphabet, Compiled},
    },
    record::{LogRecord, Stamp},
};

/// Groups of which one at least names the device of a line, or what stands for it.
const NAMES_DEVICE: [&str; 23] = [
    "kdev",
    "dm.name",
    "fc.nexus",
    "scsi.hctl",
    "md.array",
    "bcache.device",
    "fs.device",
    "zfs.vdev",
    "mpath.map",
    "pci.function",
    "adapter.name",
    "zfs.pool",
    "net.daemon",
    "net.server",
    "usb.port",
    "fc.rport",
    "systemd.device",
    "systemd.mount",
    "net.volume",
    "gluster.brick",
    "gluster.volume",
    "gluster.peer",
    "fs.fsid",
];

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
            let names_device = groups.iter().any(|group| NAMES_DEVICE.contains(group));
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
    let lines = || include_str!("near-misses.txt").lines().chain(include_str!("boots.txt").lines());
    let lines: Vec<&str> = lines().filter(|l| !l.starts_with("# ")).collect();
    let taken: Vec<&&str> = lines.iter().filter(|text| set.rule_for(&line(text)).is_some()).collect();
    assert!(taken.is_empty(), "{taken:#?}");
    println!("{} lines, no event", lines.len());
}

#[test]
fn a_line_is_of_its_speaker_alone() {
    let set = RuleSet::built_in();
    for rule in set.rules() {
        for example in &rule.examples {
            for speaker in [None, Some("logger"), Some("multipathd"), Some("smartd")] {
                let record = LogRecord { identifier: speaker.map(str::to_owned), ..line(&example.line) };
                let taken = set.rule_for(&record);
                assert!(taken.is_none_or(|by| by.hears(speaker)), "{speaker:?}: {}", example.line);
                assert!(rule.hears(speaker) || !rule.takes(&record), "{speaker:?}: {}", example.line);
                if rule.identifiers.is_empty() && speaker.is_some() {
                    assert_eq!(set.parse(&record, TIME), None, "{speaker:?}: {}", example.line);
                }
            }
        }
    }
}

#[test]
fn a_rule_for_programs_hears_them_and_not_the_kernel() {
    let text = r#"
        [[collector_regexs]]
        identifier = ["arrayd", "arrayd2"]
        regex = '^(?P<kdev>sd[a-z]+) lost$'
        sub_system = "scsi"
        event_type = "MINE"
        examples = ["sda lost"]
        "#;
    let (rules, problems) = read_rules("f", text, Author::User);
    assert!(problems.is_empty(), "{problems:#?}");
    let set = RuleSet::with_user_rules(rules);
    let said = |by: Option<&str>| {
        set.parse(&LogRecord { identifier: by.map(str::to_owned), seq: 7, ..line("sda lost") }, TIME)
    };
    assert!(set.try_examples(&set.rules()[0]).is_empty());
    assert_eq!(
        said(Some("arrayd2")).map(|raw| (raw.source, raw.sequence)),
        Some(("journal:arrayd2".into(), "7".into()))
    );
    assert_eq!((said(None), said(Some("arrayd3"))), (None, None));
    for bad in ["[]", "\"\"", "5", "[5]", "\"a b\"", "\"kernel\"", "[\"arrayd\", \"\"]"] {
        let text = text.replace("[\"arrayd\", \"arrayd2\"]", bad);
        let (rules, problems) = read_rules("f", &text, Author::User);
        assert!(rules.is_empty() && problems.len() == 1, "{bad}: {problems:#?}");
        assert!(problems[0].key.ends_with("identifier"), "{problems:#?}");
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
    assert_eq!(with(io, "+scsi:4:0:0:1").facts.get("scsi.hctl"), Some("4:0:0:1".into()));
    for nonsense in ["", "b", "b8", "b99999:1", "+scsi:", "+scsi:1:2", "c10:1", "n3", "bé:1"] {
        assert_eq!(with(io, nonsense).kdev.to_text(), "sda", "{nonsense}");
    }
}
