//! What devices there are, as far as a scan has to know them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use peripety_block::{
    BlkCache, Roots,
    files::Files,
    status::{AskError, Control, MapStatus, Maps as _, MdArray, Raid, Status, decode},
};
use peripety_model::{BlkId, BlkType, Dev};

use crate::config::Method;

/// A block device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Device {
    /// The kernel's name: `sda`, `dm-3`.
    pub name: String,
    /// Who it is.
    pub id: BlkId,
    /// The kernel's names of those that it is made of directly.
    pub below: Vec<String>,
    /// The array, where it is one of md.
    pub md: Option<MdArray>,
    /// The array, where it is one of dm-raid.
    pub raid: Option<Raid>,
    /// Targets of its map whose status says something: `integrity`, `mirror`, `snapshot` …
    pub targets: Vec<String>,
    /// Whether nobody may write to it.
    pub read_only: bool,
    /// Whether it is used for swap.
    pub swap: bool,
}

impl Device {
    /// All names by which a configuration may mean it.
    pub fn names(&self) -> Vec<String> {
        let id = &self.id;
        let kind = serde_json::to_value(id.blk_type).ok().and_then(|kind| Some(kind.as_str()?.to_owned()));
        let all = [
            self.name.clone(),
            id.short_name(),
            id.blk_path.clone(),
            id.preferred_blk_path.clone(),
            id.wwid.clone(),
        ];
        all.into_iter().chain(kind).filter(|name| !name.is_empty()).collect()
    }

    /// What people call it: a path.
    pub fn path(&self) -> String {
        let name = self.id.short_name();
        if name.starts_with('/') { name } else { format!("/dev/{name}") }
    }

    /// What tells it from another device that has its name later: its id for the world, or else its serial number; where it
    /// has neither, its name and size.
    pub fn key(&self) -> String {
        let id = &self.id;
        match (id.wwid.as_str(), id.serial.as_str()) {
            ("", "") => format!("name:{}:{}", self.name, id.size_sectors.unwrap_or_default()),
            ("", serial) => format!("serial:{serial}:{}", self.name),
            (wwid, _) => wwid.to_owned(),
        }
    }

    /// What a scan of it is known by: a scrub is of the filesystem, whichever of its devices is the first.
    pub fn scan_key(&self, method: Method) -> String {
        match method {
            Method::Scrub => format!("btrfs:{}", self.id.uuid),
            Method::Read | Method::MdCheck | Method::RaidCheck => self.key(),
        }
    }

    /// Why the array is left alone, where it is one.
    pub fn unfit(&self) -> Option<String> {
        self.md.as_ref().and_then(unfit_md).or_else(|| self.raid.as_ref().and_then(unfit_raid))
    }

    /// Bytes of it.
    pub fn bytes(&self) -> u64 {
        self.id.size_sectors.unwrap_or_default().bytes()
    }

    /// Whether a btrfs on it is mounted.
    pub fn is_mounted_btrfs(&self) -> bool {
        self.id.fs_type == "btrfs" && !self.id.mount_points.is_empty()
    }
}

/// All devices that `cache` knows, by the kernel's name. The second: why nothing is known of the targets of maps, where that is so.
pub fn read(roots: &Roots, cache: &BlkCache) -> (BTreeMap<String, Device>, Option<AskError>) {
    let (maps, problem) = match maps(roots) {
        Ok(maps) => (maps, None),
        Err(error) => (BTreeMap::new(), Some(error)),
    };
    let swaps = roots.files.read(&roots.procfs.join("swaps"), 1 << 20).unwrap_or_default();
    let swaps = String::from_utf8_lossy(&swaps).into_owned();
    let devices = cache.each().into_iter().filter_map(|(id, below)| {
        let name = node(&id.blk_path)?;
        let dir = sysfs_dir(roots, &name);
        let map = maps.get(&id.dev);
        let device = Device {
            below: below.iter().filter_map(|path| node(path)).collect(),
            md: (id.blk_type == BlkType::Md).then(|| MdArray::read(&roots.files, &dir)).flatten(),
            raid: map.and_then(raid),
            targets: map.iter().flat_map(|map| &map.targets).map(|line| line.target.clone()).collect(),
            read_only: text(&roots.files, &dir.join("ro")).as_deref() == Some("1"),
            swap: swaps.lines().any(|line| {
                let path = line.split_whitespace().next().unwrap_or_default();
                path == id.blk_path || path == id.preferred_blk_path
            }),
            name: name.clone(),
            id,
        };
        Some((name, device))
    });
    (devices.collect(), problem)
}

/// Why an array of md is left alone. A check is no other work: it is ours, or who began it is asked when a step begins.
pub(crate) fn unfit_md(array: &MdArray) -> Option<String> {
    if array.degraded > 0 { Some("the array is degraded".to_owned()) } else { busy(&array.action) }
}

/// The same of one of dm-raid.
pub(crate) fn unfit_raid(array: &Raid) -> Option<String> {
    let whole = array.in_sync() >= array.members.len();
    if whole { busy(&array.action) } else { Some("the array is degraded or not in sync".to_owned()) }
}

fn busy(action: &str) -> Option<String> {
    (!["idle", "check", ""].contains(&action)).then(|| format!("the array is busy with {action}"))
}

/// Where sysfs shows a device, which writes '!' for a '/' in its name.
pub(crate) fn sysfs_dir(roots: &Roots, name: &str) -> PathBuf {
    roots.sysfs.join("class/block").join(name.replace('/', "!"))
}

fn node(path: &str) -> Option<String> {
    path.strip_prefix("/dev/").map(str::to_owned)
}

/// An attribute of sysfs; none where it is not there.
pub(crate) fn text(files: &Files, path: &Path) -> Option<String> {
    let text = files.read(path, 4096)?;
    Some(String::from_utf8_lossy(&text).trim().to_owned())
}

fn maps(roots: &Roots) -> Result<BTreeMap<Dev, MapStatus>, AskError> {
    let Some(control) = Control::open_if_loaded(&roots.dev, &roots.sysfs)? else {
        return Ok(BTreeMap::new());
    };
    let all = control.list()?;
    // One that went meanwhile is no problem.
    Ok(all.iter().filter_map(|map| control.status(map).ok()).map(|map| (map.dev, map)).collect())
}

/// The array of a map, where its target is one.
pub(crate) fn raid(map: &MapStatus) -> Option<Raid> {
    map.targets.iter().find_map(|line| match decode(&line.target, &line.line)? {
        Status::Raid(raid) => Some(raid),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_known_by_what_lasts() {
        let id = |wwid: &str, serial: &str| BlkId {
            wwid: wwid.to_owned(),
            serial: serial.to_owned(),
            blk_path: "/dev/sda".to_owned(),
            blk_type: BlkType::Scsi,
            size_sectors: Some(peripety_model::Sectors(8)),
            ..BlkId::default()
        };
        let device =
            |wwid, serial| Device { name: "sda".to_owned(), id: id(wwid, serial), ..Device::default() };
        assert_eq!(device("naa.5", "s").key(), "naa.5");
        assert_eq!(device("", "s").key(), "serial:s:sda");
        assert_eq!(device("", "").key(), "name:sda:8");
        assert!(
            device("naa.5", "").names().contains(&"scsi".to_owned()),
            "{:?}",
            device("naa.5", "").names()
        );
        assert_eq!(device("", "").path(), "/dev/sda");
    }
}
