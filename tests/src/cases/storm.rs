//! Storms: more failures than any buffer holds.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use jiff::Timestamp;
use peripety::event::{Event, Op};
use rustix::process::Signal;

use super::Case;
use crate::{
    cmd,
    daemon::Daemon,
    disk::Loop,
    events,
    fault::FailingDisk,
    fio,
    hits::Hits,
    journald::{self, Journald},
    machine::{Machine, Need},
    prpt,
    scene::Scene,
};

const NEEDS: &[Need] = &[Need::Bpf, Need::Loop, Need::Filesystem("xfs"), Need::Program("fio")];

const NEEDS_JOURNALD: &[Need] =
    &[Need::Bpf, Need::Loop, Need::Filesystem("xfs"), Need::Program("fio"), Need::Journald];

pub const CASES: &[Case] = &[
    Case { name: "a_full_ring_costs_details_and_no_count", needs: NEEDS, run: full_ring },
    Case { name: "an_overflow_costs_no_count_of_a_storm_that_goes_on", needs: NEEDS, run: overflow },
    Case {
        name: "a_gap_between_daemons_costs_no_count_of_a_storm_that_goes_on",
        needs: NEEDS_JOURNALD,
        run: gap,
    },
    Case { name: "text_of_dropped_records_is_not_counted_again", needs: NEEDS, run: dropped_with_text },
    Case {
        name: "kills_in_a_storm_cost_nothing_and_repeat_nothing",
        needs: NEEDS_JOURNALD,
        run: |machine| restarted(machine, Signal::KILL),
    },
    Case {
        name: "restarts_in_a_storm_cost_nothing_and_repeat_nothing",
        needs: NEEDS_JOURNALD,
        run: |machine| restarted(machine, Signal::TERM),
    },
    Case {
        name: "storms_of_many_disks_with_kills_and_overflows_add_up",
        needs: NEEDS_JOURNALD,
        run: many_disks,
    },
    Case {
        name: "a_storm_while_no_daemon_runs_is_told_once_and_whole",
        needs: NEEDS_JOURNALD,
        run: without_daemon,
    },
    Case {
        name: "a_storm_while_journald_is_away_is_told_when_it_is_back",
        needs: NEEDS_JOURNALD,
        run: without_journald,
    },
];

/// Requests of the storms that are long enough for restarts; `PERIPETY_STORM_REQUESTS` is another number.
fn requests(usual: u64) -> Result<u64> {
    match std::env::var("PERIPETY_STORM_REQUESTS") {
        Ok(number) => number.parse().with_context(|| format!("PERIPETY_STORM_REQUESTS={number}")),
        Err(_unset) => Ok(usual),
    }
}

/// A storm that lasts at least until others have done enough meanwhile, however fast the machine is. The failed requests.
fn storm_until(enough: &AtomicBool, disk: &Loop, requests: u64) -> Result<u64> {
    let mut all = 0;
    loop {
        let failed = fio::failed_requests(disk, "randread", requests)?;
        ensure!(failed == requests, "fio saw {failed} of {requests} requests fail");
        all += failed;
        if enough.load(Ordering::Relaxed) {
            return Ok(all);
        }
    }
}

/// A disk that has room for so many requests.
pub fn disk_for(machine: &Machine, requests: u64) -> Result<FailingDisk> {
    FailingDisk::new(machine, (requests * 4).div_ceil(1024).max(256))
}

/// Reads of udev and other daemons that the kernel's statistics had counted before.
const OTHERS: u64 = 8;

/// Failed reads that the last revisions of events count.
fn counted(events: &[Event]) -> u64 {
    events.iter().filter(|e| e.event_type.as_str() == "BLK_IO_ERROR").map(|e| e.count).sum()
}

/// Failed reads of which these events know no more than that they were.
fn missing_details(events: &[Event]) -> u64 {
    events.iter().filter_map(|e| e.facts.counts.as_ref()?.details_missing).sum()
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
        ensure!(
            (failed..=submitted + OTHERS).contains(&count),
            "{submitted} failed, {count} are counted: {}",
            events::reported(&events)
        );
        Ok(())
    })?;
    let events = scene.settled(&failing.disk.name)?;
    let missing = missing_details(&events);
    ensure!(
        missing > REQUESTS / 2,
        "the details of {missing} are missing; the ring holds less than a thousand"
    );
    ensure!((failed..=submitted()? + OTHERS).contains(&counted(&events)), "{}", events::reported(&events));
    let reported = scene.all()?;
    let lost =
        reported.iter().find(|e| e.facts.get("loss.reason").is_some_and(|reason| reason == "ring full"));
    ensure!(lost.is_some(), "the loss is not reported: {}", events::reported(&reported));
    Ok(())
}

/// The sectors of a ring that was full for a moment are gone; the storm hides for as long as it lasts how many there were.
const SMALL_RING: &str = "[main]\nring_size_kib = 64\n";
const SECONDS: u64 = 11;
const RATE: u64 = 8_000;

/// Waits for so many more requests, however fast the machine makes them.
fn go_on(failing: &FailingDisk, requests: u64) -> Result<()> {
    let (before, _) = failing.disk.completed()?;
    cmd::wait_for("the storm to go on", Duration::from_secs(SECONDS), || {
        let more = failing.disk.completed()?.0.saturating_sub(before);
        ensure!(more >= requests, "{more} requests");
        Ok(())
    })
}

fn overflow(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, SMALL_RING)?;
    let failing = FailingDisk::new(machine, 256)?;
    // Whoever looks at a new disk may still read it when it fails.
    let (before, _) = failing.disk.completed()?;
    failing.fail()?;
    let failed = thread::scope(|scope| -> Result<u64> {
        let storm = scope.spawn(|| fio::failed_requests_for(&failing.disk, "randread", SECONDS, RATE));
        thread::sleep(Duration::from_secs(1));
        scene.daemon.signal(Signal::STOP)?;
        go_on(&failing, RATE / 2)?;
        scene.daemon.signal(Signal::CONT)?;
        storm.join().map_err(|_| anyhow!("fio panicked"))?
    })?;
    let submitted = failing.disk.completed()?.0 - before;
    let mut events = scene.settled(&failing.disk.name)?;
    events.retain(|event| event.event_type.as_str() == "BLK_IO_ERROR");
    let missing = missing_details(&events);
    ensure!(missing > RATE / 4, "the ring was never full: {missing} details are missing");
    whole(&events, failed, submitted)?;
    ensure!(events.len() == 1, "a storm is one event: {}", events::reported(&events));
    nothing_is_forgotten(machine)
}

fn gap(machine: &Machine) -> Result<()> {
    let _journald = Journald::start()?;
    let mut daemon = Daemon::start(machine, SMALL_RING)?;
    let failing = FailingDisk::new(machine, 256)?;
    let since = Timestamp::now();
    // Whoever looks at a new disk may still read it when it fails.
    let (before, _) = failing.disk.completed()?;
    let mut hits = Hits::count(machine)?;
    failing.fail()?;
    let failed = thread::scope(|scope| -> Result<u64> {
        let storm = scope.spawn(|| fio::failed_requests_for(&failing.disk, "randread", SECONDS, RATE));
        thread::sleep(Duration::from_secs(1));
        daemon.signal(Signal::KILL)?;
        daemon.wait(Duration::from_secs(10))?;
        go_on(&failing, RATE / 2)?;
        daemon = Daemon::start(machine, SMALL_RING)?;
        storm.join().map_err(|_| anyhow!("fio panicked"))?
    })?;
    let submitted = failing.disk.completed()?.0 - before;
    // The kernel runs no program within another one of the same processor: the adoption by the next daemon is such a moment.
    let unseen = hits.unseen()?;
    let reported = exactly(&failing.disk.name, since, failed - unseen, submitted)?;
    let missing = missing_details(&reported);
    ensure!(missing > RATE / 4, "the ring was never full: {missing} details are missing");
    nothing_is_forgotten(machine)
}

/// Lines of the kernel about requests whose records were dropped stand for requests that its map counts, too.
fn dropped_with_text(machine: &Machine) -> Result<()> {
    const REQUESTS: u64 = 3_000;
    let scene = Scene::start(machine, SMALL_RING)?;
    let failing = FailingDisk::new(machine, 256)?;
    // Whoever looks at a new disk may still read it when it fails.
    let (before, _) = failing.disk.completed()?;
    failing.fail()?;
    scene.daemon.signal(Signal::STOP)?;
    let mut failed = 0;
    // The kernel prints ten lines in five seconds.
    for _burst in 0..3 {
        failed += fio::failed_requests(&failing.disk, "randread", REQUESTS)?;
        thread::sleep(Duration::from_millis(5_500));
    }
    scene.daemon.signal(Signal::CONT)?;
    let submitted = failing.disk.completed()?.0 - before;
    cmd::wait_for("exact counts", events::SOON, || {
        let events = scene.settled(&failing.disk.name)?;
        whole(&events, failed, submitted)
    })?;
    nothing_is_forgotten(machine)
}

/// Four disks, three kills and two overflows; with `PERIPETY_STORM_REQUESTS` sixteen disks, twenty kills and five overflows
/// of four seconds each.
fn many_disks(machine: &Machine) -> Result<()> {
    let is_long = std::env::var_os("PERIPETY_STORM_REQUESTS").is_some();
    let (disks, kills, overflows, stopped) = if is_long { (16, 20, 5, 4_000) } else { (4, 3, 2, 300) };
    let requests = requests(100_000)? / disks;
    let _journald = Journald::start()?;
    let mut daemon = Daemon::start(machine, SMALL_RING)?;
    let disks: Vec<_> = (0..disks).map(|_| disk_for(machine, requests)).collect::<Result<_>>()?;
    let mut hits = Hits::count(machine)?;
    let since = Timestamp::now();
    let mut before = Vec::new();
    for failing in &disks {
        before.push(failing.disk.completed()?.0);
        failing.fail()?;
    }
    let enough = AtomicBool::new(false);
    let failed: Vec<u64> = thread::scope(|scope| -> Result<_> {
        let storms: Vec<_> = disks
            .iter()
            .map(|failing| scope.spawn(|| storm_until(&enough, &failing.disk, requests)))
            .collect();
        let mut disturb = || -> Result<()> {
            let mut done = (0, 0);
            while done < (kills, overflows) {
                thread::sleep(Duration::from_millis(200));
                if done.1 * kills < done.0 * overflows {
                    daemon.signal(Signal::STOP)?;
                    thread::sleep(Duration::from_millis(stopped));
                    daemon.signal(Signal::CONT)?;
                    done.1 += 1;
                } else {
                    daemon.signal(Signal::KILL)?;
                    daemon.wait(Duration::from_secs(20))?;
                    daemon = Daemon::start(machine, SMALL_RING)?;
                    done.0 += 1;
                }
            }
            Ok(())
        };
        let disturbed = disturb();
        enough.store(true, Ordering::Relaxed);
        let failed = storms.into_iter().map(|storm| storm.join().map_err(|_| anyhow!("fio panicked"))?);
        let failed = failed.collect::<Result<_>>()?;
        disturbed.map(|()| failed)
    })?;
    let unseen = hits.unseen()?;
    let mut counts = 0;
    for ((failing, failed), before) in disks.iter().zip(&failed).zip(&before) {
        let submitted = failing.disk.completed()?.0 - before;
        // Of which disk a failure was that the kernel ran no program for is an estimate.
        let reported = exactly(&failing.disk.name, since, failed.saturating_sub(unseen), submitted + unseen)?;
        counts += counted(&reported);
    }
    let failed: u64 = failed.iter().sum();
    ensure!(counts + unseen >= failed, "{failed} failed, {unseen} unseen, {counts} are counted");
    if counts < failed {
        // What perf counted of them goes with the daemon that is killed; that it is not known is said.
        let stats = prpt::run(machine, &["stats"])?;
        ensure!(stats.stdout.contains("Not known: whether"), "{counts} of {failed}, and {}", stats.stdout);
    }
    nothing_is_forgotten(machine)
}

fn whole(events: &[Event], failed: u64, submitted: u64) -> Result<()> {
    let count = counted(events);
    ensure!(
        (failed..=submitted.max(failed) + OTHERS).contains(&count),
        "fio saw {failed} fail, the kernel completed {submitted}, {count} are counted: {}",
        events::reported(events)
    );
    Ok(())
}

/// Whether each failure was counted for its device.
fn nothing_is_forgotten(machine: &Machine) -> Result<()> {
    let stats = prpt::json(machine, &["stats", "-J"])?;
    let totals =
        stats.first().and_then(|stats| stats.get("loss_totals")?.as_array()).context("no loss totals")?;
    let forgotten = totals.iter().find(|row| {
        row.get("reason").is_some_and(|r| r.as_str().is_some_and(|reason| reason.contains("forgotten")))
    });
    ensure!(forgotten.is_none(), "{forgotten:?}");
    Ok(())
}

fn restarted(machine: &Machine, signal: Signal) -> Result<()> {
    let requests = requests(60_000)?;
    let _journald = Journald::start()?;
    let mut daemon = Daemon::start(machine, "")?;
    let failing = disk_for(machine, requests)?;
    let since = Timestamp::now();
    failing.fail()?;
    let (before, _) = failing.disk.completed()?;
    let mut hits = Hits::count(machine)?;
    let enough = AtomicBool::new(false);
    let failed = thread::scope(|scope| -> Result<u64> {
        let storm = scope.spawn(|| storm_until(&enough, &failing.disk, requests));
        let mut disturb = || -> Result<()> {
            let mut ends = 0;
            while !storm.is_finished() {
                thread::sleep(Duration::from_millis(150 + 70 * (ends % 5)));
                daemon.signal(signal)?;
                daemon.wait(Duration::from_secs(20))?;
                daemon = Daemon::start(machine, "")?;
                ends += 1;
                enough.store(ends > 1, Ordering::Relaxed);
            }
            Ok(())
        };
        let disturbed = disturb();
        enough.store(true, Ordering::Relaxed);
        let failed = storm.join().map_err(|_| anyhow!("fio panicked"))??;
        disturbed.map(|()| failed)
    })?;
    let submitted = failing.disk.completed()?.0 - before;
    // What the kernel runs no program for is known while a daemon runs, and at no other time.
    let unseen = hits.unseen()?;
    let reported = exactly(&failing.disk.name, since, failed - unseen, submitted)?;
    ensure!(reported.len() == 1, "a storm is one event: {}", events::reported(&reported));
    let missing = missing_details(&reported);
    ensure!(missing <= unseen, "{unseen} were not seen: {}", events::reported(&reported));
    Ok(())
}

/// Text and records of the meantime wait for the next daemon, and are about the same failures.
fn without_daemon(machine: &Machine) -> Result<()> {
    const REQUESTS: u64 = 5_000;
    let _journald = Journald::start()?;
    let mut daemon = Daemon::start(machine, "")?;
    let failing = FailingDisk::new(machine, 256)?;
    let since = Timestamp::now();
    let mut hits = Hits::count(machine)?;
    failing.fail()?;
    daemon.signal(Signal::TERM)?;
    daemon.wait(Duration::from_secs(20))?;
    let (before, _) = failing.disk.completed()?;
    fio::failed_requests(&failing.disk, "randread", REQUESTS)?;
    let submitted = failing.disk.completed()?.0 - before;
    // Long enough for what comes next to be another failure: the daemon looks at the disks when it starts.
    thread::sleep(Duration::from_secs(7));
    let _daemon = Daemon::start(machine, "")?;
    let unseen = hits.unseen()?;
    let reported = exactly(&failing.disk.name, since, REQUESTS - unseen, submitted)?;
    let seen = |e: &Event| e.sources.iter().any(|source| source.starts_with("ebpf:"));
    ensure!(reported.iter().all(seen), "text was taken for another failure: {}", events::reported(&reported));
    let storms = reported.iter().filter(|e| e.count > OTHERS).count();
    ensure!(storms == 1, "a storm is one event: {}", events::reported(&reported));
    Ok(())
}

fn without_journald(machine: &Machine) -> Result<()> {
    let requests = requests(60_000)? / 3;
    let journald = Journald::start()?;
    let mut daemon = Daemon::start(machine, "")?;
    let failing = disk_for(machine, requests)?;
    let since = Timestamp::now();
    failing.fail()?;
    let (before, _) = failing.disk.completed()?;
    fio::failed_requests(&failing.disk, "randread", requests)?;
    journald.stop();
    fio::failed_requests(&failing.disk, "randread", requests)?;
    thread::sleep(Duration::from_secs(10));
    // What waits is not lost with the daemon.
    daemon.signal(Signal::KILL)?;
    daemon.wait(Duration::from_secs(10))?;
    let _daemon = Daemon::start(machine, "")?;
    fio::failed_requests(&failing.disk, "randread", requests)?;
    let submitted = failing.disk.completed()?.0 - before;
    let _journald = Journald::start()?;
    exactly(&failing.disk.name, since, 3 * requests, submitted)?;
    Ok(())
}

/// Waits until the journal has events about a disk that count each failure once, each revision once and in order.
pub fn exactly(disk: &str, since: Timestamp, failed: u64, submitted: u64) -> Result<Vec<Event>> {
    cmd::wait_for("exact counts in the journal", events::SOON, || {
        let mut all = Vec::new();
        for entry in journald::entries(&["IS_PERIPETY=TRUE"])? {
            let json = entry.get("JSON").and_then(|json| json.as_str()).context("an entry without JSON")?;
            all.push(serde_json::from_str::<Event>(json)?);
        }
        all.retain(|event| {
            let read = event.io.as_ref().is_some_and(|io| io.op == Op::Read);
            read && events::about(event, disk) && event.first_timestamp >= since
        });
        let mut revisions: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        for event in &all {
            revisions.entry(event.event_id).or_default().push(event.revision);
        }
        for (id, seen) in revisions {
            let whole: Vec<u32> = (0..).take(seen.len()).collect();
            ensure!(seen == whole, "{id} was written as {seen:?} of {}", events::reported(&all));
        }
        let latest = events::latest(all);
        let count = counted(&latest);
        // Others read a new disk, too; some of these reads are quiet, and some were under way before it was counted.
        ensure!(
            (failed..=submitted.max(failed) + OTHERS).contains(&count),
            "fio saw {failed} fail, the kernel completed {submitted}, {count} are counted: {}",
            events::reported(&latest)
        );
        ensure!(latest.iter().all(|event| event.is_final), "not final: {}", events::reported(&latest));
        if std::env::var_os("PERIPETY_STORM_REQUESTS").is_some() {
            say(&format!(
                "fio: {failed} failed; the kernel: {submitted} completed; the journal: {}",
                events::reported(&latest)
            ));
        }
        Ok(latest)
    })
}

#[expect(clippy::print_stderr, reason = "who asks for a storm of his own size wants to see the figures")]
fn say(figures: &str) {
    eprintln!("{figures}");
}
