//! What the kernel says to peripety-watch, and what that says to the daemon.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peripety_block::{fanotify, xfs_health as health};
use peripety_watch::message::Message;

fuzz_target!(|bytes: &[u8]| {
    let _ = fanotify::events(bytes);
    let _ = health::decode(bytes);
    if let Ok(message) = Message::decode(bytes) {
        let _ = message.encode();
    }
});
