//! `prpt beegfs listen`: the file events of BeeGFS metadata servers, as JSON Lines.

use std::{io::Write as _, path::PathBuf, time::Duration};

use anyhow::bail;
use peripety_beegfs::{
    event::type_names,
    filter::Filter,
    listen::{ListenError, Notice, Options, run as listen},
    session::{Begin, Loss, LossKind},
};

use super::{OK, render::note};
use crate::roots::Roots;

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Receive the file events of metadata servers and print each as a line of JSON
    #[command(after_long_help = "\
Set sysFileEventLogTarget = unix:///PATH in beegfs-meta.conf of each metadata server, and start the listener before the server: what \
a server of BeeGFS 7 cannot deliver it drops, and counts. A server of BeeGFS 8 keeps its events in a queue of its own; with --state \
the listener goes on where it was. When events are lost for good, a line with EventsLost says how many, and that a full scan of the \
filesystem is needed to know what changed.")]
    Listen(Listen),
}

#[derive(Debug, clap::Args)]
struct Listen {
    /// The socket of a metadata server, as in its sysFileEventLogTarget; one for each server
    #[arg(required = true, value_name = "PATH")]
    sockets: Vec<String>,
    /// Remember in this file which events came, to go on there after a restart (BeeGFS 8)
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Begin with what comes from now on, not with the oldest event that a server has (BeeGFS 8)
    #[arg(long)]
    from_now: bool,
    /// Only events about this file or directory, as a path from the mount point; can be given again
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
    /// Only events of this type, such as Create or Rename; can be given again
    #[arg(long = "type", value_name = "TYPE", value_parser = kind)]
    types: Vec<String>,
    /// How long an event waits for earlier ones of other servers, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = clap::value_parser!(u64).range(..=60_000))]
    window: u64,
}

/// The name of a type, in whatever case.
fn kind(text: &str) -> Result<String, String> {
    let found = type_names().find(|name| name.eq_ignore_ascii_case(text));
    found
        .map(str::to_owned)
        .ok_or_else(|| format!("there is {}", type_names().collect::<Vec<_>>().join(", ")))
}

pub(super) fn run(args: Args, _roots: &Roots) -> anyhow::Result<u8> {
    let Command::Listen(args) = args.command;
    let socket = |path: String| PathBuf::from(path.strip_prefix("unix://").unwrap_or(&path));
    let mut sockets: Vec<PathBuf> = args.sockets.into_iter().map(socket).collect();
    sockets.sort();
    if let Some([twice, _]) = sockets.array_windows().find(|[one, two]| one == two) {
        bail!("{} was given twice: each metadata server needs a socket of its own", twice.display());
    }
    let options = Options {
        sockets,
        begin: if args.from_now { Begin::Newest } else { Begin::Oldest },
        state: args.state,
        filter: Filter { paths: args.paths.into_iter().map(String::into_bytes).collect(), types: args.types },
        window: Duration::from_millis(args.window),
    };
    let mut output = std::io::BufWriter::with_capacity(256 << 10, std::io::stdout().lock());
    match listen(options, &mut output, |notice| note(&words(notice))) {
        Err(ListenError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        ended => ended?,
    }
    output.flush()?;
    Ok(OK)
}

/// One line: a built-in rule makes PERIPETY_EVENTS_LOST of what is lost, when it is in the journal.
fn words(notice: &Notice) -> String {
    match notice {
        Notice::Lost(socket, Loss { kind, count }) => {
            let why = match kind {
                LossKind::Dropped => "the server could not deliver them",
                LossKind::Missed => "they were about several paths and name one",
                LossKind::Overwritten => "the server's queue made room",
                LossKind::Gap => "numbers were left out",
                LossKind::Renumbered => "the server's numbers began anew",
                LossKind::Malformed => "they could not be read",
            };
            let count = count.map_or_else(|| "an unknown number of".to_owned(), |count| count.to_string());
            format!(
                "beegfs {}: {count} file events are lost: {why}; a full scan of the filesystem is needed",
                socket.display()
            )
        }
        Notice::Trouble(socket, what) => format!("beegfs {}: {what}", socket.display()),
    }
}
