//! What belongs together: one failure is one event (fuse), a repeated one grows (fold), and it points at its cause.
//!
//! Everything is bounded: open folds ([`table::FOLDS_MAX`]), commands that wait for their request, lines that wait for their
//! record, failures that are remembered as causes.

mod asked;
pub mod build;
mod cause;
mod crowd;
mod doubt;
mod fault;
mod fold;
pub mod fuse;
mod held;
mod impact;
mod key;
mod lasting;
mod late;
pub(crate) mod layer;
mod left;
mod live;
mod matching;
pub mod message;
mod outages;
mod pending;
mod ranges;
mod said;
mod save;
mod table;
mod text_counts;
mod wb_seen;

pub use live::LiveSources;
pub use save::Saved;
