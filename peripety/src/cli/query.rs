//! `prpt query`: events that happened.

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};

use super::{
    NOTHING, OK, Output,
    filter::{FilterArgs, set_until},
    known,
    render::{Printer, note},
    waiting::Waiting,
};
use crate::{
    daemon::Host,
    event::{Event, EventId, Incident},
    journal::Unread,
    query::{
        Filter,
        boot::{self, Boot},
        journald::{Access, Direction, Position, ReadError, Reader, Skipped},
        select::{Select, Sink, from_journal, from_memory},
        socket::{Client, Message, Wanted},
    },
    roots::Roots,
};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// Only events not newer than this
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Only events of a boot: 0 or nothing for this one, -1 for the one before, a boot's id, or all
    #[arg(short, long, value_name = "BOOT", num_args = 0..=1, default_value = "all", default_missing_value = "0",
        hide_default_value = true, allow_negative_numbers = true)]
    boot: String,
    /// Every revision of events that grew, not only the last
    #[arg(long)]
    all_revisions: bool,
    /// Only so many events, the latest
    #[arg(short = 'n', long, value_name = "NUMBER")]
    lines: Option<usize>,
    /// The latest event first
    #[arg(short, long)]
    reverse: bool,
    /// All that is known about each event
    #[arg(short, long)]
    verbose: bool,
    /// Where to read: the journal, the daemon's memory, or whichever has events
    #[arg(long, value_enum, default_value_t)]
    source: Source,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Source {
    #[default]
    Auto,
    Journal,
    Memory,
}

enum Open {
    Journal(Box<Reader>),
    /// With the reason why it is not the journal.
    Memory(Client, &'static str),
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let mut built = args.filter.build(roots)?;
    let filter = &mut built.filter;
    set_until(filter, args.until.as_deref())?;
    let boot: Boot = args.boot.parse().context("--boot")?;
    let mut source = open(args.source, roots)?;
    let has_any = match &mut source {
        Open::Journal(reader) => has_events(reader),
        Open::Memory(..) => true,
    };
    filter.boot = boot_id(&boot, &mut source, roots).context("--boot")?;

    let select = Select { all_revisions: args.all_revisions, lines: args.lines, reverse: args.reverse };
    let mut printer = Printer::new(args.output, args.verbose);
    printer.name_others(Host::read(roots).hostname);
    let mut found = false;
    let complete = read(source, filter, select, &mut |event| {
        found = true;
        printer.event(&event)
    })?;
    // A journal that is read on purpose may be another machine's.
    let is_other = args.source == Source::Journal || roots.journal.is_some();
    let is_watched = !is_other && known::note_limits(roots);
    if found {
        return Ok(if complete { OK } else { NOTHING });
    }
    if let Some(unknown) = built.unknown_device {
        return Err(unknown.context("--blk"));
    }
    note("no event found");
    if !is_other && !is_watched {
        note("peripetyd does not run, or may not be asked: what happens now goes unseen");
        if !has_any {
            bail!("the journal has no event of peripetyd: whether something failed cannot be known");
        }
    }
    Ok(NOTHING)
}

/// The last revisions of these events, which began about then, from whoever has them.
pub(super) fn by_ids(ids: Vec<EventId>, since: Timestamp, roots: &Roots) -> anyhow::Result<Vec<Event>> {
    let since = since.checked_sub(SignedDuration::from_secs(60)).ok();
    let filter = Filter { ids, since, ..Filter::default() };
    let source = match Client::connect(roots) {
        Ok(client) => Open::Memory(client, ""),
        Err(_) => open(Source::Auto, roots)?,
    };
    let mut found = Vec::new();
    let select = Select { all_revisions: false, lines: None, reverse: false };
    let mut sink = |event: Event| {
        found.push(event);
        Ok(())
    };
    match source {
        Open::Memory(client, "") => from_memory(stored(client, &filter)?, &filter, select, &mut sink)?,
        source => {
            read(source, &filter, select, &mut sink)?;
        }
    }
    Ok(found)
}

/// The last revisions of the events of an incident.
pub(super) fn of_incident(incident: &Incident, roots: &Roots) -> anyhow::Result<Vec<Event>> {
    let ids = incident.events.iter().map(|member| member.event_id).collect();
    by_ids(ids, incident.opened, roots)
}

fn open(source: Source, roots: &Roots) -> anyhow::Result<Open> {
    if source == Source::Memory {
        return Ok(Open::Memory(Client::connect(roots)?, "as asked"));
    }
    let mut journal = Reader::open(roots);
    let denied = journal.as_ref().is_ok_and(|reader| matches!(reader.access(), Access::Denied(_)));
    if source == Source::Journal || roots.journal.is_some() {
        if denied {
            bail!(DENIED);
        }
        return Ok(Open::Journal(Box::new(journal?)));
    }
    if let Ok(reader) = &mut journal
        && has_events(reader)
    {
        return journal.map(|reader| Open::Journal(Box::new(reader))).map_err(Into::into);
    }
    match (Client::connect(roots), journal) {
        (Ok(client), mut journal) => {
            let why = match &mut journal {
                _ if denied => "the journal may not be read",
                Ok(reader) => {
                    tell_unread(&reader.take_unread());
                    "the journal has no events"
                }
                Err(ReadError::None { .. }) => "there is no journal",
                Err(error) => {
                    note(&error.to_string());
                    "the journal cannot be read"
                }
            };
            Ok(Open::Memory(client, why))
        }
        (Err(_), _) if denied => bail!(DENIED),
        (Err(_), Err(error @ (ReadError::System { .. } | ReadError::Process(_)))) => Err(error.into()),
        (Err(_), Ok(reader)) if reader.has_files() || reader.is_incomplete() => {
            Ok(Open::Journal(Box::new(reader)))
        }
        (Err(no_daemon), _) => Err(anyhow::Error::new(no_daemon).context("there is no journal to read")),
    }
}

const DENIED: &str =
    "no permission to read the system's journal: use sudo, or become a member of group systemd-journal";

fn has_events(reader: &mut Reader) -> bool {
    let found = reader.seek(&Position::Tail).and_then(|()| reader.step(Direction::Back));
    reader.take_skipped();
    matches!(found, Ok(Some(_)))
}

fn boot_id(boot: &Boot, source: &mut Open, roots: &Roots) -> anyhow::Result<Option<String>> {
    let current = boot::current(roots);
    Ok(boot.id(&current, || match source {
        Open::Journal(reader) => reader.boots().ok(),
        Open::Memory(..) => None,
    })?)
}

/// Whether all of it could be read.
fn read(source: Open, filter: &Filter, select: Select, sink: &mut Sink<'_>) -> anyhow::Result<bool> {
    match source {
        Open::Journal(mut reader) => {
            let mut reading = Some(Waiting::with("reading the journal"));
            let skipped = from_journal(&mut reader, filter, select, &mut |event| {
                drop(reading.take());
                sink(event)
            });
            drop(reading);
            let unread = reader.take_unread();
            tell_unread(&unread);
            tell_skipped(skipped?);
            tell_foreign(&mut reader);
            if !unread.is_empty() && !reader.has_files() {
                bail!("nothing of the journal can be read, so what happened cannot be known");
            }
            Ok(unread.is_empty())
        }
        Open::Memory(client, why) => {
            note(&format!("{why}: these are the events in peripetyd's memory"));
            if select.all_revisions {
                note("peripetyd's memory has the last revision of each event only");
            }
            from_memory(stored(client, filter)?, filter, select, sink)?;
            Ok(true)
        }
    }
}

fn stored(client: Client, filter: &Filter) -> anyhow::Result<Vec<Event>> {
    let mut stream = client.events(Wanted { since: filter.since, ..Wanted::default() })?;
    let (mut events, mut unreadable) = (Vec::new(), 0);
    loop {
        match stream.message()? {
            Some(Message::Event(event)) => events.push(*event),
            Some(Message::Unreadable(_)) => unreadable += 1,
            Some(Message::Lost(_) | Message::Live | Message::Incident) => {}
            Some(Message::End) => break,
            None => {
                note("peripetyd went away before it had sent all events");
                break;
            }
        }
    }
    if unreadable > 0 {
        note(&format!("{unreadable} events are not readable for this version of prpt"));
    }
    Ok(events)
}

/// Says which parts of the journal are unknown.
pub(super) fn tell_unread(unread: &[Unread]) {
    for unread in unread {
        note(&unread.to_string());
    }
}

/// Says which machines events are of, if not of this one.
pub(super) fn tell_foreign(reader: &mut Reader) {
    for machine in reader.take_foreign() {
        note(&format!("there are events of another machine: {machine}"));
    }
}

pub(super) fn tell_skipped(skipped: Skipped) {
    if skipped.forged > 0 {
        let n = skipped.forged;
        note(&format!(
            "passed over {n} journal entries that claim to be events, but were not written by peripetyd"
        ));
    }
    if skipped.corrupt > 0 {
        note(&format!("passed over {} events of the journal that cannot be read", skipped.corrupt));
    }
}
