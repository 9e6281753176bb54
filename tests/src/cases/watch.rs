//! Filesystems that report errors themselves, by peripety-watch.

use std::{os::unix::fs::MetadataExt as _, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::Case;
use crate::{
    cmd,
    disk::{Loop, Tmpfs},
    events,
    fs::{self, Mount},
    machine::{Machine, Need},
    prpt,
    scene::Scene,
    watch::{self, Watch},
};

pub const CASES: &[Case] = &[
    Case {
        name: "an_error_that_ext4_reports_names_inode_and_errno_and_is_counted_once",
        needs: &[Need::Loop, Need::Bpf, Need::Filesystem("ext4"), Need::Program("debugfs")],
        run: ext4,
    },
    Case {
        name: "without_peripety_watch_the_daemon_says_what_it_lacks_and_with_it_again_no_more",
        needs: &[],
        run: comes_and_goes,
    },
];

fn ext4(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let _watch = Watch::start(machine)?;
    let files = Tmpfs::new(machine, "64m")?;
    let disk = Loop::attach(&files.file("disk", 32 << 20)?)?;
    fs::make("ext4", &disk)?;
    let inode = {
        let mount = Mount::new(machine, &disk, "")?;
        std::fs::write(mount.dir.join("file"), b"content")?;
        std::fs::metadata(mount.dir.join("file"))?.ino()
    };
    let mut debugfs = Command::new("debugfs");
    cmd::run(debugfs.args(["-w", "-R", "set_inode_field /file links_count 0"]).arg(&disk.path))?;
    let before = watch::filesystems(machine)?;
    let mount = Mount::new(machine, &disk, "")?;
    cmd::wait_for("the filesystem to be watched", Duration::from_secs(10), || {
        let now = watch::filesystems(machine)?;
        ensure!(now > before, "{now} filesystems report");
        Ok(())
    })?;
    ensure!(std::fs::read(mount.dir.join("file")).is_err(), "the file can be read");
    let is = |event: &peripety::event::Event| {
        event.event_type.as_str() == "FS_ERROR" && event.sources.iter().any(|source| source == "fanotify")
    };
    let event = scene.expect("the report of ext4", &disk.name, is)?;
    let known = event.facts.fs.as_ref().context("no facts")?;
    ensure!(known.error == Some(-117), "errno {:?}: {event:?}", known.error);
    // The kernel's text names the directory where it was found, or the inode itself.
    ensure!([Some(2), Some(inode)].contains(&known.inode), "inode {:?}: {event:?}", known.inode);
    ensure!(known.function.is_some(), "the probe or the text has not joined: {event:?}");
    let all = scene.settled(&disk.name)?;
    let errors: Vec<_> = all.iter().filter(|event| event.event_type.as_str() == "FS_ERROR").collect();
    ensure!(errors.len() == 1, "{}", events::reported(&all));
    ensure!(errors.iter().all(|event| event.count == 1), "{}", events::reported(&all));
    let sources = errors.first().map(|event| event.sources.join(" ")).unwrap_or_default();
    for wanted in ["kmsg", "ebpf:ext4_error", "fanotify"] {
        ensure!(sources.contains(wanted), "{wanted} is not among {sources}");
    }
    // The file's name, on request.
    let id = event.event_id.to_string();
    let explained = prpt::run(machine, &["explain", &id, "--files"])?;
    let path = if known.inode == Some(2) { mount.dir.clone() } else { mount.dir.join("file") };
    let wanted = format!("{}: inode {}", path.display(), known.inode.unwrap_or(0));
    ensure!(explained.stdout.contains(&wanted), "{wanted} is not in {explained:?}");
    ensure!(
        explained.stderr.contains("reading directories"),
        "it does not say before that it reads: {explained:?}"
    );
    Ok(())
}

fn comes_and_goes(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let doctor = |wanted: &str| -> Result<()> {
        cmd::wait_for(wanted, Duration::from_secs(15), || {
            let doctor = prpt::run(machine, &["doctor"])?;
            ensure!(doctor.stdout.contains(wanted), "prpt doctor: {}", doctor.stdout);
            Ok(())
        })
    };
    doctor("peripety-watch does not run")?;
    let absent = prpt::run(machine, &["probes"])?;
    ensure!(absent.stdout.contains("peripety-watch is absent"), "{absent:?}");
    let watch = Watch::start(machine)?;
    doctor("filesystems that report errors")?;
    let mode = std::fs::metadata("/run/peripety/watch.sock")?.mode() & 0o777;
    ensure!(mode == 0o600, "the socket has mode {mode:o}");
    drop(watch);
    doctor("peripety-watch does not run")?;
    // A daemon that is started again finds the one that runs.
    let _watch = Watch::start(machine)?;
    let pid = watch::watching(machine)?;
    drop(scene);
    let _scene = Scene::start(machine, "")?;
    cmd::wait_for("peripety-watch to come back", Duration::from_secs(20), || {
        ensure!(watch::watching(machine)?.get("pid") == pid.get("pid"), "not yet");
        Ok(())
    })
}
