//! The program: one thread, which waits for hints, asks glusterd, and prints what changed.

mod hooks;
mod sources;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use peripety_block::Roots;

use self::sources::Sources;
use crate::{
    change::Change,
    core::Core,
    gluster::{AskError, Gluster},
    local,
    snapshot::Snapshot,
    store::Saved,
};

/// Reports changes of GlusterFS' volumes, bricks and peers to peripetyd
#[derive(Debug, Parser)]
#[command(name = "peripety-gluster", version, max_term_width = 100)]
#[command(after_long_help = "\
Each change is a line on standard output. As peripety-gluster.service these lines are in the journal, and peripetyd makes an event of \
each: prpt query --sub-system gluster.")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    places: Places,
}

/// Where things are.
#[derive(Clone, Debug, clap::Args)]
struct Places {
    /// The command line tool of GlusterFS
    #[arg(long, value_name = "FILE", default_value = "gluster", global = true)]
    gluster: PathBuf,
    /// Where glusterd keeps its state
    #[arg(long, value_name = "DIR", default_value = "/var/lib/glusterd", global = true)]
    workdir: PathBuf,
    /// Where GlusterFS writes its logs
    #[arg(long, value_name = "DIR", default_value = "/var/log/glusterfs", global = true)]
    logs: PathBuf,
    /// Where to keep what was reported
    #[arg(
        long,
        value_name = "FILE",
        env = "PERIPETY_GLUSTER_STATE",
        default_value = "/var/lib/peripety-gluster/state.json",
        global = true
    )]
    state: PathBuf,
    /// How long glusterd may take for an answer, in seconds
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600), global = true)]
    limit: u64,
}

impl Places {
    fn gluster(&self) -> Gluster {
        Gluster {
            program: self.gluster.clone(),
            workdir: self.workdir.clone(),
            limit: Duration::from_secs(self.limit),
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Report changes as they happen (what it does without a command)
    Run,
    /// Ask glusterd once, and print volumes, bricks with their block devices, and peers as JSON
    State,
    /// Let glusterd report operations at once: put our hook beside its own
    Hooks(hooks::Args),
}

/// Runs until a signal ends it.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let ended = match &args.command {
        None | Some(Command::Run) => run(&args.places),
        Some(Command::State) => state(&args.places),
        Some(Command::Hooks(hooks)) => hooks::run(hooks, &args.places.workdir),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Words for whoever reads the unit's log. peripetyd's rules know none of them.
fn note(words: &str) {
    let _closed = writeln!(io::stderr(), "peripety-gluster: {words}");
}

/// Volumes and peers, with the devices of this node.
fn definitions(gluster: &Gluster) -> Result<Snapshot, AskError> {
    let mut snapshot = gluster.definitions()?;
    local::devices(&mut snapshot, &Roots::system());
    Ok(snapshot)
}

fn state(places: &Places) -> anyhow::Result<()> {
    let gluster = places.gluster();
    let mut snapshot = definitions(&gluster)?;
    if let Err(error) = gluster.processes(&mut snapshot, true) {
        note(&format!("{error}; which bricks run is not known"));
    }
    let text = serde_json::to_string_pretty(&snapshot)?;
    writeln!(io::stdout(), "{text}").context("cannot write to standard output")
}

fn run(places: &Places) -> anyhow::Result<()> {
    let gluster = places.gluster();
    let saved = Saved::load(&places.state).unwrap_or_else(|error| {
        note(&format!("{error}; what is wrong now is reported anew"));
        Saved::default()
    });
    let mut core = Core::new(saved);
    let mut sources = Sources::open(&places.logs);
    let begin = Instant::now();
    let mut complaint = String::new();
    loop {
        if millis(begin) >= core.ask_at() {
            let words =
                ask(&gluster, &mut core, begin, places)?.map(|error| error.to_string()).unwrap_or_default();
            if words != complaint && !words.is_empty() {
                note(&words);
            }
            complaint = words;
            sources.watch_bricks(core.known());
        }
        let wait = core.ask_at().saturating_sub(millis(begin));
        for (giver, hint) in sources.wait(wait)? {
            let changes = core.hint(millis(begin), giver, hint);
            report(&changes, &core, places)?;
        }
    }
}

/// Asks glusterd and reports what changed: what this node knows by itself first, for the rest may take as long as another node does.
/// Gives why there was no whole answer.
fn ask(
    gluster: &Gluster,
    core: &mut Core,
    begin: Instant,
    places: &Places,
) -> anyhow::Result<Option<AskError>> {
    let heal = core.heal_wanted(millis(begin));
    let mut snapshot = match definitions(gluster) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            let changes = core.failed(millis(begin), time_of_day(), &error.to_string());
            report(&changes, core, places)?;
            return Ok(Some(error));
        }
    };
    let is_first = core.known().is_none();
    if !is_first {
        let changes = core.snapshot(millis(begin), time_of_day(), snapshot.clone(), false);
        report(&changes, core, places)?;
    }
    if let Err(error) = gluster.processes(&mut snapshot, heal) {
        core.later(millis(begin));
        return Ok(Some(error));
    }
    let changes = core.snapshot(millis(begin), time_of_day(), snapshot, true);
    report(&changes, core, places)?;
    if is_first && changes.is_empty() {
        save(core, places);
    }
    Ok(None)
}

/// Prints what changed, then remembers that it was printed: after a kill between the two a line comes twice, never not at all.
fn report(changes: &[Change], core: &Core, places: &Places) -> anyhow::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut output = io::stdout().lock();
    for change in changes {
        writeln!(output, "{change}").context("cannot write to standard output")?;
    }
    output.flush().context("cannot write to standard output")?;
    save(core, places);
    Ok(())
}

fn save(core: &Core, places: &Places) {
    if let Err(error) = core.save().store(&places.state) {
        note(&format!("{error}; after a restart what is wrong now is reported again"));
    }
}

fn millis(begin: Instant) -> u64 {
    u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn time_of_day() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
