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
