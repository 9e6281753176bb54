//! One record of /dev/kmsg.

use crate::record::LogRecord;

/// One record of /dev/kmsg.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KmsgRecord {
    /// Sequence, level, text and dictionary.
    pub log: LogRecord,
    /// Syslog facility: 0 is the kernel, anything else a process that wrote into /dev/kmsg.
    pub facility: u32,
    /// Microseconds of the kernel's `local_clock()`, which is not CLOCK_MONOTONIC: see [`crate::collector::clock`].
    pub usec: u64,
    /// Thread (`T123`) or CPU (`C1`) that printed it, on kernels with CONFIG_PRINTK_CALLER.
    pub caller: Option<String>,
}

/// The bytes are no record of /dev/kmsg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// No `;` between the fields and the text.
    #[error("no ';' after the fields")]
    NoText,
    /// A field that must be a number is none.
    #[error("the {0} is missing or no number")]
    Number(&'static str),
}

/// The numbers that each record begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    priority: u64,
    pub(super) seq: u64,
    pub(super) usec: u64,
}

impl Head {
    /// Reads them; the rest of the record is not looked at.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BadRecord> {
        Self::of(&mut bytes.split(|b| [b',', b';'].contains(b)))
    }

    fn of(fields: &mut dyn Iterator<Item = &[u8]>) -> Result<Self, BadRecord> {
        let mut number = |name| fields.next().and_then(decimal).ok_or(BadRecord::Number(name));
        Ok(Self { priority: number("priority")?, seq: number("sequence number")?, usec: number("time")? })
    }

    /// Syslog facility: 0 is the kernel.
    pub(super) fn facility(self) -> u32 {
        u32::try_from(self.priority >> 3).unwrap_or(u32::MAX)
    }
}

/// Reads a record as read(2) of /dev/kmsg returns it. Fields that later kernels may add are passed over.
pub fn parse_record(bytes: &[u8]) -> Result<KmsgRecord, BadRecord> {
    let middle = bytes.iter().position(|b| *b == b';').ok_or(BadRecord::NoText)?;
    let (prefix, rest) = bytes.split_at(middle);
    let mut fields = prefix.split(|b| *b == b',');
    let head = Head::of(&mut fields)?;
    let flags = fields.next().unwrap_or_default();
    let caller =
        fields.find_map(|f| f.strip_prefix(b"caller=")).map(|c| String::from_utf8_lossy(c).into_owned());

    let mut lines = rest.get(1..).unwrap_or_default().split(|b| *b == b'\n');
    let text = unescape(lines.next().unwrap_or_default());
    let fragment = flags.iter().any(|f| matches!(f, b'c' | b'+'));
    let (seq, level) = (head.seq, (head.priority & 7) as u8);
    let mut log = LogRecord { seq, level, text, fragment, ..LogRecord::default() };
    for line in lines {
        let Some((key, value)) = line.strip_prefix(b" ").and_then(|l| split_once(l, b'=')) else { continue };
        match key {
            b"SUBSYSTEM" => log.subsystem = Some(unescape(value)),
            b"DEVICE" => log.device = Some(unescape(value)),
            _ => {}
        }
    }
    Ok(KmsgRecord { log, facility: head.facility(), usec: head.usec, caller })
}

fn decimal(field: &[u8]) -> Option<u64> {
    let digits = !field.is_empty() && field.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(field).ok().filter(|_| digits)?.parse().ok()
}

fn split_once(line: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let middle = line.iter().position(|b| *b == at)?;
    Some((line.get(..middle)?, line.get(middle + 1..)?))
}

/// Undoes `\xNN`, which the kernel writes for a backslash, control characters and every byte above 126.
fn unescape(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        rest = match escaped(rest) {
            Some((byte, after)) => {
                out.push(byte);
                after
            }
            None => {
                out.push(*first);
                tail
            }
        };
    }
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

fn escaped(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, after) = bytes.strip_prefix(b"\\x")?.split_at_checked(2)?;
    let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
    Some((u8::from_str_radix(digits, 16).ok()?, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_with_a_dictionary() {
        let record = parse_record(
            b"6,1234,98765432,-,caller=T42;sd 4:0:0:1: [sdf] tag#3 Sense Key : Medium Error [current] \n SUBSYSTEM=scsi\n DEVICE=+scsi:4:0:0:1\n",
        )
        .unwrap();
        assert_eq!(
            record,
            KmsgRecord {
                log: LogRecord {
                    seq: 1234,
                    level: 6,
                    unproven: false,
                    identifier: None,
                    text: "sd 4:0:0:1: [sdf] tag#3 Sense Key : Medium Error [current] ".into(),
                    subsystem: Some("scsi".into()),
                    device: Some("+scsi:4:0:0:1".into()),
                    fragment: false,
                },
                facility: 0,
                usec: 98_765_432,
                caller: Some("T42".into()),
            }
        );
    }

    #[test]
    fn level_and_facility_are_the_two_parts_of_the_priority() {
        for (priority, level, facility) in [("0", 0, 0), ("3", 3, 0), ("12", 4, 1), ("191", 7, 23)] {
            let record = parse_record(format!("{priority},1,2,-;x").as_bytes()).unwrap();
            assert_eq!((record.log.level, record.facility), (level, facility), "{priority}");
        }
        // A number past 32 bits is no way to become facility 0.
        assert_ne!(parse_record(b"34359738368,1,2,-;x").unwrap().facility, 0);
    }

    #[test]
    fn escapes_are_undone() {
        let text = |raw: &[u8]| parse_record(&[b"4,1,2,-;", raw].concat()).unwrap().log.text;
        assert_eq!(
            text(br"md/raid1:md0: Disk failure\x0amd/raid1:md0: Operation"),
            "md/raid1:md0: Disk failure\nmd/raid1:md0: Operation"
        );
        assert_eq!(text(br"na\xc3\xafve \x5cx41"), "naïve \\x41");
        assert_eq!(text(br"bad \xff byte"), "bad \u{fffd} byte");
        assert_eq!(text(br"cut \x4"), "cut \\x4");
        assert_eq!(text(br"sign \x+1"), "sign \\x+1");
        // A ';' in the text is text.
        assert_eq!(text(b"a;b"), "a;b");
    }

    #[test]
    fn fragments_are_marked() {
        for (flags, fragment) in [("-", false), ("c", true), ("+", true)] {
            assert_eq!(
                parse_record(format!("6,1,2,{flags};not responding...").as_bytes()).unwrap().log.fragment,
                fragment
            );
        }
    }

    #[test]
    fn what_is_no_record_is_told() {
        for (bytes, error) in [
            (&b""[..], BadRecord::NoText),
            (b"6,1,2,-", BadRecord::NoText),
            (b";", BadRecord::Number("priority")),
            (b"-6,1,2,-;x", BadRecord::Number("priority")),
            (b"6;x", BadRecord::Number("sequence number")),
            (b"6,1,now,-;x", BadRecord::Number("time")),
            (b"6,99999999999999999999,2,-;x", BadRecord::Number("sequence number")),
        ] {
            assert_eq!(parse_record(bytes), Err(error), "{}", String::from_utf8_lossy(bytes));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = parse_record(&bytes);
        }

        #[test]
        fn any_text_comes_back(text in ".{0,64}") {
            let mut raw = String::from("3,7,8,-;");
            for b in text.bytes() {
                if (b' '..127).contains(&b) && b != b'\\' { raw.push(char::from(b)) } else { raw += &format!("\\x{b:02x}") }
            }
            prop_assert_eq!(parse_record(raw.as_bytes()).unwrap().log.text, text);
        }
    }
}
