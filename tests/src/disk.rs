//! Disks made of files.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{cmd, machine::Machine};

/// A tmpfs, unmounted at the end of its scope.
pub struct Tmpfs {
    pub dir: PathBuf,
}

impl Tmpfs {
    pub fn new(machine: &Machine, size: &str) -> Result<Self> {
        let dir = machine.dir("tmpfs")?;
        let mut mount = Command::new("mount");
        cmd::run(mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&dir))?;
        Ok(Self { dir })
    }

    /// A sparse file.
    pub fn file(&self, name: &str, bytes: u64) -> Result<PathBuf> {
        sparse_file(&self.dir.join(name), bytes)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        unmount(&self.dir);
    }
}

/// Makes a file that takes no space until it is written to.
pub fn sparse_file(path: &Path, bytes: u64) -> Result<PathBuf> {
    let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
    file.set_len(bytes).with_context(|| format!("making {} {bytes} bytes long", path.display()))?;
    Ok(path.to_owned())
}

/// Unmounts now, or as soon as no one uses it: a filesystem that failed may refuse.
pub fn unmount(dir: &Path) {
    if cmd::run(Command::new("umount").arg(dir)).is_err() {
        let _not_mounted = cmd::run(Command::new("umount").arg("--lazy").arg(dir));
    }
}

/// A loop device. The kernel frees it when its last user is gone, this process among them: also after a kill.
pub struct Loop {
    /// `loop3`
    pub name: String,
    /// `/dev/loop3`
    pub path: PathBuf,
    /// The file it is made of.
    pub file: PathBuf,
    keeps_it: Option<File>,
}

impl Loop {
    pub fn attach(file: &Path) -> Result<Self> {
        Self::attach_with(file, &[])
    }

    /// With more of losetup's options.
    pub fn attach_with(file: &Path, options: &[&str]) -> Result<Self> {
        let path = cmd::run(Command::new("losetup").args(["--find", "--show"]).args(options).arg(file))?;
        Self::adopt(Path::new(path.trim()), file)
    }

    /// At a given device, to see what becomes of a name that is used again.
    pub fn attach_as(path: &Path, file: &Path) -> Result<Self> {
        cmd::run(Command::new("losetup").arg(path).arg(file))?;
        Self::adopt(path, file)
    }

    fn adopt(path: &Path, file: &Path) -> Result<Self> {
        let keeps_it = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        // While it is open, this means: as soon as it no longer is.
        detach(path)?;
        let name = path.file_name().context("a loop device without a name")?.to_string_lossy().into_owned();
        Ok(Self { name, path: path.to_owned(), file: file.to_owned(), keeps_it: Some(keeps_it) })
    }

    /// `7:3`
    pub fn number(&self) -> Result<String> {
        let file = format!("/sys/class/block/{}/dev", self.name);
        Ok(fs::read_to_string(&file).with_context(|| format!("reading {file}"))?.trim().to_owned())
    }

    /// How many reads and writes the kernel completed on it, whoever asked for them.
    pub fn completed(&self) -> Result<(u64, u64)> {
        let file = format!("/sys/class/block/{}/stat", self.name);
        let text = fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
        let mut numbers = text.split_whitespace().map(str::parse);
        // Documentation/block/stat.rst: read I/Os are the first field, write I/Os the fifth.
        let (reads, writes) =
            (numbers.next().context(text.clone())??, numbers.nth(3).context(text.clone())??);
        Ok((reads, writes))
    }

    /// Detaches it now, and waits until it is gone.
    pub fn remove(mut self) -> Result<()> {
        self.keeps_it = None;
        let backing = format!("/sys/class/block/{}/loop/backing_file", self.name);
        cmd::wait_for("the loop device to go", std::time::Duration::from_secs(5), || {
            anyhow::ensure!(!Path::new(&backing).exists(), "{backing} is still there");
            Ok(())
        })
    }
}

fn detach(path: &Path) -> Result<String> {
    cmd::run(Command::new("losetup").arg("--detach").arg(path))
}
