//! What systemd prints to the console of a machine, and lines of programs whose times were cut off.

use super::{super::super::Line, Piece, Reader, dmesg};

/// What stands in the brackets of a status that reports something wrong.
const STATUSES: [&str; 3] = ["FAILED", "DEPEND", "TIME"];

/// Reads a line: `[DEPEND] Dependency failed for /srv/data.`, `[ TIME ] Timed out waiting for device /dev/sdb1.`
pub(super) fn line<'t>(line: &'t str, _reader: &mut Reader) -> Option<Piece<'t>> {
    let (status, text) = line.strip_prefix('[')?.split_once("] ")?;
    STATUSES.contains(&status.trim_matches(' ')).then_some(())?;
    Some(Piece::Record(Line {
        level: 3,
        identifier: Some("systemd"),
        text,
        unproven: true,
        ..Line::default()
    }))
}

/// `systemd[1]: text`, by itself.
pub(super) fn of_process(line: &str) -> Option<Line<'_>> {
    let name = dmesg::process(line).filter(|name| line.starts_with(*name))?;
    let (_, text) = line.split_once("]: ")?;
    Some(Line { level: 4, identifier: Some(name), text, unproven: true, ..Line::default() })
}
