//! The sources of records, each optional: what cannot be opened is told once, and the others go on.

use std::{
    future::poll_fn,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::io::{Interest, unix::AsyncFd};

use crate::{
    collector::{
        ebpf::{Ebpf, Verdict},
        kmsg::{KmsgReader, Start},
        mount_watch::MountWatch,
        uevent::UeventMonitor,
        wait::watch,
    },
    roots::Roots,
};

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
        None => std::future::pending().await,
    }
}

/// Uevents; without them a device that comes later is not known.
pub(super) fn open_uevents(roots: &Roots) -> Option<UeventMonitor> {
    UeventMonitor::open(roots)
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
