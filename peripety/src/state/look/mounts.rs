//! Mounts, as mountinfo of the init namespace and of our own have them.

use std::fs;

use crate::{
    block::{
        Dev,
        mountinfo::{self, Line},
    },
    roots::Roots,
};

/// One mount.
#[derive(Debug)]
pub(super) struct Mount {
    pub dev: Dev,
    pub point: String,
    pub source: String,
    /// Options of the filesystem itself.
    pub options: Vec<String>,
}

impl Mount {
    fn of(line: Line<'_>) -> Self {
        let options = String::from_utf8_lossy(line.options).split(',').map(str::to_owned).collect();
        Self {
            dev: line.dev,
            point: line.point().to_string_lossy().into_owned(),
            source: line.source(),
            options,
        }
    }

    pub(super) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }
}

/// All mounts; none where mountinfo cannot be read.
pub(super) fn read(roots: &Roots) -> Option<Vec<Mount>> {
    let read = |pid: &str| fs::read(roots.procfs.join(pid).join("mountinfo")).ok();
    // The init namespace has those of the system.
    [read("1"), read("self")].into_iter().flatten().fold(None, |all: Option<Vec<Mount>>, text| {
        let mut all = all.unwrap_or_default();
        all.extend(mountinfo::lines(&text).map(Mount::of));
        Some(all)
    })
}
