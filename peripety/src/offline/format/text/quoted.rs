//! Lines that may be the rest of the one before them. Where the kernel prints a user's text with a line break in it,
//! /proc/kmsg and what reads it give each line the time of the record; whole microseconds rarely agree otherwise.

use crate::{offline::Line, parser::rules::quoting_place};

/// The kernel's last record with a time of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Spill {
    at_us: Option<u64>,
    text: String,
    /// Whether a user's text is in it; it is asked only where another line has the same time.
    quotes: Option<bool>,
}

impl Spill {
    /// Whether a record of the kernel is a piece of the one before.
    pub(super) fn is_piece(&mut self, record: &Line<'_>) -> bool {
        // A clock that counts in milliseconds gives many records the same time.
        let at_us = record.uptime_us.filter(|us| us % 1000 != 0);
        if at_us.is_some() && at_us == self.at_us {
            let Self { text, quotes, .. } = self;
            if *quotes.get_or_insert_with(|| quoting_place(text).is_some()) {
                return true;
            }
        }
        self.at_us = at_us;
        if at_us.is_some() {
            self.text.clear();
            self.text.push_str(record.text);
            self.quotes = None;
        }
        false
    }
}
