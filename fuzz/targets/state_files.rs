//! What a killed daemon left in /run, with whatever damage: spool and logbook. No more is found than was put in, in order.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peripety::internal::{
    checked::seal,
    daemon::checkpoint_log,
    notifier::spool::{Found, Line, Mark},
};

/// Fewer lines than this in a spool, so that each number fits in a byte.
const LINES: u64 = 40;

fuzz_target!(|input: (u8, u8, u16, &[u8], bool, bool)| {
    let (count, sent, at, damage, insert, known) = input;
    let (count, sent) = (u64::from(count) % LINES, u64::from(sent) % LINES);
    let sent = sent.min(count);
    let mut spool = Vec::new();
    let mut book = Vec::new();
    seal(&mut book, br#"{"logbook":2,"boot_id":"boot","version":"0"}"#);
    for place in 0..count {
        let json = format!(r#"{{"event_id":"00000000-0000-0000-0000-{place:012}"}}"#);
        Line { number: place + 1, place, json: json.as_bytes() }.write(&mut spool);
        seal(&mut book, format!(r#"C{{"kmsg_seq":{place}}}"#).as_bytes());
    }
    for bytes in [&mut spool, &mut book] {
        let at = usize::from(at) % (bytes.len() + 1);
        let end = if insert { at } else { (at + damage.len()).min(bytes.len()) };
        bytes.splice(at..end, damage.iter().copied());
    }
    let mark = Mark { sent, committed: 0 };
    assert_eq!(Mark::parse(&mark.write()), Some(mark));
    let _garbage = Mark::parse(damage);
    let found = Found::read(spool.as_slice(), Some(mark), known.then_some(count));
    assert!(found.waiting.is_sorted_by_key(|waiting| waiting.number));
    assert!(found.waiting.iter().all(|waiting| waiting.number > sent && waiting.number <= count));
    if known {
        // Each is found or counted, and none is both.
        assert_eq!(found.waiting.len() as u64 + found.lost, count - sent);
    }
    let left = checkpoint_log::decode(book.as_slice(), "boot");
    if let Ok(Some(left)) = left {
        assert!(left.commit.kmsg_seq.is_none_or(|seq| seq < count));
    }
    let _garbage = (Found::read(damage, None, None), checkpoint_log::decode(damage, "boot"));
});
