//! Records to raw events: what one record says, before it is joined with others.

pub mod rules;
mod raw;

pub use raw::{Kdev, RawEvent};
