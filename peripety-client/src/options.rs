//! What a stream is to give.

use std::path::PathBuf;

use peripety_model::Filter;

use crate::{Cursor, SOCKET};

/// Where events come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// From the daemon, and from the journal what it no longer has.
    #[default]
    Auto,
    /// From the daemon.
    Socket,
    /// From the journal.
    Journal,
}

/// Where a stream begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With what happens now.
    #[default]
    Now,
    /// With all that the source holds.
    Stored,
    /// After an item that came earlier.
    After(Cursor),
}

/// What a stream gives.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which events and incidents.
    pub filter: Filter,
    /// Revisions of events.
    pub events: bool,
    /// Revisions of incidents.
    pub incidents: bool,
    /// From where.
    pub source: Source,
    /// From when on.
    pub start: Start,
    /// Go on with what happens; without that the stream is over after what is stored.
    pub follow: bool,
    /// The daemon's socket.
    pub socket: PathBuf,
    /// A directory of journal files to read in place of the system's own.
    pub journal: Option<PathBuf>,
    /// Executables that are believed in the journal, beside the places where peripetyd is installed.
    pub daemons: Vec<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            events: true,
            incidents: false,
            source: Source::Auto,
            start: Start::Now,
            follow: true,
            socket: SOCKET.into(),
            journal: None,
            daemons: Vec::new(),
        }
    }
}
