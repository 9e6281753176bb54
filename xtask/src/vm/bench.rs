//! What machines are made of, and many of them played.

use std::{
    collections::{BTreeSet, VecDeque},
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    cache::Cache,
    check,
    kernel::{self, Kernel},
    machine::{self, Machine},
    root::Root,
    scenario::Scenario,
};
use crate::{
    setup::{self, Purpose},
    sh,
};

/// Kernels and a root file system, ready to boot.
pub struct Bench {
    roots: Vec<Root>,
    pub kernels: Vec<Kernel>,
    /// The host has much else to do.
    pub busy: bool,
}

/// One scenario on one kernel.
pub struct Job<'a> {
    pub kernel: &'a Kernel,
    pub scenario: &'a Scenario,
}

/// How it went: what was wrong, one line each.
pub struct Outcome {
    pub kernel: &'static str,
    pub scenario: String,
    pub took: Duration,
    pub wrong: Vec<String>,
    pub kept: Option<PathBuf>,
}

impl Bench {
    /// Brings what is not here yet.
    pub fn set_up(kinds: &[&'static kernel::Kind], suites: &BTreeSet<&str>) -> Result<Self> {
        setup::ensure(Purpose::Machine)?;
        let cache = Cache::open()?;
        let roots = suites.iter().map(|suite| Root::ensure(&cache, suite)).collect::<Result<Vec<_>>>()?;
        let kernels = kinds.iter().map(|kind| Kernel::ensure(kind, &cache)).collect::<Result<Vec<_>>>()?;
        Ok(Self { roots, kernels, busy: false })
    }

    /// Plays all, and hands over each when it is done.
    pub fn play(
        &self,
        jobs: Vec<Job<'_>>,
        binaries: &Path,
        at_a_time: usize,
        keep: bool,
        done: impl Fn(&Outcome) + Sync,
    ) -> Vec<Outcome> {
        let queue = Mutex::new(VecDeque::from(jobs));
        let outcomes = Mutex::new(Vec::new());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let work = || {
            while let Some(job) = next() {
                let outcome = self.play_one(&job, binaries, keep);
                done(&outcome);
                outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
            }
        };
        thread::scope(|scope| {
            for _worker in 0..at_a_time.max(1) {
                scope.spawn(work);
            }
        });
        outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn play_one(&self, job: &Job<'_>, binaries: &Path, keep: bool) -> Outcome {
        let Job { kernel, scenario } = *job;
        let dir = sh::target_dir().join("vm").join(format!("{}-{}", kernel.name, scenario.name));
        let start = Instant::now();
        let _it_may_not_be_there = fs::remove_dir_all(&dir);
        let run = || {
            let root = self.roots.iter().find(|root| root.suite == scenario.root);
            let root = root.with_context(|| format!("no root of {} was made", scenario.root))?;
            machine::run(&Machine { kernel, scenario, root, busy: self.busy }, binaries, &dir)
        };
        // On a busy host emulation is too slow for the kernel: its timer check fails, or code that it patches is run (int3).
        let fell = || {
            fs::read_to_string(dir.join("console.log"))
                .is_ok_and(|log| ["int3: 0000", "timer doesn't work"].iter().any(|sign| log.contains(sign)))
        };
        let wrong = run()
            .or_else(|error| if fell() { run() } else { Err(error) })
            .and_then(|given| check::check(scenario, kernel.name, &given))
            .unwrap_or_else(|error| vec![format!("{error:#}")]);
        let took = start.elapsed();
        if !keep && wrong.is_empty() {
            let _nothing_depends_on_it = fs::remove_dir_all(&dir);
        }
        let kept = Some(dir).filter(|dir| dir.exists());
        Outcome { kernel: kernel.name, scenario: scenario.name.clone(), took, wrong, kept }
    }
}

impl Outcome {
    fn name(&self) -> String {
        format!("{} {}", self.kernel, self.scenario)
    }
}

/// Prints how one went.
pub fn report(outcome: &Outcome) {
    let verdict = if outcome.wrong.is_empty() { "ok    " } else { "FAILED" };
    eprintln!("{verdict} {:<32} {:>6.1} s", outcome.name(), outcome.took.as_secs_f32());
    for line in &outcome.wrong {
        eprintln!("         {line}");
    }
    if let Some(dir) = &outcome.kept {
        eprintln!("         what the machine gave is in {}", dir.display());
    }
}

/// An error if any failed.
pub fn verdict(outcomes: &[Outcome]) -> Result<()> {
    let failed: Vec<_> = outcomes.iter().filter(|o| !o.wrong.is_empty()).map(Outcome::name).collect();
    if !failed.is_empty() {
        bail!("{} of {} failed: {}", failed.len(), outcomes.len(), failed.join(", "));
    }
    eprintln!("all {} passed", outcomes.len());
    Ok(())
}
