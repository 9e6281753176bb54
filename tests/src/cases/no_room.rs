//! A /run that is full, read-only or gone, and a daemon without descriptors: it works on, and is whole again afterwards.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::Value;

use super::{
    Case,
    storm::{disk_for, exactly},
};
use crate::{
    cmd,
    daemon::Daemon,
    disk::{self, Loop, Tmpfs},
    fault::FailingDisk,
    fio, fs as filesystem,
    journald::{self, Journald},
    machine::{Machine, Need},
    prpt,
};

const NEEDS: &[Need] =
    &[Need::Bpf, Need::Loop, Need::Filesystem("xfs"), Need::Program("fio"), Need::Journald];

pub const CASES: &[Case] = &[
    Case {
        name: "a_run_that_is_full_at_the_start_stops_nothing",
        needs: NEEDS,
        run: |machine| at_the_start(machine, "size=2m", Directory::fill, Directory::free),
    },
    Case {
        name: "a_run_without_inodes_at_the_start_stops_nothing",
        needs: NEEDS,
        run: |machine| {
            at_the_start(machine, "size=8m,nr_inodes=16", Directory::use_up_inodes, Directory::free)
        },
    },
    Case {
        name: "a_run_that_is_read_only_at_the_start_stops_nothing",
        needs: NEEDS,
        run: |machine| at_the_start(machine, "size=8m,ro", |_| Ok(()), Directory::make_writable),
    },
    Case { name: "a_run_that_fills_while_journald_is_away_costs_nothing", needs: NEEDS, run: fills },
    Case { name: "each_of_the_daemons_files_that_is_removed_is_made_again", needs: NEEDS, run: files },
    Case {
        name: "a_runtime_directory_that_is_removed_is_made_again",
        needs: NEEDS,
        run: |machine| {
            let remove = || fs::remove_dir_all(DIR).context("removing the runtime directory");
            meanwhile(machine, |_| remove(), |_| Ok(()))
        },
    },
    Case {
        name: "a_runtime_directory_under_a_read_only_mount_is_used_again_after_it",
        needs: NEEDS,
        run: |machine| {
            let mount = |_: &Daemon| cmd::sh(&format!("mount -t tmpfs -o ro tmpfs {DIR}")).map(drop);
            meanwhile(machine, mount, |_| cmd::sh(&format!("umount {DIR}")).map(drop))
        },
    },
    Case {
        name: "a_runtime_directory_on_a_disk_that_fails_costs_nothing",
        needs: NEEDS,
        run: on_a_failing_disk,
    },
    Case {
        name: "a_daemon_without_descriptors_loses_nothing",
        needs: NEEDS,
        run: |machine| {
            let limit = |daemon: &Daemon, limit: &str| {
                cmd::sh(&format!("prlimit --pid {} --nofile={limit}", daemon.pid())).map(drop)
            };
            meanwhile(machine, |daemon| limit(daemon, "3:1024"), |daemon| limit(daemon, "1024:1024"))
        },
    },
];

const DIR: &str = "/run/peripety";
const REQUESTS: u64 = 2000;

/// A small filesystem in the place of the runtime directory.
struct Directory;

impl Directory {
    fn mount(options: &str) -> Result<Self> {
        fs::create_dir_all(DIR).with_context(|| format!("creating {DIR}"))?;
        cmd::sh(&format!("mount -t tmpfs -o {options} tmpfs {DIR}"))?;
        Ok(Self)
    }

    fn filler(number: u32) -> PathBuf {
        Path::new(DIR).join(format!("filler{number}"))
    }

    fn fill(&self) -> Result<()> {
        let mut file = fs::File::options().create(true).append(true).open(Self::filler(0))?;
        while file.write(&[1; 4096]).is_ok() {}
        Ok(())
    }

    fn use_up_inodes(&self) -> Result<()> {
        let made = (0..100).take_while(|n| fs::File::create(Self::filler(*n)).is_ok()).count();
        ensure!((1..100).contains(&made), "{made} files");
        Ok(())
    }

    fn free(&self) -> Result<()> {
        for number in 0..100 {
            let _not_there = fs::remove_file(Self::filler(number));
        }
        Ok(())
    }

    fn make_writable(&self) -> Result<()> {
        cmd::sh(&format!("mount -o remount,rw {DIR}")).map(drop)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        disk::unmount(Path::new(DIR));
    }
}

/// What `prpt stats` says of the runtime directory's files.
fn trouble(machine: &Machine) -> Result<Value> {
    let stats = prpt::json(machine, &["stats", "--format", "Json"])?;
    let trouble = stats.first().and_then(|stats| stats.pointer("/runtime/trouble")).cloned();
    trouble.with_context(|| format!("no runtime in {stats:?}"))
}

/// Waits until everything can be written again, by itself.
fn is_whole(machine: &Machine) -> Result<()> {
    cmd::wait_for("the runtime directory to be in use again", Duration::from_secs(25), || {
        let trouble = trouble(machine)?;
        ensure!(trouble == serde_json::json!({}), "{trouble}");
        ensure!(Path::new(DIR).join("logbook").exists(), "there is no logbook");
        Ok(())
    })
}

/// Each by itself, while nothing happens: nothing else makes the daemon look at its directory.
fn files(machine: &Machine) -> Result<()> {
    let _journald = Journald::start()?;
    let _daemon = Daemon::start(machine, "")?;
    let there = || -> Result<BTreeSet<PathBuf>> {
        fs::read_dir(DIR).context("its directory")?.map(|entry| Ok(entry?.path())).collect()
    };
    cmd::wait_for("the spool", Duration::from_secs(5), || {
        ensure!(there()?.iter().any(|path| path.ends_with("spool.sent")), "{:?}", there()?);
        Ok(())
    })?;
    thread::sleep(Duration::from_secs(3));
    for path in there()? {
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        cmd::wait_for(&path.display().to_string(), Duration::from_secs(5), || {
            ensure!(path.exists(), "it is not made again");
            Ok(())
        })?;
    }
    is_whole(machine)
}

fn storm(failing: &FailingDisk) -> Result<()> {
    fio::failed_requests(&failing.disk, "randread", REQUESTS).map(drop)
}

/// Kills the daemon; another one goes on exactly where it was.
fn kill(machine: &Machine, mut daemon: Daemon) -> Result<Daemon> {
    // What the kernel ran no program for is found a second later, by two looks at perf's count, and perf's count ends with
    // the daemon. The event of the storm stays open for five.
    thread::sleep(Duration::from_secs(2));
    daemon.signal(Signal::KILL)?;
    daemon.wait(Duration::from_secs(10))?;
    drop(daemon);
    Daemon::start(machine, "")
}

fn at_the_start(
    machine: &Machine,
    options: &str,
    begin: fn(&Directory) -> Result<()>,
    end: fn(&Directory) -> Result<()>,
) -> Result<()> {
    let _journald = Journald::start()?;
    let failing = disk_for(machine, 3 * REQUESTS)?;
    let directory = Directory::mount(options)?;
    begin(&directory)?;
    let daemon = Daemon::start(machine, "")?;
    ensure!(daemon.log().contains("cannot be used"), "it does not say so: {}", daemon.log());
    let since = Timestamp::now();
    let (before, _) = failing.disk.completed()?;
    failing.fail()?;
    storm(&failing)?;
    exactly(&failing.disk.name, since, REQUESTS, failing.disk.completed()?.0 - before)
        .with_context(|| daemon.log())?;
    end(&directory)?;
    is_whole(machine)?;
    ensure!(daemon.log().contains("can be used again"), "it does not say so: {}", daemon.log());
    storm(&failing)?;
    let _daemon = kill(machine, daemon)?;
    storm(&failing)?;
    exactly(&failing.disk.name, since, 3 * REQUESTS, failing.disk.completed()?.0 - before)?;
    Ok(())
}

fn fills(machine: &Machine) -> Result<()> {
    let journald = Journald::start()?;
    let failing = disk_for(machine, 5 * REQUESTS)?;
    let directory = Directory::mount("size=8m")?;
    let daemon = Daemon::start(machine, "")?;
    let since = Timestamp::now();
    let (before, _) = failing.disk.completed()?;
    failing.fail()?;
    storm(&failing)?;
    journald.stop();
    storm(&failing)?;
    for _ in 0..2 {
        directory.fill()?;
        storm(&failing)?;
        // Many small events; and what the daemon gives back of its room goes to others.
        for _ in 0..20 {
            directory.fill()?;
            daemon.signal(Signal::HUP)?;
            thread::sleep(Duration::from_millis(100));
        }
    }
    cmd::wait_for("the trouble to be reported", Duration::from_secs(10), || {
        let reported = trouble(machine)?;
        ensure!(reported.get("spool").is_some(), "{reported}");
        Ok(())
    })?;
    directory.free()?;
    is_whole(machine)?;
    // What waited in memory is written down: it outlives the daemon.
    let said = daemon.log().matches("configuration reloaded").count();
    ensure!(said > 10, "{}", daemon.log());
    let _daemon = kill(machine, daemon)?;
    storm(&failing)?;
    let submitted = failing.disk.completed()?.0 - before;
    let _journald = Journald::start()?;
    exactly(&failing.disk.name, since, 5 * REQUESTS, submitted)?;
    let reloads = journald::entries(&["EVENT_TYPE=PERIPETY_CONFIG_RELOADED"])?;
    let ids: BTreeSet<_> = reloads.iter().filter_map(|entry| entry.get("EVENT_ID")?.as_str()).collect();
    ensure!(
        ids.len() == said && reloads.len() == said,
        "the daemon said {said} times that it reloads; the journal has {} entries about {} events",
        reloads.len(),
        ids.len()
    );
    Ok(())
}

/// Something is wrong for a while in which a disk fails, then it ends, and the daemon is killed.
fn meanwhile(
    machine: &Machine,
    begin: impl Fn(&Daemon) -> Result<()>,
    end: impl Fn(&Daemon) -> Result<()>,
) -> Result<()> {
    let _journald = Journald::start()?;
    let failing = disk_for(machine, 4 * REQUESTS)?;
    let daemon = Daemon::start(machine, "")?;
    let since = Timestamp::now();
    let (before, _) = failing.disk.completed()?;
    failing.fail()?;
    storm(&failing)?;
    begin(&daemon)?;
    storm(&failing)?;
    thread::sleep(Duration::from_secs(2));
    end(&daemon)?;
    is_whole(machine)?;
    storm(&failing)?;
    let _daemon = kill(machine, daemon)?;
    storm(&failing)?;
    let submitted = failing.disk.completed()?.0 - before;
    exactly(&failing.disk.name, since, 4 * REQUESTS, submitted)?;
    Ok(())
}

/// Each call on the daemon's files gives EIO; that goes on where the directory is mounted anew.
fn on_a_failing_disk(machine: &Machine) -> Result<()> {
    let files = Tmpfs::new(machine, "400m")?;
    let disk = Loop::attach(&files.file("disk", 320 << 20)?)?;
    filesystem::make("xfs", &disk)?;
    fs::create_dir_all(DIR).with_context(|| format!("creating {DIR}"))?;
    cmd::run(Command::new("mount").arg(&disk.path).arg(DIR))?;
    let done = meanwhile(
        machine,
        |_| cmd::run(Command::new("xfs_io").args(["-x", "-c", "shutdown", DIR])).map(drop),
        |daemon| {
            let stats = trouble(machine)?.to_string();
            ensure!(stats.contains("os error 5"), "{stats} after {}", daemon.log());
            cmd::run(Command::new("umount").args(["--lazy", DIR])).map(drop)
        },
    );
    if done.is_err() {
        disk::unmount(Path::new(DIR));
    }
    done
}
