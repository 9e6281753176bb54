//! The journal's export format (`journalctl -o export`): `KEY=VALUE` lines, an empty line after each entry; a value with
//! line breaks has its length as eight bytes before it.

use super::{
    Calendar, Input, Reported, Taker, bytes,
    fields::{self, Fields, WANTED},
    give,
};

/// Fields of one entry that are kept.
const FIELDS_MAX: usize = 64;

pub(super) fn fits(sample: &[u8]) -> u32 {
    let first = bytes::lines(sample).find(|line| !line.is_empty()).unwrap_or_default();
    let starts = [&b"__CURSOR="[..], b"__REALTIME_TIMESTAMP=", b"__SEQNUM="];
    if starts.iter().any(|start| first.starts_with(start)) { 1000 } else { 0 }
}

pub(super) fn read(input: &mut Input<'_>, _calendar: Calendar, taker: &mut dyn Taker) -> Reported {
    let mut reported = Reported { name: "journal export", unknown: 0 };
    let mut entry = Fields::new();
    while let Some(line) = input.line() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            let whole = std::mem::take(&mut entry);
            if fields::entry(whole).is_some_and(|item| give(taker, item).is_break()) {
                return reported;
            }
            continue;
        }
        let Some(middle) = memchr::memchr(b'=', line) else {
            // A value of any bytes.
            let name = String::from_utf8_lossy(line).into_owned();
            let Some(length) = input.bytes(8).and_then(|raw| <[u8; 8]>::try_from(raw).ok()) else { break };
            let Some(value) = input.bytes(u64::from_le_bytes(length)) else {
                reported.unknown += 1;
                break;
            };
            let value = String::from_utf8_lossy(value).into_owned();
            input.bytes(1);
            keep(&mut entry, name, value);
            continue;
        };
        let (name, value) = line.split_at(middle);
        let name = String::from_utf8_lossy(name);
        if WANTED.contains(&name.as_ref()) {
            let value = value.get(1..).unwrap_or_default();
            keep(&mut entry, name.into_owned(), String::from_utf8_lossy(value).into_owned());
        }
    }
    if let Some(item) = fields::entry(entry) {
        let _at_the_end = give(taker, item);
    }
    reported
}

fn keep(entry: &mut Fields, name: String, value: String) {
    if WANTED.contains(&name.as_str()) && entry.len() < FIELDS_MAX {
        // A field may come several times; the first is what journalctl shows.
        entry.entry(name).or_insert(value);
    }
}
