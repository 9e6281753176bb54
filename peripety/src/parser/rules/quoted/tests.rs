//! No text of a user starts a match, wherever the kernel prints it and wherever the line is cut.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class as HirClass, Hir, HirKind, Look};

use super::{
    format::{Format, Part},
    generate::{Random, line as forged},
    reach::Reach,
    *,
};
use crate::{
    parser::rules::{
        Author, RuleSet,
        pattern::{Alphabet, Compiled},
        read_rules,
    },
    record::{LogRecord, Stamp},
};

const TIME: Stamp = Stamp { monotonic_ns: Some(1), realtime_us: 1 };

fn record(text: &str) -> LogRecord {
    LogRecord { text: text.to_owned(), ..LogRecord::default() }
}

fn formats() -> Vec<Format> {
    Places::read(TABLE).unwrap().places.iter().map(|place| Format::parse(&place.line).unwrap()).collect()
}

/// The rules for the kernel.
fn kernel_rules(set: &RuleSet) -> Vec<&Rule> {
    set.rules().iter().filter(|rule| rule.identifiers.is_empty()).collect()
}

fn compiled(rule: &Rule) -> Compiled {
    Compiled::new(rule.pattern.as_str(), Alphabet::Ascii).unwrap()
}

/// Every line that a rule must take.
fn true_lines(set: &RuleSet) -> Vec<&str> {
    kernel_rules(set)
        .iter()
        .flat_map(|rule| rule.examples.iter().map(|example| example.line.as_str()))
        .collect()
}

#[test]
fn the_table_can_be_read() {
    let places = Places::read(TABLE).unwrap_or_else(|e| panic!("{e}"));
    assert!(places.places.len() > 150);
    for bad in ["line = \"{comm}\"", "line = \"{nobody}: x\"", "line = \"x {comm\""] {
        assert!(Places::read(&format!("[[places]]\n{bad}\nkernel = \"x\"")).is_err(), "{bad}");
    }
}

#[test]
fn what_the_kernel_says_of_storage_quotes_nobody_by_this_table() {
    let set = RuleSet::built_in();
    let healthy =
        include_str!("../built_in/healthy.txt").lines().filter(|line| set.rule_for(&record(line)).is_some());
    for line in true_lines(&set).into_iter().chain(healthy) {
        let rule = set.rule_for(&record(line));
        let place = places().find(line, |place| !rule.is_some_and(|rule| place.is_meant_by(rule)));
        assert!(place.is_none(), "{line}: {place:?}");
    }
}

/// What a rule's lines begin with: names of bounded length without a space, until the first words of the kernel.
fn begins_bounded(hir: &Hir) -> Result<bool, String> {
    match hir.kind() {
        HirKind::Literal(_) => Ok(true),
        HirKind::Empty | HirKind::Look(Look::Start) => Ok(false),
        HirKind::Capture(group) => begins_bounded(&group.sub),
        HirKind::Class(class) => {
            let ascii = |c: u8| match class {
                HirClass::Bytes(set) => set.iter().any(|r| (r.start()..=r.end()).contains(&c)),
                HirClass::Unicode(set) => set.iter().any(|r| (r.start()..=r.end()).contains(&char::from(c))),
            };
            if ascii(b' ') && ascii(b'x') { Err("a class with everything".to_owned()) } else { Ok(false) }
        }
        HirKind::Repetition(repetition) => {
            if repetition.max.is_none_or(|most| most > 64) {
                // Digits are of the kernel.
                let digits = matches!(repetition.sub.kind(), HirKind::Class(HirClass::Bytes(set)) if set.iter().all(|r| r.start() >= b'0' && r.end() <= b'9'));
                if !digits {
                    return Err("a name without bound".to_owned());
                }
            }
            let ended = begins_bounded(&repetition.sub)?;
            Ok(ended && repetition.min > 0)
        }
        HirKind::Concat(parts) => {
            for part in parts {
                if begins_bounded(part)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        HirKind::Alternation(ways) => {
            let ended: Vec<bool> = ways.iter().map(begins_bounded).collect::<Result<_, _>>()?;
            Ok(ended.into_iter().all(|ended| ended))
        }
        HirKind::Look(_) => Err("an assertion".to_owned()),
    }
}

#[test]
fn every_rule_begins_with_words_of_the_kernel_or_a_bounded_name() {
    // The kernel prints the name of the process before all else; what follows it is long and exact.
    const BY_NAME: &[&str] = &["block-beyond-end"];
    let set = RuleSet::built_in();
    for rule in kernel_rules(&set) {
        let parser = || regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build();
        let hir = parser().parse(rule.pattern.as_str()).unwrap();
        assert!(hir.properties().look_set_prefix().contains(Look::Start), "{}: not anchored", rule.name);
        let begins = begins_bounded(&hir);
        assert!(begins == Ok(true) || BY_NAME.contains(&rule.name.as_str()), "{}: {begins:?}", rule.name);
    }
}

/// Not for the places that are known alone: a process has any name, and the kernel says of it whatever it says.
#[test]
fn no_rule_takes_a_name_of_fifteen_bytes_and_words_that_are_not_its_own() {
    let set = RuleSet::built_in();
    let ways = [
        "{comm}[{number}]: zqzq at {hex} zq {hex} in zqzq[{hex}+{hex}]",
        "{comm}[{number}] zqzq zqzq:{hex} zq:{hex}",
        "{comm} ({number}): zqzq zqzq {number}",
        "{comm}: zqzq zqzq, zqzq {hex} ({number})",
        "{comm}: {number}: zqzq zqzq {number}.",
        "{comm} zqzq zq-zqzq: zqzq={hex}, zqzq={number}",
        "{comm}/{number} zq zqzq zq zqzq zqzq:",
        "{comm},{number}: zqzq",
        "{netdev}: zqzq zqzq {netdev}",
        "{netdev}: zqzq {number}({netdev}) zqzq zqzq zqzq",
    ];
    let ways = ways.map(|way| Format::parse(way).unwrap());
    let mut taken = BTreeSet::new();
    for rule in kernel_rules(&set) {
        let regex = compiled(rule);
        for way in &ways {
            let mut reach = Reach::new(regex.nfa());
            for part in &way.0 {
                let is_name = matches!(part, Part::User(_));
                // A line does not end within the name.
                reach = reach.part(part, &mut |reach| {
                    if !is_name && reach.takes() {
                        taken.insert((rule.name.clone(), format!("{:?}", way.0)));
                    }
                });
            }
        }
    }
    assert!(taken.is_empty(), "{taken:#?}");
}

/// Whatever a user puts into the places where the kernel speaks first, on the automata of the rules themselves: even without
/// the table, next to no rule could take such a line.
#[test]
fn rules_and_places_hardly_meet_even_without_the_table() {
    // Their lines begin with a name of the kernel's, of which one of the table could be: the table keeps them apart.
    const KNOWN: &[&str] = &[
        "aer-corrected",
        "aer-uncorrected",
        "block-beyond-end",
        "block-capacity-changed",
        "block-capacity-set",
        "block-capacity-unset",
        "block-integrity-error",
        "dm-era-error",
        "dm-metadata-error",
        "f2fs-inconsistent",
        "iommu-fault-driver",
        "iomap-lost-write",
        "mmc-ioctl-error",
        "mmc-stuck",
        "printk-suppressed",
        "scsi-driver-command",
    ];
    let set = RuleSet::built_in();
    let mut met = BTreeSet::new();
    let places = Places::read(TABLE).unwrap().places;
    let kernel_first = places.iter().filter(|place| matches!(place.head.first(), Some(Part::Words(_))));
    let formats: Vec<(&Place, Format)> =
        kernel_first.map(|place| (place, Format::parse(&place.line).unwrap())).collect();
    for rule in kernel_rules(&set) {
        let regex = compiled(rule);
        for (_, format) in formats.iter().filter(|(place, _)| !place.is_meant_by(rule)) {
            let mut reach = Reach::new(regex.nfa());
            for part in &format.0 {
                reach = reach.part(part, &mut |reach| {
                    if !KNOWN.contains(&rule.name.as_str()) && reach.takes() {
                        met.insert((rule.name.clone(), format!("{:?}", format.0)));
                    }
                });
            }
        }
    }
    assert!(met.is_empty(), "{met:#?}");
}

/// `PERIPETY_FORGED_LINES=10000000 cargo test -p peripety --lib forged` makes so many.
#[test]
fn of_no_forged_line_comes_an_event() {
    let set = RuleSet::built_in();
    let count = std::env::var("PERIPETY_FORGED_LINES").ok().and_then(|n| n.parse().ok()).unwrap_or(60_000);
    let (formats, payloads) = (formats(), true_lines(&set));
    let places = Places::read(TABLE).unwrap().places;
    let mut random = Random::new(count);
    for number in 0..count {
        let at = usize::try_from(number).unwrap() % formats.len();
        let (format, place) = (&formats[at], &places[at]);
        let text = forged(format, random.one(&payloads), &mut random);
        // A rule that is about the very place may take what the kernel says there.
        if let Some(rule) = set.rule_for(&record(&text)).filter(|rule| !place.is_meant_by(rule)) {
            panic!("line {number}: {} takes {text:?}", rule.name);
        }
    }
    println!(
        "{count} forged lines of {} places and {} lines of rules, no event",
        formats.len(),
        payloads.len()
    );
}

/// Names of processes and files within a line of a rule: what they say changes nothing about the event.
#[test]
fn text_of_a_user_within_a_line_changes_neither_device_nor_type() {
    const GROUPS: &[&str] = &["task.comm", "fs.path", "fs.options"];
    let set = RuleSet::built_in();
    let payloads = true_lines(&set);
    let mut random = Random::new(7);
    let mut tried = 0;
    for rule in kernel_rules(&set) {
        for example in &rule.examples {
            let line = record(&example.line);
            let honest = set.parse(&line, TIME).unwrap();
            let (_, groups) = set.find(&line).unwrap();
            for (name, text) in groups.iter().filter(|(name, text)| GROUPS.contains(name) && !text.is_empty())
            {
                let at = text.as_ptr() as usize - line.text.as_ptr() as usize;
                for _ in 0..2_000 {
                    let most = if *name == "task.comm" { 15 } else { 400 };
                    let skip = random.below(60);
                    let hostile: String = random.one(&payloads).chars().skip(skip).take(most).collect();
                    let mut text_now = line.text.clone();
                    text_now.replace_range(at..at + text.len(), &hostile);
                    let Some(event) = set.parse(&record(&text_now), TIME) else { continue };
                    tried += 1;
                    assert_eq!(
                        (&event.kdev, &event.event_type, event.severity, &event.sub_system),
                        (&honest.kdev, &honest.event_type, honest.severity, &honest.sub_system),
                        "{text_now:?}"
                    );
                }
            }
        }
    }
    assert!(tried > 10_000, "{tried}");
}

#[test]
fn the_reported_forgeries_are_no_events() {
    let set = RuleSet::built_in();
    let overlay = format!(
        "overlayfs: failed to resolve 'A: attempt to access beyond end of device\nvda: rw=0, sector=12345, nr_sectors = 8 limit={}",
        "0".repeat(880)
    );
    for text in [
        overlay.as_str(),
        "F2FS-fs (vda):[4242]: segfault at 0 ip 000000000040113b sp 00007ffe error 6 in corrupt[40113b,401000+1000] likely on CPU 0",
        "drbd r0: conn( [1]: segfault at 0 ip 0 sp 0 error 4 in ) conn( Connected -> Timeout )[0+1]",
        "bcache: error x[7]: segfault at 0 ip 0 sp 0 error 4 in x[0+1]",
        // The name of the process is that of another place, which a rule is about.
        "WARNING: Pool ': vmalloc: unhandled signalA: x' has encountered an uncorrectable I/O failure and has been suspended.",
    ] {
        assert_eq!(set.parse(&record(text), TIME), None, "{text}");
    }
    let event = set.parse(&record("kworker/u8:2: attempt to access beyond end of device\nvda: rw=0, sector=8, nr_sectors = 8 limit=4"), TIME);
    assert_eq!(event.unwrap().kdev.to_text(), "vda");
    let long = "a name of sixteen: attempt to access beyond end of device\nvda: rw=0, sector=8, nr_sectors = 8 limit=4";
    assert_eq!(set.parse(&record(long), TIME), None);
}

#[test]
fn a_piece_of_a_line_is_offered_to_no_rule() {
    let set = RuleSet::built_in();
    for line in true_lines(&set) {
        assert_eq!(set.parse(&LogRecord { fragment: true, ..record(line) }, TIME), None, "{line}");
    }
}

#[test]
fn a_users_rule_gets_the_lines_of_a_place_only_if_it_is_about_that_place() {
    let rule = |extra: &str, regex: &str| {
        let text = format!(
            "[[collector_regexs]]\nname = \"mine\"\n{extra}regex = '{regex}'\nsub_system = \"scsi\"\nevent_type = \"MINE\"\n"
        );
        let (rules, problems) = read_rules("f", &text, Author::User);
        assert!(problems.is_empty(), "{problems:#?}");
        RuleSet::with_user_rules(rules)
    };
    let crash = record("sda: lost[12]: segfault at 0 ip 0 sp 0 error 4 in x[0+1]");
    let mount = record("overlayfs: failed to resolve 'sda: lost");
    let careless = rule("", "(?P<kdev>sd[a-z]+): lost");
    assert!(careless.rule_for(&record("sda: lost")).is_some());
    assert!(careless.rule_for(&crash).is_none() && careless.rule_for(&mount).is_none());
    let meant = rule("starts_with = \"overlayfs: \"\n", "^overlayfs: .*(?P<kdev>sd[a-z]+): lost");
    assert!(meant.rule_for(&mount).is_some());
    let meant = rule("contains = \"]: segfault at \"\n", "^(?P<kdev>sd[a-z]+): lost");
    assert!(meant.rule_for(&crash).is_some());
}

#[test]
fn a_place_is_known_through_the_escapes_of_logs() {
    for text in [
        "a\\x0ab\\x0ac\\x0ad\\x0ae\\x0af\\x0ag\\x0ah[1]: segfault at 0 ip 0",
        "a#012b#012c[1]: segfault at 0 ip 0",
        "\u{fffd}\u{fffd}\u{fffd}[1]: segfault at 0 ip 0",
        "[1]: segfault at 0 ip 0",
    ] {
        assert!(places().of(text).is_some(), "{text}");
    }
    assert!(places().of("a name of sixteen[1]: segfault at 0").is_none());
}
