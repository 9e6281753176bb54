//! Where filesystems are mounted: mountinfo of the initial mount namespace and of our own, keyed by device number.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use super::{
    Dev, attr,
    mountinfo::{self, Line},
};
use crate::Roots;

/// One mount, as far as devices are found by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Unique among all mounts of the machine while it lasts.
    pub id: u64,
    /// `st_dev` of the superblock; anonymous for btrfs and everything without one device.
    pub dev: Dev,
    /// Where it is mounted.
    pub point: PathBuf,
    /// Type of the filesystem.
    pub fs_type: String,
    /// What was mounted: a path for the filesystems that have one, else anything at all.
    pub source: String,
}

impl From<Line<'_>> for Mount {
    fn from(line: Line<'_>) -> Self {
        Self {
            id: line.id,
            dev: line.dev,
            point: line.point(),
            fs_type: line.fs_type(),
            source: line.source(),
        }
    }
}

/// What the files say, before it is known which devices they speak of.
#[derive(Clone, Debug, Default)]
pub(super) struct MountsRead {
    mounts: Vec<Mount>,
    pools: Pools,
}

impl MountsRead {
    /// Reads mountinfo, and the devices of each btrfs where one is mounted.
    pub(super) fn new(roots: &Roots) -> Self {
        let read = |pid: &str| {
            parse(&roots.files.read(&roots.procfs.join(pid).join("mountinfo"), u64::MAX).unwrap_or_default())
        };
        let namespace = |pid: &str| roots.files.link(&roots.procfs.join(pid).join("ns/mnt"));
        let mut mounts = read("1");
        // When it cannot be reported whether ours is the initial namespace, both are read: what is in both counts once.
        let (initial, own) = (namespace("1"), namespace("self"));
        if mounts.is_empty() || initial.is_none() || initial != own {
            // A unit's private /tmp and its like are mount points of its sandbox, and not of the filesystem that is used.
            let known: BTreeSet<Dev> = mounts.iter().map(|mount| mount.dev).collect();
            mounts.extend(read("self").into_iter().filter(|mount| !known.contains(&mount.dev)));
        }
        let pools =
            if mounts.iter().any(|m| m.fs_type == "btrfs") { Pools::read(roots) } else { Pools::default() };
        Self { mounts, pools }
    }
}

/// What is mounted where.
#[derive(Clone, Debug, Default)]
pub(super) struct MountTable {
    /// All mounts, ours after those of the initial namespace, each in the order of mounting.
    mounts: Vec<Mount>,
    by_dev: HashMap<Dev, Vec<usize>>,
    /// Block devices of the filesystems with an anonymous number, the mounted one first.
    members: HashMap<Dev, Vec<Dev>>,
    mounted: HashMap<Dev, Mounted>,
}

/// The filesystem on a block device: its type as the kernel calls it, and every mount point once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mounted {
    pub fs_type: String,
    pub points: Vec<String>,
}

impl MountTable {
    /// Puts together what was read. `find` reports the device number of a device path (`/dev/sdb`).
    pub(super) fn new(read: MountsRead, find: &dyn Fn(&str) -> Option<Dev>) -> Self {
        let MountsRead { mounts, pools } = read;
        let mut by_dev: HashMap<Dev, Vec<usize>> = HashMap::new();
        let mut members: HashMap<Dev, Vec<Dev>> = HashMap::new();
        for (index, mount) in mounts.iter().enumerate() {
            by_dev.entry(mount.dev).or_default().push(index);
            if mount.dev.is_anonymous() && !members.contains_key(&mount.dev) {
                let found = block_devices(mount, &pools, find);
                if !found.is_empty() {
                    members.insert(mount.dev, found);
                }
            }
        }
        // A root that was mounted without an initramfs has the source /dev/root, which is no path. It is the one pool
        // that no other mount is of.
        let claimed: BTreeSet<Dev> = members.values().flatten().copied().collect();
        let mut unclaimed = pools.by_uuid.values().filter(|devs| !devs.iter().any(|d| claimed.contains(d)));
        let lost: BTreeSet<Dev> = mounts
            .iter()
            .filter(|m| m.fs_type == "btrfs" && !members.contains_key(&m.dev))
            .map(|m| m.dev)
            .collect();
        if let (Some(dev), 1, Some(devs), None) =
            (lost.first(), lost.len(), unclaimed.next(), unclaimed.next())
        {
            members.insert(*dev, devs.clone());
        }
        let mut table = Self { mounts, by_dev, members, mounted: HashMap::new() };
        table.mounted = table.by_block_device();
        table
    }

    /// The block devices of the filesystem with this number: itself, unless it is anonymous.
    pub(super) fn devices_of(&self, dev: Dev) -> Vec<Dev> {
        if dev.is_anonymous() { self.members.get(&dev).cloned().unwrap_or_default() } else { vec![dev] }
    }

    /// The filesystems with an anonymous number, and the block devices of each.
    pub(super) fn anonymous(&self) -> impl Iterator<Item = (Dev, &[Dev])> {
        self.members.iter().map(|(dev, devs)| (*dev, devs.as_slice()))
    }

    /// What of a block device is mounted.
    pub(super) fn mounted(&self, dev: Dev) -> Option<&Mounted> {
        self.mounted.get(&dev)
    }

    fn by_block_device(&self) -> HashMap<Dev, Mounted> {
        let mut found: HashMap<Dev, Mounted> = HashMap::new();
        for (dev, indices) in &self.by_dev {
            let mounts: Vec<&Mount> = indices.iter().filter_map(|index| self.mounts.get(*index)).collect();
            let mut seen = BTreeSet::new();
            let points = mounts.iter().map(|m| m.point.to_string_lossy().into_owned());
            let points: Vec<String> = points.filter(|point| seen.insert(point.clone())).collect();
            let fs_type = mounts.first().map(|m| m.fs_type.clone()).unwrap_or_default();
            for device in self.devices_of(*dev) {
                let entry = found.entry(device).or_default();
                entry.fs_type.clone_from(&fs_type);
                entry.points.extend(points.iter().cloned());
            }
        }
        found
    }

    /// The filesystem that holds a path, by the longest mount point that the path is below. No filesystem is asked, so a
    /// dead server cannot hang it; of two mounts at one place the later one covers the other.
    pub(super) fn holding(&self, path: &Path) -> Option<&Mount> {
        let below = self.mounts.iter().filter(|mount| path.starts_with(&mount.point));
        below
            .enumerate()
            .max_by_key(|(order, mount)| (mount.point.as_os_str().len(), *order))
            .map(|(_, mount)| mount)
    }

    /// The one mount that is covered by the mount which [`Self::holding`] gives; none when there are several.
    pub(super) fn covered(&self, path: &Path) -> Option<&Mount> {
        let top = self.holding(path)?;
        let mut below = self.mounts.iter().filter(|mount| mount.point == top.point && mount.dev != top.dev);
        below.next().filter(|_| below.next().is_none())
    }

    /// The mount with this id, as statx(2) reports it.
    pub(super) fn by_id(&self, id: u64) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.id == id)
    }

    /// Ids of the mounts with the device number of each.
    pub(super) fn ids(&self) -> BTreeMap<u64, Dev> {
        self.mounts.iter().map(|mount| (mount.id, mount.dev)).collect()
    }
}

fn parse(raw: &[u8]) -> Vec<Mount> {
    mountinfo::lines(raw).map(Mount::from).collect()
}

/// Only these have several devices behind an anonymous number. The source of any other is not believed: an ordinary user
/// mounts FUSE with the source `/dev/sda`.
fn block_devices(mount: &Mount, pools: &Pools, find: &dyn Fn(&str) -> Option<Dev>) -> Vec<Dev> {
    match mount.fs_type.as_str() {
        "btrfs" => {
            let Some(source) = find(&mount.source) else { return Vec::new() };
            let mut devs = vec![source];
            let pool = pools.uuid_of.get(&source).and_then(|uuid| pools.by_uuid.get(uuid));
            devs.extend(pool.into_iter().flatten().copied().filter(|dev| *dev != source));
            devs
        }
        // bcachefs joins its devices by colons.
        "bcachefs" => mount.source.split(':').filter_map(find).collect(),
        _ => Vec::new(),
    }
}

/// The devices of each mounted btrfs.
#[derive(Clone, Debug, Default)]
struct Pools {
    by_uuid: BTreeMap<String, Vec<Dev>>,
    uuid_of: HashMap<Dev, String>,
}

impl Pools {
    fn read(roots: &Roots) -> Self {
        let mut pools = Self::default();
        let root = roots.sysfs.join("fs/btrfs");
        for uuid in attr::names(&roots.files, &root) {
            let devices = root.join(&uuid).join("devices");
            let devs: Vec<Dev> = attr::names(&roots.files, &devices)
                .into_iter()
                .filter_map(|name| attr::parsed(&roots.files, &devices.join(name).join("dev")))
                .collect();
            if !devs.is_empty() {
                pools.uuid_of.extend(devs.iter().map(|dev| (*dev, uuid.clone())));
                pools.by_uuid.insert(uuid, devs);
            }
        }
        pools
    }
}

#[cfg(test)]
#[path = "mounts_tests.rs"]
mod tests;
