//! The daemon: wiring, configuration, reload, health.

mod args;
pub mod checkpoint_log;
mod clock;
mod host;
mod journal_source;
mod kept;
mod left_out;
mod limits;
mod loss_totals;
mod mounts;
mod outputs;
mod people;
mod probe_attacher;
mod run;
mod runtime;
mod sandbox;
mod self_events;
mod socket_handler;
mod sources;
mod status;
mod tally;

use std::{io::IsTerminal as _, process::ExitCode};

pub use args::Args;
use clap::Parser as _;
pub(crate) use host::Host;
use tracing_subscriber::EnvFilter;

use crate::collector::journal;

/// Runs `peripetyd` with the arguments of the process.
pub fn main() -> ExitCode {
    let args = Args::parse();
    start_log(args.verbose);
    if let Some(orders) = &args.read_journal {
        return read_journal(orders);
    }
    let result = if args.detach { detach(&args) } else { start(args) };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let denied = error
                .chain()
                .filter_map(|e| e.downcast_ref::<std::io::Error>())
                .any(|e| e.kind() == std::io::ErrorKind::PermissionDenied);
            let hint = if denied { "; start it as root" } else { "" };
            anstream::eprintln!(
                "peripetyd: {}{hint}",
                crate::text::printable(&crate::terminal::error_chain(error.as_ref()))
            );
            ExitCode::from(2)
        }
    }
}

fn start(args: Args) -> anyhow::Result<()> {
    sandbox::raise_limits();
    let entered = sandbox::enter(&args);
    // One thread: the work is short and never waits; notifiers, which may, have threads of their own.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run::run(args, entered))
}

/// The process that reads the journal: for the daemons' lines, or when it is asked.
fn read_journal(orders: &str) -> ExitCode {
    use crate::journal::{confine, is_orphan};
    if let Some(code) = crate::journal::main(orders) {
        return code;
    }
    let Ok(orders) = serde_json::from_str::<journal::Orders>(orders) else {
        tracing::error!("--read-journal is for peripetyd itself");
        return ExitCode::from(2);
    };
    confine();
    if is_orphan(orders.parent) {
        return ExitCode::SUCCESS;
    }
    sandbox::enter_as_reader();
    match journal::read(&orders, &mut std::io::BufWriter::new(std::io::stdout())) {
        Err(journal::ReadError::Pipe(_)) | Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Removes what an earlier daemon left attached.
fn detach(args: &Args) -> anyhow::Result<()> {
    use anyhow::Context as _;
    if crate::collector::ebpf::clear_pins(&args.roots()).context("cannot detach")? {
        tracing::info!("what an earlier daemon left attached is removed");
    } else {
        tracing::info!("no earlier daemon left anything attached");
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
    // aya reports its whole inner life at level debug.
    let _already = tracing_log::LogTracer::builder().ignore_crate("aya").init();
}
