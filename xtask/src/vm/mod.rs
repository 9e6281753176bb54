//! `cargo xtask vm`: faults made in virtual machines, one kernel after the other, and what peripety tells of them.

mod apt;
mod cache;
mod check;
mod cpio;
mod events;
mod kernel;
mod machine;
mod root;
mod scenario;

use std::{
    collections::VecDeque,
    fs,
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use self::{cache::Cache, kernel::Kernel, root::Root, scenario::Scenario};
use crate::{
    build::{self, Profile},
    setup::{self, Purpose},
    sh,
};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Kernels: 5.10, 6.1, 6.12, 7.2 or all; several with commas
    #[arg(long, value_delimiter = ',', default_value = "6.1")]
    kernel: Vec<String>,
    /// Machines at a time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Tell what scenarios there are, and do nothing else
    #[arg(long)]
    list: bool,
    /// Take a build that is quicker to make than a release
    #[arg(long)]
    quick: bool,
    /// Take the binaries that are in this directory, and build nothing
    #[arg(long, value_name = "DIR", conflicts_with = "quick")]
    bin_dir: Option<PathBuf>,
    /// Keep what the machines gave also where all is well
    #[arg(long)]
    keep: bool,
    /// Only scenarios whose name contains one of these
    scenarios: Vec<String>,
}

/// One scenario on one kernel.
struct Job<'a> {
    kernel: &'a Kernel,
    scenario: &'a Scenario,
}

/// How it went: what was wrong, one line each.
struct Outcome {
    name: String,
    took: Duration,
    wrong: Vec<String>,
    kept: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<()> {
    let scenarios = scenario::all()?;
    if args.list {
        for scenario in &scenarios {
            eprintln!("{:<24} {}", scenario.name, scenario.summary);
        }
        return Ok(());
    }
    let wanted =
        |s: &Scenario| args.scenarios.is_empty() || args.scenarios.iter().any(|w| s.name.contains(w));
    let scenarios: Vec<_> = scenarios.into_iter().filter(wanted).collect();
    if scenarios.is_empty() {
        bail!("no scenario has {} in its name; --list shows all", args.scenarios.join(" or "));
    }
    let kinds = kernel::chosen(&args.kernel)?;

    setup::ensure(Purpose::Machine)?;
    let binaries = match &args.bin_dir {
        Some(dir) => dir.clone(),
        None => {
            setup::ensure(Purpose::Build)?;
            build::binaries(if args.quick { Profile::Quick } else { Profile::Release })?
        }
    };
    let cache = Cache::open()?;
    let root = Root::ensure(&cache)?;
    let kernels = kinds.iter().map(|kind| Kernel::ensure(kind, &cache)).collect::<Result<Vec<_>>>()?;

    let jobs: VecDeque<_> = kernels
        .iter()
        .flat_map(|kernel| scenarios.iter().map(move |scenario| Job { kernel, scenario }))
        .filter(|job| job.scenario.is_for(job.kernel.name))
        .collect();
    let queue = Mutex::new(jobs);
    let outcomes = Mutex::new(Vec::new());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        while let Some(job) = next() {
            let outcome = play(&job, &root, &binaries, args.keep);
            report(&outcome);
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
        }
    };
    thread::scope(|scope| {
        for _worker in 0..args.jobs.max(1) {
            scope.spawn(work);
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    let failed: Vec<_> = outcomes.iter().filter(|o| !o.wrong.is_empty()).map(|o| o.name.as_str()).collect();
    if !failed.is_empty() {
        bail!("{} of {} failed: {}", failed.len(), outcomes.len(), failed.join(", "));
    }
    eprintln!("all {} passed", outcomes.len());
    Ok(())
}

fn play(job: &Job<'_>, root: &Root, binaries: &std::path::Path, keep: bool) -> Outcome {
    let name = format!("{}-{}", job.kernel.name, job.scenario.name);
    let dir = sh::target_dir().join("vm").join(&name);
    let start = Instant::now();
    let _it_may_not_be_there = fs::remove_dir_all(&dir);
    let run = || machine::run(job.kernel, job.scenario, root, binaries, &dir);
    // On a busy host emulation is too slow for the kernel: its timer check fails, or code that it patches is run (int3).
    let fell = |dir: &PathBuf| {
        fs::read_to_string(dir.join("console.log"))
            .is_ok_and(|log| ["int3: 0000", "timer doesn't work"].iter().any(|sign| log.contains(sign)))
    };
    let wrong = run()
        .or_else(|error| if fell(&dir) { run() } else { Err(error) })
        .and_then(|given| check::check(job.scenario, job.kernel.name, &given))
        .unwrap_or_else(|error| vec![format!("{error:#}")]);
    let took = start.elapsed();
    let kept = (keep || !wrong.is_empty()).then_some(dir);
    if kept.is_none() {
        let _nothing_depends_on_it = fs::remove_dir_all(sh::target_dir().join("vm").join(&name));
    }
    Outcome { name: format!("{} {}", job.kernel.name, job.scenario.name), took, wrong, kept }
}

fn report(outcome: &Outcome) {
    let verdict = if outcome.wrong.is_empty() { "ok    " } else { "FAILED" };
    eprintln!("{verdict} {:<32} {:>6.1} s", outcome.name, outcome.took.as_secs_f32());
    for line in &outcome.wrong {
        eprintln!("         {line}");
    }
    if let Some(dir) = &outcome.kept {
        eprintln!("         what the machine gave is in {}", dir.display());
    }
}

/// A command that shall say what it does before it does it.
fn announced(command: &mut Command) -> Result<()> {
    eprintln!("vm: running {}", sh::shown(command));
    sh::run(command.stdout(std::process::Stdio::null()))
}
