//! Follows the daemon from a place on: every revision of incidents and events, whoever was away in between. What the daemon's
//! memory no longer has comes from the journal, which a process of its own reads; what cannot be had is said.
//!
//! A revision may come again after a reconnect, never before an earlier one of the same incident from the same source.

use std::collections::VecDeque;

use jiff::Timestamp;
use peripety_client::{
    Content, Cursor, Error as ClientError, Next, Options, Position, ReadJournal, Request, Start, Stream,
    Written,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    event::{Event, Incident},
    query::journald::{Direction, PATIENCE, Position as From, ReadError, Reader},
    roots::Roots,
};

/// Option with which a program becomes the process that reads the journal for it; its value goes to [`journal_main`].
pub const JOURNAL_OPTION: &str = crate::journal::OPTION;

/// Is the process that reads the journal; none if the orders are not understood.
pub fn journal_main(orders: &str) -> Option<std::process::ExitCode> {
    crate::journal::main(orders)
}

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
    Ok(peripety_client::ask(&roots.socket(), request)?)
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
    place: Option<Place>,
    sink: &mut dyn FnMut(Item, Option<&Place>),
) -> Result<(), FollowError> {
    let first = place.is_none();
    let start = place
        .map_or(Start::Now, |place| Start::After(Cursor::Daemon(place.position, place.at.as_microsecond())));
    let options = Options {
        events: kinds.events,
        incidents: kinds.incidents,
        start,
        socket: roots.socket(),
        ..Options::default()
    };
    let mut stream = Stream::open_with(options, Box::new(Journal::new(roots)))?;
    if first && kinds.incidents {
        for incident in open(roots)? {
            sink(Item::Open(Box::new(incident)), None);
        }
    }
    loop {
        let item = match stream.wait(None)? {
            Next::Item(item) => item,
            // A signal.
            Next::Nothing => continue,
            Next::Over => return Ok(()),
        };
        let here = match item.cursor() {
            Some(Cursor::Daemon(position, at_us)) => {
                let at = Timestamp::from_microsecond(*at_us).unwrap_or_default();
                Some(Place { position: position.clone(), at })
            }
            _ => None,
        };
        let item = match item.into_content() {
            Content::Event(event) => Item::Event(event),
            Content::Incident(incident) => Item::Incident(incident),
            Content::Live => Item::Live,
            Content::Gap(why) => Item::Gap(why),
            Content::Disconnected => return Ok(()),
        };
        sink(item, here.as_ref());
    }
}

/// The incidents that are open, the first one first. One whose form is not known is left out.
///
/// # Errors
///
/// The daemon does not listen, or refuses.
pub fn open(roots: &Roots) -> Result<Vec<Incident>, FollowError> {
    let mut answer = ask(roots, Request { request: "status".to_owned(), ..Request::default() })?;
    let all = answer.get_mut("incidents").map(Value::take).unwrap_or_default();
    let Value::Array(all) = all else { return Ok(Vec::new()) };
    let mut open = Vec::new();
    for one in all {
        match serde_json::from_value::<Incident>(one) {
            Ok(incident) if incident.state.is_open() => open.push(incident),
            Ok(_) => {}
            Err(error) => tracing::warn!("an incident of peripetyd has no known form: {error}"),
        }
    }
    open.sort_by_key(|incident| incident.opened);
    Ok(open)
}

/// The journal, read by a process of its own.
#[derive(Clone, Debug)]
pub struct Journal {
    roots: Roots,
}

impl Journal {
    /// That of these roots.
    pub fn new(roots: &Roots) -> Self {
        Self { roots: roots.clone() }
    }

    fn reader(&self, of_incidents: bool, start: &From) -> Result<Reader, ReadError> {
        let mut reader = if of_incidents {
            Reader::open_incidents(&self.roots, PATIENCE)?
        } else {
            Reader::open_with(&self.roots, PATIENCE)?
        };
        reader.set_own_only();
        reader.seek(start)?;
        Ok(reader)
    }
}

impl ReadJournal for Journal {
    fn since(
        &self,
        us: i64,
        events: bool,
        incidents: bool,
    ) -> Result<Box<dyn Iterator<Item = Written>>, String> {
        let start = From::Time(Timestamp::from_microsecond(us).unwrap_or(Timestamp::UNIX_EPOCH));
        let mut entries = Entries { readers: VecDeque::new(), unread: VecDeque::new() };
        for (is_wanted, of_incidents) in [(incidents, true), (events, false)] {
            if is_wanted {
                let reader = self.reader(of_incidents, &start).map_err(|error| error.to_string())?;
                entries.readers.push_back((of_incidents, reader));
            }
        }
        Ok(Box::new(entries))
    }
}

/// What it has, each kind in the order of its writing.
struct Entries {
    readers: VecDeque<(bool, Reader)>,
    unread: VecDeque<Written>,
}

impl Iterator for Entries {
    type Item = Written;

    fn next(&mut self) -> Option<Written> {
        loop {
            if let Some(unread) = self.unread.pop_front() {
                return Some(unread);
            }
            let (of_incidents, reader) = self.readers.front_mut()?;
            let of_incidents = *of_incidents;
            let stepped = reader.step(Direction::Forward);
            let written = match stepped {
                Ok(Some(_)) if of_incidents => {
                    reader.incident().and_then(|it| serde_json::to_string(&it).ok()).map(Written::Incident)
                }
                Ok(Some(_)) => {
                    reader.event().and_then(|it| serde_json::to_string(&it).ok()).map(Written::Event)
                }
                Ok(None) => {
                    self.finish();
                    continue;
                }
                Err(error) => {
                    self.finish();
                    return Some(Written::Unread(0, error.to_string()));
                }
            };
            if written.is_some() {
                return written;
            }
        }
    }
}

impl Entries {
    /// One kind is through: what of it could not be read.
    fn finish(&mut self) {
        let Some((_, mut reader)) = self.readers.pop_front() else { return };
        self.unread
            .extend(reader.take_unread().into_iter().map(|unread| Written::Unread(0, unread.to_string())));
        let corrupt = reader.take_skipped().corrupt;
        if corrupt > 0 {
            let why = format!("{corrupt} entries of peripetyd in the journal cannot be read");
            self.unread.push_back(Written::Unread(corrupt, why));
        }
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
