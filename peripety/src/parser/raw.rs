//! What one record says.

use std::collections::BTreeMap;

use serde_json::Value;

use serde::{Deserialize, Serialize};

use super::Tracepoint;
use crate::{
    block::{Dev, Hctl},
    event::{EventType, Facts, Io, Severity, SubSystem},
    record::Stamp,
};

/// The device of a raw event, by the name that the record has for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// Major number of floppy drives (Documentation/admin-guide/devices.txt).
const FLOPPY_MAJOR: u32 = 2;
/// And of optical drives.
const OPTICAL_MAJOR: u32 = 11;

impl Kdev {
    /// Whether it is a floppy drive: mostly there is none, or no medium in it, and every probe of it fails.
    pub fn is_floppy(&self) -> bool {
        self.is_kind(FLOPPY_MAJOR, &["fd"])
    }

    /// Whether it is an optical drive: each that is asked for its contents without a readable disc fails requests.
    pub fn is_optical(&self) -> bool {
        self.is_kind(OPTICAL_MAJOR, &["sr", "scd"])
    }

    /// Whether its number has this major, or its name is one of these with digits.
    fn is_kind(&self, major: u32, names: &[&str]) -> bool {
        match self {
            Self::Dev(dev) => dev.major == major,
            Self::Name(name) => names.iter().any(|start| {
                name.strip_prefix(start)
                    .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
            }),
            Self::Hctl(_) | Self::None => false,
        }
    }
}

/// What one record says, before it is joined with others about the same failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The line of the kernel, or of a program with its name before it, if the record is text.
    pub raw_msg: Option<String>,
    /// A program says so, not the kernel.
    pub program: bool,
    /// It says how things are, not that something happened: said again, nothing changed.
    pub state: bool,
    /// It says more of what was said already, and adds nothing to the count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncounted: bool,
    /// The tracepoint that fires whenever the kernel prints the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_by: Option<Tracepoint>,
    /// A live probe would have seen the failure that the line claims, and did not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unseen: bool,
    /// What is known of the failure, by subject.
    pub facts: Facts,
    /// What a user's rule captured and adds.
    pub extension: BTreeMap<String, Value>,
}

impl RawEvent {
    /// One failure with the severity and subsystem of its type, about no device yet.
    pub fn new(
        time: Stamp,
        source: impl Into<String>,
        sequence: impl Into<String>,
        event_type: EventType,
    ) -> Self {
        let info = event_type.info();
        Self {
            time,
            source: source.into(),
            sequence: sequence.into(),
            sub_system: SubSystem::known(info.map_or("block", |i| i.sub_system)),
            severity: info.map_or(Severity::Warning, |i| i.severity),
            event_type,
            kdev: Kdev::None,
            io: None,
            count: 1,
            raw_msg: None,
            program: false,
            state: false,
            uncounted: false,
            seen_by: None,
            unseen: false,
            facts: Facts::default(),
            extension: BTreeMap::new(),
        }
    }
}
