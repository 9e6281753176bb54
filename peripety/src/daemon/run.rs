//! The event loop: records in, engine in the middle, events out.

use std::{
    future,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    io::unix::AsyncFd,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    answers::{self, Asked, Snapshot},
    args::Args,
    attach::Attacher,
    clock,
    host::Host,
    ledger::Ledger,
    logbook::Logbook,
    mounts::MountReadings,
    outputs::Outputs,
    programs::Programs,
    runtime::Runtime,
    sandbox::Sandbox,
    sources::{Probes, readable},
};
use crate::{
    block::{BlkCache, Rescan},
    collector::{
        clock::ClockOffset, ebpf::Addition, kmsg::KmsgReader, mount_watch::MountWatch, uevent::UeventMonitor,
    },
    config::Config,
    event::Event,
    notifier::socket::{Listening, Server, Serving},
    record::{Body, Record},
    recording::RecordedEngine,
    roots::Roots,
    state::Condition,
};

mod devices;
mod look;
mod losses;
mod nvme_paths;
mod out;
mod pairing;
mod slice;
mod start;
mod take;
mod tell;
mod watchdog;

pub(super) use losses::Told;
use watchdog::Watchdog;

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
pub(super) async fn run(args: Args, sandbox: Sandbox) -> anyhow::Result<()> {
    let mut daemon = Daemon::start(&args, sandbox)?;
    let result = daemon.serve().await;
    daemon.stop(matches!(result, Ok(true)));
    result.map(drop)
}

struct Daemon {
    roots: Roots,
    host: Host,
    config: Config,
    engine: RecordedEngine,
    cache: BlkCache,
    outputs: Outputs,
    probes: Option<Probes>,
    attacher: Attacher,
    kmsg: Option<AsyncFd<KmsgReader>>,
    uevents: Option<UeventMonitor>,
    programs: Programs,
    mounts: Option<MountWatch>,
    mount_readings: MountReadings,
    /// A look at all devices that is under way.
    rescan: Option<Rescan>,
    rescan_again: bool,
    nvme_paths: nvme_paths::NvmePaths,
    kmsg_clock: ClockOffset,
    pairing: pairing::Pairing,
    losses: losses::Losses,
    logbook: Logbook,
    ledger: Ledger,
    /// Something was read, or told, since the last commit.
    news: bool,
    snapshot: Arc<Mutex<Snapshot>>,
    runtime: Runtime,
    sandbox: Sandbox,
    server: Option<Server>,
    serving: Option<Serving>,
    questions: (mpsc::Sender<Asked>, mpsc::Receiver<Asked>),
    looked: look::Looked,
    looks: look::Looks,
    listen_on: mpsc::UnboundedSender<Listening>,
    chores_at: Option<u64>,
    /// When the probes were attached: older text has no record in the ring.
    live_since_ns: u64,
    events: Vec<Event>,
}

/// Why the loop goes on.
enum Wake {
    /// Whether a successor is expected: an interrupt is of a human who wants it to be over.
    Stop {
        for_good: bool,
    },
    Reload,
    Watchdog,
    Uevents,
    Mounts,
    MountsDue,
    Ring,
    Kmsg,
    Attached(Option<Addition>),
    Programs(Vec<Record>),
    Asked(Asked),
    Looked(Vec<Condition>),
    RuntimeDirectory,
    Deadline,
}

impl Daemon {
    /// Until a signal ends it. Whether that is for good.
    async fn serve(&mut self) -> anyhow::Result<bool> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut reload = signal(SignalKind::hangup())?;
        if let Some(server) = self.server.take() {
            let answers = answers::Daemon {
                probes: self.probes.clone(),
                snapshot: Arc::clone(&self.snapshot),
                status: self.outputs.status(),
                asked: self.questions.0.clone(),
                socket: server.counters(),
            };
            let serving = server.start(self.outputs.memory(), Arc::new(answers));
            self.serving = serving.map_err(|error| tracing::error!("cannot serve the socket: {error}")).ok();
        }
        notify_systemd(&[sd_notify::NotifyState::Ready]);
        let mut watchdog = Watchdog::new();
        loop {
            let wake = self.wait(&mut terminate, &mut interrupt, &mut reload, &mut watchdog).await?;
            let is_of_source = !matches!(wake, Wake::Deadline | Wake::Watchdog | Wake::RuntimeDirectory);
            match wake {
                Wake::Stop { for_good } => return Ok(for_good),
                Wake::Reload => self.reload(),
                Wake::Watchdog | Wake::Uevents | Wake::Ring => {}
                Wake::Mounts => self.mount_readings.changed(),
                Wake::MountsDue => self.mount_readings.go_on(&self.cache),
                Wake::Kmsg => self.plan_chores(),
                Wake::Attached(addition) => self.take_probes(addition),
                Wake::Programs(records) => self.take_programs(&records),
                Wake::Asked(asked) => self.take_asked(asked),
                Wake::Looked(new) => self.take_look(new),
                Wake::RuntimeDirectory => self.runtime.try_soon(clock::monotonic_ns()),
                Wake::Deadline => {
                    // That a line has no record is sure only once the ring is read.
                    let _more = self.take();
                    self.wake();
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

    /// A slice of each source, for one that never runs empty must not keep the others waiting. Devices come first: an
    /// event wants to know them.
    fn visit(&mut self) -> anyhow::Result<()> {
        self.take_uevents().context("reading uevents")?;
        self.mount_readings.go_on(&self.cache);
        let _more = self.take();
        if self.next_deadline().is_some_and(|at| at <= clock::monotonic_ns()) {
            self.wake();
        }
        Ok(())
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
        let Self {
            uevents,
            mounts,
            mount_readings,
            rescan,
            probes,
            attacher,
            kmsg,
            programs,
            runtime,
            questions,
            looked,
            ..
        } = self;
        let rescans = rescan.is_some();
        Ok(tokio::select! {
            biased;
            _ = terminate.recv() => Wake::Stop { for_good: false },
            _ = interrupt.recv() => Wake::Stop { for_good: true },
            _ = reload.recv() => Wake::Reload,
            () = watchdog.due() => Wake::Watchdog,
            received = async { match uevents {
                Some(_) if rescans => Ok(()),
                Some(uevents) => uevents.ready().await,
                None => future::pending().await,
            } } => {
                received.context("waiting for uevents")?;
                Wake::Uevents
            }
            changed = async { match mounts {
                Some(mounts) if !mount_readings.is_wanted() => mounts.changed().await,
                _ => future::pending().await,
            } } => {
                changed.context("waiting for changes of mounts")?;
                Wake::Mounts
            }
            () = mount_readings.due() => Wake::MountsDue,
            ready = async { match probes { Some(p) => p.ready().await, None => future::pending().await } } => {
                ready.context("waiting for the ring")?;
                Wake::Ring
            }
            ready = readable(kmsg.as_ref()) => {
                ready.context("waiting for kernel text")?;
                Wake::Kmsg
            }
            addition = attacher.done() => Wake::Attached(addition),
            records = programs.recv() => Wake::Programs(records),
            Some(asked) = questions.1.recv() => Wake::Asked(asked),
            Some(new) = looked.1.recv() => Wake::Looked(new),
            () = runtime.changed() => Wake::RuntimeDirectory,
            () = sleep_to(deadline) => Wake::Deadline,
        })
    }

    fn next_deadline(&self) -> Option<u64> {
        [
            self.engine.next_deadline_ns(),
            self.chores_at,
            self.looks.next_deadline_ns(),
            self.nvme_paths.next_deadline_ns(),
            self.runtime.retry_at(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn wake(&mut self) {
        let now = clock::monotonic_ns();
        self.engine.tick(now, &self.cache, &mut self.events);
        if self.chores_at.is_some_and(|at| at <= now) {
            self.chores_at = None;
            self.chores(false);
            self.plan_look();
        }
        self.look_when_due();
        if self.nvme_paths.is_due(now) {
            self.cache.reread_nvme(now, Duration::ZERO);
        }
        if self.runtime.retry_at().is_some_and(|at| at <= now) {
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

    /// What is done a second after something happened: ask the kernel for what the ring could not take, tell what the
    /// notifiers lost, remember how far the log is read. `last` when it is not done again, and the probes end.
    fn chores(&mut self, last: bool) {
        let now = clock::now();
        let mut records = Vec::new();
        if let Some(probes) = &self.probes {
            self.losses.ask(&mut probes.lock(), now, last, &mut records);
        }
        records.extend(
            self.outputs.take_lost().into_iter().map(|lost| Record { time: now, body: Body::Lost(lost) }),
        );
        for record in &records {
            self.push(record);
        }
        self.tell_unrecorded();
        self.note_files();
        if let Some(after_ns) = self.losses.wants_another_look() {
            self.plan_chores_after(after_ns);
        }
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
    // Without systemd there is nobody to tell.
    let _no_systemd = sd_notify::notify(states);
}
