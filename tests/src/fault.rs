//! Disks that fail on demand, without hardware.

use std::process::Command;

use anyhow::Result;

use crate::{
    cmd,
    disk::{Loop, Tmpfs, sparse_file},
    fs::{self, Mount},
    machine::Machine,
};

/// A disk whose every request fails with EIO once it is asked to: its file lies in an xfs that is then shut down.
pub struct FailingDisk {
    // Dropped in this order: each stands on the next.
    pub disk: Loop,
    below: Mount,

    below_disk: Loop,
    _files: Tmpfs,
}

impl FailingDisk {
    pub fn new(machine: &Machine, megabytes: u64) -> Result<Self> {
        // The smallest xfs has 300 MB; its file is sparse.
        let files = Tmpfs::new(machine, "1g")?;
        let below_disk = Loop::attach(&files.file("below", (megabytes + 512) << 20)?)?;
        fs::make("xfs", &below_disk)?;
        let below = Mount::new(machine, &below_disk, "")?;
        let file = sparse_file(&below.dir.join("disk"), megabytes << 20)?;
        let disk = Loop::attach(&file)?;
        Ok(Self { disk, below, below_disk, _files: files })
    }

    /// The disk with that xfs: `loop3`.
    pub fn below_disk(&self) -> &str {
        &self.below_disk.name
    }

    /// Where that xfs is mounted.
    pub fn below_dir(&self) -> String {
        self.below.dir.to_string_lossy().into_owned()
    }

    /// From now on every request fails.
    pub fn fail(&self) -> Result<()> {
        cmd::run(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&self.below.dir))?;
        Ok(())
    }
}

/// A disk that has less space than it says: writes fail when its file's filesystem is full.
pub struct FullDisk {
    pub disk: Loop,
    pub files: Tmpfs,
}

impl FullDisk {
    pub fn new(machine: &Machine) -> Result<Self> {
        let files = Tmpfs::new(machine, "1m")?;
        Ok(Self { disk: Loop::attach(&files.file("disk", 8 << 20)?)?, files })
    }
}
