//! What a storage failure of Linux is: the event, its vocabulary, and the identity of the block device at fault.
//!
//! This is the public model of [peripety](https://github.com/cathay4t/peripety), a daemon that takes storage failures from
//! the kernel and writes them to the journal as structured events. Whoever reads those events, from the journal, from the
//! daemon's socket or from `prpt --json`, needs this crate and nothing else: it has no I/O, no threads and no global state.
//!
//! # Events
//!
//! An [`Event`] is one failure, however many requests it hit. A disk that fails 40,000 reads gives one event whose
//! [`count`](Event::count) grows: the event keeps its [`event_id`](Event::event_id), is written again with a higher
//! [`revision`](Event::revision), and the last one is [`is_final`](Event::is_final) (`final` in JSON). To know the state of
//! a failure, keep the highest revision of each id.
//!
//! ```
//! use peripety_model::{Event, EventType, Severity};
//!
//! # let json = r#"{"schema":1,"event_id":"0b8d9a6e-6b43-5b0c-9d4e-0a4f6f0c2c11","timestamp":"2026-03-01T12:00:00Z",
//! #  "boot_id":"6c8e0a4e1c3b4d0f8a2b5c7d9e0f1a2b","hostname":"db1","severity":"error","sub_system":"scsi",
//! #  "event_type":"SCSI_MEDIUM_ERROR","msg":"sda: medium error at sector 1052688","first_timestamp":"2026-03-01T12:00:00Z",
//! #  "last_timestamp":"2026-03-01T12:00:00Z","kdev":"sda","io":{"op":"read","sector":1052688,"nr_sectors":8,"errno":61},
//! #  "sector_ranges":[{"start":1052688,"end":1052695}]}"#;
//! let event: Event = serde_json::from_str(json)?;
//! assert!(event.severity.at_least(Severity::Error));
//! assert_eq!(event.event_type, EventType::SCSI_MEDIUM_ERROR);
//! assert_eq!(event.count, 1);
//! // Sectors are always units of 512 bytes, whatever the block size of the device.
//! let bytes: u64 = event.sector_ranges.iter().map(|range| (range.end - range.start).bytes() + 512).sum();
//! assert_eq!(bytes, 4096);
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # Vocabulary
//!
//! [`TYPES`] is the one table of event types: the subsystem, the default severity, and whether a type is a fault, the end of
//! one or plain information ([`Nature`]). Names in it never change their meaning. A user's rule may introduce types and
//! subsystems of its own, so [`EventType`] and [`SubSystem`] take any name and say whether they know it.
//!
//! ```
//! use peripety_model::{EventType, Nature, info};
//!
//! let row = info("DM_MPATH_PATH_FAILED").unwrap();
//! assert_eq!((row.sub_system, row.nature), ("multipath", Nature::Fault));
//! assert!(EventType::new("MY_ARRAY_BEEPS").info().is_none());
//! ```
//!
//! # Devices
//!
//! The kernel reuses names: after a replugging `sdb` may be another disk. Events therefore carry a [`BlkInfo`]: the world
//! wide id, the number ([`Dev`]), what the device is made of ([`owners`](BlkInfo::owners)), what is made of it with mount
//! points ([`holders`](BlkInfo::holders)), and how it is reached ([`Transport`]). The crate `peripety-block` gives one for
//! any name of a device.
//!
//! # Stability
//!
//! Names of keys, types, severities and subsystems are an API. [`SCHEMA_VERSION`] counts its incompatible changes; the
//! JSON Schema that belongs to it (`json_schema`, with the feature `schema`) is checked in as `doc/event.schema.json`.
//!
//! # Features
//!
//! * `advice` (default): what to do about a type of event, `advice`.
//! * `schema` (default): the JSON Schema, and `schemars::JsonSchema` for all types.

#![deny(missing_docs)]
#![warn(unreachable_pub)]

#[cfg(feature = "advice")]
mod advice;
mod device;
mod errno;
mod event;
mod event_id;
pub mod facts;
mod filter;
mod ids;
pub mod incident;
#[cfg(feature = "schema")]
mod schema;
mod sector;
mod severity;
mod subsystem;
pub mod text;
mod types;

#[cfg(feature = "advice")]
pub use advice::{Advice, advice};
pub use device::{BlkId, BlkInfo, BlkType, Identity, Transport};
pub use errno::Errno;
pub use event::{Event, Extent, Io, Op, SCHEMA_VERSION, SectorRange};
pub use event_id::{EventId, MessageId, event_id, message_id};
pub use facts::Facts;
pub use filter::{FILTER_NAMES_MAX, Filter, name_fits};
pub use ids::{Dev, Hctl, ParseDevError, ParseHctlError};
pub use incident::{INCIDENT_SCHEMA_VERSION, Incident, IncidentId};
#[cfg(feature = "schema")]
pub use schema::{incident_json_schema, json_schema};
pub use sector::{Sector, Sectors};
pub use severity::{Severity, UnknownSeverity};
pub use subsystem::{SUB_SYSTEMS, SubSystem};
pub use types::{EventType, Nature, TYPES, TypeInfo, info};
