//! Records as read(2) of /dev/kmsg gives them, one after the other: what `cat /dev/kmsg` writes.

use super::{Calendar, Input, Item, Reported, Taker, bytes, give};
use crate::{collector::kmsg::parse_record, offline::Entry};

/// Bytes of a record with its dictionary: the kernel makes at most 8 KiB of it.
const RECORD_MAX: usize = 64 << 10;

/// Whether a line begins a record.
fn begins(line: &[u8]) -> bool {
    let Some(middle) = line.iter().take(128).position(|b| *b == b';') else { return false };
    let prefix = line.get(..middle).unwrap_or_default();
    let mut fields = prefix.split(|b| *b == b',');
    let number =
        |field: Option<&[u8]>| field.is_some_and(|f| !f.is_empty() && f.iter().all(u8::is_ascii_digit));
    number(fields.next()) && number(fields.next()) && number(fields.next()) && fields.next().is_some()
}

pub(super) fn fits(sample: &[u8]) -> u32 {
    let (mut lines, mut good) = (0_u32, 0_u32);
    for line in bytes::lines(sample).take(512).filter(|line| !line.is_empty() && !line.starts_with(b" ")) {
        lines += 1;
        good += u32::from(begins(line));
    }
    (good * 1000).checked_div(lines).unwrap_or(0)
}

pub(super) fn read(input: &mut Input<'_>, _calendar: Calendar, taker: &mut dyn Taker) -> Reported {
    let mut record: Vec<u8> = Vec::new();
    let mut unknown = 0;
    let mut flush = |record: &mut Vec<u8>| {
        let item = entry(record);
        record.clear();
        item.is_none_or(|item| give(taker, item).is_continue())
    };
    while let Some(line) = input.line() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if begins(line) {
            if !flush(&mut record) {
                return Reported { name: "/dev/kmsg", unknown };
            }
            record.extend_from_slice(line);
        } else if line.starts_with(b" ") && !record.is_empty() {
            if record.len() + line.len() < RECORD_MAX {
                record.push(b'\n');
                record.extend_from_slice(line);
            }
        } else {
            unknown += u64::from(!line.is_empty());
        }
    }
    flush(&mut record);
    Reported { name: "/dev/kmsg", unknown }
}

fn entry(record: &[u8]) -> Option<Item> {
    let record = parse_record(record).ok()?;
    let mut log = record.log;
    if record.facility != 0 {
        log.identifier = Some(String::new());
    }
    let entry = Entry {
        log,
        numbered: true,
        uptime_us: Some(record.usec),
        caller: record.caller,
        ..Entry::default()
    };
    Some(entry.into())
}
