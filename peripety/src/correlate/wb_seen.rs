//! How much of an inode's lost writes was told already: the kernel counts on, across folds.

use std::collections::{HashMap, VecDeque};

use peripety_common::wb_err::WbErr;

use super::key::{BuildKeyHasher, FoldKey};

/// Inodes that are remembered: as many as the kernel's map has.
const INODES_MAX: usize = 8192;

/// The counts of the latest records.
#[derive(Debug, Default)]
pub struct WbSeen {
    counts: HashMap<FoldKey, u64, BuildKeyHasher>,
    order: VecDeque<FoldKey>,
    /// Changed since they were last saved.
    changed: Vec<FoldKey>,
}

impl WbSeen {
    /// How many lost writes of a record are new.
    pub fn news(&mut self, key: FoldKey, wb: &WbErr) -> u64 {
        self.changed.push(key);
        if let Some(seen) = self.counts.get_mut(&key) {
            let before = std::mem::replace(seen, wb.count);
            // A lower count: the kernel's map had dropped the inode and began again.
            return if wb.count >= before { wb.count - before } else { wb.count };
        }
        if self.order.len() >= INODES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.counts.remove(&oldest);
        }
        self.set(key, wb.count);
        wb.count
    }

    /// Takes in a count, as it was saved.
    pub fn set(&mut self, key: FoldKey, count: u64) {
        if self.counts.insert(key, count).is_none() {
            self.order.push_back(key);
        }
    }

    /// Counts that changed since the last call, or all of them.
    pub fn changed(&mut self, all: bool) -> Vec<(FoldKey, u64)> {
        let mut keys = std::mem::take(&mut self.changed);
        if all {
            keys = self.order.iter().copied().collect();
        }
        keys.sort_unstable();
        keys.dedup();
        keys.into_iter().filter_map(|key| Some((key, *self.counts.get(&key)?))).collect()
    }
}
