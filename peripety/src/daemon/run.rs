//! The event loop: records in, engine in the middle, events out.

use std::{
    future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use serde_json::json;
use tokio::{
    io::unix::AsyncFd,
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep_until},
};

use super::{
    answers::{self, Snapshot},
    args::Args,
    attach::Attacher,
    clock::{self, stamp_of},
    config::{Config, ConfigErrors},
    host::Host,
    ledger::Ledger,
    logbook::{Commit, Logbook},
    outputs::Outputs,
    own,
    programs::Programs,
    sources::{Probes, log_verdicts, open_kmsg, open_mounts, open_uevents, readable},
};
use crate::{
    block::BlkCache,
    collector::{
        clock::ClockOffset,
        ebpf::{Addition, Ebpf, Options},
        kmsg::{KmsgItem, KmsgReader},
        mount_watch::MountWatch,
        uevent::{Received, UeventMonitor},
        wait::drained,
    },
    correlate::LiveSources,
    engine::Settings,
    event::{Event, EventType},
    notifier::socket::Server,
    record::{Body, Record, Stamp, Uevent},
    recording::RecordedEngine,
    roots::Roots,
};

mod losses;

pub(super) use losses::Told;

/// Records of one source that are taken in a row, so that the others get their turn.
const BATCH: usize = 4096;
/// Visits to the kernel's log at the start: it is a ring of some MiB at most, unless somebody writes to it all the time.
const VISITS_AT_START: usize = 64;
/// Visits to the ring at the end: a storm may never let it run empty.
const VISITS_AT_END: usize = 256;
/// How long after activity the slow chores (losses, state file) are done; without activity they are not done at all, so
/// that an idle daemon never wakes up (promise 5).
const CHORES_AFTER_NS: u64 = 1_000_000_000;

/// How long the recording may take at the end.
const RECORDING_PATIENCE: Duration = Duration::from_secs(2);

/// Runs the daemon until a signal ends it.
///
/// # Errors
/// When nothing can be seen at all, or another daemon runs.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let mut daemon = Daemon::start(&args)?;
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
    kmsg_clock: ClockOffset,
    losses: losses::Losses,
    logbook: Logbook,
    ledger: Ledger,
    /// Something was read, or told, since the last commit.
    news: bool,
    snapshot: Arc<Mutex<Snapshot>>,
    server: Option<Server>,
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
    Uevents(Vec<Received>),
    Mounts,
    Ring,
    Kmsg,
    Attached(Option<Addition>),
    Programs(Vec<Record>),
    Deadline,
}

impl Daemon {
    fn start(args: &Args) -> anyhow::Result<Self> {
        let roots = args.roots();
        if let Some(file) = &args.config {
            std::fs::metadata(file)
                .with_context(|| format!("cannot read the configuration {}", file.display()))?;
        }
        let server = Server::bind(&roots)?;
        let host = Host::read(&roots);
        let (config, rejected) = match Config::load(&roots) {
            Ok(config) => (config, None),
            Err(errors) => (Config::default(), Some(errors)),
        };
        let (logbook, left) = Logbook::open(&roots.runtime, &host.boot_id);
        let (left, open) = left.map(|left| (left.commit, left.open)).unzip();
        let left = left.unwrap_or_default();
        let mut outputs = Outputs::new(&roots, args.stdout, &config.main, left.spooled);
        outputs.apply(&config.main);

        // Devices before probes: the first failure shall find its device known.
        let uevents = open_uevents(&roots);
        let mounts = open_mounts(&roots);
        let cache = BlkCache::scan(&roots)?;
        let mut live_since_ns = clock::monotonic_ns();
        let probes = (!args.no_ebpf).then(|| {
            let mut ebpf = Ebpf::load(&roots, ebpf_options(args, &config));
            log_verdicts(&ebpf);
            if ebpf.resume(&left.rings) {
                live_since_ns = left.live_since_ns.unwrap_or(live_since_ns);
            }
            Probes::new(ebpf)
        });
        let kmsg = open_kmsg(&roots, left.kmsg_seq);
        let attached = probes.as_ref().map_or(0, |p| p.lock().attached().count());
        if attached == 0 && kmsg.is_none() {
            anyhow::bail!(
                "nothing can be seen: no probe is attached and kernel text cannot be read; start it as root"
            );
        }

        let settings = Settings {
            boot_id: host.boot_id.clone(),
            hostname: host.hostname.clone(),
            live: LiveSources::text_only(),
        };
        let programs = Programs::start(left.journal_cursor, &host.boot_id, config.rules());
        let mut engine = RecordedEngine::new(settings, &config.rules(), args.record.as_deref())
            .context("cannot start recording")?;
        if let Some(open) = open {
            engine.restore(open);
        }
        let mut this = Self {
            roots,
            host,
            config,
            engine,
            cache,
            outputs,
            probes,
            attacher: Attacher::default(),
            kmsg,
            uevents,
            programs,
            mounts,
            kmsg_clock: ClockOffset::new(),
            losses: left.losses.map(losses::Losses::restore).unwrap_or_default(),
            logbook,
            ledger: Ledger::default(),
            news: true,
            snapshot: Arc::default(),
            server: Some(server),
            chores_at: None,
            live_since_ns,
            events: Vec::new(),
        };
        this.tell_live_sources();
        this.say(EventType::PERIPETY_STARTED, format!("peripetyd {} started", env!("CARGO_PKG_VERSION")));
        if let Some(errors) = rejected {
            this.reject(&errors, "built-in rules and defaults are in force");
        }
        if this.config.main.dump_blk_info_at_start {
            let now = clock::now();
            for block in this.cache.all() {
                this.send_own(own::blk_info(&this.host, block, now));
            }
        }
        this.put_out();
        this.read_history();
        this.refresh_snapshot();
        Ok(this)
    }

    /// Reads what the kernel has said until now, before the ring: text of the past is not to be mixed with what fails now.
    fn read_history(&mut self) {
        for _visit in 0..VISITS_AT_START {
            self.take_kmsg();
            if !self.news {
                break;
            }
            self.put_out();
        }
    }

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
                socket: server.counters(),
            };
            tokio::spawn(server.run(self.outputs.memory(), Arc::new(answers)));
        }
        notify_systemd(&[sd_notify::NotifyState::Ready]);
        let mut watchdog = watchdog_period().map(tokio::time::interval);
        loop {
            match self.wait(&mut terminate, &mut interrupt, &mut reload, watchdog.as_mut()).await? {
                Wake::Stop { for_good } => return Ok(for_good),
                Wake::Reload => self.reload(),
                Wake::Watchdog => notify_systemd(&[sd_notify::NotifyState::Watchdog]),
                Wake::Uevents(received) => self.take_uevents(received),
                Wake::Mounts => self.cache.refresh_mounts(),
                Wake::Ring => {
                    self.take_ring();
                    // A storm may keep the ring from ever running empty.
                    self.take_kmsg();
                }
                Wake::Kmsg => self.take_kmsg(),
                Wake::Attached(addition) => self.take_probes(addition),
                Wake::Programs(records) => self.take_programs(&records),
                Wake::Deadline => self.wake(),
            }
            self.put_out();
        }
    }

    /// Waits for one thing. Devices come first: an event wants to know them.
    async fn wait(
        &mut self,
        terminate: &mut Signal,
        interrupt: &mut Signal,
        reload: &mut Signal,
        watchdog: Option<&mut tokio::time::Interval>,
    ) -> anyhow::Result<Wake> {
        let deadline = self.next_deadline();
        let Self { uevents, mounts, probes, attacher, kmsg, programs, .. } = self;
        Ok(tokio::select! {
            biased;
            _ = terminate.recv() => Wake::Stop { for_good: false },
            _ = interrupt.recv() => Wake::Stop { for_good: true },
            _ = reload.recv() => Wake::Reload,
            () = ticks(watchdog) => Wake::Watchdog,
            received = async { match uevents { Some(u) => u.recv().await, None => future::pending().await } } => {
                Wake::Uevents(received.context("waiting for uevents")?)
            }
            changed = async { match mounts { Some(m) => m.changed().await, None => future::pending().await } } => {
                changed.context("waiting for changes of mounts")?;
                Wake::Mounts
            }
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
            () = sleep_to(deadline) => Wake::Deadline,
        })
    }

    fn next_deadline(&self) -> Option<u64> {
        [self.engine.next_deadline_ns(), self.chores_at].into_iter().flatten().min()
    }

    fn wake(&mut self) {
        let now = clock::monotonic_ns();
        self.engine.tick(now, &self.cache, &mut self.events);
        if self.chores_at.is_some_and(|at| at <= now) {
            self.chores_at = None;
            self.chores();
        }
    }

    fn push(&mut self, record: &Record) {
        self.news = true;
        self.engine.push(record, &self.cache, &mut self.events);
    }

    fn take_ring(&mut self) {
        let Some(probes) = self.probes.clone() else { return };
        let now = clock::now();
        let (engine, cache, events, losses, news) =
            (&mut self.engine, &self.cache, &mut self.events, &mut self.losses, &mut self.news);
        probes.lock().drain(BATCH, |kernel| {
            *news = true;
            losses.note(&kernel);
            let time = stamp_of(kernel.header.mono_ns, now);
            engine.push(&Record { time, body: Body::Kernel(kernel) }, cache, events);
        });
        self.plan_chores();
    }

    fn take_kmsg(&mut self) {
        let now = clock::now();
        for _ in 0..BATCH {
            let Some(kmsg) = &mut self.kmsg else { return };
            let item = match kmsg.get_mut().next() {
                Ok(Some(item)) => item,
                Ok(None) => {
                    drained(kmsg);
                    break;
                }
                Err(error) => {
                    tracing::error!("{error}; kernel text is no longer read");
                    self.kmsg = None;
                    return;
                }
            };
            let record = match item {
                KmsgItem::Record(kmsg) => {
                    if let Some(mono_ns) = self.losses.time_of_text(&kmsg.log.text) {
                        self.kmsg_clock.add_pair(kmsg.usec, mono_ns);
                    }
                    Record { time: self.kmsg_clock.stamp(kmsg.usec, now), body: Body::Log(kmsg.log) }
                }
                KmsgItem::Lost(lost) => Record { time: now, body: Body::Lost(lost) },
            };
            self.push(&record);
        }
        self.plan_chores();
    }

    fn take_programs(&mut self, records: &[Record]) {
        for record in records {
            self.push(record);
        }
        self.plan_chores();
    }

    fn take_uevents(&mut self, received: Vec<Received>) {
        for received in received {
            let now = clock::now();
            let now_ns = now.monotonic_ns.unwrap_or_default();
            match received {
                Received::Event(uevent) => {
                    self.attacher.note(&uevent);
                    self.take_uevent(uevent, now, now_ns);
                }
                Received::Lost(lost) => {
                    // What was missed may be anything: look at all devices again.
                    if let Err(error) = self.cache.rescan(now_ns) {
                        tracing::error!("{error}");
                    }
                    self.attacher.note_anything();
                    self.push(&Record { time: now, body: Body::Lost(lost) });
                }
            }
        }
        self.attacher.go_on(self.probes.as_ref());
    }

    /// A device that goes is told before it is forgotten, one that comes after it is known.
    fn take_uevent(&mut self, uevent: Uevent, now: Stamp, now_ns: u64) {
        if uevent.action != "remove" {
            self.cache.apply_uevent(&uevent, now_ns);
        }
        // udev repeats what the kernel said, with what its rules found out: of use to the cache only.
        let record = Record { time: now, body: Body::Uevent(uevent) };
        let Body::Uevent(uevent) = &record.body else { return };
        if !uevent.udev {
            self.push(&record);
        }
        if uevent.action == "remove" {
            self.cache.apply_uevent(uevent, now_ns);
        }
    }

    /// The probes of drivers that were loaded.
    fn take_probes(&mut self, addition: Option<Addition>) {
        if let (Some(probes), Some(addition)) = (&self.probes, addition)
            && probes.lock().add(addition)
        {
            log_verdicts(&probes.lock());
            self.tell_live_sources();
        }
        self.attacher.go_on(self.probes.as_ref());
    }

    fn tell_live_sources(&mut self) {
        let attached: Vec<_> =
            self.probes.iter().flat_map(|p| p.lock().attached().collect::<Vec<_>>()).collect();
        let mut live = if attached.is_empty() {
            LiveSources::text_only()
        } else {
            LiveSources::with_probes(attached, self.live_since_ns)
        };
        if self.kmsg.is_none() {
            live = live.without_text();
        }
        self.engine.set_live_sources(live);
    }

    fn plan_chores(&mut self) {
        if self.chores_at.is_none() {
            self.chores_at = Some(clock::monotonic_ns() + CHORES_AFTER_NS);
        }
    }

    /// What is done a second after something happened: ask the kernel for what the ring could not take, tell what the
    /// notifiers lost, remember how far the log is read.
    fn chores(&mut self) {
        let now = clock::now();
        let mut records = Vec::new();
        if let Some(probes) = &self.probes {
            self.losses.ask(&mut probes.lock(), now, &mut records);
        }
        records.extend(
            self.outputs.take_lost().into_iter().map(|lost| Record { time: now, body: Body::Lost(lost) }),
        );
        for record in &records {
            self.push(record);
        }
        self.tell_unrecorded();
        if self.losses.wants_another_look() {
            self.plan_chores();
        }
        self.refresh_snapshot();
    }

    /// Entries that the recording lacks: no event lacks anything, but a replay will (promise 1).
    fn tell_unrecorded(&mut self) {
        let Some((file, lost)) =
            self.engine.recorder().and_then(|r| Some((r.path().display().to_string(), r.take_lost()?)))
        else {
            return;
        };
        let (count, why) = lost;
        let msg = format!("{count} records are missing in the recording {file}: {why}");
        let mut event = own::event(&self.host, EventType::PERIPETY_EVENTS_LOST, msg, clock::now());
        event.count = count;
        for (key, value) in [("source", "recording".to_owned()), ("reason", why), ("file", file)] {
            event.extension.insert(key.to_owned(), json!(value));
        }
        self.send_own(event);
    }

    /// Lets events out, in three steps (promise 1): they and what is open are written down; the sources get their room
    /// back; the events go out. A daemon that is killed at any moment has done each of them or will find it to be done.
    fn put_out(&mut self) {
        if !self.events.is_empty() {
            self.news = true;
            self.plan_chores();
        }
        if !std::mem::take(&mut self.news) {
            // A visit to the ring that brought nothing: its readiness is still to be looked at.
            if let Some(probes) = &self.probes {
                probes.lock().commit();
            }
            return;
        }
        for event in &self.events {
            self.ledger.note(event);
        }
        let events: Vec<Arc<Event>> = self.events.drain(..).map(Arc::new).collect();
        let spooled = self.outputs.write_down(&events);
        self.write_logbook(spooled);
        if let Some(probes) = &self.probes {
            probes.lock().commit();
        }
        self.outputs.send(events);
    }

    fn write_logbook(&mut self, spooled: Option<u64>) {
        let all = self.logbook.wants_all();
        let logbook = &mut self.logbook;
        if let Err(error) = self.engine.save(all, |note| logbook.note(&note)) {
            tracing::error!(%error, "an open event cannot be noted");
        }
        let commit = Commit {
            kmsg_seq: self.kmsg.as_ref().and_then(|kmsg| kmsg.get_ref().last_seq()),
            rings: self.probes.as_ref().map(|probes| probes.lock().ring_states(all)).unwrap_or_default(),
            spooled,
            live_since_ns: Some(self.live_since_ns),
            journal_cursor: self.programs.cursor(all),
            losses: self.losses.save(all),
        };
        self.logbook.commit(&commit);
    }

    fn reload(&mut self) {
        let now_us = i128::from(clock::monotonic_ns() / 1000);
        notify_systemd(&[sd_notify::NotifyState::Reloading, sd_notify::NotifyState::MonotonicUsec(now_us)]);
        match Config::load(&self.roots) {
            Ok(config) => {
                self.programs.set_rules(config.rules());
                self.engine.set_rules(&config.rules());
                self.outputs.apply(&config.main);
                self.config = config;
                let count = self.config.rules().len();
                self.say(
                    EventType::PERIPETY_CONFIG_RELOADED,
                    format!("configuration reloaded, {count} rules of yours"),
                );
            }
            Err(errors) => self.reject(&errors, "the configuration before it stays in force"),
        }
        self.refresh_snapshot();
        notify_systemd(&[sd_notify::NotifyState::Ready]);
    }

    fn reject(&mut self, errors: &ConfigErrors, instead: &str) {
        for error in errors.iter() {
            tracing::error!("{error}");
        }
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let first = all.first().cloned().unwrap_or_default();
        let more = if all.len() > 1 { format!(" (and {} more)", all.len() - 1) } else { String::new() };
        let mut event = own::event(
            &self.host,
            EventType::PERIPETY_CONFIG_REJECTED,
            format!("configuration refused, {instead}: {first}{more}"),
            clock::now(),
        );
        event.extension.insert("errors".to_owned(), json!(all));
        self.send_own(event);
    }

    fn say(&mut self, event_type: EventType, msg: String) {
        tracing::info!("{msg}");
        self.send_own(own::event(&self.host, event_type, msg, clock::now()));
    }

    /// What the daemon says by itself, past the engine.
    fn send_own(&mut self, event: Event) {
        self.engine.said(&event);
        self.events.push(event);
    }

    fn refresh_snapshot(&self) {
        let mut stats = self.outputs.stats();
        if let serde_json::Value::Object(all) = &mut stats {
            all.insert("ledger".to_owned(), self.ledger.to_json());
            all.insert("journal".to_owned(), self.programs.stats());
            if let Some(recorder) = self.engine.recorder() {
                let (file, trouble) = (recorder.path(), recorder.trouble());
                let recording = json!({ "file": file, "counters": recorder.counters(), "trouble": trouble });
                all.insert("recording".to_owned(), recording);
            }
            if let Some(kmsg) = &self.kmsg {
                let kmsg = kmsg.get_ref();
                all.insert(
                    "kmsg".to_owned(),
                    json!({ "last_seq": kmsg.last_seq(), "written_by_processes": kmsg.foreign(), "malformed": kmsg.malformed() }),
                );
            }
        }
        let config = json!({
            "files": self.config.files,
            "rules": self.config.rules().len(),
            "save_to_journald": self.outputs.saves_to_journald(),
        });
        let mut snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        *snapshot = Snapshot { stats, config };
    }

    /// Lets out what there is. What is open is closed, unless a successor is to go on with it: the probes see on meanwhile.
    fn stop(mut self, for_good: bool) {
        notify_systemd(&[sd_notify::NotifyState::Stopping]);
        self.programs.end();
        let sees_on = self.probes.as_ref().is_some_and(|probes| {
            let mut probes = probes.lock();
            if for_good {
                probes.detach();
            }
            !for_good && probes.attached().next().is_some() && probes.unpinned().is_none()
        });
        for _visit in 0..VISITS_AT_END {
            self.take_ring();
            if !self.news {
                break;
            }
            self.put_out();
        }
        self.take_kmsg();
        self.chores();
        let mut msg = "peripetyd stopped".to_owned();
        if sees_on {
            msg.push_str("; its probes stay attached for the next one (peripetyd --detach removes them)");
        } else {
            self.engine.finish(&self.cache, &mut self.events);
        }
        self.say(EventType::PERIPETY_STOPPED, msg);
        self.engine.close(RECORDING_PATIENCE);
        self.put_out();
        self.outputs.close();
    }
}

fn ebpf_options(args: &Args, config: &Config) -> Options {
    let off = peripety_common::Kind::ALL
        .iter()
        .filter(|kind| !config.probe_enabled(kind.name()))
        .map(|kind| (*kind, "the configuration says so".to_owned()))
        .collect();
    Options {
        ring_bytes: config.main.ring_size_kib.saturating_mul(1024),
        off,
        verbose: args.verbose,
        only_classic: args.only_classic,
        pin: config.main.keep_probes,
    }
}

async fn ticks(watchdog: Option<&mut tokio::time::Interval>) {
    match watchdog {
        Some(watchdog) => {
            watchdog.tick().await;
        }
        None => future::pending().await,
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

/// Half of what systemd allows between two signs of life.
fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|allowed| allowed / 2)
}
