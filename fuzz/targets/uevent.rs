//! A message of the kernel or of udev, and what its parser makes of it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peripety::internal::{collector::uevent::parse_uevent, parser, record::Stamp};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(uevent) = parse_uevent(bytes) {
        let _ = parser::uevent::parse(&uevent, Stamp { monotonic_ns: Some(1), realtime_us: 1 });
    }
});
