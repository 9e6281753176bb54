//! All block devices, in memory: filled by a scan, kept true by uevents and changes of mountinfo.
//!
//! Answers touch no file. Reading happens when the daemon hands over a uevent or says that mountinfo changed, never
//! with the memory locked, and a device node is read only by the threads of [`superblock_reader`].

mod lookup;
mod loop_backing;
mod node;
mod rescan;
mod store;
mod superblock_reader;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

pub use lookup::Direction;
use node::{Gen, Reading};
pub use rescan::Rescan;
use store::Store;
pub(crate) use store::natural;

use super::{
    BlkInfo, Dev, DeviceFacts, Transport,
    mounts::{MountTable, MountsRead},
    sysfs::{self, SysDevice},
    transport,
    udevdb::{self, UdevEntry},
};
use crate::{Roots, Uevent};

/// Why block devices cannot be known.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The list of block devices cannot be read.
    #[error("cannot list block devices: read of directory {path} failed: {source}; is sysfs mounted there?")]
    List {
        /// Directory in sysfs.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// All block devices that are there, and a bounded number of those that were.
///
/// Clones share one memory. Locked only for lookups and updates in memory, so any task may ask at any time.
#[derive(Clone, Debug)]
pub struct BlkCache {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    roots: Roots,
    store: Mutex<Store>,
    /// Whether udev runs: its word on what lies on a device is waited for.
    udev: AtomicBool,
    /// Time of the latest uevent.
    latest_ns: AtomicU64,
    readers: superblock_reader::Readers,
}

impl Shared {
    /// A panic of another thread leaves the memory usable: every change in it is whole or harmless.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a scan waits for the superblocks of devices that udev does not report.
const SCAN_WAIT: Duration = Duration::from_secs(2);
/// How long a uevent about one device waits for its superblock; it comes in later if that takes longer.
const NEWS_WAIT: Duration = Duration::from_millis(100);
/// A device that udev met later than this after the boot was not there for the whole boot.
const HOTPLUG_US: u64 = 300_000_000;
/// What udev knows it learned a moment after the kernel knew.
const BEFORE_UDEV_NS: u64 = 10_000_000_000;

impl BlkCache {
    /// Reads all block devices. They count as being there since the boot, unless udev knows that they came later.
    ///
    /// # Errors
    ///
    /// When sysfs cannot be read.
    pub fn scan(roots: &Roots) -> Result<Self, BlockError> {
        let cache = Self {
            shared: Arc::new(Shared {
                roots: roots.clone(),
                store: Mutex::default(),
                udev: AtomicBool::new(false),
                latest_ns: AtomicU64::new(0),
                readers: superblock_reader::Readers::default(),
            }),
        };
        let readings = cache.read_all()?;
        {
            let mut store = cache.shared.store();
            for reading in readings {
                let came_us =
                    reading.udev.as_ref().and_then(|udev| udev.initialized_us).filter(|us| *us > HOTPLUG_US);
                let at = store.put(reading, 0);
                if let Some(us) = came_us {
                    store.set_valid_from(at, us.saturating_mul(1000).saturating_sub(BEFORE_UDEV_NS));
                }
            }
        }
        cache.refresh_mounts_for(SCAN_WAIT, true);
        Ok(cache)
    }

    /// Takes a uevent of the kernel or of udev that came at `now_ns` (CLOCK_MONOTONIC). To be called before the engine gets
    /// the record, for an event about a new device should name it.
    pub fn apply_uevent(&self, uevent: &Uevent, now_ns: u64) {
        self.apply(uevent, uevent.udev, now_ns, NEWS_WAIT);
    }

    /// The same for several that say the same: `udev` if udev spoke too. Waits for the superblock no longer than `wait`.
    pub fn apply(&self, uevent: &Uevent, udev: bool, now_ns: u64, wait: Duration) {
        self.shared.latest_ns.fetch_max(now_ns, Ordering::Relaxed);
        let wait = wait.min(NEWS_WAIT);
        match (uevent.subsystem.as_str(), uevent.action.as_str()) {
            ("block", "remove") if !uevent.udev => self.removed(uevent, now_ns),
            ("block", "remove") => {}
            ("block", _) => self.changed(uevent, udev, now_ns, wait),
            ("scsi", "add") => self.plugged(&uevent.devpath, now_ns),
            // A unit that speaks before it is added has no place in sysfs yet: `/2:0:0:0`.
            ("scsi", "change") if uevent.devpath.rfind('/') == Some(0) => {
                self.plugged(&uevent.devpath, now_ns)
            }
            // A unit attention says that the id or the size of the disk below may be another.
            ("scsi", "change") => self.reread_scsi(&uevent.devpath, now_ns, wait),
            // A controller that came or went changes the paths of namespaces that stay.
            ("nvme", _) => self.reread_nvme(now_ns, wait),
            _ => {}
        }
    }

    /// Reads mountinfo again, after it changed. Takes long where much is mounted: not for the event loop. How long reading took, without
    /// what was waited for devices to say what lies on them.
    pub fn refresh_mounts(&self) -> Duration {
        self.refresh_mounts_for(NEWS_WAIT, false)
    }

    /// All block devices that are there, in the order that humans count in.
    pub fn all(&self) -> Vec<Arc<BlkInfo>> {
        let mut store = self.shared.store();
        store.live().into_iter().filter_map(|at| store.info(at)).collect()
    }

    fn read_all(&self) -> Result<Vec<Reading>, BlockError> {
        let roots = &self.shared.roots;
        self.shared.udev.store(udevdb::is_running(roots), Ordering::Relaxed);
        let list = sysfs::names(roots)
            .map_err(|source| BlockError::List { path: roots.sysfs.join("class/block"), source })?;
        Ok(list.iter().filter_map(|name| self.read_one(name)).collect())
    }

    fn read_one(&self, name: &str) -> Option<Reading> {
        let roots = &self.shared.roots;
        let device = sysfs::read_name(roots, name)?;
        let udev = UdevEntry::read(roots, device.id.dev);
        Some(Reading { device, udev })
    }

    fn removed(&self, uevent: &Uevent, now_ns: u64) {
        let Some(dev) = uevent.dev else { return };
        let mut store = self.shared.store();
        if let Some(at) = store.live_dev(dev) {
            store.retire(at, now_ns);
        }
    }

    fn changed(&self, uevent: &Uevent, udev: bool, now_ns: u64, wait: Duration) {
        let roots = &self.shared.roots;
        let dir = roots.sysfs.join(uevent.devpath.trim_start_matches('/'));
        // Gone again, or hidden: the removal comes as another uevent.
        let Some(device) = sysfs::read_dir(roots, &dir) else { return };
        // An old uevent: the disk it is about has gone, and another one has its place in sysfs, which later uevents report.
        let reported: Option<u64> = uevent.get("DISKSEQ").and_then(|seq| seq.parse().ok());
        if reported.zip(device.id.diskseq).is_some_and(|(reported, read)| reported != read)
            && uevent.action == "add"
        {
            return;
        }
        self.take(device, udev, now_ns, wait);
    }

    /// Takes what was read of a device because of a uevent at `now_ns`.
    fn take(&self, device: SysDevice, from_udev: bool, now_ns: u64, wait: Duration) {
        let entry = UdevEntry::read(&self.shared.roots, device.id.dev);
        let (at, wanted) = {
            let mut store = self.shared.store();
            let known =
                store.live_dev(device.id.dev).and_then(|at| store.node(at)).filter(|node| node.is(&device));
            let (since, met) = known.map_or((now_ns, None), |node| (node.valid_from, node.udev_since));
            // An entry that is older than the device is one of its predecessor, which udev has not removed yet.
            let fresh = |e: &UdevEntry| {
                e.initialized_us == met || e.initialized_us.is_none_or(|us| us.saturating_mul(1000) >= since)
            };
            let udev = entry.filter(|entry| from_udev || fresh(entry));
            let reported = udev.is_some();
            let at = store.put(Reading { device, udev }, now_ns);
            let empty = store.node(at).is_some_and(|node| node.content.is_none());
            (at, !reported && empty)
        };
        self.find_homes(Some(at));
        if wanted {
            self.fill(&[at], wait);
        }
    }

    /// A unit came to a SCSI address. The kernel talks to it, and may fail to, before it becomes a block device.
    fn plugged(&self, devpath: &str, now_ns: u64) {
        // Hosts and targets have uevents of their own.
        if let Ok(place) = devpath.rsplit('/').next().unwrap_or_default().parse() {
            self.shared.store().replace_gone(place, now_ns);
        }
    }

    fn reread_scsi(&self, devpath: &str, now_ns: u64, wait: Duration) {
        let name = devpath.rsplit('/').next().unwrap_or_default();
        let Some(dir) = self.find_name(name, None).map(|(_, dir)| dir) else { return };
        if let Some(device) = sysfs::read_dir(&self.shared.roots, &dir) {
            self.take(device, false, now_ns, wait);
        }
    }

    /// Whether an NVMe namespace is there.
    pub fn has_nvme(&self) -> bool {
        let store = self.shared.store();
        store.live().into_iter().any(|at| store.node(at).is_some_and(|node| !node.device.nvme.is_empty()))
    }

    /// Looks again by which controllers NVMe namespaces are reached. Of a further path of a namespace the kernel sends no
    /// uevent: its disk is hidden, and made only some time after the controller is announced.
    pub fn reread_nvme(&self, now_ns: u64, wait: Duration) {
        let dirs: Vec<PathBuf> = {
            let store = self.shared.store();
            let nodes = store.live().into_iter().filter_map(|at| store.node(at).map(|n| &n.device));
            nodes.filter(|device| !device.nvme.is_empty()).map(|device| device.dir.clone()).collect()
        };
        for dir in dirs {
            if let Some(device) = sysfs::read_dir(&self.shared.roots, &dir) {
                self.take(device, false, now_ns, wait);
            }
        }
    }

    /// Looks again at what an array of md, by the kernel's name, is made of. Of a member that comes or goes the kernel sends no
    /// uevent. What else has such a name, or nothing, is left as it is.
    pub fn reread_array(&self, name: &str, now_ns: u64, wait: Duration) {
        let is_array = name.starts_with("md") && !name.contains('/');
        if let Some(device) = is_array.then(|| sysfs::read_name(&self.shared.roots, name)).flatten() {
            self.take(device, false, now_ns, wait);
        }
    }

    fn refresh_mounts_for(&self, wait: Duration, all: bool) -> Duration {
        let start = Instant::now();
        let mounts = MountsRead::new(&self.shared.roots);
        let wanted: Vec<Gen> = {
            let mut store = self.shared.store();
            let table = MountTable::new(mounts, &|path| self.dev_of_path(&store, path));
            let fresh = store.set_mounts(table);
            let candidates = if all { store.live() } else { fresh };
            let reported = |at: &Gen| store.node(*at).is_some_and(|node| !node.told_by_udev);
            candidates.into_iter().filter(reported).collect()
        };
        self.find_homes(None);
        let took = start.elapsed();
        self.fill(&wanted, wait);
        took
    }

    /// Device number of a path below /dev, as mountinfo names sources.
    fn dev_of_path(&self, store: &Store, path: &str) -> Option<Dev> {
        let below = path.strip_prefix("/dev/")?;
        let known = store.find_path(below).and_then(|at| store.node(at)).map(|node| node.device.id.dev);
        known.or_else(|| super::resolve::block_node(&self.shared.roots.dev.join(below)))
    }

    /// Reads what lies on these devices, where nobody reported and where it is safe.
    fn fill(&self, wanted: &[Gen], wait: Duration) {
        if wanted.is_empty() || self.shared.udev.load(Ordering::Relaxed) {
            return;
        }
        let jobs = {
            let store = self.shared.store();
            let safe = wanted.iter().copied().filter(|at| store.may_read(*at));
            safe.filter_map(|at| superblock_reader::Job::new(&self.shared.roots, at, &store.node(at)?.device))
                .collect()
        };
        superblock_reader::run(&self.shared, jobs, wait);
    }

    /// The generation with this name in kernel text, and its directory in sysfs.
    fn find_name(&self, name: &str, at_ns: Option<u64>) -> Option<(Gen, PathBuf)> {
        let store = self.shared.store();
        let at = store.find_name(name, at_ns)?;
        store.node(at).map(|node| (at, node.device.dir.clone()))
    }
}

impl DeviceFacts for BlkCache {
    fn by_dev(&self, dev: Dev, at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        let mut store = self.shared.store();
        let at = store.find_dev(dev, at_ns)?;
        store.info(at)
    }

    fn by_name(&self, name: &str, at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        let name = name.strip_prefix("/dev/").unwrap_or(name);
        if let Ok(dev) = name.parse() {
            return self.by_dev(dev, at_ns);
        }
        let mut store = self.shared.store();
        if transport::is_nvme_controller(name) {
            let (at, way) = store.find_controller(name, at_ns)?;
            let mut info = (*store.info(at)?).clone();
            info.id.transport_id =
                if let Transport::Nvme { traddr, .. } = &way { traddr.clone() } else { String::new() };
            info.id.transport = Some(way);
            return Some(Arc::new(info));
        }
        let head = || transport::head_of(name).and_then(|head| store.find_name(&head, at_ns));
        // Links are of those that are there now: what they lead to must have been there then.
        let link = || store.find_path(name).filter(|at| store.was_there(*at, at_ns));
        let session = || store.find_session(name).filter(|at| store.was_there(*at, at_ns));
        let at = store.find_name(name, at_ns).or_else(head).or_else(link).or_else(session)?;
        store.info(at)
    }
}

#[cfg(test)]
mod removal_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transport_tests;
