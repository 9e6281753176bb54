//! A recording: the lines after a good beginning, to the end or to where they are refused, through the engine.

#![no_main]

use std::{io::Read as _, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use peripety::internal::recording::{Entry, FORMAT, Replay, Start};

static START: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let byte_order = if cfg!(target_endian = "big") { "big" } else { "little" }.to_owned();
    let start = Start { peripety_recording: FORMAT, byte_order, ..Start::default() };
    let mut line = serde_json::to_vec(&Entry::Start(start)).unwrap_or_default();
    line.push(b'\n');
    line
});

fuzz_target!(|bytes: &[u8]| {
    let mut replay = Replay::new(START.as_slice().chain(bytes));
    let mut events = Vec::new();
    while let Ok(true) = replay.step(&mut events) {
        events.clear();
    }
});
