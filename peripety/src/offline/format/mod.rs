//! The forms that a log file can have.
//!
//! A format is one file here and one row in [`FORMATS`]. Which one a file has is found out from its first bytes: the
//! format that fits best reads it.

mod export;
pub(super) mod fields;
mod json;
mod kmsg;
mod shipped;
mod text;

use std::ops::ControlFlow;

pub use text::Calendar;

use super::{
    Item,
    entry::{Each, Taker, give},
    input::Input,
};

/// What can be said of a file after it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// The format as users call it.
    pub name: &'static str,
    /// Lines that were of no format.
    pub unknown: u64,
}

struct Format {
    name: &'static str,
    /// How well the first bytes of a file fit, up to 1000.
    fits: fn(&[u8]) -> u32,
    read: fn(&mut Input<'_>, Calendar, &mut dyn Taker) -> Reported,
}

/// The formats; of two that fit equally well, the first is taken.
const FORMATS: &[Format] = &[
    Format { name: "journal export", fits: export::fits, read: export::read },
    Format { name: "/dev/kmsg", fits: kmsg::fits, read: kmsg::read },
    Format { name: "JSON", fits: json::fits, read: json::read },
    Format { name: "text", fits: text::fits, read: text::read },
];

/// Whether a file is asked to be of this format only because it is of no other.
pub(crate) fn is_shapeless(name: &str) -> bool {
    ["text", "kernel text without times"].contains(&name)
}

/// Reads a file of any format to its end, and hands over each of its records as a whole.
pub fn read(
    input: &mut Input<'_>,
    calendar: Calendar,
    take: &mut dyn FnMut(Item) -> ControlFlow<()>,
) -> Reported {
    read_into(input, calendar, &mut Each(take))
}

/// Reads a file of any format to its end.
pub fn read_into(input: &mut Input<'_>, calendar: Calendar, taker: &mut dyn Taker) -> Reported {
    let sample = input.sample();
    let mut best: Option<(u32, &Format)> = None;
    for format in FORMATS {
        let fits = (format.fits)(sample);
        if best.is_none_or(|(most, _)| fits > most) {
            best = Some((fits, format));
        }
    }
    // What is of no format is read as bare text.
    let format = best.filter(|(fits, _)| *fits > 0).map(|(_, format)| format).or(FORMATS.last());
    let Some(format) = format else { return Reported::default() };
    let reported = (format.read)(input, calendar, taker);
    if reported.name.is_empty() { Reported { name: format.name, ..reported } } else { reported }
}

mod bytes {
    /// The lines of a sample; the last may be a part of one.
    pub(super) fn lines(sample: &[u8]) -> impl Iterator<Item = &[u8]> {
        sample.split(|b| *b == b'\n')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(file: &[u8]) -> &'static str {
        let calendar = Calendar::new(jiff::tz::TimeZone::UTC, jiff::Timestamp::UNIX_EPOCH);
        read(&mut Input::new(file), calendar, &mut |_| ControlFlow::Continue(())).name
    }

    #[test]
    fn the_format_is_found_in_the_first_bytes() {
        for (file, want) in [
            (&b"6,1,2,-;text\n SUBSYSTEM=scsi\n"[..], "/dev/kmsg"),
            (b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1\nMESSAGE=x\n\n", "journal export"),
            (b"{\"__CURSOR\":\"s=1\",\"MESSAGE\":\"x\"}\n", "journalctl JSON"),
            (b"{\n   \"dmesg\": [\n      {\n         \"pri\": 6,\n         \"time\": 0.1,\n         \"msg\": \"x\"\n      }\n]}", "dmesg JSON"),
            (b"[    0.000000] Linux version 6.1\n", "dmesg"),
            (b"<6>[    0.000000] Linux version 6.1\n", "dmesg"),
            (b"Nov 21 13:16:50 h kernel: x\nNov 21 13:16:50 h kernel: x\n", "syslog"),
            (b"sd 0:0:0:0: [sda] Attached SCSI disk\n", "kernel text without times"),
            (b"", "text"),
            (b"\0\0\0\0", "text"),
        ] {
            assert_eq!(name(file), want, "{}", String::from_utf8_lossy(file));
        }
    }
}
