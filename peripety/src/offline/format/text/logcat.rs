//! What Android's logcat prints in its usual form: `11-21 13:16:50.123     0     0 E F2FS-fs (dm-7): text`.

use super::{super::super::Line, Piece, Reader, stamp};

/// Letters of its levels, and what they are in syslog.
const LEVELS: [(char, u8); 6] = [('V', 7), ('D', 7), ('I', 6), ('W', 4), ('E', 3), ('F', 2)];

/// Reads a line. The kernel has no process: its lines have 0 for both numbers. Programs may write into the same buffer, each
/// under its own number.
pub(super) fn line<'t>(line: &'t str, reader: &mut Reader) -> Option<Piece<'t>> {
    let (wall, rest) = stamp::without_year(line, &mut reader.calendar)?;
    let (process, rest) = stamp::number(rest.trim_start_matches(' '), 1, 7)?;
    let (thread, rest) = stamp::number(rest.strip_prefix(' ')?.trim_start_matches(' '), 1, 7)?;
    let mut letters = rest.strip_prefix(' ')?.chars();
    let letter = letters.next()?;
    let (_, level) = LEVELS.into_iter().find(|(known, _)| *known == letter)?;
    let text = letters.as_str().strip_prefix(' ')?;
    let entry = Line { level, wall_us: Some(wall), unproven: true, ..Line::default() };
    if process == 0 && thread == 0 {
        return Some(Piece::Record(Line { text: text.strip_prefix("kernel  : ").unwrap_or(text), ..entry }));
    }
    let (tag, said) = text.split_once(": ")?;
    Some(Piece::Record(Line { identifier: Some(tag.trim_end()), text: said, ..entry }))
}
