//! What belongs together: one failure is one event (fuse), a repeated one grows (fold), and it points at its cause.
//!
//! Everything is bounded: open folds ([`fold_table::FOLDS_MAX`]), commands that wait for their request, lines that wait for their
//! record, failures that are remembered as causes.

mod active_sources;
mod asked;
mod cause;
pub(crate) mod correlator;
mod crowd;
mod doubt;
pub(crate) mod event_builder;
mod fault;
mod fold;
mod fold_table;
mod health_words;
mod impact;
mod key;
mod lasting;
mod late;
pub(crate) mod layer;
mod left;
mod matching;
pub(crate) mod message;
mod nvme_outages;
mod pending_commands;
mod ranges;
mod reported_states;
mod saved;
mod text_counts;
mod waiting_lines;
mod writeback_counts;

pub use active_sources::LiveSources;
pub use saved::Saved;
