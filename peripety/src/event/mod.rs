//! The public model: what an event is, its names on the wire, its schema.
//!
//! Names of keys, types, severities and subsystems are an API. [`SCHEMA_VERSION`] counts its incompatible changes; the
//! JSON Schema that belongs to it is checked in as `doc/event.schema.json`.

mod advice;
mod id;
mod model;
mod schema;
mod severity;
mod subsystem;
mod types;

pub use advice::{Advice, advice};
pub use id::{EventId, MessageId, event_id, message_id};
pub use model::{Event, Extent, Io, Op, SCHEMA_VERSION, SectorRange};
pub use schema::json_schema;
pub use severity::{Severity, UnknownSeverity};
pub use subsystem::{SUB_SYSTEMS, SubSystem};
pub use types::{EventType, Nature, TYPES, TypeInfo, info};
