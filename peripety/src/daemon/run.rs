//! The event loop: records in, engine in the middle, events out.

use std::{future, time::Duration};

use anyhow::Context as _;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep_until},
};

use self::{persistence::Persistence, pipeline::Pipeline, service::Service, watchdog::Watchdog};
use super::{
    args::Args,
    clock,
    kept::Kept,
    outputs::Outputs,
    sandbox::{Entered, Sandbox},
    socket_handler::Asked,
    sources::{Ready, Sources},
};
use crate::{
    config::Config,
    record::{Body, Record},
    roots::Roots,
};

mod commit;
mod devices;
mod ingest;
mod look;
mod metrics;
mod persistence;
mod pipeline;
mod report;
mod service;
mod slice;
mod snapshots;
mod start;
mod watchdog;

/// How long the kernel's log is read at the start: it is a ring of some MiB at most, unless somebody writes to it all the
/// time.
const READING_AT_START: Duration = Duration::from_secs(10);
/// How long the ring is read at the end: a storm may never let it run empty.
const READING_AT_END: Duration = Duration::from_secs(1);
/// How long after activity the slow chores (losses, state file) are done; without activity they are not done at all, so
/// that an idle daemon never wakes up (promise 5).
const CHORES_AFTER_NS: u64 = 1_000_000_000;

/// How long the recording may take at the end.
const RECORDING_PATIENCE: Duration = Duration::from_secs(2);

/// Runs the daemon until a signal ends it.
///
/// # Errors
/// When nothing can be seen at all, or another daemon runs.
pub(super) async fn run(args: Args, entered: Entered) -> anyhow::Result<()> {
    let mut daemon = Daemon::start(&args, entered)?;
    let result = daemon.serve().await;
    daemon.stop(matches!(result, Ok(true)));
    result.map(drop)
}

/// The daemon's parts. Each has its own state and constructor; what needs several of them is a method here.
struct Daemon {
    roots: Roots,
    config: Config,
    sandbox: Sandbox,
    sources: Sources,
    pipeline: Pipeline,
    persistence: Persistence,
    kept: Kept,
    outputs: Outputs,
    service: Service,
    chores_at: Option<u64>,
}

/// Why the loop goes on.
enum Wake {
    /// Whether a successor is expected: an interrupt is of a human who wants it to be over.
    Stop {
        for_good: bool,
    },
    Reload,
    Watchdog,
    Source(Ready),
    Asked(Asked),
    Looked(look::Seen),
    RuntimeDirectory,
    Deadline,
}

impl Daemon {
    /// Until a signal ends it. Whether that is for good.
    async fn serve(&mut self) -> anyhow::Result<bool> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut reload = signal(SignalKind::hangup())?;
        self.service.start(&self.outputs, self.sources.probes.as_ref(), &self.pipeline.cache);
        notify_systemd(&[sd_notify::NotifyState::Ready]);
        let mut watchdog = Watchdog::new();
        loop {
            let wake = self.wait(&mut terminate, &mut interrupt, &mut reload, &mut watchdog).await?;
            let is_of_source = !matches!(wake, Wake::Deadline | Wake::Watchdog | Wake::RuntimeDirectory);
            match wake {
                Wake::Stop { for_good } => return Ok(for_good),
                Wake::Reload => self.reload(),
                Wake::Watchdog => {}
                Wake::Source(ready) => self.take_ready(ready),
                Wake::Asked(asked) => self.take_asked(asked),
                Wake::Looked(new) => self.take_look(new),
                Wake::RuntimeDirectory => self.persistence.runtime.try_soon(clock::monotonic_ns()),
                Wake::Deadline => {
                    let read_ns = self.take_until_now();
                    self.wake(read_ns);
                }
            }
            if is_of_source {
                self.visit()?;
            }
            self.put_out();
            watchdog.lives();
            // What is always ready must not keep signals and timers from being noticed.
            tokio::task::yield_now().await;
        }
    }

    /// What a source woke the loop for, beside the visit that follows.
    fn take_ready(&mut self, ready: Ready) {
        match ready {
            Ready::Uevents | Ready::Ring => {}
            Ready::Mounts => self.sources.mount_readings.changed(),
            Ready::MountsDue => self.sources.mount_readings.go_on(&self.pipeline.cache),
            Ready::Kmsg => self.plan_chores(),
            Ready::Attached(addition) => self.take_probes(addition),
            Ready::Programs(records) => self.take_programs(&records),
            Ready::Watcher(received) => self.take_reports(received),
        }
    }

    /// A slice of each source, for one that never runs empty must not keep the others waiting. Devices come first: an
    /// event wants to know them.
    fn visit(&mut self) -> anyhow::Result<()> {
        self.take_uevents().context("reading uevents")?;
        self.sources.mount_readings.go_on(&self.pipeline.cache);
        let read_ns = self.take_until_now();
        if self.next_deadline().is_some_and(|at| at <= clock::monotonic_ns()) {
            self.wake(read_ns);
        }
        Ok(())
    }

    /// Takes a slice of ring and text. Up to which time all is taken, if that is known: what comes while this daemon reads may be
    /// what a line waits for, and on a busy machine it reads for long.
    fn take_until_now(&mut self) -> Option<u64> {
        let now_ns = clock::monotonic_ns();
        self.take().then_some(now_ns)
    }

    /// Waits for one thing. Devices come first: an event wants to know them.
    async fn wait(
        &mut self,
        terminate: &mut Signal,
        interrupt: &mut Signal,
        reload: &mut Signal,
        watchdog: &mut Watchdog,
    ) -> anyhow::Result<Wake> {
        let deadline = self.next_deadline();
        let Self { sources, persistence, service, .. } = self;
        Ok(tokio::select! {
            biased;
            _ = terminate.recv() => Wake::Stop { for_good: false },
            _ = interrupt.recv() => Wake::Stop { for_good: true },
            _ = reload.recv() => Wake::Reload,
            () = watchdog.due() => Wake::Watchdog,
            ready = sources.wait() => Wake::Source(ready?),
            Some(asked) = service.questions.1.recv() => Wake::Asked(asked),
            Some(new) = service.looked.1.recv() => Wake::Looked(new),
            () = persistence.runtime.changed() => Wake::RuntimeDirectory,
            () = sleep_to(deadline) => Wake::Deadline,
        })
    }

    fn next_deadline(&self) -> Option<u64> {
        [
            self.pipeline.engine.next_deadline_ns(),
            self.chores_at,
            self.service.looks.next_deadline_ns(),
            self.sources.nvme_paths.next_deadline_ns(),
            self.persistence.runtime.retry_at(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due; the engine's part of it up to the time until which it has all records.
    fn wake(&mut self, read_ns: Option<u64>) {
        let now = clock::monotonic_ns();
        if let Some(read_ns) = read_ns {
            self.pipeline.tick(read_ns);
        }
        if self.chores_at.is_some_and(|at| at <= now) {
            self.chores_at = None;
            self.chores(false);
            self.plan_look();
        }
        self.look_when_due();
        if self.sources.nvme_paths.is_due(now) {
            self.pipeline.cache.reread_nvme(now, Duration::ZERO);
        }
        if self.persistence.runtime.retry_at().is_some_and(|at| at <= now) {
            self.repair();
        }
    }

    fn plan_chores(&mut self) {
        self.plan_chores_after(CHORES_AFTER_NS);
    }

    fn plan_chores_after(&mut self, after_ns: u64) {
        let at = clock::monotonic_ns() + after_ns;
        self.chores_at = Some(self.chores_at.map_or(at, |planned| planned.min(at)));
    }

    /// What is done a second after something happened: ask the kernel for what the ring could not take, say what the
    /// notifiers lost, remember how far the log is read. `last` when it is not done again, and the probes end.
    fn chores(&mut self, last: bool) {
        let now = clock::now();
        let mut records = Vec::new();
        if let Some(probes) = &self.sources.probes {
            self.sources.losses.ask(&mut probes.lock(), now, last, &mut records);
        }
        records.extend(
            self.outputs.take_lost().into_iter().map(|lost| Record { time: now, body: Body::Lost(lost) }),
        );
        for record in &records {
            self.pipeline.push(record);
        }
        self.tell_unrecorded();
        self.persistence.note_files(&self.outputs);
        if let Some(after_ns) = self.sources.losses.wants_another_look() {
            self.plan_chores_after(after_ns);
        }
        self.kept.write(self.pipeline.engine.incidents());
        self.refresh_snapshot();
    }
}

async fn sleep_to(deadline_ns: Option<u64>) {
    match deadline_ns {
        Some(deadline) => {
            let left = deadline.saturating_sub(clock::monotonic_ns());
            sleep_until(Instant::now() + Duration::from_nanos(left)).await;
        }
        None => future::pending().await,
    }
}

fn notify_systemd(states: &[sd_notify::NotifyState<'_>]) {
    // Without systemd there is nobody to report.
    let _no_systemd = sd_notify::notify(states);
}
