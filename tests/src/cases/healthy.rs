//! Where nothing fails, nothing is said to fail.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use peripety::event::Severity;

use super::Case;
use crate::{
    cmd,
    disk::{Loop, Tmpfs},
    events,
    fs::{self, Mount},
    machine::{Machine, Need},
    scene::Scene,
};

pub const CASES: &[Case] = &[
    Case {
        name: "a_healthy_ext4_is_no_event",
        needs: &[Need::Loop, Need::Filesystem("ext4")],
        run: |machine| quiet(machine, "ext4"),
    },
    Case {
        name: "a_healthy_xfs_is_no_event",
        needs: &[Need::Loop, Need::Filesystem("xfs")],
        run: |machine| quiet(machine, "xfs"),
    },
    Case {
        name: "a_healthy_btrfs_is_no_event",
        needs: &[Need::Loop, Need::Filesystem("btrfs")],
        run: |machine| quiet(machine, "btrfs"),
    },
];

/// mkfs, mount, use and unmount: notices at most, and they are reported.
fn quiet(machine: &Machine, kind: &str) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let files = Tmpfs::new(machine, "1g")?;
    let disk = Loop::attach(&files.file("disk", 512 << 20)?)?;
    fs::make(kind, &disk)?;
    let mount = Mount::new(machine, &disk, "")?;
    std::fs::write(mount.dir.join("file"), vec![7; 1 << 20])?;
    cmd::sh(&format!("sync -f {}", mount.dir.display()))?;
    drop(mount);
    scene
        .expect("the mount to be reported", &disk.name, |event| event.event_type.as_str() == "FS_MOUNTED")?;

    let name = disk.name.clone();
    disk.remove()?;
    thread::sleep(Duration::from_secs(2));
    let bad: Vec<_> =
        scene.seen(&name)?.into_iter().filter(|e| e.severity.at_least(Severity::Warning)).collect();
    ensure!(bad.is_empty(), "{}", events::reported(&bad));
    Ok(())
}
