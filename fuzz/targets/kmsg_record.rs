//! A record of /dev/kmsg, and what the built-in rules make of its text.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use peripety::internal::{collector::kmsg::parse_record, parser::rules::RuleSet, record::Stamp};

static RULES: LazyLock<RuleSet> = LazyLock::new(RuleSet::built_in);

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = parse_record(bytes) {
        let _ = RULES.parse(&record.log, Stamp { monotonic_ns: Some(1), realtime_us: 1 });
    }
});
