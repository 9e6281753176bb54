//! A line of text: of the kernel through /dev/kmsg, or of a program through journald.

/// Level of a kernel message, 0 (KERN_EMERG) to 7 (KERN_DEBUG).
pub type KmsgLevel = u8;

/// A line of text with what its source tells about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRecord {
    /// Sequence number of /dev/kmsg; for other sources a count of lines.
    pub seq: u64,
    /// Level, 0 to 7.
    pub level: KmsgLevel,
    /// Who said it: `None` for the kernel, the program's name for user space.
    pub identifier: Option<String>,
    /// The text, with escapes undone. One record may have several lines.
    pub text: String,
    /// `SUBSYSTEM=` of the record's dictionary: `scsi`, `block` …
    pub subsystem: Option<String>,
    /// `DEVICE=` of the record's dictionary: `+scsi:4:0:0:1`, `b8:16`, `c…`, `n…`.
    pub device: Option<String>,
}
