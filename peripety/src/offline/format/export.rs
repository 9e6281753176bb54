//! The journal's export format (`journalctl -o export`): `KEY=VALUE` lines, an empty line after each entry; a value with
//! line breaks has its length as eight bytes before it.

use super::{
    Calendar, Input, Item, Reported, Taker, bytes,
    fields::{self, Fields, WANTED},
    give,
};

/// The names of fields with which entries begin.
const STARTS: [&[u8]; 3] = [b"__CURSOR", b"__REALTIME_TIMESTAMP", b"__SEQNUM"];

/// Fields of one entry that are kept.
const FIELDS_MAX: usize = 64;

pub(super) fn fits(sample: &[u8]) -> u32 {
    let first = bytes::lines(sample).find(|line| !line.is_empty()).unwrap_or_default();
    let name = first.split(|b| *b == b'=').next().unwrap_or_default();
    if name.len() < first.len() && STARTS.contains(&name) { 1000 } else { 0 }
}

/// What a line of a text is within which entries of a journal stand.
#[derive(Debug)]
pub(super) enum Pasted {
    /// A field of the entry that is open.
    Field,
    /// The entry ends with this line, or before it: then the line has to be read.
    Entry(Option<Item>, bool),
    /// Nothing of an entry.
    Nothing,
}

/// Reads a line of such a text. An entry ends with the first line that is no field: a length before a value of any bytes is
/// not believed here, it would swallow the text.
pub(super) fn pasted(line: &[u8], open: &mut Option<Fields>) -> Pasted {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let is_name = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_';
    let field = memchr::memchr(b'=', line).map(|middle| line.split_at(middle));
    let field = field.filter(|(name, _)| !name.is_empty() && name.iter().all(is_name));
    match (field, open.take()) {
        (None, Some(fields)) => Pasted::Entry(unproven(fields), line.is_empty()),
        (None, None) => Pasted::Nothing,
        (Some((name, value)), entry) => {
            if entry.is_none() && !STARTS.contains(&name) {
                return Pasted::Nothing;
            }
            let mut entry = entry.unwrap_or_default();
            let value = value.get(1..).unwrap_or_default();
            let name = String::from_utf8_lossy(name).into_owned();
            keep(&mut entry, name, String::from_utf8_lossy(value).into_owned());
            *open = Some(entry);
            Pasted::Field
        }
    }
}

/// The record that fields make which may stand there for any reason.
pub(super) fn unproven(fields: Fields) -> Option<Item> {
    let mut item = fields::entry(fields)?;
    if let Item::Entry(entry) = &mut item {
        entry.log.unproven = true;
    }
    Some(item)
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
