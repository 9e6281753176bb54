//! Which device holds the file behind a loop device.
//!
//! sysfs reports only a path, and that may be one of another mount namespace, or covered by a later mount. So the path must
//! still be a file here, and it is the mount of that file that counts. What was found once stays: the path may stop to
//! lead anywhere while the loop device goes on.

use std::{
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, FileType, Statx, StatxFlags};

use super::{super::Dev, BlkCache, Shared, node::Gen};

/// The kernel's mark on the path of an unlinked file (fs/d_path.c).
const DELETED: &[u8] = b" (deleted)";

impl BlkCache {
    /// Finds the home of every loop device that has none yet, or of one.
    pub(super) fn find_homes(&self, only: Option<Gen>) {
        let homeless = self.shared.store().homeless();
        for (at, file) in homeless.into_iter().filter(|(at, _)| only.is_none_or(|only| only == *at)) {
            let devs = devices_of(&self.shared, &file);
            self.shared.store().set_home(at, &devs);
        }
    }
}

/// The block devices on which a file lies. Nothing when the path leads to no file here.
fn devices_of(shared: &Shared, file: &Path) -> Vec<Dev> {
    // A path on a network filesystem is not looked at: that could hang, and no block device is behind it.
    let local = {
        let store = shared.store();
        let on_disk =
            store.mounts.holding(file).is_some_and(|mount| !store.mounts.devices_of(mount.dev).is_empty());
        on_disk || file.starts_with("/dev")
    };
    // In the tree of another machine (a support archive) there is no file to look at.
    if !shared.roots.files.on_disk() || shared.roots.procfs != Path::new("/proc") {
        let store = shared.store();
        return store
            .mounts
            .holding(file)
            .map(|mount| store.mounts.devices_of(mount.dev))
            .unwrap_or_default();
    }
    if !local {
        return Vec::new();
    }
    let Some(meta) = stat_file(file) else {
        // Not in the mount on top: then in the one that it covers, where that is clear.
        let store = shared.store();
        return store
            .mounts
            .covered(file)
            .map(|mount| store.mounts.devices_of(mount.dev))
            .unwrap_or_default();
    };
    if FileType::from_raw_mode(u32::from(meta.stx_mode)) == FileType::BlockDevice {
        return vec![Dev::new(meta.stx_rdev_major, meta.stx_rdev_minor)];
    }
    let store = shared.store();
    // The device number of a file on btrfs is one of its subvolume, which mountinfo does not know. Kernels before 5.8 report
    // no mount: there the path has to do.
    let mount = (meta.stx_mask & StatxFlags::MNT_ID.bits() != 0)
        .then(|| store.mounts.by_id(meta.stx_mnt_id))
        .flatten();
    let dev = match mount.or_else(|| store.mounts.holding(file)) {
        Some(mount) => mount.dev,
        None => Dev::new(meta.stx_dev_major, meta.stx_dev_minor),
    };
    store.mounts.devices_of(dev)
}

/// The file, or for one that was deleted the directory it was in.
fn stat_file(file: &Path) -> Option<Statx> {
    let stat = |path: &Path| {
        let flags = AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
        rustix::fs::statx(CWD, path, flags, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID).ok()
    };
    let is =
        |meta: &Statx, kinds: &[FileType]| kinds.contains(&FileType::from_raw_mode(u32::from(meta.stx_mode)));
    let found = stat(file).filter(|meta| is(meta, &[FileType::RegularFile, FileType::BlockDevice]));
    found.or_else(|| {
        let name = file.as_os_str().as_bytes().strip_suffix(DELETED)?;
        let deleted = PathBuf::from(std::ffi::OsString::from_vec(name.to_vec()));
        stat(deleted.parent()?).filter(|meta| is(meta, &[FileType::Directory]))
    })
}
