//! Disks whose requests fail, with no filesystem on them.

use std::process::Command;

use anyhow::{Result, ensure};

use super::{Expected, Watch};
use crate::{
    cases::Case,
    cmd,
    disk::{Loop, Tmpfs},
    fault::{FailingDisk, FullDisk},
    fs::{self, Mount},
    machine::{Machine, Need},
};

pub const CASES: &[Case] = &[
    Case {
        name: "one_incident_of_a_disk_without_space",
        needs: &[Need::Bpf, Need::Loop, Need::Journald],
        run: full,
    },
    Case {
        name: "two_incidents_of_two_disks_that_fail_at_once",
        needs: &[Need::Bpf, Need::Loop, Need::Journald, Need::Filesystem("xfs")],
        run: two_failing,
    },
    Case {
        name: "two_incidents_of_two_disks_without_space_at_once",
        needs: &[Need::Bpf, Need::Loop, Need::Journald],
        run: two_full,
    },
    Case {
        name: "no_incident_of_a_disk_that_is_detached_while_it_is_mounted",
        needs: &[Need::Loop, Need::Journald, Need::Filesystem("ext4")],
        run: detached,
    },
];

fn dd(disk: &Loop) -> Command {
    let mut dd = Command::new("dd");
    dd.args(["if=/dev/zero", "bs=64k", "oflag=direct"]).arg(format!("of={}", disk.path.display()));
    dd
}

fn full(machine: &Machine) -> Result<()> {
    let watch = Watch::start(machine)?;
    let full = FullDisk::new(machine)?;
    let name = full.disk.name.clone();
    ensure!(!cmd::output(&mut dd(&full.disk))?.status.success(), "8 MiB were written to 1 MiB");
    let open =
        Expected { cause: &name, kind: "space", impact: &["data at risk"], mounts: &[], state: "open" };
    watch.expect("one disk is full", &[open])?;
    drop(full);
    watch.expect("the disk is gone", &[Expected { state: "resolved", ..open }]).map(drop)
}

/// What fails for itself stays for itself, also in the same second.
fn two_full(machine: &Machine) -> Result<()> {
    let watch = Watch::start(machine)?;
    let (one, two) = (FullDisk::new(machine)?, FullDisk::new(machine)?);
    let (first, second) = (one.disk.name.clone(), two.disk.name.clone());
    let mut running: Vec<_> =
        [&one, &two].iter().map(|full| dd(&full.disk).spawn()).collect::<Result<_, _>>()?;
    for dd in &mut running {
        ensure!(!dd.wait()?.success(), "8 MiB were written to 1 MiB");
    }
    let of = |cause| Expected { cause, kind: "space", impact: &["data at risk"], mounts: &[], state: "open" };
    watch.expect("two disks are full", &[of(&first), of(&second)])?;
    drop(one);
    watch.expect("one is gone", &[Expected { state: "resolved", ..of(&first) }, of(&second)]).map(drop)
}

/// A disk whose file lies on a filesystem that stopped.
const fn failed<'e>(cause: &'e str, mounts: &'e [&'e str]) -> Expected<'e> {
    Expected { cause, kind: "unknown", impact: &["unavailable", "data at risk"], mounts, state: "open" }
}

fn two_failing(machine: &Machine) -> Result<()> {
    let watch = Watch::start(machine)?;
    let disks = [FailingDisk::new(machine, 64)?, FailingDisk::new(machine, 64)?];
    let causes = disks.each_ref().map(|disk| disk.below_disk().to_owned());
    let points = disks.each_ref().map(FailingDisk::below_dir);
    for disk in &disks {
        disk.fail()?;
    }
    let mut running: Vec<_> = disks.iter().map(|disk| dd(&disk.disk).spawn()).collect::<Result<_, _>>()?;
    for dd in &mut running {
        ensure!(!dd.wait()?.success(), "a failing disk was written to");
    }
    let [one, two] = points.each_ref().map(|point| [point.as_str()]);
    let [first, second] = causes.each_ref().map(String::as_str);
    let expected = [failed(first, &one), failed(second, &two)];
    watch.expect("two disks failed", &expected)?;
    drop(disks);
    let over = expected.map(|failed| Expected { state: "resolved", ..failed });
    watch.expect("both are gone", &over).map(drop)
}

/// The kernel keeps a loop device until nobody uses it: nothing fails.
fn detached(machine: &Machine) -> Result<()> {
    let watch = Watch::start(machine)?;
    let files = Tmpfs::new(machine, "64m")?;
    let disk = Loop::attach(&files.file("disk", 32 << 20)?)?;
    fs::make("ext4", &disk)?;
    let mount = Mount::new(machine, &disk, "")?;
    std::fs::write(mount.dir.join("file"), b"contents")?;
    let _busy = cmd::output(Command::new("losetup").arg("--detach").arg(&disk.path))?;
    std::fs::write(mount.dir.join("other"), b"contents")?;
    drop(mount);
    drop(disk);
    watch.expect_none("a disk that is well was detached")
}
