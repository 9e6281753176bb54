//! What a stream gives.

use peripety_model::{Event, Incident};

use crate::Cursor;

/// What came.
#[derive(Debug)]
pub enum Content {
    /// A revision of an event.
    Event(Box<Event>),
    /// A revision of an incident.
    Incident(Box<Incident>),
    /// What was stored is through: what comes now happens now.
    Live,
    /// Something may be missing here, and why.
    Gap(String),
    /// The daemon ended. The stream goes on when there is another one.
    Disconnected,
}

/// An item of a stream, with where the stream stands.
#[derive(Debug)]
pub struct Item {
    pub(crate) content: Content,
    pub(crate) json: String,
    pub(crate) sequence: Option<u64>,
    pub(crate) dropped: u64,
    pub(crate) missed: u64,
    pub(crate) cursor: Option<Cursor>,
}

impl Item {
    /// What came.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The same as an owner.
    pub fn into_content(self) -> Content {
        self.content
    }

    /// The event.
    pub fn event(&self) -> Option<&Event> {
        match &self.content {
            Content::Event(event) => Some(event),
            _ => None,
        }
    }

    /// The incident.
    pub fn incident(&self) -> Option<&Incident> {
        match &self.content {
            Content::Incident(incident) => Some(incident),
            _ => None,
        }
    }

    /// The event or incident as it was written, with what this version does not know; empty for anything else.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Its number, where the daemon gave it: it grows over all daemons of a boot, with gaps.
    pub fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// Revisions that were left out so far because this reader was too slow.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Revisions so far that were due and are no longer to be had, neither from the daemon nor from the journal.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The place after this item, to go on from.
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }
}
