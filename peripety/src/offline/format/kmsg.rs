//! Records as read(2) of /dev/kmsg gives them, one after the other: what `cat /dev/kmsg` writes, and netconsole in its extended
//! format (Documentation/networking/netconsole.rst), with the time and the sender that a receiver puts before them.

use super::{
    Calendar, Input, Item, Reported, Taker, bytes, give,
    text::{iso, traditional},
};
use crate::{collector::kmsg::parse_record, offline::Entry};

/// Bytes of a record with its dictionary: the kernel makes at most 8 KiB of it.
const RECORD_MAX: usize = 64 << 10;
/// And of what stands before its text.
const HEADER_MAX: usize = 192;

const NAME: &str = "/dev/kmsg";

/// The first line of a record, or a piece of one that netconsole had to send in several.
struct Header<'l> {
    /// Time and sender, where who received it has added them.
    before: &'l [u8],
    /// From the level on.
    record: &'l [u8],
    /// The level, the number and the time.
    fields: &'l [u8],
    /// Of a piece: where it begins, and its text.
    piece: Option<(u64, &'l [u8])>,
}

/// What a line begins with that begins a record. With `release` netconsole puts the kernel's before it.
fn header(line: &[u8]) -> Option<Header<'_>> {
    let middle = line.iter().take(HEADER_MAX).position(|b| *b == b';')?;
    let prefix = line.get(..middle)?;
    let at = prefix.iter().rposition(|b| *b == b' ').map_or(0, |at| at + 1);
    let is_digits = |field: &[u8]| !field.is_empty() && field.iter().all(u8::is_ascii_digit);
    let first = prefix.get(at..)?.split(|b| *b == b',').next()?;
    let release = if is_digits(first) || !first.contains(&b'.') { 0 } else { first.len() + 1 };
    let fields = prefix.get(at + release..)?;
    let mut each = fields.split(|b| *b == b',');
    let are_numbers = (0..3).all(|_| each.next().is_some_and(is_digits));
    let flag = each.next()?;
    let piece = each.find_map(|field| {
        let (offset, _) = str::from_utf8(field.strip_prefix(b"ncfrag=")?).ok()?.split_once('/')?;
        Some((offset.parse().ok()?, line.get(middle + 1..)?))
    });
    let (before, is_plain) = (prefix.get(..at)?, at + release == 0);
    (are_numbers && (is_plain || flag.len() == 1)).then_some(Header {
        before,
        record: line.get(at + release..)?,
        fields,
        piece,
    })
}

/// Time and host before a record; none if what stands there is something else.
fn sender(before: &[u8], calendar: &mut Calendar) -> Option<(Option<i64>, Option<String>)> {
    let before = str::from_utf8(before).ok()?.trim_end_matches(' ');
    let stamped = traditional(before, calendar).or_else(|| iso(before, calendar));
    let (wall, host) =
        stamped.map_or((None, before), |(wall, rest)| (Some(wall), rest.trim_start_matches(' ')));
    if host.is_empty() {
        return Some((wall, None));
    }
    Some((wall, Some(super::text::sender(host)?.to_owned())))
}

pub(super) fn fits(sample: &[u8]) -> u32 {
    let mut calendar = Calendar::new(jiff::tz::TimeZone::UTC, jiff::Timestamp::UNIX_EPOCH);
    let (mut lines, mut good) = (0_u32, 0_u32);
    for line in bytes::lines(sample).take(512).filter(|line| !line.is_empty() && !line.starts_with(b" ")) {
        lines += 1;
        good += u32::from(header(line).is_some_and(|header| sender(header.before, &mut calendar).is_some()));
    }
    (good * 1000).checked_div(lines).unwrap_or(0)
}

/// A record that may go on in the next line.
#[derive(Default)]
struct Pending {
    record: Vec<u8>,
    fields: Vec<u8>,
    sender: (Option<i64>, Option<String>),
    /// Somebody received it and wrote it down.
    received: bool,
}

pub(super) fn read(input: &mut Input<'_>, mut calendar: Calendar, taker: &mut dyn Taker) -> Reported {
    let mut pending = Pending::default();
    let mut unknown = 0;
    let mut flush = |pending: &mut Pending| {
        let item = entry(pending);
        pending.record.clear();
        item.is_none_or(|item| give(taker, item).is_continue())
    };
    while let Some(line) = input.line() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let found = header(line);
        let found = found.and_then(|header| Some((sender(header.before, &mut calendar)?, header)));
        if let Some((sender, header)) = found {
            let has_room = pending.record.len() + line.len() < RECORD_MAX;
            match header.piece {
                Some((offset, text)) if offset > 0 => {
                    let key = |fields: &[u8]| {
                        fields.split(|b| *b == b',').take(3).map(<[u8]>::to_vec).collect::<Vec<_>>()
                    };
                    let is_next = !pending.record.is_empty()
                        && pending.sender.1 == sender.1
                        && key(&pending.fields) == key(header.fields);
                    if is_next && has_room {
                        pending.record.extend_from_slice(text);
                    } else {
                        unknown += 1;
                    }
                }
                _ => {
                    if !flush(&mut pending) {
                        return Reported { name: NAME, unknown };
                    }
                    pending.received = header.record.len() < line.len() || header.piece.is_some();
                    pending.record.extend_from_slice(header.record);
                    pending.fields = header.fields.to_vec();
                    pending.sender = sender;
                }
            }
        } else if line.starts_with(b" ") && !pending.record.is_empty() {
            if pending.record.len() + line.len() < RECORD_MAX {
                pending.record.push(b'\n');
                pending.record.extend_from_slice(line);
            }
        } else {
            unknown += u64::from(!line.is_empty());
        }
    }
    flush(&mut pending);
    Reported { name: NAME, unknown }
}

fn entry(pending: &Pending) -> Option<Item> {
    let record = parse_record(&pending.record).ok()?;
    let mut log = record.log;
    log.unproven = pending.received;
    if record.facility != 0 {
        log.identifier = Some(String::new());
    }
    let entry = Entry {
        log,
        numbered: true,
        uptime_us: Some(record.usec),
        caller: record.caller,
        wall_us: pending.sender.0,
        hostname: pending.sender.1.clone(),
        ..Entry::default()
    };
    Some(entry.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::read;

    fn entries(file: &str) -> Vec<Entry> {
        let newest = "2026-11-22T00:00:00Z".parse().unwrap();
        let mut found = Vec::new();
        read(&mut Input::new(file.as_bytes()), Calendar::new(jiff::tz::TimeZone::UTC, newest), &mut |item| {
            if let Item::Entry(entry) = item {
                found.push(*entry);
            }
            std::ops::ControlFlow::Continue(())
        });
        found
    }

    #[test]
    fn a_record_comes_by_netconsole_with_its_release_and_in_pieces() {
        let file = "6.1.0-28-amd64,3,418,1600123,-;Buffer I/O error on dev sdb, logical block 1, async page read\n \
                    SUBSYSTEM=block\n DEVICE=b8:16\n6.1.0,2,419,1700123,-,ncfrag=0/40;EXT4-fs error (device sdb1): \
                    ext4_fi\n6.1.0,2,419,1700123,-,ncfrag=38/40;nd_entry:1455\n6.1.0,2,420,1700124,-,ncfrag=12/40;lost\n";
        let found = entries(file);
        let texts: Vec<&str> = found.iter().map(|entry| entry.log.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "Buffer I/O error on dev sdb, logical block 1, async page read",
                "EXT4-fs error (device sdb1): ext4_find_entry:1455"
            ]
        );
        assert_eq!(found[0].log.device.as_deref(), Some("b8:16"));
        assert!(
            found.iter().all(|entry| entry.is_kernel() && entry.log.unproven && entry.uptime_us.is_some())
        );
    }

    #[test]
    fn lines_of_several_senders_are_told_apart() {
        let file = "2026-11-21T13:16:50.5+00:00 10.0.0.5 3,417,1500123,-;x\n\
                    Nov 21 13:16:51 db2 3,91,2500123,-,caller=T12;y\n10.0.0.7 3,92,2500124,c;z\n";
        let found = entries(file);
        let hosts: Vec<_> = found.iter().map(|entry| entry.hostname.as_deref()).collect();
        assert_eq!(hosts, [Some("10.0.0.5"), Some("db2"), Some("10.0.0.7")]);
        assert!(found.iter().all(|entry| entry.is_kernel() && entry.log.unproven));
        assert_eq!(found[1].wall_us, Some(1_795_267_011_000_000));
        // A program's line that reads like one.
        for other in ["Nov 21 13:16:51 db2 sshd[1]: 3,91,2500123,-;y\n", "sshd: 3,91,2500123,-;y\n"] {
            let found = entries(&other.repeat(3));
            assert!(found.iter().all(|entry| !entry.is_kernel() || entry.uptime_us.is_none()), "{found:?}");
        }
        assert!(!entries("3,417,1500123,-;x\n")[0].log.unproven);
    }
}
