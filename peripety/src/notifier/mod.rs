//! Outputs: where events and incidents go.
//!
//! The daemon wires each in a file and a row of `daemon/outputs.rs`. Each runs on a thread of its own behind a bounded
//! [`Queue`], so that one that blocks (a full pipe, a journald that hangs on the disk that fails) holds up nobody else.

pub(crate) mod carrier;
pub mod catalog;
#[cfg(test)]
pub(crate) mod fixture;
pub mod journald;
pub mod memory;
pub(crate) mod plain;
mod queue;
pub mod socket;
pub mod spool;
pub(crate) mod stdout;

pub(crate) use queue::{Counters, Queue, WentOut, spawn, spawn_spooled};
pub(crate) use spool::Spool;

use crate::event::Event;

/// A way out for events.
pub trait Notifier: Send {
    /// Name in messages, counters and thread names; at most 10 characters.
    fn name(&self) -> &'static str;

    /// Acts on one revision of an event. May block: nothing else waits for it.
    ///
    /// # Errors
    ///
    /// What keeps this event from going out this way. [`NotifyError::is_temporary`] says whether it is worth another
    /// try.
    fn notify(&mut self, event: &Event) -> Result<(), NotifyError>;
}

/// An event could not go out.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// Nobody is there who would take it; it may come back.
    #[error("{what} is not there: {source}")]
    Absent {
        /// What is missing, with its path.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// It was refused or could not be written.
    #[error("cannot write event {event_id} to {what}: {source}")]
    Write {
        /// Which event.
        event_id: crate::event::EventId,
        /// Where to.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// It has no JSON.
    #[error("event {event_id} does not become JSON: {source}")]
    Json {
        /// Which event.
        event_id: crate::event::EventId,
        /// Why.
        source: serde_json::Error,
    },
}

impl NotifyError {
    /// Whether the same event may go out a moment later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }
}
