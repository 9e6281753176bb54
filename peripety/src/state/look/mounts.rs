//! Mounts, as mountinfo of the init namespace and of our own have them.

use std::fs;

use crate::{
    block::{Dev, unescape_mount},
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
    /// proc_pid_mountinfo(5): `36 35 98:0 /root /mnt rw shared:1 - ext4 /dev/sda1 rw,errors=continue`.
    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(2);
        let dev = before.next()?.parse().ok()?;
        let text = |raw: &str| String::from_utf8_lossy(&unescape_mount(raw.as_bytes())).into_owned();
        let point = text(before.nth(1)?);
        let mut after = after.split(' ').skip(1);
        let source = text(after.next()?);
        let options = after.next().unwrap_or_default().split(',').map(str::to_owned).collect();
        Some(Self { dev, point, source, options })
    }

    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }
}

/// All mounts; none where mountinfo cannot be read.
pub(super) fn read(roots: &Roots) -> Option<Vec<Mount>> {
    let read = |pid: &str| fs::read(roots.procfs.join(pid).join("mountinfo")).ok();
    // The init namespace has those of the system.
    [read("1"), read("self")].into_iter().flatten().fold(None, |all: Option<Vec<Mount>>, text| {
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut all = all.unwrap_or_default();
        all.extend(text.lines().filter_map(Mount::parse));
        Some(all)
    })
}
