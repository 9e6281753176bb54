//! The sources of records, each optional: what cannot be opened is reported once, and the others go on.

mod losses;
mod nvme_paths;
mod pairing;

use std::{
    future::{pending, poll_fn},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;
use tokio::io::{Interest, unix::AsyncFd};

pub(super) use self::losses::{Losses, SavedLosses};
use self::{nvme_paths::NvmePaths, pairing::Pairing};
use super::{journal_source::Programs, limits, mounts::MountReadings, probe_attacher::Attacher};
use crate::{
    block::Rescan,
    collector::{
        async_fd::watch,
        clock::ClockOffset,
        ebpf::{Addition, Ebpf, Verdict},
        kmsg::{KmsgReader, Start},
        mount_watch::MountWatch,
        uevent::{Sockets, UeventMonitor},
        watcher::{Received, Watcher},
    },
    record::Record,
    roots::Roots,
    state::Limit,
};

/// All sources with what is known of their state. A source is a field here, an arm of [`Sources::wait`], what
/// is read of it in the loop's visit, and, where it may be missing, a row of [`MISSING`].
pub(super) struct Sources {
    pub(super) probes: Option<Probes>,
    /// When the probes were attached: older text has no record in the ring.
    pub(super) live_since_ns: u64,
    /// Attaches the probes of drivers that are loaded later.
    pub(super) attacher: Attacher,
    /// What the ring could not take.
    pub(super) losses: Losses,
    pub(super) kmsg: Option<AsyncFd<KmsgReader>>,
    pub(super) kmsg_clock: ClockOffset,
    pub(super) pairing: Pairing,
    pub(super) uevents: Option<UeventMonitor>,
    /// A look at all devices that is under way.
    pub(super) rescan: Option<Rescan>,
    pub(super) rescan_again: bool,
    pub(super) nvme_paths: NvmePaths,
    pub(super) mounts: Option<MountWatch>,
    pub(super) mount_readings: MountReadings,
    pub(super) programs: Programs,
    /// What takes CAP_SYS_ADMIN: without it the daemon knows less of files, and misses no failure.
    pub(super) watcher: Watcher,
}

/// What woke the loop.
pub(super) enum Ready {
    Uevents,
    Mounts,
    MountsDue,
    Ring,
    Kmsg,
    Attached(Option<Addition>),
    Programs(Vec<Record>),
    Watcher(Vec<Received>),
}

/// A source that may be missing, its name, and what goes unseen without it.
type Missing = (fn(&Sources) -> bool, &'static str, &'static str);

/// What cannot be seen where a source could not be opened.
const MISSING: &[Missing] = &[
    (
        |sources| sources.kmsg.is_none(),
        "kernel text",
        "the kernel's log cannot be read: what only text reports goes unseen",
    ),
    (
        |sources| sources.uevents.is_none(),
        "uevents",
        "uevents cannot be received: devices that come and go are not seen",
    ),
    (
        |sources| sources.mounts.is_none(),
        "mounts",
        "mounts are not watched: mount points may be those of the start",
    ),
];

impl Sources {
    /// None open but the journal of daemons.
    pub(super) fn new(programs: Programs) -> Self {
        Self {
            probes: None,
            live_since_ns: 0,
            attacher: Attacher::default(),
            losses: Losses::default(),
            kmsg: None,
            kmsg_clock: ClockOffset::new(),
            pairing: Pairing::default(),
            uevents: None,
            rescan: None,
            rescan_again: false,
            nvme_paths: NvmePaths::default(),
            mounts: None,
            mount_readings: MountReadings::default(),
            programs,
            watcher: Watcher::default(),
        }
    }

    /// Waits until one of them has something. Devices come first: an event wants to know them.
    pub(super) async fn wait(&mut self) -> anyhow::Result<Ready> {
        let Self {
            uevents, mounts, mount_readings, rescan, probes, attacher, kmsg, programs, watcher, ..
        } = self;
        let rescans = rescan.is_some();
        Ok(tokio::select! {
            biased;
            received = async { match uevents {
                Some(_) if rescans => Ok(()),
                Some(uevents) => uevents.ready().await,
                None => pending().await,
            } } => {
                received.context("waiting for uevents")?;
                Ready::Uevents
            }
            changed = async { match mounts {
                Some(mounts) if !mount_readings.is_wanted() => mounts.changed().await,
                _ => pending().await,
            } } => {
                changed.context("waiting for changes of mounts")?;
                Ready::Mounts
            }
            () = mount_readings.due() => Ready::MountsDue,
            ready = async { match probes { Some(p) => p.ready().await, None => pending().await } } => {
                ready.context("waiting for the ring")?;
                Ready::Ring
            }
            ready = readable(kmsg.as_ref()) => {
                ready.context("waiting for kernel text")?;
                Ready::Kmsg
            }
            addition = attacher.done() => Ready::Attached(addition),
            records = programs.recv() => Ready::Programs(records),
            received = watcher.recv() => Ready::Watcher(received.context("waiting for peripety-watch")?),
        })
    }

    /// What goes unseen because a source is missing.
    pub(super) fn limits(&self) -> Vec<Limit> {
        let mut all = limits::of_probes(self.probes.as_ref());
        let missing = MISSING.iter().filter(|(is_missing, _, _)| is_missing(self));
        all.extend(missing.map(|(_, what, why)| Limit::unseen(what, *why)));
        all
    }
}

/// The probes, which the event loop drains and the socket's answers look at.
#[derive(Clone)]
pub(super) struct Probes(Arc<Mutex<Ebpf>>);

impl Probes {
    pub(super) fn new(ebpf: Ebpf) -> Self {
        Self(Arc::new(Mutex::new(ebpf)))
    }

    /// Never held across an await: the loop is the only other user.
    pub(super) fn lock(&self) -> MutexGuard<'_, Ebpf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a ring has records.
    pub(super) async fn ready(&self) -> io::Result<()> {
        poll_fn(|cx| self.lock().poll_ready(cx)).await
    }
}

/// Says what became of the probes, in as few lines as that takes.
pub(super) fn log_verdicts(ebpf: &Ebpf) {
    let status = ebpf.status();
    let named = |wanted: fn(&Verdict) -> bool| -> Vec<&str> {
        status.probes.iter().filter(|p| wanted(&p.verdict)).map(|p| p.tracepoint.as_str()).collect()
    };
    let attached = named(Verdict::is_attached);
    if attached.is_empty() {
        tracing::warn!(
            "no probe could be attached: events come from kernel text alone, which loses most of a storm"
        );
    } else {
        tracing::info!("attached {} probes: {}", attached.len(), attached.join(" "));
    }
    for probe in &status.probes {
        match &probe.verdict {
            Verdict::Refused { reason } => {
                tracing::warn!(
                    "{} was refused: {reason}; without it go unseen: {}",
                    probe.tracepoint,
                    probe.lost_without
                );
            }
            Verdict::Off { reason } | Verdict::Absent { reason } | Verdict::Waiting { reason } => {
                tracing::debug!("{} is {}: {reason}", probe.tracepoint, probe.verdict.word());
            }
            Verdict::Attached { fallback, .. } if !fallback.is_empty() => {
                tracing::debug!("{} is a classic tracepoint: {fallback}", probe.tracepoint);
            }
            Verdict::Attached { .. } => {}
        }
    }
}

/// The kernel's log, from where the last daemon of this boot stopped reading.
pub(super) fn open_kmsg(roots: &Roots, last: Option<u64>) -> Option<AsyncFd<KmsgReader>> {
    let start = last.map_or(Start::Oldest, Start::After);
    let opened = KmsgReader::open(&roots.kmsg(), start);
    let reader = opened.map_err(|error| tracing::error!("{error}")).ok()?;
    watch(reader, Interest::READABLE)
        .map_err(|error| tracing::error!(%error, "cannot wait for kernel text"))
        .ok()
}

/// Waits for `fd`, for ever if there is none.
pub(super) async fn readable<T: std::os::fd::AsRawFd>(fd: Option<&AsyncFd<T>>) -> io::Result<()> {
    match fd {
        // The caller reads until there is nothing more, then clears the readiness.
        Some(fd) => poll_fn(|cx| fd.poll_read_ready(cx).map_ok(drop)).await,
        None => pending().await,
    }
}

/// Uevents; without them a device that comes later is not known.
pub(super) fn open_uevents(sockets: io::Result<Sockets>, roots: &Roots) -> Option<UeventMonitor> {
    sockets
        .and_then(|sockets| UeventMonitor::new(sockets, roots))
        .map_err(
            |error| tracing::error!(%error, "cannot listen for uevents: changes of devices will not be seen"),
        )
        .ok()
}

/// Changes of mounts.
pub(super) fn open_mounts(roots: &Roots) -> Option<MountWatch> {
    MountWatch::open(roots)
        .map_err(
            |error| tracing::error!(%error, "cannot watch mounts: mount points will be those of the start"),
        )
        .ok()
}
