//! Disks whose failures only `block_bio_complete` sees.
//!
//! That tracepoint fires for each good bio of a bio-based disk, and a program attached to it costs some 40 ns a bio, whatever
//! the program does. zram and RAM disks do nothing but that, at memory speed, and the kernel prints what fails there
//! (drivers/block/zram/zram_drv.c, mm/page_io.c): where no other bio-based disk exists, the program waits.

use std::fs;

use crate::roots::Roots;

/// Drivers of bio-based disks. One that is loaded as a module is about to be used.
const DRIVERS: [&str; 8] = ["dm_mod", "md_mod", "bcache", "drbd", "nd_pmem", "nd_btt", "dcssblk", "null_blk"];

/// Why the tracepoint is not needed yet; none if it is, or if sysfs cannot be read.
pub(super) fn waits(roots: &Roots) -> Option<String> {
    // Only what is no part of the kernel's image has a state.
    let is_loaded = |driver: &&str| roots.sysfs.join("module").join(driver).join("initstate").exists();
    if DRIVERS.iter().any(is_loaded) {
        return None;
    }
    let mut disks = fs::read_dir(roots.sysfs.join("block")).ok()?;
    let any = disks.any(|disk| disk.map_or(true, |disk| is_one(roots, &disk.file_name().to_string_lossy())));
    (!any).then(|| {
        "no disk needs it: all are request-based, or keep their data in memory (zram, RAM disks); it is attached when a \
         device-mapper, md or other bio-based disk comes"
            .to_owned()
    })
}

/// Whether a uevent speaks of a disk that needs it, or of a driver that will make one.
pub(super) fn comes(roots: &Roots, subsystem: &str, devpath: &str) -> bool {
    let name = devpath.rsplit('/').next().unwrap_or_default();
    match subsystem {
        "module" => DRIVERS.contains(&name),
        "block" => is_one(roots, name),
        _ => false,
    }
}

fn is_one(roots: &Roots, disk: &str) -> bool {
    let dir = roots.sysfs.join("block").join(disk);
    if dir.join("mq").exists() || !dir.exists() || disk.starts_with("ram") {
        return false;
    }
    !disk.starts_with("zram") || has_limit(&dir)
}

/// A zram with a limit of memory or a disk behind it fails without a line of text (zram_write_page, zram_bvec_read).
fn has_limit(zram: &std::path::Path) -> bool {
    let backing = fs::read_to_string(zram.join("backing_dev")).unwrap_or_default();
    let stat = fs::read_to_string(zram.join("mm_stat")).unwrap_or_default();
    // Fourth: mem_limit, in bytes; 0 is none.
    let limit = stat.split_ascii_whitespace().nth(3).unwrap_or("0");
    limit != "0" || !matches!(backing.trim(), "" | "none")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn make(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn it_waits_until_a_disk_comes_that_is_bio_based_and_no_memory() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots { sysfs: dir.path().to_owned(), ..Roots::system() };
        assert_eq!(waits(&roots), None, "what cannot be read is no reason to wait");
        make(
            dir.path(),
            &[
                ("block/sda/mq/0/cpu_list", "0"),
                ("block/zram0/mm_stat", "  4096 81 12288        0    12288 0 0 0 0\n"),
                ("block/zram0/backing_dev", "none\n"),
                ("block/ram0/size", "8192"),
                ("module/md_mod/parameters/start_ro", "0"),
            ],
        );
        assert!(waits(&roots).is_some());
        for (path, text) in [
            ("block/dm-0/dm/name", "vg-lv"),
            ("block/md0/md/level", "raid1"),
            ("block/nvme0n1/size", "8"),
            ("block/zram1/mm_stat", "4096 81 12288 1048576 12288 0 0 0 0\n"),
            ("block/zram1/backing_dev", "/dev/sda1\n"),
            ("module/dm_mod/initstate", "live"),
        ] {
            make(dir.path(), &[(path, text)]);
            assert_eq!(waits(&roots), None, "{path}");
            let mut parts = path.split('/');
            let (subsystem, name) = (parts.next().unwrap(), parts.next().unwrap());
            assert!(comes(&roots, subsystem, &format!("/devices/virtual/{subsystem}/{name}")), "{path}");
            fs::remove_file(dir.path().join(path)).unwrap();
            fs::remove_dir_all(dir.path().join(subsystem).join(name)).unwrap();
            assert!(waits(&roots).is_some(), "{path}");
        }
        for (subsystem, name) in [("block", "sda"), ("block", "zram0"), ("module", "loop"), ("bdi", "252:0")]
        {
            assert!(!comes(&roots, subsystem, name), "{name}");
        }
    }
}
