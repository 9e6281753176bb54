//! Questions that only a user's name asks: by path, by mount point, by NVMe namespace.

use std::{
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use super::{
    super::{BlkInfo, Dev, transport::NvmePath},
    BlkCache,
};

impl BlkCache {
    /// The device to which a path below /dev leads; without the `/dev/`.
    pub(crate) fn by_path_below_dev(&self, path: &str) -> Option<Arc<BlkInfo>> {
        let mut store = self.shared.store();
        let at = store.find_path(path)?;
        store.info(at)
    }

    /// All NVMe namespaces with the controllers and ids by which they are reached.
    pub(crate) fn nvme(&self) -> Vec<(Arc<BlkInfo>, Vec<NvmePath>)> {
        let mut store = self.shared.store();
        let mut found = Vec::new();
        for at in store.live() {
            let nvme = store.node(at).map(|node| node.device.nvme.clone()).unwrap_or_default();
            if !nvme.is_empty() {
                found.extend(store.info(at).map(|info| (info, nvme)));
            }
        }
        found
    }

    /// Loop devices on this file.
    pub(crate) fn loops_of(&self, file: &Path) -> Vec<Arc<BlkInfo>> {
        let mut store = self.shared.store();
        let mut live = store.live();
        live.retain(|at| {
            store.node(*at).is_some_and(|node| node.device.backing_file.as_deref() == Some(file))
        });
        live.into_iter().filter_map(|at| store.info(at)).collect()
    }

    /// The device whose filesystem is mounted exactly there.
    pub(crate) fn by_mount_point(&self, path: &Path) -> Option<Arc<BlkInfo>> {
        let plain: PathBuf = path.components().filter(|part| !matches!(part, Component::CurDir)).collect();
        let mut store = self.shared.store();
        let dev = store.mounts.holding(&plain).filter(|mount| mount.point == plain)?.dev;
        let at = store.mounts.devices_of(dev).first().and_then(|dev| store.live_dev(*dev))?;
        store.info(at)
    }

    /// The device of the filesystem that holds a path, and the type of it; no device for tmpfs and its like. None when the
    /// path is relative.
    pub(crate) fn holding(&self, path: &Path) -> Option<(Option<Arc<BlkInfo>>, String)> {
        let mut store = self.shared.store();
        let mount = store.mounts.holding(path)?;
        let (dev, fs_type): (Dev, String) = (mount.dev, mount.fs_type.clone());
        let at = store.mounts.devices_of(dev).first().and_then(|dev| store.live_dev(*dev));
        Some((at.and_then(|at| store.info(at)), fs_type))
    }

    /// Where a path that a user gave lies: below another root when the tree is not the running system's.
    pub(crate) fn place_of(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("/dev") {
            Ok(below) => self.shared.roots.dev.join(below),
            Err(_) => path.to_owned(),
        }
    }

    /// The path as the mounts of the system call it.
    pub(crate) fn seen_from_inside(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.shared.roots.dev) {
            Ok(below) => Path::new("/dev").join(below),
            Err(_) => path.to_owned(),
        }
    }
}

/// Which way to look in a stack of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To what a device is made of.
    Owners,
    /// To what is made of a device.
    Holders,
}

impl BlkCache {
    /// Each live device with the paths of those that it lies on directly. [`Self::all`] has for each all below and above:
    /// together that may be many times the devices.
    pub fn each(&self) -> Vec<(super::super::BlkId, Vec<String>)> {
        let store = self.shared.store();
        let path = |at: super::node::Gen| store.node(at).map(|node| node.id().blk_path);
        let direct = |at: super::node::Gen| store.owners(at).into_iter().filter_map(path).collect();
        store.live().into_iter().filter_map(|at| Some((store.node(at)?.id(), direct(at)))).collect()
    }

    /// The nearest devices below or above a live one; [`BlkInfo`] has all of them, flattened.
    pub fn next(&self, dev: Dev, direction: Direction) -> Vec<Arc<BlkInfo>> {
        let mut store = self.shared.store();
        let Some(at) = store.live_dev(dev) else { return Vec::new() };
        let next = match direction {
            Direction::Owners => store.owners(at),
            Direction::Holders => store.holders(at),
        };
        next.into_iter().filter_map(|at| store.info(at)).collect()
    }
}
