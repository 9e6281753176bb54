//! What one record says.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    block::{Dev, Hctl},
    event::{EventType, Io, Severity, SubSystem},
    record::Stamp,
};

/// The device of a raw event, by the name that the record has for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kdev {
    /// A device number.
    Dev(Dev),
    /// A SCSI address.
    Hctl(Hctl),
    /// A name from kernel text.
    Name(String),
    /// The record names no device.
    #[default]
    None,
}

impl Kdev {
    /// As it stands in an event's `kdev`.
    pub fn to_text(&self) -> String {
        match self {
            Self::Dev(dev) => dev.to_string(),
            Self::Hctl(hctl) => hctl.to_string(),
            Self::Name(name) => name.clone(),
            Self::None => String::new(),
        }
    }
}

/// What one record says, before it is joined with others about the same failure.
#[derive(Clone, Debug, PartialEq)]
pub struct RawEvent {
    /// When.
    pub time: Stamp,
    /// Source as it stands in an event's `sources`: `kmsg`, `ebpf:block_rq_error` …
    pub source: String,
    /// What names the record within its source; the event's id is made of it.
    pub sequence: String,
    /// What happened.
    pub event_type: EventType,
    /// Who speaks.
    pub sub_system: SubSystem,
    /// How bad.
    pub severity: Severity,
    /// Which device.
    pub kdev: Kdev,
    /// Which request.
    pub io: Option<Io>,
    /// How many failures the record stands for.
    pub count: u64,
    /// The kernel's line, if the record is text.
    pub raw_msg: Option<String>,
    /// What is peculiar to the type, for the event's `extension`.
    pub extension: BTreeMap<String, Value>,
}
