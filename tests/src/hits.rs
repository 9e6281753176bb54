//! How often `block_rq_error` fired, whoever ran what on it.

use anyhow::{Context as _, Result};
use peripety::internal::{
    Roots,
    collector::ebpf::{PROBES, hits},
};

use crate::{machine::Machine, prpt};

/// perf's count of failed requests, beside what the probe saw: the kernel does not run a program for every one.
pub struct Hits<'m> {
    machine: &'m Machine,
    perf: hits::Hits,
    seen: u64,
}

impl<'m> Hits<'m> {
    /// Counts from now on; a daemon must run.
    pub fn count(machine: &'m Machine) -> Result<Self> {
        let probe = PROBES.iter().find(|probe| probe.event() == "block_rq_error").context("no such probe")?;
        let seen = seen(machine)?;
        Ok(Self { machine, perf: hits::Hits::count(&Roots::system(), probe)?, seen })
    }

    /// How many the probe did not see, all daemons since then together: they took up the same probe.
    pub fn unseen(&mut self) -> Result<u64> {
        let hits = self.perf.read()?;
        Ok(hits.saturating_sub(seen(self.machine)? - self.seen))
    }
}

fn seen(machine: &Machine) -> Result<u64> {
    let answers = prpt::json(machine, &["probes", "-J"])?;
    let mut probes = answers.iter().filter_map(|answer| answer.get("probes")?.as_array()).flatten();
    let probe = probes.find(|p| p.get("tracepoint").is_some_and(|t| t == "block:block_rq_error"));
    probe.and_then(|p| p.pointer("/counts/seen")?.as_u64()).context("block_rq_error is no probe")
}
