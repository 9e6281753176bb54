//! `prpt`: one file per subcommand, one line in the table below for each.
//!
//! Data goes to stdout, words to stderr. The exit status is 0 when all is well, 1 when nothing was found or something is
//! degraded, 2 for a usage error, a failure, or what cannot be known. A closed pipe is no error.

mod ack;
mod arrays;
mod beegfs;
mod blk_text;
mod check_config;
mod completions;
mod demo;
mod doctor;
mod explain;
mod explain_files;
mod filter;
mod find_files;
mod incident_graph;
mod incident_out;
mod incident_text;
mod incidents;
mod info;
mod info_map;
mod known;
mod list;
mod match_line;
mod monitor;
mod notify;
mod pager;
mod parse;
mod policy;
mod probes;
mod query;
pub(crate) mod render;
mod replay;
mod report;
mod resolve;
mod scan;
mod stats;
mod status;
mod timeline;
mod types;
mod waiting;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, Parser, ValueEnum, error::ErrorKind};

use crate::{roots::Roots, terminal::error_chain};

/// All is well.
pub(crate) const OK: u8 = 0;
/// Nothing found, or something is degraded.
pub(crate) const NOTHING: u8 = 1;
/// Usage error or failure.
pub(crate) const FAILED: u8 = 2;

/// Watches, queries and explains storage events.
#[derive(Debug, Parser)]
#[command(name = "prpt", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

/// What every subcommand takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// Read sysfs, procfs, /run and /etc below this directory instead of /
    #[arg(long, global = true, value_name = "DIR", hide = true)]
    root: Option<PathBuf>,
    /// Directory of the daemon's socket
    #[arg(long, global = true, value_name = "DIR", env = "PERIPETY_RUNTIME_DIR", hide = true)]
    runtime_dir: Option<PathBuf>,
    /// Directory of journal files to read instead of the system's journal
    #[arg(long, global = true, value_name = "DIR", env = "PERIPETY_JOURNAL_DIR", hide = true)]
    journal_dir: Option<PathBuf>,
    /// Do not show long output in a pager
    #[arg(long, global = true)]
    no_pager: bool,
    /// Another peripetyd whose events in the journal are believed
    #[arg(long, global = true, value_name = "FILE", env = "PERIPETY_DAEMON", hide = true)]
    daemon: Option<PathBuf>,
}

impl Global {
    fn roots(&self) -> Roots {
        let mut roots = self.root.as_deref().map_or_else(Roots::system, Roots::under);
        if let Some(dir) = &self.runtime_dir {
            roots.runtime = dir.clone();
        }
        roots.journal = self.journal_dir.clone();
        roots.for_program(self.daemon.as_deref())
    }
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for a human.
    #[default]
    #[value(name = "Plain", alias = "plain")]
    Plain,
    /// One JSON object on each line.
    #[value(name = "Json", alias = "json")]
    Json,
    /// Indented JSON.
    #[value(name = "JsonPretty", alias = "jsonpretty", alias = "json-pretty")]
    JsonPretty,
}

/// The options of everything that prints data.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Output {
    /// How to print
    #[arg(long, value_enum, default_value_t, ignore_case = true)]
    pub format: Format,
    /// Same as --format JsonPretty
    #[arg(short = 'J', conflicts_with = "format")]
    pub json_pretty: bool,
}

impl Output {
    /// The format that was asked for.
    pub(crate) fn format(self) -> Format {
        if self.json_pretty { Format::JsonPretty } else { self.format }
    }
}

macro_rules! commands {
    ($($(#[$meta:meta])* $variant:ident $module:ident,)*) => {
        #[derive(Debug, clap::Subcommand)]
        enum Command {
            $($(#[$meta])* $variant($module::Args),)*
        }

        impl Command {
            fn run(self, roots: &Roots) -> anyhow::Result<u8> {
                match self {
                    $(Self::$variant(args) => $module::run(args, roots),)*
                }
            }
        }
    };
}

commands! {
    /// Print events as they happen
    Monitor monitor,
    /// Print events that happened
    Query query,
    /// Give the events of a recording once more
    Replay replay,
    /// Print events of a log file: dmesg, /dev/kmsg, journal, syslog, a sosreport or supportconfig
    Parse parse,
    /// List what is wrong now
    Status status,
    /// Explain an incident: cause, events, what is hurt, what to do
    Explain explain,
    /// List incidents: what failed, why, and whether it is over
    Incidents incidents,
    /// Write one page with all that is known of incidents, for whoever is asked for help
    Report report,
    /// Show on which times of a day incidents were open
    Timeline timeline,
    /// Say that a fault is over, and why
    Resolve resolve,
    /// Say that an incident is known, and what is done about it
    Ack ack,
    /// Show who is notified and what waits, or send a test
    Notify notify,
    /// Report all that is known about a block device, by any of its names
    Info info,
    /// List block devices
    List list,
    /// Show arrays, mirrors, pools and snapshots: legs, sync, what may still fail, how full
    Arrays arrays,
    /// Check policies, or say what they would do about an incident
    Policy policy,
    /// Show what is scanned and how far that is, or check what would be
    Scan scan,
    /// Show the eBPF probes of the running daemon
    Probes probes,
    /// Say what came in, what went out, and what was lost where
    Stats stats,
    /// Say what this machine can and cannot see, and what to do about it
    Doctor doctor,
    /// Make a disk that fails, show what is reported of it, and clean up
    Demo demo,
    /// Receive the file events of BeeGFS metadata servers
    Beegfs beegfs,
    /// List the types of events
    Types types,
    /// Show which rule takes a line of the kernel, and what it makes of it
    Match match_line,
    /// Check a configuration file
    CheckConfig check_config,
    /// Print the completions of a shell
    #[command(hide = true)]
    Completions completions,
}

impl Command {
    /// Whether it prints once, and perhaps more than a screen.
    fn is_paged(&self) -> bool {
        match self {
            Self::Status(args) => !args.is_watching(),
            Self::Query(_)
            | Self::Explain(_)
            | Self::Incidents(_)
            | Self::Timeline(_)
            | Self::Info(_)
            | Self::List(_)
            | Self::Arrays(_)
            | Self::Types(_)
            | Self::Probes(_)
            | Self::Stats(_)
            | Self::Doctor(_) => true,
            _ => false,
        }
    }
}

/// Runs `prpt` with the arguments of the process.
pub fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().is_some_and(|option| option == crate::journal::OPTION)
        && let Some(code) = args.next().and_then(|orders| crate::journal::main(&orders))
    {
        return code;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error)
            if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =>
        {
            error.exit()
        }
        Err(error) => {
            anstream::eprintln!("prpt: {}", crate::text::printable(&one_line(&error)));
            return ExitCode::from(FAILED);
        }
    };
    let roots = cli.global.roots();
    let pager = (cli.command.is_paged() && !cli.global.no_pager).then(pager::Pager::start).flatten();
    let result = cli.command.run(&roots);
    drop(pager);
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) if closed_pipe(&error) => ExitCode::from(OK),
        Err(error) => {
            anstream::eprintln!("prpt: {}", crate::text::printable(&error_chain(error.as_ref())));
            ExitCode::from(FAILED)
        }
    }
}

/// The definition of `prpt`, for man pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// What clap has to say about the arguments, as one line.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("Usage:"));
    let words = lines.map(|line| line.strip_prefix("error: ").unwrap_or(line)).collect::<Vec<_>>().join("; ");
    words
        .replace("; [", " [")
        .replace(":; ", ": ")
        .replace("; For more", "; for more")
        .trim_end_matches('.')
        .to_owned()
}

fn closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|e| e.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_arguments_are_told_in_one_line() {
        for (args, words) in [
            (
                &["query", "--format", "Xml"][..],
                "invalid value 'Xml' for '--format <FORMAT>' [possible values: Plain, Json",
            ),
            (
                &["query", "--formt", "Json"],
                "unexpected argument '--formt' found; tip: a similar argument exists: '--format'",
            ),
            (&["query", "-n", "many"], "invalid value 'many' for '--lines <NUMBER>'"),
            (&["query", "-J", "--format", "Json"], "cannot be used with"),
            (
                &["quary"],
                "unrecognized subcommand 'quary'; tip: some similar subcommands exist: 'arrays', 'query'",
            ),
        ] {
            let Err(error) = Cli::try_parse_from(["prpt"].iter().chain(args)) else { panic!("{args:?}") };
            let reported = one_line(&error);
            assert!(
                reported.contains(words) && reported.lines().count() == 1 && reported.contains("--help"),
                "{reported}"
            );
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        let inner = std::io::Error::other("disk on fire");
        let error = anyhow::Error::new(inner).context("cannot read x: disk on fire").context("--blk");
        assert_eq!(error_chain(error.as_ref()), "--blk: cannot read x: disk on fire");
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }
}
