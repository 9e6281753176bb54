//! Logs of one line for each record: what dmesg prints, syslog files, what journalctl prints by default.
//!
//! A form of line is one file here and one row in [`FORMS`]. The form that took the last line is asked first, so a file
//! may change its form on the way: two files in one, a syslog daemon with another configuration.

mod console;
mod container;
mod copies;
mod dmesg;
mod grep;
mod kept;
mod logcat;
mod months;
mod quoted;
mod stamp;
mod syslog;
mod usual;

use std::{borrow::Cow, ops::ControlFlow};

use copies::Copies;
use kept::Kept;
use quoted::Spill;
use usual::Usual;

pub(super) use dmesg::{level_named, process};
pub use stamp::Calendar;
pub(super) use stamp::{iso, traditional};
pub(super) use syslog::sender;

use super::{
    Input, Item, Reported, Taker, bytes,
    export::{self, Pasted},
    fields::Fields,
    give,
};
use crate::offline::Line;

type Read = for<'t> fn(&'t str, &mut Reader) -> Option<Piece<'t>>;

/// The forms of a line, in the order in which they are tried.
const FORMS: &[(&str, Read)] = &[
    ("dmesg", dmesg::line),
    ("container", container::line),
    ("comma-separated rows", container::row),
    ("syslog", syslog::line),
    (UNDATED, syslog::undated),
    ("logcat", logcat::line),
    ("console of systemd", console::line),
];

/// The form of lines whose times were cut off.
const UNDATED: &str = "syslog without times";

/// The forms that may be wrapped in another: by a container's runtime, by a shipper of logs.
const WRAPPED: &[Read] = &[dmesg::line, syslog::line, syslog::undated];

/// What stands before a line that somebody indented or quoted in a mail.
const MARGIN: [char; 3] = [' ', '\t', '>'];

/// What a line is: as [`Item`], and nothing of it is copied.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece<'t> {
    Record(Line<'t>),
    More(&'t str),
    Repeated(u32),
    Boot(Option<&'t str>),
    Nothing,
}

impl Piece<'_> {
    /// The same by itself.
    pub(super) fn item(&self) -> Item {
        match self {
            Self::Record(line) => line.entry().into(),
            Self::More(text) => Item::More((*text).to_owned()),
            Self::Repeated(times) => Item::Repeated(*times),
            Self::Boot(id) => Item::Boot(id.map(str::to_owned)),
            Self::Nothing => Item::Nothing,
        }
    }
}

/// How rsyslog writes the end of a line within a record of several.
const ESCAPED_END: &str = "#012";

/// The first line and the others of a record that a syslog daemon wrote as one. What goes on with a comma is one line whose end
/// came too early.
fn escaped_lines(line: &str) -> Option<(&str, &str)> {
    memchr::memchr(b'#', line.as_bytes())?;
    let (first, rest) = line.split_once(ESCAPED_END)?;
    (!rest.trim().is_empty() && !rest.starts_with(',')).then_some((first, rest))
}

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
    /// Bytes before the whole of it, where the log was indented or quoted.
    margin: Option<usize>,
    /// Bytes before each line of a log without times that was indented or quoted; none of other logs.
    bare_margin: usize,
    /// The log was printed by grep or `cat -n`: something stands before each line.
    printed: bool,
    spill: Spill,
    /// Lines that each form took.
    taken: [u64; FORMS.len()],
    plain: u64,
    unknown: u64,
    copies: Copies,
    kept: Kept,
    usual: Usual,
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
            margin: None,
            bare_margin: 0,
            printed: false,
            spill: Spill::default(),
            taken: [0; FORMS.len()],
            plain: 0,
            unknown: 0,
            copies: Copies::default(),
            kept: Kept::default(),
            usual: Usual::default(),
        }
    }

    /// Reads a line, and passes on what it is.
    fn pass(&mut self, raw: &[u8], taker: &mut dyn Taker) -> ControlFlow<()> {
        let line = cleaned(raw);
        let Some((first, rest)) = escaped_lines(&line) else {
            let piece = self.piece(&line);
            return self.hand_on(&piece, &line, taker);
        };
        let piece = self.piece(first);
        self.hand_on(&piece, first, taker)?;
        for more in rest.split(ESCAPED_END) {
            self.hand_on(&Piece::More(more), more, taker)?;
        }
        ControlFlow::Continue(())
    }

    fn hand_on(&mut self, piece: &Piece<'_>, line: &str, taker: &mut dyn Taker) -> ControlFlow<()> {
        match piece {
            Piece::Nothing => return ControlFlow::Continue(()),
            Piece::Record(record) => {
                if taker.passes(record, line) {
                    self.kept.keep(record, line);
                    return ControlFlow::Continue(());
                }
                self.kept.forget();
            }
            Piece::More(_) => {
                if let Some(entry) = self.kept.take() {
                    taker.take(Item::Whole(Box::new(entry)))?;
                }
            }
            Piece::Repeated(_) | Piece::Boot(_) => {}
        }
        taker.take(piece.item())
    }

    /// What a line is.
    #[cfg(test)]
    pub(super) fn line(&mut self, raw: &[u8]) -> Item {
        self.piece(&cleaned(raw)).item()
    }

    fn piece<'t>(&mut self, line: &'t str) -> Piece<'t> {
        let line = unframed(line);
        if line.trim().is_empty() {
            return Piece::Nothing;
        }
        if let Some(heading) = syslog::heading(line) {
            return heading;
        }
        if line.starts_with(MARGIN) {
            return self.indented(line);
        }
        match self.formed(line) {
            Some(piece) => {
                self.margin = Some(0);
                piece
            }
            None => self.unformed(line),
        }
    }

    /// What a line is that is in one of the forms.
    fn formed<'t>(&mut self, line: &'t str) -> Option<Piece<'t>> {
        for step in 0..FORMS.len() {
            let at = (self.form + step) % FORMS.len();
            let Some((_, read)) = FORMS.get(at) else { continue };
            let Some(mut piece) = read(line, self) else { continue };
            self.form = at;
            if let Some(count) = self.taken.get_mut(at) {
                *count += 1;
            }
            if let Piece::Record(record) = &mut piece {
                let is_kernel = record.is_kernel();
                if is_kernel && self.copies.is_copy(at, record.text) {
                    return Some(Piece::Nothing);
                }
                self.indent = line.len().saturating_sub(record.text.len());
                if is_kernel {
                    record.fragment = self.spill.is_piece(record);
                }
            }
            return Some(piece);
        }
        None
    }

    /// A line of a log that somebody indented as a whole or quoted in a mail, else one without a time. What stands further
    /// to the right than the records of the log is of a message of several lines, as journalctl prints it: anybody writes
    /// there what reads like a record (promise 7).
    fn indented<'t>(&mut self, line: &'t str) -> Piece<'t> {
        let text = line.trim_start_matches(MARGIN);
        let margin = line.len() - text.len();
        if self.margin.is_none_or(|known| margin <= known)
            && (text
                .starts_with(|c: char| c == '[' || c == '<' || c.is_ascii_digit() || c.is_ascii_uppercase())
                || dmesg::priority(text).is_some())
            && let Some(piece) = self.formed(text)
        {
            self.margin = Some(margin);
            return piece;
        }
        self.unformed(line)
    }

    /// What a line is that stood in another one. Without a form of its own it is nobody's.
    pub(super) fn wrapped<'t>(&mut self, line: &'t str) -> Piece<'t> {
        WRAPPED.iter().find_map(|read| read(line, self)).unwrap_or(Piece::Nothing)
    }

    /// A line that has no time: more of the record before it where it is indented.
    fn unformed<'t>(&mut self, line: &'t str) -> Piece<'t> {
        if (self.printed || self.margin.is_none())
            && let Some(text) = grep::text(line)
            && let Some(piece) = self.formed(text)
        {
            self.printed = true;
            return piece;
        }
        let spaces = line.len() - line.trim_start_matches([' ', '\t']).len();
        // Talos prints what the kernel says of the device below its line.
        let text = line.trim_start();
        if spaces > 0 && ["SUBSYSTEM=", "DEVICE="].iter().any(|key| text.starts_with(key)) {
            return Piece::Nothing;
        }
        let line = line.get(self.bare_margin..).unwrap_or(line);
        let is_undated = self.bare
            || FORMS.iter().zip(&self.taken).any(|((name, _), count)| *name == UNDATED && *count > 0);
        if is_undated && let Some(record) = console::of_process(line.trim_start_matches([' ', '\t'])) {
            self.plain += 1;
            return Piece::Record(record);
        }
        if spaces > 0 && self.indent > 0 {
            return Piece::More(line.get(spaces.min(self.indent)..).unwrap_or_default());
        }
        if self.bare {
            self.plain += 1;
            return Piece::Record(Line { level: 4, text: line, ..Line::default() });
        }
        self.unknown += 1;
        Piece::Nothing
    }
}

/// A line without the frame of a window, or the marks of a text that shows it as code.
fn unframed(line: &str) -> &str {
    const FRAMES: [(char, char); 3] = [('\u{2502}', '\u{2502}'), ('|', '\u{2502}'), ('`', '`')];
    let inner =
        FRAMES.iter().find_map(|(left, right)| line.strip_prefix(*left)?.trim_end().strip_suffix(*right));
    inner.map_or(line, |inner| inner.trim_end_matches(' '))
}

/// As many spaces at the end of a line fill it up, as what was copied from a terminal has them; the kernel prints fewer.
const FILLED: usize = 4;

/// The line without control sequences of a terminal, carriage returns, NUL bytes and bytes that are no text.
fn cleaned(raw: &[u8]) -> Cow<'_, str> {
    let end = raw.iter().rposition(|b| !matches!(b, b'\r' | 0)).map_or(0, |at| at + 1);
    let raw = raw.get(..end).unwrap_or_default();
    let text_end = raw.iter().rposition(|b| *b != b' ').map_or(0, |at| at + 1);
    let raw = if end - text_end >= FILLED { raw.get(..text_end).unwrap_or_default() } else { raw };
    let start = raw.iter().position(|b| !matches!(b, b'\r' | 0)).unwrap_or(0);
    let raw = raw.get(start..).unwrap_or_default();
    let line = match str::from_utf8(raw) {
        Ok(line) => Cow::Borrowed(line),
        Err(_) => String::from_utf8_lossy(raw),
    };
    if memchr::memchr2(0x1b, 0, raw).is_none() {
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
    survey(sample).0
}

/// The same, and the least margin of those lines: the first one may be within a message of several lines, and has more.
fn survey(sample: &[u8]) -> (u32, Option<usize>) {
    let mut reader = Reader::new(Calendar::new(jiff::tz::TimeZone::UTC, jiff::Timestamp::UNIX_EPOCH), false);
    let (mut lines, mut formed, mut least) = (0_u32, 0_u32, None);
    for line in bytes::lines(sample).take(512).filter(|line| !line.trim_ascii().is_empty()) {
        lines += 1;
        // Each line by itself.
        reader.margin = None;
        formed += u32::from(reader.piece(&cleaned(line)) != Piece::Nothing);
        least = least.into_iter().chain(reader.margin).min();
    }
    ((formed * 1000).checked_div(lines).unwrap_or(0), least)
}

/// What stands before each line of a sample, where the whole was indented or quoted.
fn least_margin(sample: &[u8]) -> usize {
    let lines = bytes::lines(sample).take(512).filter(|line| !line.trim_ascii().is_empty());
    let is_margin = |b: &u8| MARGIN.contains(&char::from(*b));
    lines.map(|line| line.iter().take_while(|b| is_margin(b)).count()).min().unwrap_or(0)
}

/// Reads the whole file.
pub(super) fn read(input: &mut Input<'_>, calendar: Calendar, taker: &mut dyn Taker) -> Reported {
    let (formed, margin) = survey(input.sample());
    // One line in ten may be anything; where none has a form, the lines are the kernel's own and bare.
    let bare = formed < 100;
    let bare_margin = if bare { least_margin(input.sample()) } else { 0 };
    let mut reader = Reader { margin, bare_margin, ..Reader::new(calendar, bare) };
    let mut pasted: Option<Fields> = None;
    while let Some(line) = input.line() {
        if pasted.is_some() || line.starts_with(b"__") {
            match export::pasted(line, &mut pasted) {
                Pasted::Field => continue,
                Pasted::Entry(item, is_read) => {
                    reader.kept.forget();
                    if item.is_some_and(|item| give(taker, item).is_break()) {
                        break;
                    }
                    if is_read {
                        continue;
                    }
                }
                Pasted::Nothing => {}
            }
        }
        if reader.pass(line, taker).is_break() {
            break;
        }
    }
    if let Some(item) = pasted.and_then(export::unproven) {
        let _at_the_end = give(taker, item);
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
