//! Filesystems on those disks.

use std::{os::unix::fs::FileExt as _, path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    cmd,
    disk::{Loop, unmount},
    machine::Machine,
};

/// A mounted filesystem, unmounted at the end of its scope.
pub struct Mount {
    pub dir: PathBuf,
}

impl Mount {
    /// Mounts what is on `disk`.
    pub fn new(machine: &Machine, disk: &Loop, options: &str) -> Result<Self> {
        let dir = machine.dir("mnt")?;
        let mut mount = Command::new("mount");
        if !options.is_empty() {
            mount.args(["-o", options]);
        }
        cmd::run(mount.arg(&disk.path).arg(&dir))?;
        Ok(Self { dir })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        unmount(&self.dir);
    }
}

/// Makes a filesystem; gives its UUID.
pub fn make(kind: &str, disk: &Loop) -> Result<String> {
    let mkfs = format!("mkfs.{kind}");
    let force = if kind == "ext4" { "-Fq" } else { "-fq" };
    cmd::run(Command::new(mkfs).arg(force).arg(&disk.path))?;
    uuid(disk)
}

/// Overwrites bytes of a disk's file below whatever is on the disk.
pub fn overwrite(disk: &Loop, offset: u64, len: usize) -> Result<()> {
    let image = std::fs::OpenOptions::new().write(true).open(&disk.path)?;
    image.write_all_at(&vec![0xa5; len], offset)?;
    image.sync_all()?;
    Ok(())
}

/// Makes a directory `/x` on an ext4 that is not mounted, and overwrites its block.
pub fn damage_directory(disk: &Loop) -> Result<()> {
    let debugfs = |args: &[&str]| cmd::run(Command::new("debugfs").args(args).arg(&disk.path));
    debugfs(&["-w", "-R", "mkdir /x"])?;
    let block = debugfs(&["-R", "bmap /x 0"])?;
    let reported = cmd::run(Command::new("dumpe2fs").arg("-h").arg(&disk.path))?;
    let size = reported.lines().find_map(|line| line.strip_prefix("Block size:")).unwrap_or_default();
    let (block, size): (u64, u64) = (block.trim().parse()?, size.trim().parse()?);
    overwrite(disk, block * size, usize::try_from(size)?)
}

/// The UUID of the filesystem on a disk, as blkid reads it.
pub fn uuid(disk: &Loop) -> Result<String> {
    let probe = cmd::run(Command::new("blkid").args(["-p", "-s", "UUID", "-o", "value"]).arg(&disk.path))?;
    Ok(probe.trim().to_owned())
}
