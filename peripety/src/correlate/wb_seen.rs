//! How much of an inode's lost writes was told already: the kernel counts on, across folds.

use std::collections::{HashMap, VecDeque};

use peripety_common::wb_err::WbErr;

use super::key::{BuildKeyHasher, FoldKey};

/// Inodes that are remembered.
const INODES_MAX: usize = 1024;

/// The counts of the latest records.
#[derive(Debug, Default)]
pub struct WbSeen {
    counts: HashMap<FoldKey, u64, BuildKeyHasher>,
    order: VecDeque<FoldKey>,
}

impl WbSeen {
    /// How many lost writes of a record are new.
    pub fn news(&mut self, key: FoldKey, wb: &WbErr) -> u64 {
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
        self.order.push_back(key);
        self.counts.insert(key, wb.count);
        wb.count
    }
}
