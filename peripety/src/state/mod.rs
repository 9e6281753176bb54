//! The state of things: what is wrong now, since when, and which event said so.
//!
//! Pure: events go in ([`Table::apply`]), conditions come out. Which event types open a condition and which end it is data
//! ([`rows`]). What no event tells, sysfs and mountinfo do ([`look`]): whoever shows conditions looks there first.

mod condition;
pub mod journal;
mod known;
pub mod look;
mod problem;
pub mod resolve;
pub mod rows;
mod table;

pub use condition::{Condition, Subject, is_in_use};
pub use known::{Known, Limit};
pub use problem::{Problem, problems};
pub use rows::{ROWS, Row};
pub use table::{Change, End, Table};
