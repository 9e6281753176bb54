//! The state of things: what is wrong now, since when, and which event said so.
//!
//! Pure: events go in ([`Table::apply`]), conditions come out. Which event types open a condition and which end it is data
//! ([`rows`]). What no event reports, sysfs and mountinfo do ([`look`]): whoever shows conditions looks there first.

mod condition;
pub(crate) mod journal;
mod known;
pub(crate) mod look;
mod problem;
mod progress;
pub(crate) mod resolve;
pub(crate) mod rows;
mod table;

pub(crate) use condition::{Condition, Subject, is_gone, is_in_use};
pub(crate) use known::{Known, Limit};
pub(crate) use problem::{Problem, problems};
pub(crate) use progress::note as note_progress;
pub use table::Table;
pub(crate) use table::{Change, End};
