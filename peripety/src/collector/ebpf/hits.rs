//! perf's own count of a tracepoint's hits, whoever runs what on it.

use std::{fs, io, path::PathBuf};

use perf_event::{Builder, Counter, events::Tracepoint};

use super::probes::Probe;
use crate::roots::Roots;

/// Each counter takes a file descriptor.
const CPUS_MAX: usize = 512;

/// Why perf does not count.
#[derive(Debug, thiserror::Error)]
pub enum NoCount {
    /// The kernel has no such tracepoint, or tracefs is not mounted.
    #[error("{path}: {source}")]
    Id {
        /// File with the tracepoint's number.
        path: PathBuf,
        /// What reading it gave.
        source: io::Error,
    },
    /// More processors than counters are opened for.
    #[error("{0} processors are too many")]
    Cpus(usize),
    /// The kernel refused.
    #[error("perf_event_open: {0}")]
    Open(#[source] io::Error),
}

/// A running count, on all processors that were online when it began.
#[derive(Default)]
pub struct Hits(Vec<Counter>);

impl Hits {
    /// Counts the hits of a probe's tracepoint from now on.
    ///
    /// # Errors
    /// The tracepoint is unknown, or perf may not be used.
    pub fn count(roots: &Roots, probe: &Probe) -> Result<Self, NoCount> {
        let path = roots.tracefs().join("events").join(probe.category).join(probe.event()).join("id");
        let id = fs::read_to_string(&path)
            .and_then(|text| text.trim().parse().map_err(io::Error::other))
            .map_err(|source| NoCount::Id { path, source })?;
        let cpus = aya::util::online_cpus().map_err(|(_what, error)| NoCount::Open(error))?;
        if cpus.len() > CPUS_MAX {
            return Err(NoCount::Cpus(cpus.len()));
        }
        let open = |cpu: u32| {
            let mut perf = Builder::new(Tracepoint::with_id(id));
            perf.any_pid().one_cpu(cpu as usize).include_kernel().enabled(true).build()
        };
        cpus.into_iter().map(open).collect::<io::Result<_>>().map(Self).map_err(NoCount::Open)
    }

    /// Whether it counts at all.
    pub const fn is_counting(&self) -> bool {
        !self.0.is_empty()
    }

    /// The count so far.
    ///
    /// # Errors
    /// A counter cannot be read any more.
    pub fn read(&mut self) -> io::Result<u64> {
        self.0.iter_mut().map(Counter::read).sum()
    }
}
