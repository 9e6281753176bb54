//! `prpt replay`: the events of a recording, made once more of its records.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use anyhow::Context as _;

use super::{
    FAILED, NOTHING, OK, Output,
    filter::{FilterArgs, set_until},
    incident_out,
    render::{Printer, note},
};
use crate::{
    event::{Event, EventId, Incident, IncidentId},
    query::select::{Select, from_memory},
    recording::{Notes, Replay, ReplayError},
    roots::Roots,
    text::printable,
};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Recording that 'peripetyd --record FILE' made; - for standard input
    file: PathBuf,
    #[command(flatten)]
    filter: FilterArgs,
    /// Only events not newer than this
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Every revision of events that grew, in the order in which the daemon sent them, not only the last
    #[arg(long, conflicts_with_all = ["lines", "reverse"])]
    all_revisions: bool,
    /// Incidents in place of events; with -v the tree of their events; all revisions with --all-revisions
    #[arg(long, conflicts_with_all = ["lines", "reverse"])]
    incidents: bool,
    /// Only so many events, the latest
    #[arg(short = 'n', long, value_name = "NUMBER")]
    lines: Option<usize>,
    /// The latest event first
    #[arg(short, long)]
    reverse: bool,
    /// All that is known about each event
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let mut filter = args.filter.build(roots)?.filter;
    set_until(&mut filter, args.until.as_deref())?;
    let named = || printable(&args.file.to_string_lossy()).into_owned();
    let mut replay = Replay::open(&args.file).with_context(named)?;
    let printer = Printer::new(args.output, args.verbose);
    let (mut found, mut last) = (false, Latest::default());
    if args.incidents {
        return incidents(&mut replay, &args, &named());
    }
    let result = run_through(&mut replay, &mut |event| {
        if !args.all_revisions {
            last.take(event);
        } else if filter.matches(&event) {
            found = true;
            printer.event(&event)?;
        }
        Ok(())
    })?;
    let select = Select { all_revisions: false, lines: args.lines, reverse: args.reverse };
    from_memory(last.events, &filter, select, &mut |event| {
        found = true;
        printer.event(&event)
    })?;
    print_notes(replay.notes());
    match result {
        Ok(()) if found => Ok(OK),
        Ok(()) => {
            note("no event found");
            Ok(NOTHING)
        }
        Err(error) => {
            note(&format!("{}: {error}", named()));
            Ok(FAILED)
        }
    }
}

/// The incidents of a recording.
fn incidents(replay: &mut Replay<Box<dyn std::io::BufRead>>, args: &Args, name: &str) -> anyhow::Result<u8> {
    let picture = args.output.format().into();
    let (mut last, mut events): (BTreeMap<IncidentId, Incident>, Vec<Event>) = (BTreeMap::new(), Vec::new());
    let result = loop {
        let more = replay.step(&mut events);
        events.clear();
        let revisions = replay.take_incidents();
        if args.all_revisions {
            incident_out::show(&revisions, picture, args.verbose)?;
        }
        last.extend(revisions.into_iter().map(|incident| (incident.incident_id, incident)));
        match more {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let found = !last.is_empty();
    if !args.all_revisions {
        let mut all: Vec<Incident> = last.into_values().filter(|i| i.superseded_by.is_none()).collect();
        all.sort_by_key(|incident| (incident.opened, incident.incident_id));
        incident_out::show(&all, picture, args.verbose)?;
    }
    print_notes(replay.notes());
    match result {
        Ok(()) if found => Ok(OK),
        Ok(()) => {
            note("no incident found");
            Ok(NOTHING)
        }
        Err(error) => {
            note(&format!("{name}: {error}"));
            Ok(FAILED)
        }
    }
}

/// Replays to the end or to what is broken; the outer error is the sink's.
fn run_through(
    replay: &mut Replay<Box<dyn std::io::BufRead>>,
    sink: &mut dyn FnMut(Event) -> anyhow::Result<()>,
) -> anyhow::Result<Result<(), ReplayError>> {
    let mut events = Vec::new();
    loop {
        let more = replay.step(&mut events);
        events.drain(..).try_for_each(&mut *sink)?;
        match more {
            Ok(true) => {}
            Ok(false) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// The last revision of each event, in the order in which the events came up.
#[derive(Default)]
struct Latest {
    events: Vec<Event>,
    places: HashMap<EventId, usize>,
}

impl Latest {
    fn take(&mut self, event: Event) {
        match self.places.get(&event.event_id).and_then(|place| self.events.get_mut(*place)) {
            Some(known) if known.revision <= event.revision => *known = event,
            Some(_) => {}
            None => {
                self.places.insert(event.event_id, self.events.len());
                self.events.push(event);
            }
        }
    }
}

fn print_notes(notes: &Notes) {
    if let Some(version) = &notes.other_rules {
        note(&format!(
            "it was recorded by peripetyd {version} with other built-in rules: lines of text may be understood otherwise now"
        ));
    }
    if notes.missing > 0 {
        note(&format!("{} records are missing in it: events may lack them", notes.missing));
    }
    if notes.torn > 0 || notes.cut {
        note(
            "it is cut off, as by a daemon that was killed or a disk that was full: what was there was replayed",
        );
    }
}
