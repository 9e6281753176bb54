//! Where the system's files are.

use std::path::{Path, PathBuf};

use crate::files::Files;

/// The directories that are read. Each can be another one: for a container, for a copy of another machine's, for tests.
///
/// ```
/// use peripety_block::Roots;
///
/// let roots = Roots::under("/mnt/sysroot".as_ref());
/// assert_eq!(roots.sysfs.to_str(), Some("/mnt/sysroot/sys"));
/// ```
#[derive(Clone, Debug)]
pub struct Roots {
    /// sysfs: `/sys`.
    pub sysfs: PathBuf,
    /// procfs: `/proc`.
    pub procfs: PathBuf,
    /// Device nodes: `/dev`.
    pub dev: PathBuf,
    /// Volatile state of other programs: `/run` (udev's database is `/run/udev/data`).
    pub run: PathBuf,
    /// How sysfs, procfs and udev's database are read.
    pub files: Files,
}

impl Roots {
    /// The running system.
    pub fn system() -> Self {
        Self::under(Path::new("/"))
    }

    /// A tree that looks like `/` below `root`.
    pub fn under(root: &Path) -> Self {
        Self {
            sysfs: root.join("sys"),
            procfs: root.join("proc"),
            dev: root.join("dev"),
            run: root.join("run"),
            files: Files::Disk,
        }
    }
}
