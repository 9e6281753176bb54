//! The program: one thread, which follows the daemon's events, looks at arrays, and runs one action for each at a time.

mod beside;
mod cases;
mod runner;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use peripety_client::{Next, Options, Source, Start, Stream};
use peripety_model::{Event, Filter};
use rustix::time::ClockId;

use self::cases::Cases;
use crate::{
    config::{self, Config},
    look::Look,
};

/// Acts on failed mirrors, arrays and full pools as policies say.
#[derive(Debug, Parser)]
#[command(name = "peripety-policy", version, max_term_width = 100)]
pub struct Args {
    /// The policies
    #[arg(long, value_name = "FILE", default_value = config::PATH)]
    config: PathBuf,
    /// Say what would be run, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// Where it is kept what was begun
    #[arg(
        long,
        value_name = "DIR",
        env = "RUNTIME_DIRECTORY",
        default_value = "/run/peripety-policy",
        hide = true
    )]
    runtime_dir: PathBuf,
    /// The daemon's socket
    #[arg(long, value_name = "FILE", default_value = peripety_client::SOCKET, hide = true)]
    socket: PathBuf,
    /// Directory of device nodes
    #[arg(long, value_name = "DIR", default_value = "/dev", hide = true)]
    dev: PathBuf,
    /// Where sysfs is mounted
    #[arg(long, value_name = "DIR", default_value = "/sys", hide = true)]
    sysfs: PathBuf,
}

/// Runs until a signal ends it.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

/// A line in the unit's log: each step is one.
fn say(words: &dyn std::fmt::Display) {
    // Nobody is left to read it when stderr is closed.
    let _closed = writeln!(io::stderr(), "peripety-policy: {words}");
}

/// Why it ends.
#[derive(Debug, thiserror::Error)]
enum PolicyError {
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    #[error("cannot follow the events of peripetyd: {0}")]
    Client(#[from] peripety_client::Error),
}

/// How often a command that runs is looked at.
const RUNNING: Duration = Duration::from_millis(500);

fn run(args: &Args) -> Result<(), PolicyError> {
    let config = Config::read(&args.config)?;
    if config.policy.is_empty() {
        say(&format!("{}: no policy, nothing is done", args.config.display()));
    }
    let look = Look::new(&args.dev, &args.sysfs);
    let mut cases = Cases::new(&args.runtime_dir, args.dry_run);
    // What is wrong by now is found by what the daemon still has in memory; the state decides whether it is so still.
    let options = Options {
        filter: filter(&config),
        source: Source::Socket,
        start: Start::Stored,
        socket: args.socket.clone(),
        ..Options::default()
    };
    let mut stream = Stream::open(options)?;
    let _not_by_systemd = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    loop {
        let now = now();
        cases.go_on(&config, &look, now);
        let wait =
            if cases.is_running() { Some(RUNNING) } else { cases.due().map(|due| due.saturating_sub(now)) };
        match stream.wait(wait)? {
            Next::Item(item) => {
                if let Some(event) = item.event() {
                    cases.take(&config, &look, event, happened(event));
                }
            }
            Next::Nothing => {}
            Next::Over => return Ok(()),
        }
    }
}

/// What the daemon is asked for: events of the types that policies are about; all where those are too many to ask for.
fn filter(config: &Config) -> Filter {
    let types = config.policy.iter().flat_map(|policy| policy.types.iter().cloned()).collect();
    let filter = Filter { types, ..Filter::default() };
    if filter.too_long().is_none() { filter } else { Filter::default() }
}

/// Time since the machine started, also over a restart of this program.
fn now() -> Duration {
    clock(ClockId::Boottime)
}

/// When an event happened, in the same time: at the start there are some of before. After a suspend since it is too late
/// rather than too early; one that has no time happened now.
fn happened(event: &Event) -> Duration {
    let at = event.monotonic_ns.map(Duration::from_nanos);
    let age = at.map(|at| clock(ClockId::Monotonic).saturating_sub(at));
    now().saturating_sub(age.unwrap_or_default())
}

fn clock(which: ClockId) -> Duration {
    let time = rustix::time::clock_gettime(which);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
