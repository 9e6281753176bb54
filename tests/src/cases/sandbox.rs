//! What a daemon that was started by hand may not do any more.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Case;
use crate::{
    cmd,
    daemon::Daemon,
    machine::{Machine, Need},
    prpt,
};

pub const CASES: &[Case] = &[
    Case { name: "a_daemon_started_by_hand_gives_up_rights", needs: &[Need::Bpf], run: gives_up },
    Case { name: "no_sandbox_leaves_the_rights_and_says_so", needs: &[Need::Bpf], run: off },
    Case { name: "a_recording_can_be_made_anywhere", needs: &[Need::Bpf], run: recording },
];

/// A line of /proc/PID/status.
fn status(pid: u32, key: &str) -> Result<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).context("reading its status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    Ok(line.with_context(|| format!("no {key} in {text}"))?.trim().to_owned())
}

fn mask(pid: u32, key: &str) -> Result<u64> {
    Ok(u64::from_str_radix(&status(pid, key)?, 16)?)
}

const DAC_READ_SEARCH: u64 = 1 << 2;
/// CHOWN, `DAC_READ_SEARCH`, SYSLOG, PERFMON, BPF.
const DAEMON: u64 = 1 | DAC_READ_SEARCH | 1 << 34 | 1 << 38 | 1 << 39;
/// Only for Linux before 5.11.
const SYS_ADMIN: u64 = 1 << 21;

/// The process that reads the journal.
fn reader(daemon: &Daemon) -> Result<u32> {
    let children = cmd::run(Command::new("pgrep").args(["--parent", &daemon.pid().to_string()]))?;
    Ok(children.split_whitespace().next().context("no child")?.parse()?)
}

fn config(machine: &Machine) -> Result<Value> {
    let rows = prpt::json(machine, &["doctor", "--format", "Json"])?;
    rows.into_iter().find(|row| row.get("check") == Some(&"sandbox".into())).context("doctor has no such row")
}

fn gives_up(machine: &Machine) -> Result<()> {
    let daemon = Daemon::start(machine, "")?;
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).context("listing its threads")?;
    for task in tasks {
        let task: u32 = task?.file_name().to_string_lossy().parse()?;
        for key in ["CapPrm", "CapEff", "CapBnd"] {
            let has = mask(task, key)?;
            ensure!(has & !(DAEMON | SYS_ADMIN) == 0, "thread {task} has {key} {has:x}");
        }
        ensure!(mask(task, "CapInh")? == 0 && mask(task, "CapAmb")? == 0, "thread {task} passes rights on");
        ensure!(status(task, "NoNewPrivs")? == "1", "thread {task} can get rights");
        ensure!(status(task, "Seccomp")? == "2", "thread {task} has no filter");
    }
    cmd::wait_for("the journal's reader to give up rights", Duration::from_secs(10), || {
        let reader = reader(&daemon)?;
        let has = mask(reader, "CapPrm")? | mask(reader, "CapEff")? | mask(reader, "CapBnd")? & !DAEMON;
        ensure!(has & !(DAC_READ_SEARCH | SYS_ADMIN) == 0, "the reader has {has:x}");
        ensure!(status(reader, "Seccomp")? == "2", "the reader has no filter");
        Ok(())
    })?;
    let row = config(machine)?;
    let found = row.get("found").and_then(Value::as_str).unwrap_or_default();
    ensure!(found.contains("CAP_BPF") && found.contains("refused system calls"), "{row}");
    if fs::read_to_string("/sys/kernel/security/lsm").is_ok_and(|lsm| lsm.contains("landlock")) {
        ensure!(found.contains("writes only below /run"), "{row}");
    }
    ensure!(!daemon.log().contains("ERROR"), "{}", daemon.log());
    Ok(())
}

fn off(machine: &Machine) -> Result<()> {
    let daemon = Daemon::start_with(machine, "", &["--no-sandbox"])?;
    ensure!(status(daemon.pid(), "Seccomp")? == status(std::process::id(), "Seccomp")?, "a filter");
    ensure!(mask(daemon.pid(), "CapEff")? == mask(std::process::id(), "CapEff")?, "it gave up rights");
    ensure!(daemon.log().contains("--no-sandbox"), "{}", daemon.log());
    let row = config(machine)?;
    ensure!(row.get("verdict") == Some(&"degraded".into()), "{row}");
    Ok(())
}

/// Also into another user's directory, and into his file.
fn recording(machine: &Machine) -> Result<()> {
    let dir = machine.dir("home")?;
    std::os::unix::fs::chown(&dir, Some(1000), Some(1000)).context("giving a directory away")?;
    let theirs = dir.join("theirs");
    fs::write(&theirs, "").context("making a file")?;
    std::os::unix::fs::chown(&theirs, Some(1000), Some(1000)).context("giving a file away")?;
    for file in [dir.join("new.jsonl"), theirs] {
        let name = file.display().to_string();
        let daemon = Daemon::start_with(machine, "", &["--record", &name])?;
        drop(daemon);
        let recorded = fs::read_to_string(&file).context("reading the recording")?;
        ensure!(recorded.contains("peripety_recording"), "{name}: {recorded}");
    }
    Ok(())
}
