//! Storage failures of the Linux kernel as structured events.
//!
//! This crate is the daemon `peripetyd` and the command `prpt`. As a library it gives their core to others:
//!
//! * [`event`]: the model of events, the crate `peripety-model`;
//! * [`block`]: any name of a block device to its identity, the crate `peripety-block`;
//! * [`log`]: the events of a log that was written down;
//! * [`engine`]: records in, events out, without clock and I/O.
//!
//! Data runs one way: collector → record → parser → correlate → event → notifier; [`block`] is asked on the way, nothing
//! calls back up. ARCHITECTURE.md is the map.
//!
//! # A log in ten lines
//!
//! ```
//! let dmesg = "[  812.25] EXT4-fs error (device dm-3): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0\n";
//! for event in peripety::log::Log::new(dmesg.as_bytes()).hostname("db1").events()? {
//!     println!("{} {} {}: {}", event.timestamp, event.severity, event.event_type, event.msg);
//!     # assert_eq!((event.event_type.as_str(), event.kdev.as_str()), ("FS_ERROR", "dm-3"));
//! }
//! # Ok::<(), peripety::log::ReadError>(())
//! ```
//!
//! # The engine, live
//!
//! ```
//! use peripety::{
//!     block::NoFacts,
//!     engine::{Engine, RuleSet, Settings},
//!     record::{Body, LogRecord, Record, Stamp},
//! };
//!
//! let mut engine = Engine::new(Settings { hostname: "db1".into(), ..Settings::default() }, RuleSet::built_in());
//! let text = "EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0";
//! let line = LogRecord { text: text.into(), level: 3, ..LogRecord::default() };
//! let time = Stamp { monotonic_ns: Some(7_000_000_000), realtime_us: 1_772_366_400_000_000 };
//! let mut events = Vec::new();
//! // In a daemon the facts are a `block::BlkCache`.
//! engine.push(&Record { time, body: Body::Log(line) }, &NoFacts, &mut events);
//! while let Some(deadline) = engine.next_deadline_ns() {
//!     engine.tick(deadline, &NoFacts, &mut events);
//! }
//! let last = events.last().unwrap();
//! assert_eq!((last.event_type.as_str(), last.is_final), ("FS_ERROR", true));
//! ```

#![warn(unreachable_pub)]

mod checkpoint;
mod cli;
mod collector;
mod config;
mod correlate;
mod daemon;
pub mod engine;
mod follow;
mod incident;
#[doc(hidden)]
pub mod internal;
mod journal;
pub mod log;
mod names;
mod notifier;
mod offline;
mod parser;
mod program;
mod query;
pub mod record;
mod recording;
mod roots;
mod secret;
mod state;
mod terminal;
mod text;
mod varlink;

pub use peripety_block as block;
use peripety_block::files;
use peripety_files::{checked, replace};
pub use peripety_model as event;
