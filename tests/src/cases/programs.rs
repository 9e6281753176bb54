//! What daemons say in user space: believed by what journald says of them, and nothing else.

use std::{
    fs,
    io::Write as _,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::Case;
use crate::{
    cmd,
    daemon::Daemon,
    journald::{self, Journald},
    machine::{Machine, Need},
    prpt,
    scene::Scene,
};

/// Devices that are not there.
const DEVICE: &str = "sdzy";
const FORGED: &str = "sdzx";
const SOCKET: &str = "/run/systemd/journal/dev-log";
const AS_NOBODY: &[&str] = &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

pub const CASES: &[Case] = &[
    Case {
        name: "a_daemon_in_the_journal_is_heard_and_a_forger_is_not",
        needs: &[Need::Journald, Need::Program("logger"), Need::Program("setpriv")],
        run: heard,
    },
    Case {
        name: "what_a_daemon_says_while_peripetyd_is_down_is_told_once",
        needs: &[Need::Journald, Need::Program("logger")],
        run: caught_up,
    },
    Case {
        name: "the_journal_may_come_late_and_its_reader_may_die",
        needs: &[Need::Journald, Need::Program("logger")],
        run: late,
    },
];

/// A copy of logger(1) under another name: to journald it is that program.
fn program(machine: &Machine, name: &str) -> Result<PathBuf> {
    let dir = machine.dir("program")?;
    let copy = dir.join(name);
    cmd::run(Command::new("sh").args(["-c", "cp \"$(command -v logger)\" \"$1\"", "sh"]).arg(&copy))?;
    Ok(copy)
}

/// Lets a program say lines, and live until journald has looked at it.
fn say(runner: &[&str], program: &Path, args: &[&str], lines: &[String]) -> Result<()> {
    let mut words = runner.iter().copied();
    let mut command = match words.next() {
        Some(first) => {
            let mut command = Command::new(first);
            command.args(words).arg(program);
            command
        }
        None => Command::new(program),
    };
    let mut process = command
        .args(["--socket", SOCKET])
        .args(args)
        .stdin(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    let mut stdin = process.stdin.take().context("a pipe")?;
    for line in lines {
        writeln!(stdin, "{line}").context("speaking")?;
    }
    thread::sleep(Duration::from_millis(500));
    drop(stdin);
    ensure!(process.wait()?.success(), "{} failed", program.display());
    Ok(())
}

fn failed(device: &str) -> Vec<String> {
    vec![format!("{device}: mark as failed")]
}

fn heard(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let multipathd = program(machine, "multipathd")?;
    let other = program(machine, "other")?;
    // The name in syslog, an ordinary user's program of that name, and root's native entry with journald's own fields.
    say(&[], &other, &["-t", "multipathd"], &failed(FORGED))?;
    say(AS_NOBODY, &multipathd, &["-t", "multipathd"], &failed(FORGED))?;
    let fields = format!(
        "PRIORITY=3\nSYSLOG_IDENTIFIER=multipathd\n_UID=0\n_COMM=multipathd\n_EXE=/sbin/multipathd\n\
         _SYSTEMD_UNIT=multipathd.service\n_TRANSPORT=syslog\nMESSAGE={FORGED}: mark as failed\n"
    );
    UnixDatagram::unbound()?.send_to(fields.as_bytes(), "/run/systemd/journal/socket")?;
    // The kernel's own words are nothing that a daemon may say.
    let kernel = format!("EXT4-fs error (device {FORGED}): ext4_find_entry:1455: inode #2: comm ls: x");
    say(&[], &multipathd, &[], &[kernel])?;
    // What is wanted comes last: all before it has been read by then.
    say(&[], &multipathd, &["-t", "whatever"], &failed(DEVICE))?;
    let event =
        scene.expect("what multipathd says", DEVICE, |e| e.event_type.as_str() == "MULTIPATHD_PATH_DOWN")?;
    ensure!(event.sources == ["journal:multipathd"], "{:?}", event.sources);
    let line = format!("multipathd: {DEVICE}: mark as failed");
    ensure!(event.raw_msgs == [line], "{:?}", event.raw_msgs);
    ensure!(event.count == 1 && event.sub_system.as_str() == "multipath", "{event:?}");
    let forged = journald::entries(&[])?.iter().filter(|e| e.to_string().contains(FORGED)).count();
    ensure!(forged >= 4, "only {forged} forged entries reached the journal");
    thread::sleep(Duration::from_secs(1));
    for events in [scene.seen(FORGED)?, scene.found(FORGED)?] {
        ensure!(events.is_empty(), "{}", crate::events::reported(&events));
    }
    // It says so again for as long as that lasts: nothing new.
    say(&[], &multipathd, &[], &failed(DEVICE))?;
    thread::sleep(Duration::from_secs(6));
    say(&[], &multipathd, &[], &failed(DEVICE))?;
    thread::sleep(Duration::from_secs(1));
    let reported = crate::events::latest(scene.seen(DEVICE)?);
    ensure!(reported.len() == 1, "{}", crate::events::reported(&reported));
    Ok(())
}

fn caught_up(machine: &Machine) -> Result<()> {
    let _journald = Journald::start()?;
    let multipathd = program(machine, "multipathd")?;
    say(&[], &multipathd, &[], &failed("sdza"))?;
    let daemon = Daemon::start(machine, "")?;
    let reported = |device: &str| -> Result<usize> {
        let events = prpt::events(machine, &["query", "-J", "--event-type", "MULTIPATHD_PATH_DOWN"])?;
        let events = crate::events::latest(events);
        Ok(events.iter().filter(|e| e.kdev == device).count())
    };
    let wait = |device: &str| {
        cmd::wait_for("the daemon's line", Duration::from_secs(20), || {
            ensure!(reported(device)? == 1, "{} events", reported(device)?);
            Ok(())
        })
    };
    wait("sdza")?;
    // The place is remembered a second later.
    thread::sleep(Duration::from_secs(2));
    drop(daemon);
    say(&[], &multipathd, &[], &failed("sdzb"))?;
    let _daemon = Daemon::start(machine, "")?;
    wait("sdzb")?;
    thread::sleep(Duration::from_secs(1));
    ensure!(reported("sdza")? == 1, "reported anew after the restart");
    let events = prpt::json(machine, &["query", "-J", "--event-type", "MULTIPATHD_PATH_DOWN"])?;
    ensure!(!events.iter().any(|e| e.to_string().contains("rotated")), "{events:?}");
    Ok(())
}

fn late(machine: &Machine) -> Result<()> {
    let daemon = Daemon::start(machine, "")?;
    cmd::wait_for("word of the missing journal", Duration::from_secs(10), || {
        ensure!(daemon.log().contains("there is no journal"), "{}", daemon.log());
        Ok(())
    })?;
    thread::sleep(Duration::from_secs(3));
    ensure!(daemon.log().matches("there is no journal").count() == 1, "it says so again and again");
    let _journald = Journald::start()?;
    let multipathd = program(machine, "multipathd")?;
    let heard = |device: &str| {
        cmd::wait_for("an event about it", Duration::from_secs(20), || {
            ensure!(daemon.stdout().contains(device), "{}", daemon.log());
            Ok(())
        })
    };
    say(&[], &multipathd, &[], &failed("sdzc"))?;
    heard("sdzc")?;
    // Its reader dies, as it would when a page of the journal cannot be read.
    let reader = reader_of()?;
    let pid = rustix::process::Pid::from_raw(reader).context("a process id")?;
    rustix::process::kill_process(pid, Signal::KILL).context("killing the reader")?;
    say(&[], &multipathd, &[], &failed("sdzd"))?;
    heard("sdzd")?;
    ensure!(daemon.log().matches("the journal's reader ended").count() == 1, "{}", daemon.log());
    let next = reader_of()?;
    ensure!(next != reader, "{reader} was killed");
    // It goes with the daemon, even if that is killed.
    daemon.signal(Signal::KILL)?;
    cmd::wait_for("the reader to end", Duration::from_secs(5), || {
        let state = fs::read_to_string(format!("/proc/{next}/stat")).unwrap_or_default();
        ensure!(state.is_empty() || state.contains(") Z "), "{state}");
        Ok(())
    })
}

/// The process that reads the journal.
fn reader_of() -> Result<i32> {
    for entry in fs::read_dir("/proc")?.flatten() {
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if words.split(|b| *b == 0).any(|word| word == b"--read-journal") {
            return entry.file_name().to_string_lossy().parse().context("a process id");
        }
    }
    anyhow::bail!("no process reads the journal")
}
