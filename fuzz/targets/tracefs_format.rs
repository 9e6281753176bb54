//! The format file of a tracepoint.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peripety::internal::collector::ebpf::Format;

fuzz_target!(|text: &str| {
    if let Ok(format) = Format::parse(text) {
        for size in [1, 2, 4, 8] {
            if let Ok(offset) = format.offset("dev", size) {
                assert!(offset.checked_add(size).is_some(), "a field past the end of a record");
            }
        }
    }
});
