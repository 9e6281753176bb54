//! Logs of one line for each record: what dmesg prints, syslog files, what journalctl prints by default.
//!
//! A form of line is one file here and one row in [`FORMS`]. The form that took the last line is asked first, so a file
//! may change its form on the way: two files in one, a syslog daemon with another configuration.

mod container;
mod copies;
mod dmesg;
mod months;
mod stamp;
mod syslog;

use std::borrow::Cow;

use copies::Copies;

pub(super) use dmesg::{level_named, process};
pub use stamp::Calendar;
pub(super) use stamp::iso;

use super::{Input, Item, Reported, Sink, bytes};
use crate::{offline::Entry, parser::rules::quoting_place, record::LogRecord};

type Read = fn(&str, &mut Reader) -> Option<Item>;

/// The forms of a line, in the order in which they are tried.
const FORMS: &[(&str, Read)] = &[
    ("dmesg", dmesg::line),
    ("container", container::line),
    ("syslog", syslog::line),
    ("syslog without times", syslog::undated),
];

/// The forms that may be wrapped in another: by a container's runtime, by a shipper of logs.
const WRAPPED: &[Read] = &[dmesg::line, syslog::line, syslog::undated];

/// What the forms remember from line to line.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    calendar: Calendar,
    /// Of dmesg -H: the last full time, and the time since.
    relative_since: Option<i64>,
    relative_us: i64,
    /// The form that took the last line.
    form: usize,
    /// Lines that have nothing before their text are the kernel's.
    bare: bool,
    /// Bytes before the text of the last record.
    indent: usize,
    /// When the kernel printed the last line with a user's text in it.
    quoted_us: Option<u64>,
    /// Lines that each form took.
    taken: [u64; FORMS.len()],
    plain: u64,
    unknown: u64,
    copies: Copies,
}

impl Reader {
    /// Reads lines with times in this calendar.
    pub(super) fn new(calendar: Calendar, bare: bool) -> Self {
        Self {
            calendar,
            relative_since: None,
            relative_us: 0,
            form: 0,
            bare,
            indent: 0,
            quoted_us: None,
            taken: [0; FORMS.len()],
            plain: 0,
            unknown: 0,
            copies: Copies::default(),
        }
    }

    /// What a line is.
    pub(super) fn line(&mut self, raw: &[u8]) -> Item {
        let line = cleaned(raw);
        if line.trim().is_empty() {
            return Item::Nothing;
        }
        if let Some(heading) = syslog::heading(&line) {
            return heading;
        }
        match self.formed(&line) {
            Some(item) => item,
            None => self.indented(&line),
        }
    }

    /// What a line is that is in one of the forms.
    fn formed(&mut self, line: &str) -> Option<Item> {
        for step in 0..FORMS.len() {
            let at = (self.form + step) % FORMS.len();
            let Some((_, read)) = FORMS.get(at) else { continue };
            if let Some(item) = read(line, self) {
                self.form = at;
                if let Some(count) = self.taken.get_mut(at) {
                    *count += 1;
                }
                if let Item::Entry(entry) = &item
                    && entry.is_kernel()
                    && self.copies.is_copy(at, &entry.log.text)
                {
                    return Some(Item::Nothing);
                }
                return Some(self.whole_or_spilled(item, line.len()));
            }
        }
        None
    }

    /// A line that somebody indented as a whole, else one without a time.
    fn indented(&mut self, line: &str) -> Item {
        let text = line.trim_start_matches([' ', '\t']);
        if text.len() < line.len()
            && text
                .starts_with(|c: char| c == '[' || c == '<' || c.is_ascii_digit() || c.is_ascii_uppercase())
            && let Some(item) = self.formed(text)
        {
            return item;
        }
        self.unformed(line)
    }

    /// What a line is that stood in another one. Without a form of its own it is nobody's.
    pub(super) fn wrapped(&mut self, line: &str) -> Item {
        WRAPPED.iter().find_map(|read| read(line, self)).unwrap_or(Item::Nothing)
    }

    /// Marks a line that may be the rest of the one before it. Where the kernel prints a user's text with a line break in
    /// it, /proc/kmsg and what reads it give each line the time of the record; whole microseconds rarely agree otherwise.
    fn whole_or_spilled(&mut self, item: Item, length: usize) -> Item {
        let Item::Entry(mut entry) = item else { return item };
        self.indent = length.saturating_sub(entry.log.text.len());
        if entry.is_kernel() {
            // A clock that counts in milliseconds gives many records the same time.
            let at = entry.uptime_us.filter(|us| us % 1000 != 0);
            entry.log.fragment = at.is_some() && at == self.quoted_us;
            if !entry.log.fragment {
                self.quoted_us = at.filter(|_| quoting_place(&entry.log.text).is_some());
            }
        }
        Item::Entry(entry)
    }

    /// A line that has no time: more of the record before it where it is indented.
    fn unformed(&mut self, line: &str) -> Item {
        let spaces = line.len() - line.trim_start_matches([' ', '\t']).len();
        // Talos prints what the kernel says of the device below its line.
        let text = line.trim_start();
        if spaces > 0 && ["SUBSYSTEM=", "DEVICE="].iter().any(|key| text.starts_with(key)) {
            return Item::Nothing;
        }
        if spaces > 0 && self.indent > 0 {
            return Item::More(line.get(spaces.min(self.indent)..).unwrap_or_default().to_owned());
        }
        if self.bare {
            self.plain += 1;
            return Entry {
                log: LogRecord { level: 4, text: line.to_owned(), ..LogRecord::default() },
                ..Entry::default()
            }
            .into();
        }
        self.unknown += 1;
        Item::Nothing
    }
}

/// The line without control sequences of a terminal, carriage returns, NUL bytes and bytes that are no text.
fn cleaned(raw: &[u8]) -> Cow<'_, str> {
    let end = raw.iter().rposition(|b| !matches!(b, b'\r' | 0)).map_or(0, |at| at + 1);
    let raw = raw.get(..end).unwrap_or_default();
    let start = raw.iter().position(|b| !matches!(b, b'\r' | 0)).unwrap_or(0);
    let raw = raw.get(start..).unwrap_or_default();
    let line = String::from_utf8_lossy(raw);
    if !raw.contains(&0x1b) && !raw.contains(&0) {
        return line;
    }
    let mut out = String::with_capacity(line.len());
    let mut rest = line.as_ref();
    while let Some(at) = rest.find(['\u{1b}', '\0']) {
        out.push_str(rest.get(..at).unwrap_or_default());
        let after = rest.get(at + 1..).unwrap_or_default();
        // ECMA-48, section 5.4: ESC [ parameters and a letter. A serial console also has ESC ( B and the like.
        let sequence = after.strip_prefix('[').and_then(|codes| {
            let end = codes.find(|c: char| !(c.is_ascii_digit() || ";:<=>?".contains(c)))?;
            codes.get(end..)?.strip_prefix(|c: char| c.is_ascii_alphabetic())
        });
        let charset = || after.strip_prefix(['(', ')'])?.strip_prefix(|c: char| c.is_ascii_alphanumeric());
        rest = sequence.or_else(charset).unwrap_or(after);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// How many of a sample's lines have a form, in thousandths; 0 for a sample that is no text.
pub(super) fn fits(sample: &[u8]) -> u32 {
    let mut reader = Reader::new(Calendar::new(jiff::tz::TimeZone::UTC, jiff::Timestamp::UNIX_EPOCH), false);
    let (mut lines, mut formed) = (0_u32, 0_u32);
    for line in bytes::lines(sample).take(512).filter(|line| !line.trim_ascii().is_empty()) {
        lines += 1;
        formed += u32::from(!matches!(reader.line(line), Item::Nothing));
    }
    (formed * 1000).checked_div(lines).unwrap_or(0)
}

/// Reads the whole file.
pub(super) fn read(input: &mut Input<'_>, calendar: Calendar, sink: &mut Sink<'_>) -> Reported {
    let formed = fits(input.sample());
    // One line in ten may be anything; where none has a form, the lines are the kernel's own and bare.
    let mut reader = Reader::new(calendar, formed < 100);
    while let Some(line) = input.line() {
        let item = reader.line(line);
        if item != Item::Nothing && sink(item).is_break() {
            break;
        }
    }
    let most = reader.taken.iter().zip(FORMS).max_by_key(|(count, _)| **count);
    let name = match most {
        Some((count, (name, _))) if *count > 0 => name,
        _ if reader.plain > 0 => "kernel text without times",
        _ => "text",
    };
    Reported { name, unknown: reader.unknown }
}

#[cfg(test)]
mod tests;
