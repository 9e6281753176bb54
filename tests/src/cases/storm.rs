//! Storms: more failures than any buffer holds.

use anyhow::{Result, ensure};
use peripety::event::Event;
use rustix::process::Signal;

use super::Case;
use crate::{
    cmd, events,
    fault::FailingDisk,
    fio,
    machine::{Machine, Need},
    scene::Scene,
};

const NEEDS: &[Need] = &[Need::Bpf, Need::Loop, Need::Filesystem("xfs"), Need::Program("fio")];

pub const CASES: &[Case] =
    &[Case { name: "a_full_ring_costs_details_and_no_count", needs: NEEDS, run: full_ring }];

/// Failed reads that the last revisions of events count.
fn counted(events: &[Event]) -> u64 {
    events.iter().filter(|e| e.event_type.as_str() == "BLK_IO_ERROR").map(|e| e.count).sum()
}

fn full_ring(machine: &Machine) -> Result<()> {
    const REQUESTS: u64 = 20_000;
    let scene = Scene::start(machine, "[main]\nring_size_kib = 64\n")?;
    let failing = FailingDisk::new(machine, 256)?;
    failing.fail()?;
    let (before, _) = failing.disk.completed()?;
    scene.daemon.signal(Signal::STOP)?;
    let failed = fio::failed_requests(&failing.disk, "randread", REQUESTS)?;
    scene.daemon.signal(Signal::CONT)?;
    ensure!(failed == REQUESTS, "fio saw {failed} of {REQUESTS} requests fail");

    let submitted = || Ok::<_, anyhow::Error>(failing.disk.completed()?.0 - before);
    cmd::wait_for("exact counts", events::SOON, || {
        let events = events::latest(scene.seen(&failing.disk.name)?);
        let (count, submitted) = (counted(&events), submitted()?);
        ensure!(count == submitted, "{submitted} failed, {count} are counted: {}", events::told(&events));
        Ok(())
    })?;
    let events = scene.settled(&failing.disk.name)?;
    let missing: u64 =
        events.iter().filter_map(|e| e.extension.get("details_missing")).filter_map(|n| n.as_u64()).sum();
    ensure!(
        missing > REQUESTS / 2,
        "the details of {missing} are missing; the ring holds less than a thousand"
    );
    ensure!(counted(&events) == submitted()?, "{}", events::told(&events));
    let told = scene.all()?;
    let lost = told.iter().find(|e| e.extension.get("reason").is_some_and(|r| r == "ring full"));
    ensure!(lost.is_some(), "the loss is not told: {}", events::told(&told));
    Ok(())
}
