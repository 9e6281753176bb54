//! The line that most files of syslog have most of: the time and the host of the line before, a tag, a text. It is read
//! without taking its beginning apart again.

use super::{Piece, Reader, syslog};
use crate::offline::Line;

/// How lines begin that are of the same second and host as one before.
#[derive(Clone, Debug, Default)]
pub(super) struct Usual {
    /// All before the tag.
    beginning: String,
    /// Where in it the host stands.
    host: (usize, usize),
    wall_us: i64,
    /// Year and month that the calendar had reached: a time without a year is another one in another year.
    reached: (i16, i8),
}

impl Usual {
    /// Keeps how a line begins: before `after` stands the name of its host. Nothing is kept of a name that may also be read as
    /// something else.
    pub(super) fn keep(&mut self, line: &str, host: &str, after: &str, wall_us: i64, reached: (i16, i8)) {
        self.beginning.clear();
        let is_number = host.len() <= 2 && host.bytes().all(|b| b.is_ascii_digit());
        if is_number || host.starts_with('[') || host.ends_with(':') || syslog::is_facility_and_level(host) {
            return;
        }
        let Some(beginning) = line.strip_suffix(after) else { return };
        let Some(end) = beginning.strip_suffix(' ').map(str::len) else { return };
        if beginning.get(end - host.len()..end) == Some(host) {
            self.beginning.push_str(beginning);
            (self.host, self.wall_us, self.reached) = ((end - host.len(), end), wall_us, reached);
        }
    }
}

/// Reads a line as [`syslog::line`] does, if it is such a one.
pub(super) fn line<'t>(line: &'t str, reader: &Reader) -> Option<Piece<'t>> {
    let Usual { beginning, host, wall_us, reached } = &reader.usual;
    let after = line.strip_prefix(beginning.as_str()).filter(|_| !beginning.is_empty())?;
    let colon = memchr::memchr(b':', after.as_bytes())?;
    let (tag, text) = (after.get(..colon)?, after.get(colon + 1..)?.strip_prefix(' ')?);
    // What has other characters may be a facility, a level, or a tag with a space in it.
    let is_usual =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/' | b'[' | b']' | b'(' | b')');
    let is_tag = !tag.is_empty() && tag.len() <= 128 && !tag.starts_with('[') && tag.bytes().all(is_usual);
    (is_tag && *reached == reader.calendar.reached()).then_some(())?;
    let hostname = line.get(host.0..host.1);
    let record = Line { wall_us: Some(*wall_us), hostname, unproven: true, ..Line::default() };
    Some(syslog::of_tag(tag, text, None, record))
}
