//! The daemon: wiring, configuration, reload, health.

mod answers;
mod args;
mod attach;
mod clock;
pub mod config;
mod host;
mod outputs;
mod own;
mod run;
mod sources;
mod state;

use std::{io::IsTerminal as _, process::ExitCode};

pub use args::Args;
use clap::Parser as _;
use tracing_subscriber::EnvFilter;

/// Where the daemon would pin what is to outlive it.
const PINS: &str = "fs/bpf/peripety";

/// Runs `peripetyd` with the arguments of the process.
pub fn main() -> ExitCode {
    let args = Args::parse();
    start_log(args.verbose);
    let result = if args.detach { detach(&args) } else { start(args) };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let denied = error
                .chain()
                .filter_map(|e| e.downcast_ref::<std::io::Error>())
                .any(|e| e.kind() == std::io::ErrorKind::PermissionDenied);
            let hint = if denied { "; start it as root" } else { "" };
            anstream::eprintln!("peripetyd: {}{hint}", crate::text::printable(&crate::cli::told(&error)));
            ExitCode::from(2)
        }
    }
}

fn start(args: Args) -> anyhow::Result<()> {
    // One thread: the work is short and never waits; notifiers, which may, have threads of their own.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run::run(args))
}

/// Removes pins of an earlier daemon; without pins everything ends with the process that loaded it.
fn detach(args: &Args) -> anyhow::Result<()> {
    use anyhow::Context as _;
    let pins = args.roots().sysfs.join(PINS);
    match std::fs::remove_dir_all(&pins) {
        Ok(()) => tracing::info!("removed {}", pins.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            tracing::info!("nothing is left in {}", pins.display());
        }
        Err(error) => return Err(error).context(format!("cannot remove {}", pins.display())),
    }
    Ok(())
}

fn start_log(verbose: bool) {
    let default = if verbose { "debug" } else { "info" };
    let filter = EnvFilter::try_from_env("PERIPETY_LOG").unwrap_or_else(|_unset| EnvFilter::new(default));
    // Under systemd the journal adds the time.
    let in_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(verbose);
    // A second start within one process (a test) keeps the first log.
    let _already = if in_journal { log.without_time().try_init() } else { log.try_init() };
    // aya tells its whole inner life at level debug.
    let _already = tracing_log::LogTracer::builder().ignore_crate("aya").init();
}
