//! The words of a status line, one after the other.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// How much of something: `used/total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// So many.
    pub used: u64,
    /// Of so many.
    pub total: u64,
}

impl Share {
    /// In percent, 0 to 100; none of nothing.
    pub fn percent(self) -> Option<f64> {
        (self.total > 0).then(|| (self.used as f64 / self.total as f64 * 100.0).min(100.0))
    }

    /// Whether there is no more of it.
    pub fn is_full(self) -> bool {
        self.total > 0 && self.used >= self.total
    }
}

impl FromStr for Share {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (used, total) = text.split_once('/').ok_or(())?;
        Ok(Self { used: used.parse().map_err(drop)?, total: total.parse().map_err(drop)? })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.used, self.total)
    }
}

/// Goes through the words of a line.
pub(super) struct Words<'a>(std::str::SplitAsciiWhitespace<'a>);

impl<'a> Words<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self(line.split_ascii_whitespace())
    }

    pub(super) fn word(&mut self) -> Option<&'a str> {
        self.0.next()
    }

    /// The next word as a value; none when it is none.
    pub(super) fn value<T: FromStr>(&mut self) -> Option<T> {
        self.0.next()?.parse().ok()
    }

    /// A count, and so many words after it.
    pub(super) fn counted(&mut self) -> Option<Vec<&'a str>> {
        let count = self.value()?;
        self.take(count)
    }

    /// So many words; none when there are fewer. The line bounds them, not the count.
    pub(super) fn take(&mut self, count: usize) -> Option<Vec<&'a str>> {
        let mut words = Vec::new();
        while words.len() < count {
            words.push(self.0.next()?);
        }
        Some(words)
    }

    pub(super) fn rest(self) -> impl Iterator<Item = &'a str> {
        self.0
    }
}
