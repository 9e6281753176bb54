//! Attributes of sysfs that the kernel answers from memory.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{block::Dev, roots::Roots};

/// Devices above another that are looked at.
const ABOVE_MAX: usize = 256;

/// An attribute, without the blanks around it.
pub(super) fn read(file: &Path) -> Option<String> {
    fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
}

/// Names in a directory, in order.
pub(super) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// The directory of a block device.
pub(super) fn dir(roots: &Roots, dev: Dev) -> Option<PathBuf> {
    let dir = roots.sysfs.join("dev/block").join(dev.to_string());
    dir.is_dir().then_some(dir)
}

/// A device, its partitions, and everything that is made of them.
pub(super) fn with_above(roots: &Roots, dev: Dev) -> Vec<Dev> {
    let mut all = vec![dev];
    let mut next = 0;
    while let Some(one) = all.get(next).copied().filter(|_| all.len() < ABOVE_MAX) {
        next += 1;
        let Some(dir) = dir(roots, one) else { continue };
        let holders =
            names(&dir.join("holders")).into_iter().map(|name| roots.sysfs.join("class/block").join(name));
        let parts = names(&dir)
            .into_iter()
            .map(|name| dir.join(name))
            .filter(|part| part.join("partition").is_file());
        for above in holders.chain(parts) {
            if let Some(above) = read(&above.join("dev")).and_then(|dev| dev.parse().ok())
                && !all.contains(&above)
            {
                all.push(above);
            }
        }
    }
    all
}

/// Devices of the btrfs of which one has this name, by their kernel names.
pub(super) fn btrfs_members(roots: &Roots, name: &str) -> Vec<String> {
    let dir = roots.sysfs.join("fs/btrfs");
    names(&dir)
        .into_iter()
        .map(|uuid| names(&dir.join(uuid).join("devices")))
        .find(|members| members.iter().any(|member| member == name))
        .unwrap_or_default()
}

/// Requests of a block device that succeeded: of a SCSI device as its driver counts them, of others all that ended.
pub(super) fn succeeded(dir: &Path) -> Option<u64> {
    let hex = |name: &str| {
        let text = read(&dir.join("device").join(name))?;
        u64::from_str_radix(text.trim_start_matches("0x"), 16).ok()
    };
    if let (Some(done), Some(failed)) = (hex("iodone_cnt"), hex("ioerr_cnt")) {
        return Some(done.saturating_sub(failed));
    }
    // Documentation/block/stat.rst: reads, writes, discards and flushes.
    let stat = read(&dir.join("stat"))?;
    let fields: Vec<u64> = stat.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    Some([0, 4, 11, 15].into_iter().filter_map(|n| fields.get(n)).sum())
}
