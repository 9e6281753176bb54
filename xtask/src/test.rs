//! `cargo xtask test`

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    build::{self, Profile},
    capi,
    setup::{self, Purpose},
    sh, vm,
};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Take the machine as it is
    #[arg(long)]
    no_setup: bool,
    /// Leave out the faults in virtual machines
    #[arg(long)]
    no_vm: bool,
    /// Only tests whose name contains this
    filter: Option<String>,
}

/// How a part went.
struct Part {
    name: &'static str,
    result: Result<()>,
    took: Duration,
}

pub fn run(args: Args) -> Result<()> {
    announce(&args);
    if !args.no_setup {
        setup::ensure(Purpose::Test)?;
    }
    let filter = args.filter.as_deref();
    // Every part runs, whatever became of the one before it.
    let mut skipped = Vec::new();
    let mut parts = vec![part("unit tests", || unit(filter))];
    if filter.is_none_or(|filter| "libperipety".contains(filter)) {
        parts.push(part("C library", || capi::check(&mut skipped)));
    }
    let machines = !args.no_vm && vm::Core::is_wanted(filter);
    // The end-to-end tests wait for most of their time, in which machines can be emulated.
    let played = std::thread::scope(|scope| {
        let played = machines.then(|| {
            scope.spawn(|| {
                let start = Instant::now();
                (play(filter, !args.no_setup), start.elapsed())
            })
        });
        parts.push(part("end to end", || end_to_end(filter, &mut skipped)));
        played.and_then(|played| played.join().ok())
    });
    if let Some((played, took)) = played {
        let last = part("virtual machines", || conclude(played, &mut skipped));
        parts.push(Part { took: last.took + took, ..last });
    }

    eprintln!();
    for Part { name, result, took } in &parts {
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        eprintln!("{name}: {verdict} ({:.1} s)", took.as_secs_f32());
    }
    for line in &skipped {
        eprintln!("skipped: {line}");
    }
    let failed: Vec<_> =
        parts.iter().filter_map(|p| p.result.as_ref().err().map(|e| format!("{e:#}"))).collect();
    if !failed.is_empty() {
        bail!("{}", failed.join("; "));
    }
    Ok(())
}

/// How long it will take, and what it will bring, before it begins.
fn announce(args: &Args) {
    if args.filter.is_some() {
        return;
    }
    if sh::target_dir().join("debug/peripetyd").exists() {
        eprintln!("test: unit tests, then end to end on this kernel: some minutes");
    } else {
        eprintln!(
            "test: the first time this takes some twenty minutes (22 measured on a machine with 2 cores and nothing \
             set up): packages and bpf-linker are installed where they are missing, then it builds and tests"
        );
    }
    if !args.no_vm {
        let bring =
            if vm::is_there() { "" } else { " They are brought first: 1 GB, into ~/.cache/peripety/vm." };
        eprintln!(
            "test: beside the latter five faults in virtual machines with other kernels, about a minute each; --no-vm leaves \
             them out.{bring}"
        );
    }
}

/// Machines in which the core of scenarios was played, and how it went; or why there are none.
type Played = Result<(vm::Core, Result<Vec<vm::Outcome>>)>;

fn play(filter: Option<&str>, bring: bool) -> Played {
    let core = vm::Core::set_up(filter, bring)?;
    let outcomes = binaries().and_then(|binaries| core.play(&binaries));
    Ok((core, outcomes))
}

fn conclude(played: Played, skipped: &mut Vec<String>) -> Result<()> {
    match played {
        Ok((core, outcomes)) => core.conclude(outcomes?, &binaries()?),
        Err(error) => {
            skipped.push(format!("faults in virtual machines: {error:#}"));
            Ok(())
        }
    }
}

fn part(name: &'static str, body: impl FnOnce() -> Result<()>) -> Part {
    eprintln!("== {name}");
    let start = Instant::now();
    let result = body();
    Part { name, result, took: start.elapsed() }
}

/// Tests of all packages that are of this machine. With fewer of them cargo takes other features of what they have in common, and
/// builds most of it anew.
fn cargo_test() -> Command {
    sh::cargo(["test", "--workspace", "--exclude", "peripety-ebpf"])
}

fn unit(filter: Option<&str>) -> Result<()> {
    // The end-to-end tests come after these.
    sh::run(cargo_test().arg("--quiet").args(filter).env("PERIPETY_UNIT_TESTS", "1"))
}

/// Where the tests have left the programs that are installed: those of packages whose tests run them.
fn binaries() -> Result<PathBuf> {
    let dir = sh::target_dir().join(Profile::Debug.dir());
    let missing = build::PROGRAMS.iter().find(|name| !dir.join(name).exists());
    match missing {
        Some(_) => build::binaries(Profile::Debug),
        None => Ok(dir),
    }
}

/// The same, up to date: nothing is built after the tests have run.
pub fn binaries_of_tests() -> Result<PathBuf> {
    sh::run(cargo_test().args(["--quiet", "--no-run"]))?;
    binaries()
}

fn end_to_end(filter: Option<&str>, skipped: &mut Vec<String>) -> Result<()> {
    let dir = binaries()?;
    let mut cargo = cargo_test();
    cargo.args(["--test", "e2e"]);
    if !sh::can_be_root() {
        skipped.push("all end-to-end tests: they need root, and there is no sudo".to_owned());
        return sh::run(cargo.arg("--no-run"));
    }
    let report = sh::target_dir().join("e2e-skipped.txt");
    if !sh::is_root() {
        cargo.args([
            "--config",
            "target.'cfg(unix)'.runner = ['sudo', '--preserve-env=PERIPETY_BIN_DIR,PERIPETY_SKIPPED']",
        ]);
    }
    cargo.env("PERIPETY_BIN_DIR", &dir).env("PERIPETY_SKIPPED", &report);
    let result = sh::run(cargo.arg("--").args(filter));
    skipped.extend(take_lines(&report)?);
    result
}

/// The lines of a file that is then removed; none where there is no file.
fn take_lines(file: &Path) -> Result<Vec<String>> {
    let Ok(text) = fs::read_to_string(file) else { return Ok(Vec::new()) };
    // Written by root when this is not.
    if fs::remove_file(file).is_err() {
        sh::run(Command::new("rm").arg("-f").arg(file))
            .with_context(|| format!("removing {}", file.display()))?;
    }
    Ok(text.lines().map(str::to_owned).collect())
}
