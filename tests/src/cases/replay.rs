//! What is recorded while disks fail gives the same events again.

use std::{fs::File, io::Write as _, process::Command, time::Duration};

use anyhow::{Result, ensure};
use jiff::Timestamp;
use rustix::process::Signal;

use super::Case;
use crate::{
    cmd,
    daemon::Daemon,
    disk::Tmpfs,
    events,
    fault::FailingDisk,
    fio,
    fs::{self, Mount},
    journald::Journald,
    machine::{Machine, Need},
    prpt,
};

pub const CASES: &[Case] = &[
    Case {
        name: "a_replay_gives_the_events_of_the_journal_byte_for_byte",
        needs: &[
            Need::Loop,
            Need::Journald,
            Need::Filesystem("xfs"),
            Need::Filesystem("ext4"),
            Need::Program("fio"),
        ],
        run: same_events,
    },
    Case {
        name: "a_full_disk_costs_the_recording_but_no_event",
        needs: &[Need::Loop, Need::Filesystem("xfs"), Need::Program("fio")],
        run: full_disk,
    },
];

fn same_events(machine: &Machine) -> Result<()> {
    let _journald = Journald::start()?;
    let since = Timestamp::now().to_string();
    let file = machine.dir("recording")?.join("r.jsonl.gz");
    let file = file.to_string_lossy();
    let mut daemon = Daemon::start_with(machine, "", &["--record", &file])?;
    let failing = FailingDisk::new(machine, 512)?;
    fs::make("ext4", &failing.disk)?;
    let mount = Mount::new(machine, &failing.disk, "")?;
    let mut open = File::create(mount.dir.join("file"))?;
    open.sync_all()?;
    failing.fail()?;
    ensure!(open.write_all(&vec![7; 1 << 20]).and_then(|()| open.sync_all()).is_err(), "a sync succeeded");
    fio::failed_requests(&failing.disk, "randread", 20_000)?;
    drop(open);
    drop(mount);
    daemon.configure(
        "[[collector_regexs]]\nregex = '^loop (?P<kdev>loop\\d+): .*$'\nsub_system = 'loop'\nevent_type = 'LOOP_ERROR'\n",
    )?;
    daemon.signal(Signal::HUP)?;
    fio::failed_requests(&failing.disk, "randwrite", 2_000)?;
    std::thread::sleep(Duration::from_secs(7));
    drop(failing);
    daemon.signal(Signal::TERM)?;
    daemon.wait(Duration::from_secs(20))?;

    let lines = |args: &[&str]| -> Result<Vec<String>> {
        let args = [args, &["--format", "Json", "--since", &since, "--all-revisions"]].concat();
        let ran = prpt::run(machine, &args)?;
        ensure!(ran.code == Some(0) && !ran.stderr.contains("missing"), "prpt {args:?}: {ran:?}");
        let mut lines: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
        lines.sort();
        Ok(lines)
    };
    let again = lines(&["replay", &file])?;
    for wanted in ["FS_JOURNAL_ABORTED", "BLK_IO_ERROR", "PERIPETY_CONFIG_RELOADED", "PERIPETY_STOPPED"] {
        ensure!(again.iter().any(|line| line.contains(wanted)), "the replay has no {wanted}");
    }
    cmd::wait_for("the journal to have what the replay gives", Duration::from_secs(10), || {
        let journal = lines(&["query", "--source", "journal"])?;
        let first = journal.iter().zip(&again).find(|(one, other)| one != other);
        ensure!(journal == again, "{} lines and {}, first other: {first:?}", journal.len(), again.len());
        Ok(())
    })?;

    // The filters are those of a query.
    let some = prpt::events(machine, &["replay", &file, "-J", "--event-type", "BLK_IO_ERROR", "-n", "1"])?;
    ensure!(some.len() == 1 && some.iter().all(|event| event.is_final), "{}", events::reported(&some));
    let none = prpt::run(machine, &["replay", &file, "--event-type", "MD_ARRAY_FAILED"])?;
    ensure!(none.code == Some(1) && none.stdout.is_empty(), "{none:?}");
    let wrong = prpt::run(machine, &["replay", "/proc/version"])?;
    ensure!(wrong.code == Some(2) && wrong.stderr.contains("no recording"), "{wrong:?}");
    Ok(())
}

/// Every request that fails is counted, whatever becomes of the recording.
fn full_disk(machine: &Machine) -> Result<()> {
    // It begins with the rules, which take half of that.
    let small = Tmpfs::new(machine, "640k")?;
    let file = small.dir.join("r.jsonl");
    let recording = file.to_string_lossy();
    let failing = FailingDisk::new(machine, 256)?;
    let daemon = Daemon::start_with(machine, "", &["--record", &recording])?;
    failing.fail()?;
    let failed = fio::failed_requests(&failing.disk, "randread", 20_000)?;
    let name = failing.disk.name.clone();
    let query = || prpt::events(machine, &["query", "--source", "memory", "--format", "Json"]);
    events::expect("all failures and the loss", query, |event| {
        events::about(event, &name) && event.count >= failed
    })?;
    let is_loss = |event: &peripety::event::Event| {
        event.facts.get("loss.source").is_some_and(|source| source == "recording")
    };
    let loss = events::expect("the loss of the recording", query, is_loss)?;
    ensure!(loss.count > 0 && loss.msg.contains("No space left"), "{}", loss.msg);
    drop(daemon);
    // What fitted is whole.
    let again = prpt::run(machine, &["replay", &recording])?;
    ensure!(again.code == Some(0), "{again:?}");
    cmd::run(Command::new("rm").arg(&file))?;
    Ok(())
}
