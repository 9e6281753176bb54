//! The hub of a fleet: takes events and incidents of all hosts from the stream, keeps their history, shows what is open, and
//! notifies once of what many hosts see.
//!
//! * [`check`]: whether a message is what its subject says, from the host that sent it; pure
//! * [`store`]: what is kept, one file
//! * [`fleet`]: what is open now, which hosts live; pure
//! * [`consume`]: the stream and the tables, until they are in the store
//! * [`notify`]: what people are notified of
//! * [`web`]: the API and the page
//! * [`program`]: the command line, and what runs

#![warn(unreachable_pub)]

pub mod check;
pub mod consume;
pub mod fleet;
pub mod notify;
pub mod program;
pub mod store;
pub mod web;
