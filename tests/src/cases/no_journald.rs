//! A machine without journald: events stay in memory, and prpt reads them from there.

use anyhow::{Result, ensure};

use super::Case;
use crate::{
    cmd,
    daemon::Daemon,
    disk::{Loop, Tmpfs},
    events,
    fs::{self, Mount},
    machine::{Machine, Need},
    prpt,
};

pub const CASES: &[Case] = &[Case {
    name: "without_journald_events_are_kept_in_memory",
    needs: &[Need::Loop, Need::Filesystem("ext4")],
    run: memory,
}];

fn memory(machine: &Machine) -> Result<()> {
    let daemon = Daemon::start(machine, "")?;
    ensure!(
        daemon.log().contains("journald"),
        "the daemon does not say that there is no journald: {}",
        daemon.log()
    );
    let files = Tmpfs::new(machine, "64m")?;
    let disk = Loop::attach(&files.file("disk", 32 << 20)?)?;
    let uuid = fs::make("ext4", &disk)?;
    let _mount = Mount::new(machine, &disk, "")?;
    let is_it = |event: &peripety::event::Event| {
        event.event_type.as_str() == "FS_MOUNTED"
            && event.block.as_ref().is_some_and(|block| block.id.uuid == uuid)
    };
    events::expect("the mount", || prpt::events(machine, &["query", "-J"]), is_it)?;
    cmd::wait_for("the event on stdout", events::SOON, || {
        let stdout = daemon.stdout();
        ensure!(
            stdout.lines().any(|line| line.contains("FS_MOUNTED") && line.contains(&disk.name)),
            "{stdout}"
        );
        Ok(())
    })
}
