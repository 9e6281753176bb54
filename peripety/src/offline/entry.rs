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

/// A line without its texts, which stand in memory that is used again: of those their lengths.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    line: Line<'static>,
    text: usize,
    identifier: Option<usize>,
    boot_id: Option<usize>,
    hostname: Option<usize>,
    caller: Option<usize>,
    device: Option<usize>,
}

impl Packed {
    /// Adds the texts of a line to `words`.
    pub(super) fn of(line: &Line<'_>, words: &mut String) -> Self {
        words.push_str(line.text);
        let mut add = |text: Option<&str>| {
            words.push_str(text?);
            text.map(str::len)
        };
        Self {
            text: line.text.len(),
            identifier: add(line.identifier),
            boot_id: add(line.boot_id),
            hostname: add(line.hostname),
            caller: add(line.caller),
            device: add(line.device),
            line: Line {
                level: line.level,
                unproven: line.unproven,
                fragment: line.fragment,
                uptime_us: line.uptime_us,
                wall_us: line.wall_us,
                ..Line::default()
            },
        }
    }

    /// The line, of which the texts come next in `words`.
    pub(super) fn line<'w>(&self, words: &mut &'w str) -> Line<'w> {
        let mut next = |length: Option<usize>| {
            let (text, rest) = words.split_at_checked(length?)?;
            *words = rest;
            Some(text)
        };
        Line {
            text: next(Some(self.text)).unwrap_or_default(),
            identifier: next(self.identifier),
            boot_id: next(self.boot_id),
            hostname: next(self.hostname),
            caller: next(self.caller),
            device: next(self.device),
            ..self.line
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
    /// their time counts. If not, it is to be given as a whole.
    fn passes(&mut self, _line: &Line<'_>) -> bool {
        false
    }

    /// The same of a record of which it is known that it says nothing of storage.
    fn lets_pass(&mut self, line: &Line<'_>) -> bool {
        self.passes(line)
    }
}

/// Gives an item, of which it may be enough that it passes.
pub(super) fn give(taker: &mut dyn Taker, item: Item) -> ControlFlow<()> {
    match &item {
        Item::Entry(entry) if taker.passes(&entry.line()) => ControlFlow::Continue(()),
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
