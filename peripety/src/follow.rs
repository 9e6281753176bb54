//! Follows the daemon from a place on: every revision of incidents and events, whoever was away in between. What the daemon's
//! memory no longer has comes from the journal; what cannot be had is said.
//!
//! A revision may come twice (from the journal and from the daemon, or after a reconnect), never before an earlier one of the
//! same incident from the same source.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    event::{Event, Incident},
    notifier::socket::{Position, Request},
    query::{
        journald::{Direction, Position as Start, ReadError, Reader},
        socket::{Client, ClientError, Events, Message},
    },
    roots::Roots,
};

/// Option with which a program becomes the process that reads the journal for it; its value goes to [`journal_main`].
pub const JOURNAL_OPTION: &str = crate::journal::OPTION;

/// Is the process that reads the journal; none if the orders are not understood.
pub fn journal_main(orders: &str) -> Option<std::process::ExitCode> {
    crate::journal::main(orders)
}

/// How much earlier the journal is read: it takes events a little after the socket gives them, and clocks are set.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// How far a follower is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The last revision from the daemon.
    #[serde(flatten)]
    pub position: Position,
    /// When it came.
    pub at: Timestamp,
}

/// What a follower wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Revisions of events.
    pub events: bool,
    /// Revisions of incidents.
    pub incidents: bool,
}

/// What comes.
#[derive(Debug)]
pub enum Item {
    /// A revision of an incident.
    Incident(Box<Incident>),
    /// A revision of an event.
    Event(Box<Event>),
    /// An incident that was open when this follower came for the first time.
    Open(Box<Incident>),
    /// What was is through: what comes now happens now.
    Live,
    /// Something may be missing, and why.
    Gap(String),
}

/// The daemon cannot be followed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct FollowError(#[from] ClientError);

/// Asks the daemon for an answer to one request.
///
/// # Errors
///
/// It does not listen, or refuses.
pub fn ask(roots: &Roots, request: Request) -> Result<Value, FollowError> {
    Ok(Client::connect(roots)?.request(request)?)
}

/// Gives everything after `place` to `sink`, with the place to go on from, until the daemon ends. Without a place what is
/// open comes first, and nothing that is over.
///
/// # Errors
///
/// The daemon does not listen, or is not understood.
pub fn follow(
    roots: &Roots,
    kinds: Kinds,
    mut place: Option<Place>,
    sink: &mut dyn FnMut(Item, Option<&Place>),
) -> Result<(), FollowError> {
    loop {
        let (mut events, position, complete) = connect(roots, kinds, place.as_ref())?;
        match &place {
            None => open_incidents(roots, kinds, sink)?,
            Some(place) if !complete => {
                if let Err(error) = from_journal(roots, kinds, place.at, sink) {
                    sink(Item::Gap(error.to_string()), None);
                }
            }
            Some(_) => {}
        }
        let first = place.is_none();
        let mut here = place.take().filter(|_| complete).unwrap_or(Place { position, at: Timestamp::now() });
        let mut live = false;
        let behind = loop {
            let item = match events.message()? {
                None | Some(Message::End) => break false,
                Some(Message::Lost(_)) => break true,
                Some(Message::Live) => {
                    live = true;
                    Item::Live
                }
                Some(Message::Event(event)) => Item::Event(event),
                Some(Message::Incident(incident)) => Item::Incident(incident),
                Some(Message::Unreadable(why)) => Item::Gap(format!("a revision cannot be read: {why}")),
                Some(Message::Position(..)) => continue,
            };
            here.at = Timestamp::now();
            if let Some(sequence) = events.sequence() {
                here.position.sequence = here.position.sequence.max(sequence);
            }
            // What was before a follower came for the first time is none of its business, but what is open.
            if live || !first {
                sink(item, Some(&here));
            }
        };
        place = Some(here);
        if !behind {
            return Ok(());
        }
    }
}

fn connect(
    roots: &Roots,
    kinds: Kinds,
    place: Option<&Place>,
) -> Result<(Events, Position, bool), ClientError> {
    let wanted = [(kinds.events, "events"), (kinds.incidents, "incidents")];
    let mut events = Client::connect(roots)?.ask(Request {
        request: "events".to_owned(),
        follow: true,
        kinds: Some(wanted.iter().filter(|(is, _)| *is).map(|(_, kind)| (*kind).to_owned()).collect()),
        after: place.map(|place| place.position.clone()),
        ..Request::default()
    })?;
    match events.message()? {
        Some(Message::Position(position, complete)) => Ok((events, position, complete)),
        // An older daemon, or one that ends.
        _ => Err(ClientError::Nonsense { path: roots.socket() }),
    }
}

/// What is open when a follower comes for the first time.
fn open_incidents(
    roots: &Roots,
    kinds: Kinds,
    sink: &mut dyn FnMut(Item, Option<&Place>),
) -> Result<(), ClientError> {
    if !kinds.incidents {
        return Ok(());
    }
    let mut answer = Client::connect(roots)?.answer("status")?;
    let all = answer.get_mut("incidents").map(Value::take).unwrap_or_default();
    let Value::Array(all) = all else { return Ok(()) };
    let (all, unknown): (Vec<_>, Vec<_>) =
        all.into_iter().map(serde_json::from_value::<Incident>).partition(Result::is_ok);
    for error in unknown.into_iter().filter_map(Result::err) {
        sink(Item::Gap(format!("an open incident has no known form: {error}")), None);
    }
    let mut all: Vec<Incident> = all.into_iter().flatten().collect();
    all.retain(|incident| incident.state.is_open());
    all.sort_by_key(|incident| incident.opened);
    for incident in all {
        sink(Item::Open(Box::new(incident)), None);
    }
    Ok(())
}

/// What the journal has since then, each kind in the order of its writing.
fn from_journal(
    roots: &Roots,
    kinds: Kinds,
    since: Timestamp,
    sink: &mut dyn FnMut(Item, Option<&Place>),
) -> Result<(), ReadError> {
    let patience = crate::query::journald::PATIENCE;
    let start = Start::Time(since.checked_sub(MARGIN).unwrap_or(since));
    for (is_wanted, of_incidents) in [(kinds.incidents, true), (kinds.events, false)] {
        if !is_wanted {
            continue;
        }
        let mut reader = if of_incidents {
            Reader::open_incidents(roots, patience)?
        } else {
            Reader::open_with(roots, patience)?
        };
        reader.set_own_only();
        reader.seek(&start)?;
        while reader.step(Direction::Forward)?.is_some() {
            let item = if of_incidents {
                reader.incident().map(|incident| Item::Incident(Box::new(incident)))
            } else {
                reader.event().map(|event| Item::Event(Box::new(event)))
            };
            if let Some(item) = item {
                sink(item, None);
            }
        }
        for unread in reader.take_unread() {
            sink(Item::Gap(unread.to_string()), None);
        }
        let skipped = reader.take_skipped();
        if skipped.corrupt > 0 {
            let why = format!("{} entries of peripetyd in the journal cannot be read", skipped.corrupt);
            sink(Item::Gap(why), None);
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
