//! Filesystems on a disk whose own file lies on another one that fails.

use std::{fs::File, io::Write as _, process::Command};

use anyhow::{Result, ensure};
use peripety::event::Incident;
use rustix::process::Signal;

use super::{Expected, Watch};
use crate::{
    cases::Case,
    cmd,
    daemon::Daemon,
    fault::FailingDisk,
    fs::{self, Mount},
    machine::{Machine, Need},
};

pub const CASES: &[Case] = &[
    Case {
        name: "one_incident_of_an_ext4_on_a_failing_disk",
        needs: &[Need::Bpf, Need::Loop, Need::Journald, Need::Filesystem("xfs"), Need::Filesystem("ext4")],
        run: |machine| of_filesystem(machine, "ext4"),
    },
    Case {
        name: "one_incident_of_an_xfs_on_a_failing_disk",
        needs: &[Need::Bpf, Need::Loop, Need::Journald, Need::Filesystem("xfs")],
        run: |machine| of_filesystem(machine, "xfs"),
    },
    Case {
        name: "one_incident_of_a_btrfs_on_a_failing_disk",
        needs: &[Need::Bpf, Need::Loop, Need::Journald, Need::Filesystem("xfs"), Need::Filesystem("btrfs")],
        run: |machine| of_filesystem(machine, "btrfs"),
    },
    Case {
        name: "one_incident_of_writes_that_are_lost_when_it_is_unmounted",
        needs: &[Need::Bpf, Need::Loop, Need::Journald, Need::Filesystem("xfs"), Need::Filesystem("ext4")],
        run: lost_at_unmount,
    },
    Case {
        name: "one_incident_over_a_daemon_that_is_killed",
        needs: &[Need::Bpf, Need::Loop, Need::Journald, Need::Filesystem("xfs"), Need::Filesystem("ext4")],
        run: over_a_kill,
    },
];

/// A filesystem with a file open and a transaction in memory, on a disk that is about to fail.
struct Scene {
    file: File,
    mount: Mount,
    failing: FailingDisk,
    below: String,
    points: [String; 2],
}

impl Scene {
    fn new(machine: &Machine, kind: &str) -> Result<Self> {
        let failing = FailingDisk::new(machine, 512)?;
        fs::make(kind, &failing.disk)?;
        let mount = Mount::new(machine, &failing.disk, "")?;
        // No udev runs here: the daemon reads the superblock itself, which takes a disk that still works.
        std::thread::sleep(std::time::Duration::from_secs(1));
        let file = File::create(mount.dir.join("file"))?;
        file.sync_all()?;
        std::fs::write(mount.dir.join("other"), b"not yet on disk")?;
        let below = failing.below_disk().to_owned();
        let points = [failing.below_dir(), mount.dir.to_string_lossy().into_owned()];
        Ok(Self { file, mount, failing, below, points })
    }

    fn fail(&mut self) -> Result<()> {
        self.failing.fail()?;
        let wrote = self.file.write_all(&vec![7; 1 << 20]).and_then(|()| self.file.sync_all());
        ensure!(wrote.is_err(), "a failing disk synced a write");
        let _fails_too = cmd::run(Command::new("sync").arg("--file-system").arg(&self.mount.dir));
        Ok(())
    }
}

/// A filesystem that was written to and became read-only, on a disk that stopped.
const fn lost<'e>(cause: &'e str, mounts: &'e [&'e str]) -> Expected<'e> {
    let impact = &["written data lost", "unavailable", "read-only", "data at risk"];
    Expected { cause, kind: "unknown", impact, mounts, state: "open" }
}

fn of_filesystem(machine: &Machine, kind: &str) -> Result<()> {
    let watch = Watch::start(machine)?;
    let mut scene = Scene::new(machine, kind)?;
    scene.fail()?;
    let (below, points) = (scene.below.clone(), scene.points.clone());
    let points = points.each_ref().map(String::as_str);
    let failed = match kind {
        "xfs" => Expected {
            impact: &["written data lost", "unavailable", "data at risk"],
            ..lost(&below, &points)
        },
        _ => lost(&below, &points),
    };
    watch.expect("it failed", &[failed])?;
    drop(scene);
    watch.expect("all of it is gone", &[Expected { state: "to ack", ..failed }]).map(drop)
}

/// Nobody asked for the data to be written before it is unmounted.
fn lost_at_unmount(machine: &Machine) -> Result<()> {
    let watch = Watch::start(machine)?;
    let mut scene = Scene::new(machine, "ext4")?;
    scene.file.write_all(&vec![7; 1 << 20])?;
    let (below, points) = (scene.below.clone(), scene.points.clone());
    let points = points.each_ref().map(String::as_str);
    scene.failing.fail()?;
    drop(scene.file);
    drop(scene.mount);
    let lost = lost(&below, &points);
    watch.expect("it was unmounted", &[lost])?;
    drop(scene.failing);
    watch.expect("all of it is gone", &[Expected { state: "to ack", ..lost }]).map(drop)
}

fn over_a_kill(machine: &Machine) -> Result<()> {
    let mut watch = Watch::start(machine)?;
    let mut scene = Scene::new(machine, "ext4")?;
    scene.fail()?;
    let (below, points) = (scene.below.clone(), scene.points.clone());
    let points = points.each_ref().map(String::as_str);
    let failed = lost(&below, &points);
    let before = watch.expect("it failed", &[failed])?;
    watch.daemon.signal(Signal::KILL)?;
    watch.daemon.wait(std::time::Duration::from_secs(5))?;
    // More of the same while nobody watches.
    let _fails_too = cmd::run(Command::new("sync").arg("--file-system").arg(&scene.mount.dir));
    drop(scene.file);
    drop(scene.mount);
    watch.daemon = Daemon::start(machine, "")?;
    let after = watch.expect("another daemon goes on", &[failed])?;
    let ids = |all: &[Incident]| all.iter().map(|incident| incident.incident_id).collect::<Vec<_>>();
    ensure!(ids(&before) == ids(&after), "{before:?} became {after:?}");
    drop(scene.failing);
    watch.expect("all of it is gone", &[Expected { state: "to ack", ..failed }]).map(drop)
}
