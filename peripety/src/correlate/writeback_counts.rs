//! How much of an inode's lost writes was reported already: the kernel counts on, across folds.

use std::collections::{HashMap, VecDeque};

use peripety_common::wb_err::WbErr;

use super::key::{BuildKeyHasher, FoldKey};
use crate::checkpoint::Checkpoint;

/// Inodes that are remembered: more than the kernel's map has, for one that it knows and that is forgotten here would be
/// counted again.
const INODES_MAX: usize = 2 * 8192;

/// The counts of the latest records.
#[derive(Debug, Default)]
pub(super) struct WritebackCounts {
    counts: HashMap<FoldKey, Seen, BuildKeyHasher>,
    order: VecDeque<FoldKey>,
    /// Changed since they were last saved.
    changed: Vec<FoldKey>,
}

/// What is known of an inode.
#[derive(Debug)]
struct Seen {
    count: u64,
    /// There was another record since it was last spared.
    again: bool,
    /// It is among those that changed.
    changed: bool,
}

impl WritebackCounts {
    /// How many lost writes of a record are new.
    pub(super) fn newly_lost(&mut self, key: FoldKey, wb: &WbErr) -> u64 {
        if let Some(seen) = self.counts.get_mut(&key) {
            let before = std::mem::replace(&mut seen.count, wb.count);
            seen.again = true;
            if !std::mem::replace(&mut seen.changed, true) {
                self.changed.push(key);
            }
            // A lower count: the kernel's map had dropped the inode and began again.
            return if wb.count >= before { wb.count - before } else { wb.count };
        }
        self.set(key, wb.count, true);
        self.changed.push(key);
        if self.changed.len() >= 2 * INODES_MAX {
            // Nobody saves them, or many were forgotten since.
            self.changed.sort_unstable();
            self.changed.dedup();
            self.changed.retain(|key| self.counts.contains_key(key));
        }
        wb.count
    }

    fn set(&mut self, key: FoldKey, count: u64, changed: bool) {
        if let Some(seen) = self.counts.get_mut(&key) {
            seen.count = count;
            return;
        }
        while self.order.len() >= INODES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            if self.counts.get_mut(&oldest).is_some_and(|seen| std::mem::take(&mut seen.again)) {
                self.order.push_back(oldest);
            } else {
                self.counts.remove(&oldest);
            }
        }
        self.counts.insert(key, Seen { count, again: false, changed });
        self.order.push_back(key);
    }
}

impl Checkpoint for WritebackCounts {
    /// Counts by inode. What is written later adds to it.
    type State = Vec<(FoldKey, u64)>;

    fn save(&mut self, all: bool) -> Option<Self::State> {
        let mut keys = std::mem::take(&mut self.changed);
        if all {
            keys = self.order.iter().copied().collect();
        }
        keys.sort_unstable();
        keys.dedup();
        let saved = |key: FoldKey| {
            let seen = self.counts.get_mut(&key)?;
            seen.changed = false;
            Some((key, seen.count))
        };
        let counts: Self::State = keys.into_iter().filter_map(saved).collect();
        (!counts.is_empty()).then_some(counts)
    }

    fn restore(&mut self, state: Self::State) {
        for (key, count) in state {
            self.set(key, count, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Errno;

    #[test]
    fn counts_go_on_after_a_restart() {
        let wb = |count| WbErr::unnamed(1, 12, 5, count);
        let key = FoldKey::inode(1, 12, Errno::EIO);
        let mut seen = WritebackCounts::default();
        assert_eq!((seen.newly_lost(key, &wb(3)), seen.newly_lost(key, &wb(5))), (3, 2));
        let mut successor = crate::checkpoint::assert_survives(&mut seen);
        assert_eq!((successor.newly_lost(key, &wb(6)), seen.newly_lost(key, &wb(6))), (1, 1));
    }

    #[test]
    fn an_inode_that_loses_on_is_not_forgotten_for_many_others() {
        let wb = |ino, count| WbErr::unnamed(1, ino, 5, count);
        let key = |ino| FoldKey::inode(1, ino, Errno::EIO);
        let mut seen = WritebackCounts::default();
        let mut all = seen.newly_lost(key(0), &wb(0, 1));
        for other in 1..100_000 {
            assert_eq!(seen.newly_lost(key(other), &wb(other, 1)), 1);
            if other % 1000 == 0 {
                all += seen.newly_lost(key(0), &wb(0, 1 + other));
            }
        }
        assert_eq!(all, 99_001);
        assert!(seen.counts.len() <= INODES_MAX && seen.order.len() == seen.counts.len());
    }
}
