//! Filesystems on those disks.

use std::{path::PathBuf, process::Command};

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

/// The UUID of the filesystem on a disk, as blkid reads it.
pub fn uuid(disk: &Loop) -> Result<String> {
    let probe = cmd::run(Command::new("blkid").args(["-p", "-s", "UUID", "-o", "value"]).arg(&disk.path))?;
    Ok(probe.trim().to_owned())
}
