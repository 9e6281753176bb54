//! One line of a log, as a file has it.

use crate::record::LogRecord;

/// What a log has next.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A record.
    Entry(Box<Entry>),
    /// Another line of the record before.
    More(String),
    /// The record before came so many times more.
    Repeated(u32),
    /// What follows is of another boot, by this id where it is reported.
    Boot(Option<String>),
    /// Nothing to report: a heading, an empty line.
    Nothing,
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
}

impl Entry {
    /// Whether the kernel said it.
    pub fn is_kernel(&self) -> bool {
        self.log.identifier.is_none()
    }
}
