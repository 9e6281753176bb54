//! The last record of which only its time was passed on: if more of it follows, it is wanted after all.

use crate::offline::{Entry, Line};

/// A record, in memory that the next one uses again.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    is_there: bool,
    /// All its texts, one after the other.
    words: String,
    text: usize,
    identifier: Option<usize>,
    hostname: Option<usize>,
    caller: Option<usize>,
    level: u8,
    unproven: bool,
    uptime_us: Option<u64>,
    wall_us: Option<i64>,
}

impl Kept {
    /// Keeps a record instead of the one before.
    pub(super) fn keep(&mut self, line: &Line<'_>) {
        self.is_there = true;
        self.words.clear();
        self.words.push_str(line.text);
        self.text = line.text.len();
        let mut add = |words: Option<&str>| {
            words.map(|words| {
                self.words.push_str(words);
                words.len()
            })
        };
        (self.identifier, self.hostname, self.caller) =
            (add(line.identifier), add(line.hostname), add(line.caller));
        (self.level, self.unproven) = (line.level, line.unproven);
        (self.uptime_us, self.wall_us) = (line.uptime_us, line.wall_us);
    }

    /// The last record was passed on as a whole.
    pub(super) fn forget(&mut self) {
        self.is_there = false;
    }

    /// The record, once.
    pub(super) fn take(&mut self) -> Option<Entry> {
        if !std::mem::take(&mut self.is_there) {
            return None;
        }
        let mut rest = self.words.as_str();
        let mut next = |length: Option<usize>| {
            let (words, after) = rest.split_at_checked(length?)?;
            rest = after;
            Some(words)
        };
        let line = Line {
            text: next(Some(self.text)).unwrap_or_default(),
            identifier: next(self.identifier),
            hostname: next(self.hostname),
            caller: next(self.caller),
            level: self.level,
            unproven: self.unproven,
            uptime_us: self.uptime_us,
            wall_us: self.wall_us,
            ..Line::default()
        };
        Some(line.entry())
    }
}
