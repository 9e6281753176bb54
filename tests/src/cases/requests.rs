//! Requests that fail, counted.

use anyhow::{Context as _, Result, ensure};
use peripety::event::{Errno, Event, Op};

use super::Case;
use crate::{
    cmd, events,
    fault::{FailingDisk, FullDisk},
    fio,
    machine::{Machine, Need},
    scene::Scene,
};

pub const CASES: &[Case] = &[
    Case {
        name: "failed_reads_are_counted_as_fio_counts_them",
        needs: &[Need::Bpf, Need::Loop, Need::Filesystem("xfs"), Need::Program("fio")],
        run: reads,
    },
    Case {
        name: "failed_writes_are_counted_as_fio_counts_them",
        needs: &[Need::Bpf, Need::Loop, Need::Filesystem("xfs"), Need::Program("fio")],
        run: writes,
    },
    Case {
        name: "writes_without_space_below_are_told",
        needs: &[Need::Bpf, Need::Loop, Need::Program("fio")],
        run: no_space,
    },
];

fn reads(machine: &Machine) -> Result<()> {
    counted(machine, "randread", Op::Read)
}

fn writes(machine: &Machine) -> Result<()> {
    counted(machine, "randwrite", Op::Write)
}

fn counted(machine: &Machine, pattern: &str, op: Op) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let failing = FailingDisk::new(machine, 64)?;
    failing.fail()?;
    let completed =
        || failing.disk.completed().map(|(reads, writes)| if op == Op::Read { reads } else { writes });
    let before = completed()?;
    let failed = fio::failed_requests(&failing.disk, pattern, 300)?;
    ensure!(failed == 300, "fio saw {failed} of 300 requests fail");

    let events = scene.settled(&failing.disk.name)?;
    let is_it = |event: &&Event| {
        event.event_type.as_str() == "BLK_IO_ERROR"
            && event.io.as_ref().is_some_and(|io| io.op == op && io.errno == Some(Errno::EIO))
    };
    // Others may look at the disk as well: udev, or whoever lists disks just now.
    let foreign = || Ok::<_, anyhow::Error>(completed()? - before - failed);
    let counted = |events: &[Event]| {
        let count: u64 = events.iter().filter(is_it).map(|event| event.count).sum();
        let foreign = foreign()?;
        let reported = events::reported(events);
        ensure!(
            count == failed + foreign,
            "{failed} requests of fio and {foreign} others failed, not {count}: {reported}"
        );
        Ok(())
    };
    cmd::wait_for("exact counts", events::SOON, || {
        counted(&events::latest(scene.seen(&failing.disk.name)?))
    })?;

    let event = events.iter().find(is_it).context("no event")?;
    ensure!(event.sources.iter().any(|source| source.starts_with("ebpf:")), "sources: {:?}", event.sources);
    ensure!(!event.sector_ranges.is_empty() && event.last_timestamp >= event.first_timestamp, "{event:?}");
    let block = event.block.as_ref().context("no device")?;
    ensure!(block.id.wwid.ends_with("/disk"), "a loop device's wwid is its file, not {}", block.id.wwid);

    // What is read back is the same.
    cmd::wait_for("exact counts", events::SOON, || {
        counted(&events::latest(scene.found(&failing.disk.name)?))
    })?;
    Ok(())
}

fn no_space(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let full = FullDisk::new(machine)?;
    let failed = fio::failed_requests(&full.disk, "write", 2048)?;
    ensure!(failed > 0, "fio saw no write fail");
    let event = scene.expect("the failed write", &full.disk.name, |event| {
        event.io.as_ref().is_some_and(|io| io.op == Op::Write && io.errno.is_some())
    })?;
    ensure!(
        ["BLK_NO_SPACE", "BLK_IO_ERROR"].contains(&event.event_type.as_str()),
        "{}",
        event.event_type.as_str()
    );
    let count: u64 = scene.settled(&full.disk.name)?.iter().filter(|e| e.io.is_some()).map(|e| e.count).sum();
    ensure!(count == failed, "fio counts {failed} failed writes, the events {count}");
    Ok(())
}
