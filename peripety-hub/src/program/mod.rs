//! The command line, and what runs.

mod config;
mod dev;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser};
use jiff::{SignedDuration, Timestamp};
use peripety::internal::{
    program,
    text::{error_chain, printable},
};
use peripety_forward::{
    server::Reports,
    stream::{self, Limits},
};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use self::config::Config;
use crate::{
    consume::{self, Shared},
    notify::Notifier,
    store::Store,
    web,
};

/// How often what is old is forgotten, and how much of it at a time.
const PRUNE: (Duration, usize) = (Duration::from_secs(600), 20_000);
/// Where answers to the hub come.
const INBOX: &str = "_INBOX";

/// Shows the storage failures of a fleet, keeps their history, and notifies once of what many hosts see
#[derive(Debug, Parser)]
#[command(name = "peripety-hub", version, max_term_width = 100)]
pub struct Args {
    /// Configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/peripety-hub.conf")]
    config: PathBuf,
    /// Check the configuration, and end
    #[arg(long)]
    check: bool,
    /// For a try: without a configuration, with a nats-server of its own that other machines do not reach
    #[arg(long, conflicts_with_all = ["check", "config"])]
    dev: bool,
    /// The nats-server that --dev starts
    #[arg(long, value_name = "FILE", default_value = "nats-server", requires = "dev")]
    nats_server: PathBuf,
    /// Print the API as OpenAPI, and end
    #[arg(long)]
    openapi: bool,
    /// Print the completions of a shell, and end: for packages
    #[arg(long, value_name = "SHELL", hide = true)]
    completions: Option<clap_complete::Shell>,
    /// Directory of what this program keeps
    #[arg(long, value_name = "DIR", env = "STATE_DIRECTORY", default_value = "/var/lib/peripety-hub")]
    state_dir: PathBuf,
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(shell) = args.completions {
        return program::only_completions(shell, Args::command(), "peripety-hub");
    }
    program::log_to_stderr("info,async_nats=off");
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let words = error_chain(error.as_ref());
            let _closed = writeln!(std::io::stderr(), "peripety-hub: {}", printable(&words));
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    if args.openapi {
        let text = serde_json::to_string_pretty(&web::openapi())?;
        return writeln!(std::io::stdout(), "{text}").context("cannot write to standard output");
    }
    let mut config = if args.dev { Config::dev() } else { Config::load(&args.config)? };
    if args.check {
        let (tokens, receivers) = (config.web.token.len(), config.notify.len());
        writeln!(std::io::stdout(), "{}: ok, {tokens} tokens, {receivers} receivers", args.config.display())?;
        return Ok(());
    }
    std::fs::create_dir_all(&args.state_dir)
        .with_context(|| format!("cannot make {}", args.state_dir.display()))?;
    let _server =
        if args.dev { Some(dev::start(&args.nats_server, &args.state_dir, &mut config)?) } else { None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(&args.state_dir, &config))
}

async fn serve(dir: &Path, config: &Config) -> anyhow::Result<()> {
    let store = Store::open(&dir.join("history.redb"))?;
    let notifier = Notifier::start(&config.notify, dir)?;
    let shared = Arc::new(Shared::new(store, notifier)?);
    let mut term = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("waiting for SIGINT")?;
    let address = web::start(&config.web, &shared)?;
    let scheme = if config.web.certificate.is_some() { "https" } else { "http" };
    tracing::info!("the page is at {scheme}://{address}/");
    let _no_systemd = sd_notify::notify(&[NotifyState::Ready]);
    let work = async {
        let reports = Reports::default();
        let client = config.servers.connect_patiently("peripety-hub", INBOX, &reports, |_| {}).await?;
        let context = consume::context(client);
        let limits = Limits {
            replicas: config.replicas.into(),
            age: config.stream_age(),
            bytes: config.stream_bytes(),
        };
        while let Err(error) = stream::create(&context, limits).await {
            tracing::warn!("{error}; it is tried again");
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        tokio::join!(
            consume::stream(context.clone(), config.name.clone(), Arc::clone(&shared)),
            consume::tables(context, Arc::clone(&shared)),
            forget(Arc::clone(&shared), config.days),
            async {
                loop {
                    if let Some(report) = reports.take() {
                        tracing::warn!("{report}");
                    }
                    tokio::time::sleep(Duration::from_secs(10)).await;
                }
            }
        );
        Ok(())
    };
    tokio::select! {
        ended = work => ended,
        _ = term.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

/// Forgets what is old, a piece at a time.
async fn forget(shared: Arc<Shared>, days: u32) {
    loop {
        let before = Timestamp::now() - SignedDuration::from_hours(i64::from(days) * 24);
        let this = Arc::clone(&shared);
        let pruned = tokio::task::spawn_blocking(move || this.store.prune(before, PRUNE.1)).await;
        match pruned {
            Ok(Ok(gone)) if gone >= PRUNE.1 => continue,
            Ok(Err(error)) => tracing::warn!("{error}"),
            _ => {}
        }
        tokio::time::sleep(PRUNE.0).await;
    }
}
