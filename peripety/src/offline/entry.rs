//! One line of a log, as a file has it.

use std::ops::ControlFlow;

use crate::{parser::RawEvent, record::LogRecord};

/// What a log has next.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A record.
    Entry(Box<Entry>),
    /// The record before, of which it was only said that it passed ([`Taker::passes`]): more of it follows.
    Whole(Box<Entry>),
    /// Another line of the record before.
    More(String),
    /// The record before came so many times more.
    Repeated(u32),
    /// What follows is of another boot, by this id where it is reported.
    Boot(Option<String>),
    /// Nothing to report: a heading, an empty line.
    Nothing,
}

/// A record as it stands in its line: what is not kept need not be copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line<'t> {
    /// The text.
    pub text: &'t str,
    /// Level, 0 to 7.
    pub level: u8,
    /// Who said it: none for the kernel.
    pub identifier: Option<&'t str>,
    /// The line alone says who said it.
    pub unproven: bool,
    /// A piece of a line whose beginning is another record.
    pub fragment: bool,
    /// The kernel's clock: microseconds since the boot.
    pub uptime_us: Option<u64>,
    /// The wall clock: microseconds since 1970.
    pub wall_us: Option<i64>,
    /// The boot's id.
    pub boot_id: Option<&'t str>,
    /// The host's name.
    pub hostname: Option<&'t str>,
    /// Thread or CPU that printed it.
    pub caller: Option<&'t str>,
    /// The kernel's name of the device, where the source has it beside the text.
    pub device: Option<&'t str>,
}

impl Line<'_> {
    /// Whether the kernel said it.
    pub fn is_kernel(&self) -> bool {
        self.identifier.is_none()
    }

    /// The record by itself.
    pub fn entry(&self) -> Entry {
        Entry {
            log: LogRecord {
                seq: 0,
                level: self.level,
                identifier: self.identifier.map(str::to_owned),
                unproven: self.unproven,
                text: self.text.to_owned(),
                subsystem: None,
                device: self.device.map(str::to_owned),
                fragment: self.fragment,
            },
            numbered: false,
            uptime_us: self.uptime_us,
            wall_us: self.wall_us,
            boot_id: self.boot_id.map(str::to_owned),
            hostname: self.hostname.map(str::to_owned),
            caller: self.caller.map(str::to_owned),
            parsed: Parsed::No,
        }
    }
}

/// A line whose texts stand in memory that is used again: of those their places there.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    text: Span,
    identifier: Option<Span>,
    boot_id: Option<Span>,
    hostname: Option<Span>,
    caller: Option<Span>,
    device: Option<Span>,
    uptime_us: Option<u64>,
    wall_us: Option<i64>,
    level: u8,
    unproven: bool,
    fragment: bool,
}

/// Where a text stands, and how long it is. A batch and a line have far fewer bytes than fit.
type Span = (u32, u32);

impl Packed {
    /// Adds `whole` to `words`, which has the texts of the line in it where the line was read from one text: one copy in place
    /// of one for each of them. What is not in it is added behind it.
    pub(super) fn of(line: &Line<'_>, whole: &str, words: &mut String) -> Self {
        let (base, start) = (words.len(), whole.as_ptr().addr());
        words.push_str(whole);
        let mut place = |text: &str| {
            let within = text.as_ptr().addr().wrapping_sub(start);
            let at = if within.saturating_add(text.len()) <= whole.len() {
                base + within
            } else {
                words.push_str(text);
                words.len() - text.len()
            };
            (u32::try_from(at).unwrap_or(u32::MAX), u32::try_from(text.len()).unwrap_or(0))
        };
        Self {
            text: place(line.text),
            identifier: line.identifier.map(&mut place),
            boot_id: line.boot_id.map(&mut place),
            hostname: line.hostname.map(&mut place),
            caller: line.caller.map(&mut place),
            device: line.device.map(&mut place),
            uptime_us: line.uptime_us,
            wall_us: line.wall_us,
            level: line.level,
            unproven: line.unproven,
            fragment: line.fragment,
        }
    }

    /// The line, of which the texts stand in `words`.
    pub(super) fn line<'w>(&self, words: &'w str) -> Line<'w> {
        let text =
            |(at, length): Span| words.get(at as usize..at as usize + length as usize).unwrap_or_default();
        Line {
            text: text(self.text),
            identifier: self.identifier.map(text),
            boot_id: self.boot_id.map(text),
            hostname: self.hostname.map(text),
            caller: self.caller.map(text),
            device: self.device.map(text),
            level: self.level,
            unproven: self.unproven,
            fragment: self.fragment,
            uptime_us: self.uptime_us,
            wall_us: self.wall_us,
        }
    }
}

impl From<Entry> for Item {
    fn from(entry: Entry) -> Self {
        Self::Entry(Box::new(entry))
    }
}

/// A record with what the file reports about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// The text and who said it. `seq` counts only where `numbered` is set.
    pub log: LogRecord,
    /// The file has the kernel's own sequence number.
    pub numbered: bool,
    /// The kernel's clock: microseconds since the boot.
    pub uptime_us: Option<u64>,
    /// The wall clock: microseconds since 1970.
    pub wall_us: Option<i64>,
    /// The boot's id.
    pub boot_id: Option<String>,
    /// The host's name.
    pub hostname: Option<String>,
    /// Thread or CPU that printed it: `T123`, `C1`.
    pub caller: Option<String>,
    /// What the rules made of the text, where they were asked already.
    pub(super) parsed: Parsed,
}

/// What rules made of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Parsed {
    /// They were not asked yet.
    #[default]
    No,
    /// All but the time and the number of the line; nothing if no rule is about it.
    Yes(Option<Box<RawEvent>>),
}

impl Entry {
    /// Whether the kernel said it.
    pub fn is_kernel(&self) -> bool {
        self.log.identifier.is_none()
    }

    /// The same without a copy.
    pub fn line(&self) -> Line<'_> {
        Line {
            text: &self.log.text,
            level: self.log.level,
            identifier: self.log.identifier.as_deref(),
            unproven: self.log.unproven,
            fragment: self.log.fragment,
            uptime_us: self.uptime_us,
            wall_us: self.wall_us,
            boot_id: self.boot_id.as_deref(),
            hostname: self.hostname.as_deref(),
            caller: self.caller.as_deref(),
            device: self.log.device.as_deref(),
        }
    }
}

/// Takes what a log has.
pub trait Taker {
    /// Takes what comes next; may say that it wants no more.
    fn take(&mut self, item: Item) -> ControlFlow<()>;

    /// Takes note of a record that says nothing of storage, where that is all that is to be done: of most lines nothing but
    /// their time counts. If not, it is to be given as a whole. `whole` is what its texts were read from, where that is one text.
    fn passes(&mut self, _line: &Line<'_>, _whole: &str) -> bool {
        false
    }

    /// The same of a record of which it is known that it says nothing of storage.
    fn lets_pass(&mut self, line: &Line<'_>) -> bool {
        self.passes(line, "")
    }
}

/// Gives an item, of which it may be enough that it passes.
pub(super) fn give(taker: &mut dyn Taker, item: Item) -> ControlFlow<()> {
    match &item {
        Item::Entry(entry) if taker.passes(&entry.line(), "") => ControlFlow::Continue(()),
        _ => taker.take(item),
    }
}

/// Takes each record as a whole.
#[derive(Debug)]
pub(super) struct Each<F>(pub(super) F);

impl<F: FnMut(Item) -> ControlFlow<()>> Taker for Each<F> {
    fn take(&mut self, item: Item) -> ControlFlow<()> {
        (self.0)(item)
    }
}
