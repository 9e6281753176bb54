//! The command line, and what runs.

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, Parser};
use peripety::internal::{Roots, follow as daemon, program, text::printable};

use crate::{
    config::{Config, ConfigError},
    control, dbus, follow, metrics,
    receiver::{Places, Receiver, StartError},
    reload, web,
};

/// Notifies people of storage failures: mail, webhooks, chat, syslog, programs; and gives metrics.
#[derive(Debug, Parser)]
#[command(name = "peripety-notify", version, max_term_width = 100)]
pub struct Args {
    /// Configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/peripety-notify.conf")]
    config: PathBuf,
    /// Check the configuration, and end
    #[arg(long)]
    check: bool,
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
    /// Directory of what this program keeps for a boot
    #[arg(
        long,
        value_name = "DIR",
        env = "RUNTIME_DIRECTORY",
        default_value = "/run/peripety-notify",
        hide = true
    )]
    own_runtime_dir: PathBuf,
    /// Directory of what this program keeps over reboots
    #[arg(
        long,
        value_name = "DIR",
        env = "STATE_DIRECTORY",
        default_value = "/var/lib/peripety-notify",
        hide = true
    )]
    state_dir: PathBuf,
}

/// What ends the program.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Control(#[from] control::ControlError),
    #[error(transparent)]
    Metrics(#[from] metrics::MetricsError),
    #[error(transparent)]
    Web(#[from] web::WebError),
    #[error("cannot wait for SIGHUP: {0}")]
    Reload(std::io::Error),
    #[error("cannot start a thread for D-Bus: {0}")]
    Bus(std::io::Error),
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().is_some_and(|option| option == daemon::JOURNAL_OPTION)
        && let Some(code) = args.next().and_then(|orders| daemon::journal_main(&orders))
    {
        return code;
    }
    let args = Args::parse();
    if let Some(shell) = args.completions {
        return program::only_completions(shell, Args::command(), "peripety-notify");
    }
    program::log_to_stderr("info");
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("peripety-notify: {}", printable(&error.to_string()));
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<(), RunError> {
    let config = Config::load(&args.config)?;
    if args.check {
        let count = config.notify.len();
        anstream::println!(
            "{}: ok, {count} receiver{}",
            args.config.display(),
            if count == 1 { "" } else { "s" }
        );
        return Ok(());
    }
    let mut roots = Roots::system();
    if let Some(dir) = &args.runtime_dir {
        roots.runtime.clone_from(dir);
    }
    roots.journal.clone_from(&args.journal_dir);
    let roots = roots.for_program(args.daemon.as_deref());
    let places = Places { runtime: args.own_runtime_dir.clone(), state: args.state_dir.clone() };
    let control = control::Control::bind(&places.runtime, &roots)?;
    let mut receivers = Vec::new();
    for notify in config.notify.iter().filter(|notify| notify.enabled) {
        receivers.push(Receiver::start(notify, &places, &roots)?);
    }
    control.start(receivers.clone())?;
    metrics::start(&config.metrics, &metrics::Source { roots: roots.clone(), receivers: receivers.clone() })?;
    reload::start(&args.config, &receivers).map_err(RunError::Reload)?;
    web::start(&config.web, &roots)?;
    dbus::start(&config.dbus, &roots).map_err(RunError::Bus)?;
    let _no_systemd = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    follow::forever(&roots, &places, &receivers, config.wants_events())
}
