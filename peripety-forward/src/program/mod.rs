//! The program: one thread that reads the journal, and one that talks to the servers.

mod beat;
mod config;
mod forward;
mod place;
mod source;

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, Parser};
use peripety::internal::{
    program,
    text::{error_chain, printable},
};

use self::config::Config;
use crate::{
    name::Sender,
    server::{Reports, inbox},
    stream::{self, Limits},
};

/// Forwards what peripetyd reports on this host to the fleet's stream
#[derive(Debug, Parser)]
#[command(name = "peripety-forward", version, max_term_width = 100)]
#[command(after_long_help = "\
It reads the journal from where it was the last time, so that an outage of the servers costs nothing but time: what was written \
meanwhile follows in order. systemctl status peripety-forward says how far it is.")]
pub struct Args {
    /// Configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/peripety-forward.conf")]
    config: PathBuf,
    /// Check the configuration, and end
    #[arg(long)]
    check: bool,
    /// Make the stream and the tables of the fleet, and end: once, by a user who may
    #[arg(long, conflicts_with = "check")]
    create: bool,
    /// Copies of each message that the servers keep: 1, or 3 of three servers or more
    #[arg(long, value_name = "N", default_value_t = 1, requires = "create", value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
    /// Days after which messages are forgotten
    #[arg(long, value_name = "N", default_value_t = 90, requires = "create", value_parser = clap::value_parser!(u32).range(1..=36500))]
    days: u32,
    /// GiB beyond which the oldest messages are forgotten
    #[arg(long, value_name = "N", default_value_t = 10, requires = "create", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    gib: u32,
    /// Print the completions of a shell, and end: for packages
    #[arg(long, value_name = "SHELL", hide = true)]
    completions: Option<clap_complete::Shell>,
    /// Directory of the daemon's socket
    #[arg(long, value_name = "DIR", env = "PERIPETY_RUNTIME_DIR", hide = true)]
    runtime_dir: Option<PathBuf>,
    /// Directory of journal files to read instead of the system's journal
    #[arg(long, value_name = "DIR", env = "PERIPETY_JOURNAL_DIR", hide = true)]
    journal_dir: Option<PathBuf>,
    /// Another peripetyd whose events in the journal are believed
    #[arg(long, value_name = "FILE", env = "PERIPETY_DAEMON", hide = true)]
    daemon: Option<PathBuf>,
    /// Directory of what this program keeps
    #[arg(
        long,
        value_name = "DIR",
        env = "STATE_DIRECTORY",
        default_value = "/var/lib/peripety-forward",
        hide = true
    )]
    state_dir: PathBuf,
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(shell) = args.completions {
        return program::only_completions(shell, Args::command(), "peripety-forward");
    }
    program::log_to_stderr("info,async_nats=off");
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let words = error_chain(error.as_ref());
            let _closed = writeln!(std::io::stderr(), "peripety-forward: {}", printable(&words));
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let config = Config::load(&args.config)?;
    if args.check {
        let count = config.servers.urls.len();
        let plural = if count == 1 { "" } else { "s" };
        writeln!(std::io::stdout(), "{}: ok, {count} server{plural}", args.config.display())?;
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if args.create {
        return runtime.block_on(create(args, &config));
    }
    runtime.block_on(forward::run(args, &config))
}

/// Makes stream and tables.
async fn create(args: &Args, config: &Config) -> anyhow::Result<()> {
    let sender = Sender::new(&config.site, "_create");
    let client =
        config.servers.connect("peripety-forward --create", &inbox(&sender), &Reports::default()).await?;
    let limits = Limits {
        replicas: args.replicas.into(),
        age: std::time::Duration::from_secs(u64::from(args.days) * 86_400),
        bytes: i64::from(args.gib) << 30,
    };
    stream::create(&async_nats::jetstream::new(client), limits).await?;
    writeln!(
        std::io::stdout(),
        "the stream peripety and the tables peripety_cluster and peripety_hosts are there"
    )?;
    Ok(())
}
