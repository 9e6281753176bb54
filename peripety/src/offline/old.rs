//! What lines of old kernels mean that newer ones say otherwise.

use crate::{
    event::EventType,
    parser::{RawEvent, rules::RuleSet},
    record::{LogRecord, Stamp},
};

/// What only kernels before 4.0 print, at the start of a line.
const SIGNS: [&str; 9] = [
    "end_request: ",
    "Linux version 2.",
    "Linux version 3.",
    "lost page write due to I/O error on ",
    "EXT3-fs",
    "ide: failed opcode was: ",
    "Badness in ",
    "VFS: brelse: ",
    "Buffer I/O error on device hd",
];

/// Since then only ext4 says so, of a page that it could not write; before, the buffer cache, of any block, and the loss of
/// what was to be written is a line of its own.
const BUFFER: &str = "Buffer I/O error on device ";

/// How lines begin that show it, or mean something else there.
pub(super) fn beginnings() -> impl Iterator<Item = &'static str> {
    SIGNS.into_iter().chain([BUFFER])
}

/// Whether a line shows that its kernel is that old.
pub(super) fn shows(log: &LogRecord) -> bool {
    log.identifier.is_none() && !log.fragment && SIGNS.iter().any(|sign| log.text.starts_with(sign))
}

/// What a line of such a kernel says, where that is not what a newer one would say by it.
pub(super) fn parse(rules: &RuleSet, log: &LogRecord, time: Stamp) -> Option<RawEvent> {
    if log.identifier.is_some() || log.fragment || !log.text.starts_with(BUFFER) {
        return None;
    }
    let raw = rules.parse(log, time)?;
    let event_type = EventType::BLK_BUFFER_IO_ERROR;
    let severity = event_type.info().map(|info| info.severity).unwrap_or(raw.severity);
    (raw.event_type == EventType::BLK_LOST_WRITE).then_some(RawEvent { event_type, severity, ..raw })
}
