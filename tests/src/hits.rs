//! How often `block_rq_error` fired, whoever ran what on it.

use std::fs;

use anyhow::{Context as _, Result};
use perf_event::{Builder, Counter, events::Tracepoint};

use crate::{machine::Machine, prpt};

/// perf's count of failed requests, beside what the probe saw: the kernel does not run a program for every one.
pub struct Hits<'m> {
    machine: &'m Machine,
    counters: Vec<Counter>,
    seen: u64,
}

impl<'m> Hits<'m> {
    /// Counts from now on; a daemon must run.
    pub fn count(machine: &'m Machine) -> Result<Self> {
        let path = "/sys/kernel/tracing/events/block/block_rq_error/id";
        let id = fs::read_to_string(path).context(path)?.trim().parse().context(path)?;
        let seen = seen(machine)?;
        let open = |cpu: u32| {
            let mut perf = Builder::new(Tracepoint::with_id(id));
            perf.any_pid().one_cpu(cpu as usize).include_kernel().enabled(true).build()
        };
        let cpus = std::thread::available_parallelism()?.get();
        let counters = (0..u32::try_from(cpus)?).map(open).collect::<std::io::Result<_>>();
        Ok(Self { machine, counters: counters.context("perf_event_open")?, seen })
    }

    /// How many the probe did not see, all daemons since then together: they took up the same probe.
    pub fn unseen(&mut self) -> Result<u64> {
        let hits: u64 = self.counters.iter_mut().map(Counter::read).sum::<std::io::Result<_>>()?;
        Ok(hits.saturating_sub(seen(self.machine)? - self.seen))
    }
}

fn seen(machine: &Machine) -> Result<u64> {
    let answers = prpt::json(machine, &["probes", "-J"])?;
    let mut probes = answers.iter().filter_map(|answer| answer.get("probes")?.as_array()).flatten();
    let probe = probes.find(|p| p.get("tracepoint").is_some_and(|t| t == "block:block_rq_error"));
    probe.and_then(|p| p.pointer("/counts/seen")?.as_u64()).context("block_rq_error is no probe")
}
