//! A line of text: of the kernel through /dev/kmsg, or of a program through journald.

use serde::{Deserialize, Serialize};

/// Level of a kernel message, 0 (KERN_EMERG) to 7 (KERN_DEBUG).
pub type KmsgLevel = u8;

/// A line of text with what its source reports about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Sequence number of /dev/kmsg or of the journal; for other sources a count of lines.
    pub seq: u64,
    /// Level, 0 to 7.
    pub level: KmsgLevel,
    /// Who said it: `None` for the kernel, the program's name for user space. A collector gives a name only where it is
    /// proved (promise 7): never because the line itself or its sender says so.
    pub identifier: Option<String>,
    /// The line alone says who said it, in a file that any program may write to by its syslog daemon: `kernel:` as well as a
    /// program's name. Only a log that was written down has such records.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
    /// The text, with escapes undone. One record may have several lines.
    pub text: String,
    /// `SUBSYSTEM=` of the record's dictionary: `scsi`, `block` …
    pub subsystem: Option<String>,
    /// `DEVICE=` of the record's dictionary: `+scsi:4:0:0:1`, `b8:16`, `c…`, `n…`.
    pub device: Option<String>,
    /// A piece of a line whose beginning is another record: it may begin with a user's text, and is never offered to a rule
    /// (promise 7).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fragment: bool,
}
