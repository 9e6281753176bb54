//! Made-up machines for tests: trees of sysfs, procfs and /run in a temporary directory.
//!
//! ```
//! # #[cfg(feature = "fixture")] {
//! use peripety_block::fixture;
//!
//! let machine = fixture::multipath();
//! let map = machine.scan().resolve("mpatha").unwrap();
//! assert_eq!(fixture::stack(&map), (vec!["sdb", "sdaa"], vec!["dm-1", "dm-300"]));
//! # }
//! ```

#![expect(clippy::unwrap_used, reason = "a fixture of tests: it fails where it is made")]

use std::{fs, os::unix::fs::symlink, path::Path};

use tempfile::TempDir;

use super::{BlkCache, BlkId, BlkInfo, Dev, attr::ATTRIBUTES};
use crate::{Roots, Uevent, files};

/// The id of the multipathed LUN, as its page 0x83.
const LUN_PAGE: &[u8] = b"\0\x83\0\x14\x01\x03\0\x10\x60\x01\x40\x05\xaa\0\0\0\0\0\0\0\0\0\0\x01";
/// The same in sysfs' spelling.
pub const LUN: &str = "naa.60014005aa0000000000000000000001";

/// A tree that looks like `/`.
pub struct Tree(pub TempDir);

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// An empty machine.
    pub fn new() -> Self {
        // In memory where there is room for it: the large trees have 100,000 files.
        let tree = Self(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap());
        fs::create_dir_all(tree.0.path().join("sys/class/block")).unwrap();
        tree.file("proc/1/mountinfo", "");
        tree
    }

    /// Where its files are.
    pub fn roots(&self) -> Roots {
        Roots::under(self.0.path())
    }

    /// Its block devices; read from disk and from memory, which must give the same.
    pub fn scan(&self) -> BlkCache {
        let cache = BlkCache::scan(&self.roots()).unwrap();
        let kept = BlkCache::scan(&self.kept()).unwrap();
        assert_eq!(ids(&kept), ids(&cache), "an attribute that is read is not in the list of them");
        cache
    }

    /// The same tree in memory, with the attributes that are kept of a report.
    fn kept(&self) -> Roots {
        let mut tree = files::Tree::new(1 << 30);
        let mut open = vec![self.0.path().to_owned()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir).unwrap().map(Result::unwrap) {
                let (path, kind) = (entry.path(), entry.file_type().unwrap());
                let at = path.strip_prefix(self.0.path()).unwrap();
                if kind.is_dir() {
                    tree.add_directory(at).unwrap();
                    open.push(path);
                } else if kind.is_symlink() {
                    tree.add_link(at, &fs::read_link(&path).unwrap()).unwrap();
                } else if !at.starts_with("sys")
                    || ATTRIBUTES.contains(&at.file_name().unwrap().to_str().unwrap())
                {
                    tree.add_file(at, fs::read(&path).unwrap().into()).unwrap();
                }
            }
        }
        Roots { files: files::Files::Memory(tree.into()), ..Roots::under(Path::new("/")) }
    }

    /// A file, in place of one that is there.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A symlink to another place of the tree.
    pub fn link(&self, path: &str, target: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        // Relative, as those of sysfs are.
        let parent = path.parent().unwrap().canonicalize().unwrap();
        let root = self.0.path().canonicalize().unwrap();
        let up = "../".repeat(parent.strip_prefix(root).unwrap().components().count());
        symlink(format!("{up}{target}"), path).unwrap();
    }

    /// Several files of one line each.
    pub fn files(&self, dir: &str, files: &[(&str, &str)]) {
        for (name, content) in files {
            self.file(&format!("{dir}/{name}"), format!("{content}\n"));
        }
    }

    /// A block device at `devpath`, the last part of which is its name.
    pub fn disk(&self, devpath: &str, dev: &str, diskseq: u64) {
        let name = devpath.rsplit('/').next().unwrap();
        let dir = format!("sys/{devpath}");
        self.files(&dir, &[("dev", dev), ("size", "2097152"), ("diskseq", &diskseq.to_string())]);
        fs::create_dir_all(self.0.path().join(&dir).join("holders")).unwrap();
        self.link(&format!("sys/class/block/{name}"), &dir);
    }

    /// Partition `index` of the disk at `devpath`.
    pub fn partition(&self, devpath: &str, index: u32, dev: &str) {
        let disk = devpath.rsplit('/').next().unwrap();
        let name = if disk.ends_with(|c: char| c.is_ascii_digit()) {
            format!("{disk}p{index}")
        } else {
            format!("{disk}{index}")
        };
        let dir = format!("sys/{devpath}/{name}");
        self.files(
            &dir,
            &[("dev", dev), ("size", "1048576"), ("start", "2048"), ("partition", &index.to_string())],
        );
        fs::create_dir_all(self.0.path().join(&dir).join("holders")).unwrap();
        self.link(&format!("sys/class/block/{name}"), &dir);
    }

    /// A SCSI disk below `parent`, which is the path of its target.
    pub fn scsi(&self, parent: &str, hctl: &str, name: &str, dev: &str, diskseq: u64) {
        let device = format!("{parent}/{hctl}");
        let devpath = format!("{device}/block/{name}");
        self.disk(&devpath, dev, diskseq);
        self.link(&format!("sys/{devpath}/device"), &format!("sys/{device}"));
        self.link(&format!("sys/{device}/subsystem"), "sys/bus/scsi");
        self.files(
            &format!("sys/{device}"),
            &[("vendor", "LIO-ORG "), ("model", "disk0           "), ("type", "0"), ("state", "running")],
        );
        self.file(&format!("sys/{device}/vpd_pg83"), LUN_PAGE);
        self.file(&format!("sys/{device}/vpd_pg80"), b"\0\x80\0\x08SN-0001 ");
        fs::create_dir_all(self.0.path().join("sys/bus/scsi")).unwrap();
    }

    /// A device-mapper map over devices with these paths.
    pub fn dm(&self, minor: u32, name: &str, uuid: &str, over: &[&str]) {
        let devpath = format!("devices/virtual/block/dm-{minor}");
        self.disk(&devpath, &format!("253:{minor}"), 100 + u64::from(minor));
        self.files(&format!("sys/{devpath}/dm"), &[("name", name), ("uuid", uuid), ("suspended", "0")]);
        self.over(&devpath, over);
    }

    /// Lays a device over others.
    pub fn over(&self, devpath: &str, over: &[&str]) {
        let name = devpath.rsplit('/').next().unwrap();
        for below in over {
            let below_name = below.rsplit('/').next().unwrap();
            self.link(&format!("sys/{devpath}/slaves/{below_name}"), &format!("sys/{below}"));
            self.link(&format!("sys/{below}/holders/{name}"), &format!("sys/{devpath}"));
        }
    }

    /// A loop device on a file.
    pub fn loop_on(&self, minor: u32, file: &str, diskseq: u64) {
        let devpath = format!("devices/virtual/block/loop{minor}");
        self.remove(&devpath);
        self.disk(&devpath, &format!("7:{minor}"), diskseq);
        self.files(&format!("sys/{devpath}/loop"), &[("backing_file", file)]);
    }

    /// What udev knows about a device.
    pub fn udev(&self, dev: &str, lines: &[&str]) {
        self.file(&format!("run/udev/data/b{dev}"), lines.join("\n"));
    }

    /// The lines of mountinfo of the initial namespace.
    pub fn mounts(&self, lines: &[&str]) {
        self.file("proc/1/mountinfo", lines.join("\n"));
    }

    /// Takes a device away.
    pub fn remove(&self, devpath: &str) {
        let name = devpath.rsplit('/').next().unwrap();
        let _ = fs::remove_dir_all(self.0.path().join("sys").join(devpath));
        let _ = fs::remove_file(self.0.path().join("sys/class/block").join(name));
    }

    /// Takes everything away: what is answered now comes from memory.
    pub fn delete(&self) {
        for entry in fs::read_dir(self.0.path()).unwrap() {
            let path = entry.unwrap().path();
            fs::remove_dir_all(&path).unwrap();
            assert!(!Path::new(&path).exists());
        }
    }
}

/// What is known of each device but its content, which is read from the disk itself where udev does not run.
fn ids(cache: &BlkCache) -> Vec<BlkId> {
    let without = |id: &BlkId| BlkId {
        fs_type: String::new(),
        uuid: String::new(),
        label: String::new(),
        ..id.clone()
    };
    cache.all().iter().map(|info| without(&info.id)).collect()
}

/// A uevent of a block device.
pub fn uevent(action: &str, devpath: &str, dev: &str) -> Uevent {
    Uevent {
        action: action.to_owned(),
        subsystem: "block".to_owned(),
        devpath: format!("/{devpath}"),
        dev: Some(dev.parse::<Dev>().unwrap()),
        ..Uevent::default()
    }
}

/// Kernel names of the devices it is made of, and of those made of it.
pub fn stack(info: &BlkInfo) -> (Vec<&str>, Vec<&str>) {
    fn names(ids: &[BlkId]) -> Vec<&str> {
        ids.iter().map(|id| id.blk_path.trim_start_matches("/dev/")).collect()
    }
    (names(&info.owners), names(&info.holders))
}

/// Where the target of the iSCSI session is in sysfs.
pub const HOST3: &str = "devices/platform/host3/session1/target3:0:0";
/// Where the target of the Fibre Channel port is in sysfs.
pub const HOST5: &str = "devices/pci0000:00/0000:00:05.0/host5/rport-5:0-3/target5:0:0";

/// A LUN by iSCSI and by FC, multipath over both, a partition on it, LVM on that, ext4 on a volume.
pub fn multipath() -> Tree {
    let tree = Tree::new();
    tree.scsi(HOST3, "3:0:0:1", "sdb", "8:16", 2);
    tree.scsi(HOST5, "5:0:0:1", "sdaa", "65:160", 3);
    tree.files(
        "sys/class/iscsi_session/session1",
        &[("targetname", "iqn.2003-01.org.example:t1"), ("tpgt", "1"), ("ifacename", "default")],
    );
    tree.files(
        "sys/class/iscsi_connection/connection1:0",
        &[
            ("address", "192.0.2.9"),
            ("port", "3261"),
            ("persistent_address", "192.0.2.1"),
            ("persistent_port", "3260"),
        ],
    );
    tree.files("sys/class/fc_host/host5", &[("port_name", "0x10000000c9a1b2c3"), ("speed", "16 Gbit")]);
    tree.files(
        "sys/class/fc_remote_ports/rport-5:0-3",
        &[("port_name", "0x500a09801234abcd"), ("port_state", "Online")],
    );
    let (sdb, sdaa) = (format!("{HOST3}/3:0:0:1/block/sdb"), format!("{HOST5}/5:0:0:1/block/sdaa"));
    tree.dm(0, "mpatha", "mpath-360014005aa0000000000000000000001", &[&sdb, &sdaa]);
    tree.dm(1, "mpatha1", "part1-mpath-360014005aa0000000000000000000001", &["devices/virtual/block/dm-0"]);
    let ids = "a".repeat(64);
    tree.dm(300, "vg0-root--lv", &format!("LVM-{ids}"), &["devices/virtual/block/dm-1"]);
    for dev in ["8:16", "65:160", "253:0"] {
        tree.udev(dev, &["I:5000000", "E:ID_PART_TABLE_TYPE=gpt"]);
    }
    tree.udev(
        "253:1",
        &["I:5000000", "E:ID_FS_TYPE=LVM2_member", "E:ID_FS_UUID=aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg"],
    );
    tree.udev(
        "253:300",
        &[
            "S:vg0/root-lv",
            "S:disk/by-uuid/0a1b2c3d-1111-4222-8333-444455556666",
            "I:5000000",
            "E:ID_FS_TYPE=ext4",
            "E:ID_FS_UUID=0a1b2c3d-1111-4222-8333-444455556666",
            "E:ID_FS_LABEL=my_data",
            r"E:ID_FS_LABEL_ENC=my\x20data",
        ],
    );
    tree.mounts(&[
        "30 1 253:300 / /srv/my\\040data rw - ext4 /dev/mapper/vg0-root--lv rw",
        "31 1 253:300 /x /bind rw - ext4 /dev/mapper/vg0-root--lv rw",
    ]);
    tree
}
