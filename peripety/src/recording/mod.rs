//! Recordings: all that goes into the engine, so that it gives the same events again, on any machine (promise 8).
//!
//! A recording is JSON Lines, gzipped where the file's name ends in `.gz`. Each line is an [`Entry`]; the first is
//! [`Entry::Start`], and each further start is that of another daemon, which began with nothing open. A record stands in
//! one line with the facts about devices that the engine was given for it, as far as they were new ([`facts`]). A last line
//! that is cut off, by a crash or a full disk, is left out.

mod entry;
mod facts;
mod recorded_engine;
mod replay;
mod rules;
mod writer;

pub use entry::Entry;
pub use entry::FORMAT;
pub use entry::Start;
pub(crate) use facts::Answers;
pub(crate) use recorded_engine::RecordedEngine;
pub use replay::Replay;
pub(crate) use replay::{Notes, ReplayError};
pub(crate) use writer::Recorder;
