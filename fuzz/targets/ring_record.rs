//! A record of the ring buffer, and what its parser makes of it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peripety::internal::{parser, record::Stamp};
use peripety_common::KernelRecord;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = KernelRecord::decode(bytes) {
        let _ = parser::kernel(&record, Stamp { monotonic_ns: Some(1), realtime_us: 1 });
    }
});
