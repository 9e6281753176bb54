//! The disk that fails.

use std::{
    ffi::CStr,
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rustix::{
    fs::OFlags,
    mount::{MountFlags, UnmountFlags, mount, unmount},
};

use super::leftovers;
use crate::text::printable;

/// What the disk promises, what is behind it, and what is written.
const PROMISED: u64 = 16 << 20;
const ROOM: &CStr = c"size=1m,mode=0700";
const WRITTEN: usize = 2 << 20;
/// One request each.
const CHUNK: usize = 64 << 10;
/// What direct I/O wants buffers aligned to, on any disk.
const ALIGNED: usize = 4096;
/// How long the kernel has to take the device back.
const GOES: Duration = Duration::from_secs(5);

/// A loop device that is gone when this is.
pub(super) struct FailingDisk {
    name: String,
    /// The last user of the device: the kernel takes it away when this is closed.
    keeps_it: File,
}

/// A filesystem in memory that has a name only as long as this lives.
struct Memory {
    dir: PathBuf,
}

impl Memory {
    fn mount() -> anyhow::Result<Self> {
        leftovers::remove();
        let dir =
            tempfile::Builder::new().prefix(&leftovers::prefix()).tempdir().context("making a directory")?;
        mount(leftovers::NAME, dir.path(), "tmpfs", MountFlags::NODEV | MountFlags::NOEXEC, Some(ROOM))
            .with_context(|| format!("mounting a tmpfs on {}", dir.path().display()))?;
        Ok(Self { dir: dir.keep() })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // Detached: it lives on without a name, until the loop device lets go of its file.
        let _cannot_fail_once_mounted = unmount(&self.dir, UnmountFlags::DETACH);
        let _empty = fs::remove_dir(&self.dir);
    }
}

impl FailingDisk {
    pub(super) fn make() -> anyhow::Result<Self> {
        let memory = Memory::mount()?;
        let file = memory.dir.join("disk");
        File::create_new(&file)
            .and_then(|file| file.set_len(PROMISED))
            .with_context(|| format!("making {}", file.display()))?;
        let path = losetup(&["--find", "--show"], &file)?;
        let path = Path::new(path.trim());
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(OFlags::DIRECT.bits().cast_signed())
            .open(path)
            .with_context(|| format!("opening {}", path.display()));
        // In use it is taken away by the kernel when its last user is gone; else at once.
        losetup(&["--detach"], path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, keeps_it: opened? })
    }

    /// `loop3`
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Writes more than there is room for; gives the kernel's word about the write that failed.
    pub(super) fn fail(&self) -> anyhow::Result<std::io::Error> {
        // Not all zeros, for which no room would be needed.
        let buffer = vec![0xa5_u8; CHUNK + ALIGNED];
        let start = buffer.as_ptr().align_offset(ALIGNED);
        let chunk = buffer.get(start..start + CHUNK).context("a buffer that cannot be aligned")?;
        let failed = (0..WRITTEN / CHUNK).find_map(|_| (&self.keeps_it).write_all(chunk).err());
        failed.with_context(|| format!("{} takes more than it has room for", self.name))
    }

    /// Gives it back, and waits until it is gone.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        let Self { name, keeps_it } = self;
        drop(keeps_it);
        let backing = PathBuf::from(format!("/sys/class/block/{name}/loop/backing_file"));
        let start = Instant::now();
        while backing.exists() {
            if start.elapsed() > GOES {
                bail!("somebody else has {name} open: it goes when they close it");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// losetup of util-linux.
pub(super) fn losetup(args: &[&str], path: &Path) -> anyhow::Result<String> {
    let run = Command::new("losetup").args(args).arg(path).output();
    let output = run.context("cannot run losetup, which makes the disk; it is in util-linux")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", printable(said.trim()));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
