//! All block devices are read again, because nobody knows which of them changed: piece by piece, for there may be thousands.

use std::{collections::HashSet, sync::atomic::Ordering, time::Duration};

use super::{
    super::{sysfs, udevdb},
    BlkCache, BlockError,
    node::Gen,
};

/// A look at all devices that is under way.
#[derive(Debug)]
pub struct Rescan {
    /// Names in sysfs that are still to be read, the last one first.
    names: Vec<String>,
    /// What was there before, and is not found again yet.
    missing: HashSet<Gen>,
    /// Until when it was known what is there.
    since: u64,
}

impl Rescan {
    /// Begins, after uevents were lost. `now_ns` is CLOCK_MONOTONIC.
    ///
    /// # Errors
    ///
    /// When sysfs cannot be read; what is known stays.
    pub fn begin(cache: &BlkCache, now_ns: u64) -> Result<Self, BlockError> {
        let shared = &cache.shared;
        shared.udev.store(udevdb::is_running(&shared.roots), Ordering::Relaxed);
        let missing = shared.store().live().into_iter().collect();
        let mut names = sysfs::names(&shared.roots)
            .map_err(|source| BlockError::List { path: shared.roots.sysfs.join("class/block"), source })?;
        names.reverse();
        let since = shared.latest_ns.swap(now_ns, Ordering::Relaxed).min(now_ns);
        Ok(Self { names, missing, since })
    }

    /// Reads one more device. False when all are read.
    pub fn step(&mut self, cache: &BlkCache, now_ns: u64) -> bool {
        let Some(name) = self.names.pop() else { return false };
        let Some(reading) = cache.read_one(&name) else { return true };
        let mut store = cache.shared.store();
        let known = store.live_dev(reading.device.id.dev);
        if let Some(old) = known.filter(|at| store.node(*at).is_some_and(|node| !node.is(&reading.device))) {
            store.retire(old, self.since);
        }
        let at = store.put(reading, now_ns);
        self.missing.remove(&at);
        true
    }

    /// Ends: what was there and is no more has gone.
    pub fn end(self, cache: &BlkCache) {
        // What came meanwhile was read because of its uevent.
        let is_gone = |at: &Gen| {
            let dir = cache.shared.store().node(*at).map(|node| node.device.dir.clone());
            dir.is_none_or(|dir| !dir.join("dev").exists())
        };
        let mut gone: Vec<Gen> = self.missing.iter().copied().filter(is_gone).collect();
        gone.sort_unstable();
        let mut store = cache.shared.store();
        for at in gone {
            store.retire(at, self.since);
        }
    }
}

impl BlkCache {
    /// Reads all block devices again, at one go. `now_ns` is CLOCK_MONOTONIC.
    ///
    /// # Errors
    ///
    /// When sysfs cannot be read; what is known stays.
    pub fn rescan(&self, now_ns: u64) -> Result<(), BlockError> {
        let mut rescan = Rescan::begin(self, now_ns)?;
        while rescan.step(self, now_ns) {}
        rescan.end(self);
        self.refresh_mounts_for(super::SCAN_WAIT, true);
        Ok(())
    }

    /// Reads mountinfo again, and what lies on the devices of which nobody reported: the end of a [`Rescan`].
    pub fn refresh_all(&self) {
        self.refresh_mounts_for(Duration::ZERO, true);
    }
}
