//! How the daemon begins: devices first, then probes, then what an earlier daemon had open.

use std::time::Instant;

use anyhow::Context as _;

use super::{
    super::{
        args::Args,
        clock,
        host::Host,
        journal_source::Programs,
        kept::Kept,
        outputs::{Asked, Outputs},
        sandbox::Entered,
        sources::{Losses, Probes, Sources, log_verdicts, open_kmsg, open_mounts, open_uevents},
    },
    Daemon, READING_AT_START,
    persistence::Persistence,
    pipeline::Pipeline,
    service::Service,
};
use crate::{
    block::BlkCache,
    checkpoint::Checkpoint as _,
    collector::{
        ebpf::{Ebpf, Options, SlowLimits},
        uevent::Sockets,
    },
    config::{Config, SlowIo},
    correlate::{LiveSources, Saved},
    engine::Settings,
    event::EventType,
    record::{Body, Lost, Record},
    recording::RecordedEngine,
};

impl Daemon {
    pub(super) fn start(args: &Args, Entered { sandbox, mut uevents }: Entered) -> anyhow::Result<Self> {
        let roots = args.roots();
        if let Some(file) = &args.config {
            std::fs::metadata(file)
                .with_context(|| format!("cannot read the configuration {}", file.display()))?;
        }
        let service = Service::new();
        let host = Host::read(&roots);
        let (config, rejected) = match Config::load(&roots) {
            Ok(config) => (config, None),
            Err(errors) => (Config::default(), Some(errors)),
        };
        let varlink = uevents.as_mut().ok().and_then(Sockets::take_varlink);
        let (persistence, left) = Persistence::open(&roots, &host.boot_id, &service.listen_on, varlink)?;
        let bad_lines = left.as_ref().map_or(0, |left| left.bad_lines);
        let (left, mut open) = left.map(|left| (left.commit, left.open)).unzip();
        let mut left = left.unwrap_or_default();
        let mut outputs = Outputs::new(
            &roots,
            Asked { stdout: args.stdout, journal_later: args.journal_later },
            &config.main,
            left.spooled,
            persistence.runtime.is_held(),
            &host.boot_id,
        );
        outputs.apply(&config.main);

        // Devices before probes: the first failure shall find its device known.
        let uevents = open_uevents(uevents, &roots);
        let mounts = open_mounts(&roots);
        let cache = BlkCache::scan(&roots.block())?;
        let mut live_since_ns = clock::monotonic_ns();
        let probes = (!args.no_ebpf).then(|| {
            let mut ebpf = Ebpf::load(&roots, ebpf_options(args, &config));
            log_verdicts(&ebpf);
            if config.main.keep_probes
                && let Some(reason) = ebpf.unpinned()
            {
                tracing::info!("what fails while no daemon runs goes unseen: {reason}");
            }
            if ebpf.resume(&left.rings) {
                live_since_ns = left.live_since_ns.unwrap_or(live_since_ns);
            } else {
                if ebpf.has_adopted() {
                    // Its notes are gone. Text that waits for a record in vain is reported as well, only later.
                    live_since_ns = 0;
                }
                // What was noted of the kernel's counts is about other maps.
                left.losses = None;
                open.iter_mut().for_each(Saved::forget_counts);
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
        engine.set_limits(&config.early_signs);
        let kept = Kept::new(&roots);
        match open {
            Some(open) => engine.restore(open),
            None => engine.restore_incidents(kept.read()),
        }
        for incident in engine.incidents().all() {
            outputs.status().note_incident(incident.clone());
        }
        let mut losses = Losses::default();
        match (left.losses, &probes) {
            (Some(reported), _) => losses.restore(reported),
            (None, Some(probes)) => losses.begin(&probes.lock()),
            (None, None) => {}
        }
        let sources =
            Sources { probes, live_since_ns, kmsg, uevents, mounts, losses, ..Sources::new(programs) };
        let mut pipeline = Pipeline::new(host, engine, cache);
        if let Some(counted) = left.tally {
            pipeline.tally.restore(counted);
        }
        let mut this = Self {
            roots,
            config,
            sandbox,
            sources,
            pipeline,
            persistence,
            kept,
            outputs,
            service,
            chores_at: None,
        };
        this.update_live_sources();
        this.listen_for_watcher();
        this.plan_looks_at_nvme(clock::now());
        this.pipeline
            .say(EventType::PERIPETY_STARTED, format!("peripetyd {} started", env!("CARGO_PKG_VERSION")));
        if bad_lines > 0 {
            this.pipeline.push(&Record { time: clock::now(), body: Body::Lost(unread_notes(bad_lines)) });
        }
        if let Some(errors) = rejected {
            this.reject(&errors, "built-in rules and defaults are in force");
        }
        if this.config.main.dump_blk_info_at_start {
            this.pipeline.list_devices(clock::now());
        }
        this.persistence.note_files(&this.outputs);
        this.put_out();
        this.read_history();
        this.refresh_snapshot();
        Ok(this)
    }

    /// Reads what the kernel has said until now: text of the past is not to be mixed with what fails now.
    pub(super) fn read_history(&mut self) {
        let mut reported = 0;
        self.meet_devices();
        let end = Instant::now() + READING_AT_START;
        self.outputs.begin_past();
        loop {
            let all = self.take();
            reported += self.pipeline.events.len();
            self.put_out();
            if all || Instant::now() >= end {
                break;
            }
        }
        match self.outputs.end_past() {
            Some(0) => {}
            Some(events) => {
                let open = self.pipeline.engine.incidents().all().filter(|i| i.state.is_open()).count();
                tracing::info!(
                    "of the time before this start: {events} events, 'prpt query' prints them; incidents that are open still: \
                     {open}, 'prpt status' lists them"
                );
            }
            None if reported > 0 => {
                tracing::info!("the events so far, {reported}, are of the time before this start");
            }
            None => {}
        }
    }
}

/// Lines of the logbook that were damaged: an event that an earlier daemon had open may be an older state of itself.
fn unread_notes(count: u64) -> Lost {
    Lost {
        source: "logbook".to_owned(),
        reason: "notes of the daemon before are damaged".to_owned(),
        count,
        sequence: format!("{}/logbook", std::process::id()),
    }
}

fn slow_limits(slow: &SlowIo) -> SlowLimits {
    let ns = |ms: u64| ms.saturating_mul(1_000_000);
    let by_name = slow.disks.iter().map(|(name, ms)| (name.clone(), ns(*ms))).collect();
    SlowLimits { every_ns: ns(slow.limit_ms), by_name }
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
        slow: slow_limits(&config.slow_io),
    }
}
