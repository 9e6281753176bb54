//! A log of any format: what it is taken for, what its lines teach of devices, and the events of it.

#![no_main]

use std::{ops::ControlFlow, sync::LazyLock};

use jiff::{Timestamp, tz::TimeZone};
use libfuzzer_sys::fuzz_target;
use peripety::internal::{
    offline::{Calendar, Given, Input, Logs, read, report::read_tables},
    parser::rules::RuleSet,
};

static RULES: LazyLock<RuleSet> = LazyLock::new(RuleSet::built_in);

fuzz_target!(|bytes: &[u8]| {
    // The first byte says whether the rest is also what another file of a report reports.
    let (first, log) = bytes.split_first().map_or((0, bytes), |(first, log)| (*first, log));
    let mut given = Given::default();
    if first & 1 == 1 {
        read_tables(&String::from_utf8_lossy(log), &mut given.devices);
    }
    let mut logs = Logs::new(RULES.clone(), given, first & 2 == 2);
    let mut events = Vec::new();
    let calendar = Calendar::new(TimeZone::UTC, Timestamp::UNIX_EPOCH);
    read(&mut Input::new(log), calendar, &mut |item| {
        logs.push(item, &mut events);
        events.clear();
        ControlFlow::Continue(())
    });
    logs.finish(&mut events);
});
