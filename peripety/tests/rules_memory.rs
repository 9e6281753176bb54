//! What the built-in rules cost the daemon: memory that stays, and time per line.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "this is a test; clippy knows that of functions marked so only"
)]

use std::time::Instant;

use peripety::internal::{parser::rules::RuleSet, record::LogRecord};

/// Bytes of this process that are in memory and its own: resident without what is shared with files.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let fields: Vec<usize> = statm.split(' ').map(|f| f.trim().parse().unwrap()).collect();
    (fields[1] - fields[2]) * rustix::param::page_size()
}

#[test]
fn the_rules_take_little_memory_and_time() {
    let before = resident();
    let set = RuleSet::built_in();
    let loaded = resident() - before;
    let records: Vec<LogRecord> = set
        .rules()
        .iter()
        .flat_map(|rule| {
            rule.examples.iter().map(|example| (rule.identifiers.first().cloned(), &example.line))
        })
        .map(|(identifier, line)| LogRecord { identifier, text: line.clone(), ..LogRecord::default() })
        .collect();
    let all = |set: &RuleSet| records.iter().filter(|record| set.rule_for(record).is_some()).count();
    assert_eq!(all(&set), records.len());
    let compiled = resident() - before;
    let start = Instant::now();
    let rounds = 20;
    (0..rounds).for_each(|_| assert_eq!(all(&set), records.len()));
    let each = start.elapsed() / rounds / u32::try_from(records.len()).unwrap();
    let foreign =
        LogRecord { text: "r8169 0000:03:00.0 eth0: Link is Down".to_owned(), ..LogRecord::default() };
    let start = Instant::now();
    (0..10_000).for_each(|_| assert!(set.rule_for(&foreign).is_none()));
    let other = start.elapsed() / 10_000;
    println!(
        "{} rules, {} lines: {} KiB loaded, {} KiB with every expression compiled; {each:?} for a line that one takes, \
         {other:?} for one that none takes",
        set.rules().len(),
        records.len(),
        loaded >> 10,
        compiled >> 10,
    );
    assert!(loaded < 4 << 20, "{loaded} bytes for rules that have not been needed");
    assert!(
        compiled < 24 << 20,
        "{compiled} bytes for rules that have all been needed, which no machine does"
    );
}
