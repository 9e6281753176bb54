//! Lines as a container's runtime wraps them (the CRI log format of Kubernetes): `2026-11-21T13:16:50.123456789Z stdout F text`.

use super::{Piece, Reader, stamp};

/// Reads a line: what is wrapped has a form of its own.
pub(super) fn line<'t>(line: &'t str, reader: &mut Reader) -> Option<Piece<'t>> {
    let (wall, rest) = stamp::iso(line, &mut reader.calendar)?;
    let rest = rest.strip_prefix(" stdout ").or_else(|| rest.strip_prefix(" stderr "))?;
    let rest = rest.strip_prefix("F ").or_else(|| rest.strip_prefix("P "))?;
    let mut piece = reader.wrapped(rest);
    if let Piece::Record(record) = &mut piece {
        record.wall_us = record.wall_us.or(Some(wall));
    }
    Some(piece)
}

/// A row of comma-separated fields in quotes, as log servers export them: the line is in the last one.
pub(super) fn row<'t>(line: &'t str, reader: &mut Reader) -> Option<Piece<'t>> {
    let fields = line.trim_end().strip_prefix('"')?.strip_suffix('"')?;
    let (before, text) = fields.rsplit_once("\",\"")?;
    // A quote within the text is written twice, and would have to be copied.
    if text.contains('"') {
        return None;
    }
    let mut piece = reader.wrapped(text);
    if let Piece::Record(record) = &mut piece {
        let wall = before.split("\",\"").find_map(|field| Some(stamp::iso(field, &mut reader.calendar)?.0));
        record.wall_us = record.wall_us.or(wall);
    }
    Some(piece)
}
