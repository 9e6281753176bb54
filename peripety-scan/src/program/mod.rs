//! The program: one thread that decides, and one for each device that is scanned.

mod scans;
mod store;
mod unit;
mod worker;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use peripety_block::{BlockError, Roots};

use self::scans::Scans;
use crate::{
    config::{self, Config, ConfigError},
    status,
};

/// Reads disks, checks arrays and scrubs btrfs ahead of their users, a little at a time.
#[derive(Debug, Parser)]
#[command(name = "peripety-scan", version, max_term_width = 100)]
#[command(after_long_help = "\
'prpt scan check' says what would be scanned and how, 'prpt scan status' how far it is. What a scan finds is a line on standard output: as \
peripety-scan.service these lines are in the journal, and peripetyd makes an event of each.")]
pub struct Args {
    /// What is scanned
    #[arg(long, value_name = "FILE", default_value = config::PATH)]
    config: PathBuf,
    /// End the checks and scrubs that the kernel does for a scan, and nothing else
    #[arg(long)]
    release: bool,
    /// Where it is kept how far each scan is
    #[arg(
        long,
        value_name = "DIR",
        env = "STATE_DIRECTORY",
        default_value = "/var/lib/peripety-scan",
        hide = true
    )]
    state_dir: PathBuf,
    /// Where the state of all scans is published
    #[arg(long, value_name = "DIR", env = "RUNTIME_DIRECTORY", default_value = status::DIR, hide = true)]
    runtime_dir: PathBuf,
}

/// Runs until a signal ends it.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&error);
            ExitCode::FAILURE
        }
    }
}

/// Words for whoever reads the unit's log. peripetyd's rules know none of them.
fn note(words: &dyn std::fmt::Display) {
    // Nobody is left to read it when stderr is closed.
    let _closed = writeln!(io::stderr(), "peripety-scan: {words}");
}

/// Why it ends.
#[derive(Debug, thiserror::Error)]
enum ScanError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Machine(#[from] BlockError),
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    #[error("cannot begin a thread: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error("another peripety-scan runs with {}", .0.display())]
    Runs(PathBuf),
    #[error("no answer can come any more")]
    NoWorkers,
}

fn run(args: &Args) -> Result<(), ScanError> {
    let roots = Roots::system();
    if args.release {
        return scans::release(&args.state_dir, &roots);
    }
    let config = Config::read(&args.config)?;
    let Some(_lock) = store::lock(&args.state_dir)? else {
        return Err(ScanError::Runs(args.state_dir.clone()));
    };
    if config.scan.is_empty() {
        note(&format!("{}: no [[scan]], nothing is scanned", args.config.display()));
    }
    let mut scans = Scans::new(config, roots, args.state_dir.clone(), args.runtime_dir.clone());
    scans.look_at_devices()?;
    let _not_by_systemd = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    loop {
        scans.go_on()?;
    }
}
