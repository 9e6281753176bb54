//! What `prpt status` says while filesystems fail, and after.

use std::{fs::File, io::Write as _, process::Command};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::Case;
use crate::{
    cmd,
    daemon::Daemon,
    disk::{Loop, Tmpfs},
    events::SOON,
    fault::{FailingDisk, FullDisk},
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
    Case { name: "what_nobody_watches_is_not_said_to_be_well", needs: &[], run: nobody },
    Case {
        name: "out_of_space_is_over_when_there_is_room_or_a_person_says_so",
        needs: &[Need::Bpf, Need::Loop, Need::Journald],
        run: resolved,
    },
    Case {
        name: "a_corrupt_ext4_is_listed_until_it_is_checked",
        needs: &[Need::Loop, Need::Journald, Need::Filesystem("ext4")],
        run: corrupt,
    },
    Case {
        name: "what_went_while_no_daemon_ran_is_over",
        needs: &[Need::Bpf, Need::Loop, Need::Journald],
        run: went_unseen,
    },
];

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What `prpt status` says.
struct Status {
    code: Option<i32>,
    /// Its problems: a line each.
    problems: Vec<Value>,
    /// What is not known.
    limits: Vec<String>,
}

fn status(machine: &Machine) -> Result<Status> {
    let ran = prpt::run(machine, &["status", "--format", "Json"])?;
    let all: Vec<Value> = ran.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let (known, problems): (Vec<_>, Vec<_>) = all.into_iter().partition(|line| line.get("known").is_some());
    let limits =
        known.iter().flat_map(|k| k.pointer("/known/limits").and_then(Value::as_array).into_iter().flatten());
    let limits: Vec<String> = limits.map(|limit| text(limit, "/what")).collect();
    ensure!((problems.is_empty() && limits.is_empty()) == (ran.code == Some(0)), "{ran:?}");
    Ok(Status { code: ran.code, problems, limits })
}

/// The disk that has a name now, among all that had it in this boot.
#[derive(Clone, Debug)]
struct Disk {
    name: String,
    diskseq: Option<u64>,
}

impl Disk {
    fn now(name: &str) -> Self {
        let file = format!("/sys/class/block/{name}/diskseq");
        let diskseq = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
        Self { name: name.to_owned(), diskseq }
    }

    /// Whether a condition is of it. The kernel's log has failures of earlier disks of this name.
    fn has(&self, condition: &Value) -> bool {
        let diskseq = condition.pointer("/device/diskseq").and_then(Value::as_u64);
        text(condition, "/device/name") == self.name
            && diskseq.zip(self.diskseq).is_none_or(|(one, two)| one == two)
    }
}

/// The conditions of a device, with the exit status. They are one problem.
fn conditions(machine: &Machine, device: &Disk) -> Result<(Option<i32>, Vec<String>)> {
    let status = status(machine)?;
    ensure!(status.code.is_some_and(|code| code < 2), "exit {:?}", status.code);
    let parts = |problem: &Value| {
        let also = problem.get("also").and_then(Value::as_array).cloned().unwrap_or_default();
        [problem.clone()].into_iter().chain(also).collect::<Vec<_>>()
    };
    let is_mine = |problem: &&Value| parts(problem).iter().any(|c| device.has(c));
    let mine: Vec<&Value> = status.problems.iter().filter(is_mine).collect();
    ensure!(mine.len() < 2, "one problem on {} lines: {mine:?}", mine.len());
    let parts = mine.iter().flat_map(|problem| parts(problem));
    let of_device = parts.filter(|c| device.has(c));
    Ok((status.code, of_device.map(|condition| text(&condition, "/condition")).collect()))
}

fn until_gone(machine: &Machine, kind: &str, wanted: &[&str]) -> Result<()> {
    let _journald = Journald::start()?;
    let daemon = Daemon::start(machine, "")?;
    let failing = FailingDisk::new(machine, 512)?;
    let name = failing.disk.name.clone();
    let disk = Disk::now(&name);
    fs::make(kind, &failing.disk)?;
    let mount = Mount::new(machine, &failing.disk, "")?;
    let mut file = File::create(mount.dir.join("file"))?;
    file.sync_all()?;
    ensure!(conditions(machine, &disk)?.1.is_empty(), "before: {:?}", conditions(machine, &disk)?);
    std::fs::write(mount.dir.join("other"), b"not yet on disk")?;
    failing.fail()?;
    ensure!(file.write_all(&vec![7; 1 << 20]).and_then(|()| file.sync_all()).is_err(), "a sync succeeded");
    let _fails_too = cmd::run(Command::new("sync").arg("--file-system").arg(&mount.dir));
    let has = |wanted: &[&str]| {
        cmd::wait_for(&format!("{wanted:?}"), SOON, || {
            let (code, found) = conditions(machine, &disk)?;
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
        let (_, found) = conditions(machine, &disk)?;
        ensure!(found == ["device_failing"], "{found:?}");
        Ok(())
    })?;
    drop(failing);
    cmd::wait_for("the device to be right", SOON, || {
        let (_, found) = conditions(machine, &disk)?;
        ensure!(found.is_empty(), "{found:?}");
        Ok(())
    })?;
    drop(daemon);
    // What the kernel could not write any more is lost only now.
    cmd::wait_for("the journal to say the same", SOON, || {
        let (_, found) = conditions(machine, &disk)?;
        ensure!(found.is_empty(), "{found:?}");
        Ok(())
    })
}

fn nobody(machine: &Machine) -> Result<()> {
    for format in ["Plain", "Json"] {
        let ran = prpt::run(machine, &["status", "--format", format])?;
        ensure!(ran.code == Some(2) && !ran.stdout.contains("Nothing is wrong"), "{ran:?}");
        ensure!(ran.stdout.contains("peripetyd") && ran.stderr.contains("peripetyd does not run"), "{ran:?}");
    }
    for words in [&["query"][..], &["monitor"]] {
        let ran = prpt::run(machine, words)?;
        ensure!(ran.code == Some(2) && ran.stderr.contains("peripetyd"), "{words:?}: {ran:?}");
    }
    // One that sees text alone says so.
    let _daemon = Daemon::start_with(machine, "", &["--no-ebpf"])?;
    let seen = status(machine)?;
    ensure!(seen.code == Some(1) && seen.limits.iter().any(|what| what == "probes"), "{:?}", seen.limits);
    for words in [&["query"][..], &["status"]] {
        let ran = prpt::run(machine, words)?;
        ensure!(ran.stderr.contains("--no-ebpf"), "{words:?}: {ran:?}");
    }
    Ok(())
}

fn resolved(machine: &Machine) -> Result<()> {
    let _journald = Journald::start()?;
    let daemon = Daemon::start(machine, "")?;
    let full = FullDisk::new(machine)?;
    let name = full.disk.name.clone();
    let full_disk = Disk::now(&name);
    let fill = || -> Result<()> {
        let mut dd = Command::new("dd");
        dd.args(["if=/dev/zero", "bs=64k", "oflag=direct"]).arg(format!("of={}", full.disk.path.display()));
        ensure!(!cmd::output(&mut dd)?.status.success(), "8 MiB were written to 1 MiB");
        Ok(())
    };
    let is = |wanted: &[&str]| {
        cmd::wait_for(&format!("{wanted:?}"), SOON, || {
            let found = conditions(machine, &full_disk)?.1;
            let events = || prpt::run(machine, &["query", "--source", "memory"]).map(|ran| ran.stdout);
            ensure!(found == wanted, "{found:?}, of {}", events()?);
            Ok(())
        })
    };
    fill()?;
    is(&["out_of_space"])?;

    for words in [&["resolve", &name, "--reason", " "][..], &["resolve", "sdzz", "--reason", "x"]] {
        let ran = prpt::run(machine, words)?;
        ensure!(ran.code == Some(2) && ran.stdout.is_empty(), "{ran:?}");
    }
    is(&["out_of_space"])?;
    let ran = prpt::run(machine, &["resolve", &name, "--reason", "the file was\u{1b}[31m moved"])?;
    ensure!(ran.code == Some(0) && ran.stdout.contains(&name), "{ran:?}");
    is(&[])?;
    let said = prpt::events(machine, &["query", "--event-type", "PERIPETY_RESOLVED", "--format", "Json"])?;
    let [event] = said.as_slice() else { anyhow::bail!("{said:?}") };
    let text = |key: &str| {
        event.facts.get(key).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    ensure!(
        text("daemon.user").starts_with("root") && text("daemon.reason").contains("was\\u{1b}[31m moved"),
        "{event:?}"
    );
    // A daemon that starts again knows it, and what fails again is wrong again.
    daemon.signal(Signal::KILL)?;
    drop(daemon);
    is(&[])?;
    let _daemon = Daemon::start(machine, "")?;
    is(&[])?;
    fill()?;
    is(&["out_of_space"])?;
    cmd::run(Command::new("mount").args(["-o", "remount,size=32m"]).arg(&full.files.dir))?;
    is(&[])
}

/// A disk goes that an incident is about, and nobody sees it. The next daemon looks, without being asked for the status, also
/// where the journal does not reach back to it.
fn went_unseen(machine: &Machine) -> Result<()> {
    let journald = Journald::start()?;
    let daemon = Daemon::start(machine, "")?;
    let full = FullDisk::new(machine)?;
    let mut dd = Command::new("dd");
    dd.args(["if=/dev/zero", "bs=64k", "oflag=direct"]).arg(format!("of={}", full.disk.path.display()));
    ensure!(!cmd::output(&mut dd)?.status.success(), "8 MiB were written to 1 MiB");
    let states = |wanted: &str| {
        cmd::wait_for(&format!("an incident that is {wanted}"), SOON, || {
            let ran = prpt::run(machine, &["incidents", "--format", "Json"])?;
            let all: Vec<Value> = ran.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
            let states: Vec<String> = all.iter().map(|incident| text(incident, "/state")).collect();
            ensure!(states == [wanted], "{states:?}");
            Ok(())
        })
    };
    states("open")?;
    // What still grows is written again by the next daemon, and known from that.
    cmd::wait_for("the events to be final", SOON, || {
        let events = prpt::events(machine, &["query", "--event-type", "BLK_NO_SPACE", "--format", "Json"])?;
        ensure!(!events.is_empty() && events.iter().all(|event| event.is_final), "{}", events.len());
        Ok(())
    })?;
    daemon.signal(Signal::TERM)?;
    drop(daemon);
    drop(full);
    drop(journald);
    let _journald = Journald::start()?;
    let _daemon = Daemon::start(machine, "")?;
    states("resolved")
}

/// A directory's block is overwritten below the filesystem.
fn corrupt(machine: &Machine) -> Result<()> {
    let _journald = Journald::start()?;
    let _daemon = Daemon::start(machine, "")?;
    let files = Tmpfs::new(machine, "64m")?;
    let disk = Loop::attach(&files.file("disk", 32 << 20)?)?;
    fs::make("ext4", &disk)?;
    fs::damage_directory(&disk)?;

    let mount = Mount::new(machine, &disk, "")?;
    let _fails = std::fs::read_dir(mount.dir.join("x")).map(Iterator::count);
    let is = |wanted: &[&str]| {
        cmd::wait_for(&format!("{wanted:?}"), SOON, || {
            let found = conditions(machine, &Disk::now(&disk.name))?.1;
            ensure!(found == wanted, "{found:?}");
            Ok(())
        })
    };
    is(&["filesystem_corrupt"])?;
    // It failed before its mount was read: that comes with a later revision.
    cmd::wait_for("the mount point", SOON, || {
        let plain = prpt::run(machine, &["status"])?;
        ensure!(plain.stdout.contains(&*mount.dir.to_string_lossy()), "{}", plain.stdout);
        Ok(())
    })?;
    // Not by an unmount, nor by a mount that finds the errors noted.
    drop(mount);
    is(&["filesystem_corrupt"])?;
    let plain = prpt::run(machine, &["status"])?;
    ensure!(!plain.stdout.contains("mounted on"), "{}", plain.stdout);
    let mount = Mount::new(machine, &disk, "")?;
    std::thread::sleep(std::time::Duration::from_secs(1));
    is(&["filesystem_corrupt"])?;
    drop(mount);
    let _mended = cmd::output(Command::new("e2fsck").args(["-f", "-y"]).arg(&disk.path))?;
    is(&["filesystem_corrupt"])?;
    let _mount = Mount::new(machine, &disk, "")?;
    is(&[])
}
