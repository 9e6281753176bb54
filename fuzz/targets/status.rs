//! Status lines of device-mapper's targets, as the kernel prints them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peripety_block::status::{self, TARGETS};

fuzz_target!(|bytes: &[u8]| {
    let Ok(line) = std::str::from_utf8(bytes) else { return };
    for target in TARGETS {
        if let Some(status) = status::decode(target.name, line) {
            serde_json::to_string(&status).unwrap();
        }
    }
});
