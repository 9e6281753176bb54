//! How many lines a second the built-in rules take on one core, against the same rules asked one after the other.
//!
//! `cargo run --release --example rules [FILE]…`: files of lines, as dmesg or syslog have them; without one, the rules'
//! own examples among lines of a healthy boot. Prints one JSON object.

use std::ops::ControlFlow;

use jiff::{Timestamp, tz::TimeZone};
use peripety::internal::{
    offline::{Calendar, Input, Item, read, unpack},
    parser::rules::RuleSet,
    record::LogRecord,
};
use regex::Regex;

/// Time that is measured, at least.
const SECONDS: f64 = 1.0;
/// In a log of a machine with a failing disk, so many lines are about other things for each that is about storage.
const OTHERS: usize = 9;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let set = RuleSet::built_in();
    let mut records = Vec::new();
    for file in std::env::args().skip(1) {
        let mut input = Input::new(unpack(std::fs::File::open(file)?)?);
        let _told = read(&mut input, Calendar::new(TimeZone::UTC, Timestamp::now()), &mut |item| {
            if let Item::Entry(entry) = item {
                records.push(entry.log);
            }
            ControlFlow::Continue(())
        });
    }
    if records.is_empty() {
        records = mixed(&set);
    }
    let one_pass = speed(&records, |record| set.rule_for(record).is_some());
    let naive: Vec<(Regex, &[String])> = set
        .rules()
        .iter()
        .filter_map(|rule| Some((Regex::new(rule.pattern.as_str()).ok()?, rule.identifiers.as_slice())))
        .collect();
    let one_by_one = speed(&records, |record| {
        let heard = |names: &[String]| match &record.identifier {
            None => names.is_empty(),
            Some(name) => names.contains(name),
        };
        naive.iter().any(|(regex, names)| heard(names) && regex.is_match(&record.text))
    });
    let taken = records.iter().filter(|record| set.rule_for(record).is_some()).count();
    let reported = serde_json::json!({
        "rules": set.rules().len(),
        "lines": records.len(),
        "taken": taken,
        "lines_per_second": one_pass.round(),
        "naive_lines_per_second": one_by_one.round(),
        "times_faster": (one_pass / one_by_one * 10.0).round() / 10.0,
    });
    #[expect(clippy::print_stdout, reason = "this is what it is for")]
    {
        println!("{reported}");
    }
    Ok(())
}

/// Every example of every rule, each among lines that no rule is about.
fn mixed(set: &RuleSet) -> Vec<LogRecord> {
    let healthy: Vec<&str> = include_str!("../src/parser/rules/built_in/healthy.txt").lines().collect();
    let mut others = healthy.iter().cycle();
    let line = |text: &str, identifier: Option<&String>| LogRecord {
        text: text.to_owned(),
        identifier: identifier.cloned(),
        ..LogRecord::default()
    };
    let mut records = Vec::new();
    for rule in set.rules() {
        for example in &rule.examples {
            records.push(line(&example.line, rule.identifiers.first()));
            records.extend(others.by_ref().take(OTHERS).map(|text| line(text, None)));
        }
    }
    records
}

/// Time that this thread had a processor: what others do on the machine does not count.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "a figure for humans")]
    let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    seconds
}

/// Lines a second.
fn speed(records: &[LogRecord], mut takes: impl FnMut(&LogRecord) -> bool) -> f64 {
    // Once to compile what is needed.
    let mut taken = records.iter().filter(|record| takes(record)).count();
    let (start, mut lines) = (cpu_seconds(), 0_usize);
    while cpu_seconds() - start < SECONDS {
        for batch in records.chunks(64) {
            taken += batch.iter().filter(|record| takes(record)).count();
            lines += batch.len();
            if cpu_seconds() - start >= SECONDS {
                break;
            }
        }
    }
    std::hint::black_box(taken);
    #[expect(clippy::cast_precision_loss, reason = "a figure for humans")]
    let lines = lines as f64;
    lines / (cpu_seconds() - start)
}
