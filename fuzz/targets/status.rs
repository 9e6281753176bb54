//! The list of device-mapper's maps and the status lines of their targets, as the kernel prints them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peripety_block::status::{self, TARGETS};

fuzz_target!(|bytes: &[u8]| {
    let _ = status::decode_list(bytes);
    let Ok(line) = std::str::from_utf8(bytes) else { return };
    for target in TARGETS {
        if let Some(status) = status::decode(target.name, line) {
            serde_json::to_string(&status).unwrap();
        }
    }
});
