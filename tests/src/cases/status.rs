//! What `prpt status` says while filesystems fail, and after.

use std::{fs::File, io::Write as _, process::Command};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::Case;
use crate::{
    cmd,
    daemon::Daemon,
    events::SOON,
    fault::FailingDisk,
    fs::{self, Mount},
    journald::Journald,
    machine::{Machine, Need},
    prpt,
};

pub const CASES: &[Case] = &[
    Case {
        name: "a_failed_ext4_is_wrong_until_it_is_gone",
        needs: &[Need::Loop, Need::Journald, Need::Filesystem("xfs"), Need::Filesystem("ext4")],
        run: |machine| until_gone(machine, "ext4", &["journal_aborted", "device_failing"]),
    },
    Case {
        name: "a_failed_xfs_is_wrong_until_it_is_gone",
        needs: &[Need::Loop, Need::Journald, Need::Filesystem("xfs")],
        run: |machine| until_gone(machine, "xfs", &["filesystem_shut_down", "device_failing"]),
    },
];

/// The conditions of a device, with the exit status.
fn conditions(machine: &Machine, device: &str) -> Result<(Option<i32>, Vec<String>)> {
    let ran = prpt::run(machine, &["status", "--format", "Json"])?;
    ensure!(ran.code.is_some_and(|code| code < 2), "prpt status: {ran:?}");
    let all: Vec<Value> = ran.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let of = |value: &Value, pointer: &str| {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    ensure!(all.is_empty() == (ran.code == Some(0)), "{ran:?}");
    let mine = all.iter().filter(|condition| of(condition, "/device/name") == device);
    Ok((ran.code, mine.map(|condition| of(condition, "/condition")).collect()))
}

fn until_gone(machine: &Machine, kind: &str, wanted: &[&str]) -> Result<()> {
    let _journald = Journald::start()?;
    let daemon = Daemon::start(machine, "")?;
    let failing = FailingDisk::new(machine, 512)?;
    let name = failing.disk.name.clone();
    fs::make(kind, &failing.disk)?;
    let mount = Mount::new(machine, &failing.disk, "")?;
    let mut file = File::create(mount.dir.join("file"))?;
    file.sync_all()?;
    ensure!(conditions(machine, &name)?.1.is_empty(), "before: {:?}", conditions(machine, &name)?);
    std::fs::write(mount.dir.join("other"), b"not yet on disk")?;
    failing.fail()?;
    ensure!(file.write_all(&vec![7; 1 << 20]).and_then(|()| file.sync_all()).is_err(), "a sync succeeded");
    let _fails_too = cmd::run(Command::new("sync").arg("--file-system").arg(&mount.dir));
    let has = |wanted: &[&str]| {
        cmd::wait_for(&format!("{wanted:?}"), SOON, || {
            let (code, found) = conditions(machine, &name)?;
            let all = wanted.iter().all(|w| found.iter().any(|f| f == w));
            ensure!(all && code == Some(1), "exit {code:?}, {found:?}");
            Ok(())
        })
    };
    has(wanted)?;
    let plain = prpt::run(machine, &["status"])?;
    ensure!(plain.stdout.lines().all(|line| line.chars().count() <= 80), "{}", plain.stdout);
    ensure!(plain.stdout.contains(&*mount.dir.to_string_lossy()), "{}", plain.stdout);

    // Without a daemon, from the journal; and a daemon that starts again knows it too.
    daemon.signal(Signal::KILL)?;
    drop(daemon);
    has(wanted)?;
    let without = prpt::run(machine, &["status"])?;
    ensure!(without.stderr.contains("peripetyd does not run"), "{without:?}");
    let daemon = Daemon::start(machine, "")?;
    has(wanted)?;

    drop(file);
    drop(mount);
    cmd::wait_for("the filesystem to be right", SOON, || {
        let (_, found) = conditions(machine, &name)?;
        ensure!(found == ["device_failing"], "{found:?}");
        Ok(())
    })?;
    drop(failing);
    cmd::wait_for("the device to be right", SOON, || {
        let (_, found) = conditions(machine, &name)?;
        ensure!(found.is_empty(), "{found:?}");
        Ok(())
    })?;
    drop(daemon);
    // What the kernel could not write any more is lost only now.
    cmd::wait_for("the journal to say the same", SOON, || {
        let (_, found) = conditions(machine, &name)?;
        ensure!(found.is_empty(), "{found:?}");
        Ok(())
    })
}
