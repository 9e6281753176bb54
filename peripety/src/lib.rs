//! Storage failures of the Linux kernel as structured events.
//!
//! Data runs one way: collector → record → parser → correlate → event → notifier; [`block`] is asked on the way, nothing
//! calls back up. ARCHITECTURE.md is the map.

pub mod checked;
pub mod cli;
pub mod collector;
pub mod correlate;
pub mod daemon;
pub mod engine;
pub mod incident;
pub mod journal;
pub mod notifier;
pub mod offline;
pub mod parser;
pub mod query;
pub mod record;
pub mod recording;
pub mod roots;
pub mod state;
pub mod text;

pub use peripety_block::{self as block, files};
pub use peripety_model as event;
