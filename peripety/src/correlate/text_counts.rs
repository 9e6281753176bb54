//! Failed requests that were counted by their lines of text, in events that are closed: their records were dropped, and the
//! kernel side's counts, which come later, count them again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::key::FoldKey;
use crate::checkpoint::Checkpoint;

/// Events that are remembered.
const MOST: usize = 512;
/// For how long: the kernel side's counts come within seconds of the text.
const LASTING_NS: u64 = 60_000_000_000;

/// Failures that text stood for in a closed event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    key: FoldKey,
    failures: u64,
    closed_ns: u64,
}

/// What text stood for, the oldest first.
#[derive(Debug, Default)]
pub(super) struct TextCounts {
    all: VecDeque<Counted>,
    changed: bool,
}

impl TextCounts {
    /// An event was closed that counted so many failures by text.
    pub(super) fn note(&mut self, key: FoldKey, failures: u64, now_ns: u64) {
        if self.all.len() >= MOST {
            self.all.pop_front();
        }
        self.all.push_back(Counted { key, failures, closed_ns: now_ns });
        self.changed = true;
    }

    /// How many of `missed` failures were counted already. They are so once.
    pub(super) fn take(&mut self, keys: [FoldKey; 2], missed: u64, now_ns: u64) -> u64 {
        if self.all.is_empty() {
            return 0;
        }
        let mut left = missed;
        for counted in self.all.iter_mut().filter(|counted| keys.contains(&counted.key)) {
            let same = counted.failures.min(left);
            counted.failures -= same;
            left -= same;
        }
        self.all.retain(|c| c.failures > 0 && c.closed_ns.saturating_add(LASTING_NS) > now_ns);
        self.changed = true;
        missed - left
    }
}

impl Checkpoint for TextCounts {
    /// Key, failures, when the event was closed.
    type State = Vec<(FoldKey, u64, u64)>;

    fn save(&mut self, all: bool) -> Option<Self::State> {
        let changed = std::mem::take(&mut self.changed);
        let row = |c: &Counted| (c.key, c.failures, c.closed_ns);
        (changed || (all && !self.all.is_empty())).then(|| self.all.iter().map(row).collect())
    }

    fn restore(&mut self, state: Self::State) {
        let counted = |(key, failures, closed_ns)| Counted { key, failures, closed_ns };
        self.all = state.into_iter().take(MOST).map(counted).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::{super::key::Scope, *};
    use crate::event::{Errno, Op};

    #[test]
    fn what_text_stood_for_is_taken_once_and_while_it_lasts() {
        let ops = [Op::Read, Op::Write, Op::Flush];
        let key = |op: usize| {
            FoldKey::block(Scope::dev(1), ops.get(op).copied().unwrap_or_default(), Errno::EIO, None)
        };
        let mut counts = TextCounts::default();
        assert_eq!(counts.take([key(0), key(9)], 100, 0), 0);
        counts.note(key(0), 10, 1_000);
        counts.note(key(1), 3, 1_000);
        counts.note(key(0), 5, 2_000);
        assert_eq!(counts.take([key(0), key(9)], 12, 3_000), 12);
        let saved = counts.save(false).unwrap();
        assert_eq!((saved.len(), counts.save(false)), (2, None));
        let mut again = TextCounts::default();
        again.restore(saved);
        assert_eq!(again.take([key(0), key(9)], 12, 3_000), 3);
        assert_eq!(again.take([key(1), key(9)], 12, 3_000 + LASTING_NS), 3, "it may be late once");
        again.note(key(1), 3, 0);
        assert_eq!(again.take([key(0), key(9)], 12, LASTING_NS), 0);
        assert_eq!(again.take([key(1), key(9)], 12, LASTING_NS), 0);
    }
}
