//! Packets of BeeGFS metadata servers: a stream of them, each with its length before it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peripety_beegfs::{
    line,
    places::Places,
    session::{Begin, Session},
};

fuzz_target!(|bytes: &[u8]| {
    let mut session = Session::new(Begin::Oldest, Places::default());
    session.connected();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first() {
        let (packet, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        let received = session.packet(packet);
        let mut text = Vec::new();
        if let Some(event) = &received.event {
            line::event(&mut text, event, received.next, Some("server"));
            serde_json::from_slice::<serde_json::Value>(&text).expect("JSON");
        }
        if received.hang_up {
            session.connected();
        }
    }
});
