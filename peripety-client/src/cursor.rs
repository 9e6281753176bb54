//! A place in a stream, to go on from.

use std::{fmt, str::FromStr};

use crate::{Error, protocol::Position};

/// A place in a stream, to go on from. Its text is to be kept as it is: programs do not look into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// The last revision that the daemon gave, and when that was, in microseconds since 1970.
    Daemon(Position, i64),
    /// The last entry of the journal.
    Journal(String),
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daemon(position, at_us) => {
                write!(f, "daemon:{}:{}:{at_us}", position.boot_id, position.sequence)
            }
            Self::Journal(cursor) => write!(f, "journal:{cursor}"),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || match text.split_once(':')? {
            ("journal", cursor) => (!cursor.is_empty()).then(|| Self::Journal(cursor.to_owned())),
            ("daemon", rest) => {
                let mut parts = rest.split(':');
                let boot_id = parts.next()?.to_owned();
                let (sequence, at_us) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
                let only =
                    parts.next().is_none() && boot_id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
                only.then_some(Self::Daemon(Position { boot_id, sequence }, at_us))
            }
            _ => None,
        };
        read().ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            Error::Option { option: "after", why: format!("'{shown}' is no cursor of a stream") }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_is_one() {
        let position = Position { boot_id: "0123abcd".into(), sequence: 7 };
        for cursor in [Cursor::Daemon(position, -5), Cursor::Journal("s=1;i=2".into())] {
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
        for text in [
            "",
            "journal",
            "journal:",
            "daemon:",
            "daemon:a:1",
            "daemon:a:1:2:3",
            "daemon:x y:1:2",
            "s=1;i=2",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
