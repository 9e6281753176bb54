//! The last record of which only its time was passed on: if more of it follows, it is wanted after all.

use crate::offline::{Entry, Line, entry::Packed};

/// A record, in memory that the next one uses again.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// All its texts.
    words: String,
    packed: Option<Packed>,
}

impl Kept {
    /// Keeps a record instead of the one before.
    pub(super) fn keep(&mut self, line: &Line<'_>, whole: &str) {
        self.words.clear();
        self.packed = Some(Packed::of(line, whole, &mut self.words));
    }

    /// The last record was passed on as a whole.
    pub(super) fn forget(&mut self) {
        self.packed = None;
    }

    /// The record, once.
    pub(super) fn take(&mut self) -> Option<Entry> {
        let packed = self.packed.take()?;
        Some(packed.line(&self.words).entry())
    }
}
