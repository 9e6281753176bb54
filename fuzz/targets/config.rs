//! A configuration, from its text to its rules; where it is refused, the words.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peripety::internal::config::Config;

fuzz_target!(|text: &str| {
    match Config::from_text("peripetyd.conf", text) {
        Ok(config) => drop(config.rules()),
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
});
