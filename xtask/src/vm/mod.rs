//! `cargo xtask vm`: faults made in virtual machines, one kernel after the other, and what peripety reports them.

mod apt;
mod bench;
mod cache;
mod check;
mod core;
mod cpio;
mod events;
mod kernel;
mod machine;
mod root;
mod scenario;
mod summary;
mod vmlinux;

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, bail};

pub use self::{
    apt::{Suite, archive},
    bench::Outcome,
    core::Core,
    kernel::sources,
};
use self::{
    bench::{Bench, Job},
    scenario::Scenario,
};
use crate::{
    build::{self, Profile},
    dist,
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
    /// Say what scenarios there are, and do nothing else
    #[arg(long)]
    list: bool,
    /// Take a build that is quicker to make than a release
    #[arg(long)]
    quick: bool,
    /// Take the binaries that are in this directory, and build nothing
    #[arg(long, value_name = "DIR", conflicts_with = "quick")]
    bin_dir: Option<PathBuf>,
    /// This host is busy: the machines' clocks go with what they execute, and they may take eight times as long
    #[arg(long)]
    busy: bool,
    /// Keep what the machines gave also where all is well
    #[arg(long)]
    keep: bool,
    /// Only scenarios whose name contains one of these
    scenarios: Vec<String>,
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
    // What a kernel that was not asked for would want is not brought.
    let fits = |s: &Scenario| kinds.iter().any(|kind| s.is_for(kind.name()));
    let scenarios: Vec<_> = scenarios.into_iter().filter(fits).collect();
    if scenarios.is_empty() {
        bail!("none of these scenarios is for kernel {}", args.kernel.join(", "));
    }
    let mut bench = Bench::set_up(&kinds, &scenarios.iter().map(|s| s.root.as_str()).collect())?;
    bench.busy = args.busy;
    let binaries = match &args.bin_dir {
        Some(dir) => dir.clone(),
        None => {
            setup::ensure(Purpose::Build)?;
            build::binaries(if args.quick { Profile::Quick } else { Profile::Release })?
        }
    };
    if scenarios.iter().any(|s| s.packages) {
        dist::for_machines(&binaries)?;
    }
    let all =
        || bench.kernels.iter().flat_map(|kernel| scenarios.iter().map(move |s| Job { kernel, scenario: s }));
    let jobs: Vec<_> = all().filter(|job| job.scenario.is_for(job.kernel.name)).collect();
    let outcomes = bench.play(jobs, &binaries, args.jobs, args.keep, bench::report);

    let table = summary::table(&outcomes, &scenarios);
    let file = sh::target_dir().join("vm/summary.txt");
    fs::write(&file, &table).with_context(|| format!("cannot write {}", file.display()))?;
    eprintln!("\n{table}");
    bench::verdict(&outcomes)
}

/// Whether the machines of the core were made already.
pub fn is_there() -> bool {
    cache::Cache::open().is_ok_and(|cache| cache.path("root").join("recipe").exists())
}

/// A command that shall say what it does before it does it.
fn announced(command: &mut Command) -> Result<()> {
    eprintln!("vm: running {}", sh::shown(command));
    sh::run(command.stdout(std::process::Stdio::null()))
}
