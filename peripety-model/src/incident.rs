//! An incident: what failed, why, what is hurt, and whether it is over.

mod cause;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::cause::{Cause, CauseKind, Certainty, Device, Part};
use crate::{EventId, EventType, Severity, event_id};

/// Version of the JSON that an [`Incident`] becomes; raised by an incompatible change only.
pub const INCIDENT_SCHEMA_VERSION: u32 = 1;

/// Id of an incident: a UUID of version 5 over the id of the event that opened it.
pub type IncidentId = Uuid;

/// The id of the incident that an event opens.
pub fn incident_id(opened_by: EventId) -> IncidentId {
    event_id(&opened_by.hyphenated().to_string(), "incident", "")
}

/// One incident: all events that one fault led to.
///
/// It keeps its `incident_id` over revisions, restarts and reboots; the highest `revision` of an id is its present state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Incident {
    /// Version of this format.
    pub schema: u32,
    /// The same for every revision.
    pub incident_id: IncidentId,
    /// 0 for the first writing, then one more for each.
    pub revision: u32,
    /// Whether it is over.
    pub state: State,
    /// The incident that this one turned out to be part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<IncidentId>,
    /// Incidents that turned out to be part of this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supersedes: Vec<IncidentId>,
    /// By impact.
    pub severity: Severity,
    /// One line for people: device, what is wrong, what is hurt.
    pub title: String,
    /// Host.
    pub hostname: String,
    /// Boot of the latest event.
    pub boot_id: String,
    /// When its first failure happened.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub opened: Timestamp,
    /// When its latest failure, or its end, happened.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub updated: Timestamp,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub resolved: Option<Timestamp>,
    /// What proved that it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<String>,
    /// How often it happened: 2 is that it was over and came back within a day.
    pub episodes: u32,
    /// What led to it.
    pub cause: Cause,
    /// What is hurt.
    pub impact: Impact,
    /// Its events, the oldest first, a bounded number of them.
    pub events: Vec<Member>,
    /// How many events it has.
    pub event_count: u64,
    /// How many failures they stand for.
    pub failures: u64,
    /// What is wrong still, by the names of the conditions of `prpt status`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<String>,
    /// What came so often before or beside failures that it foretells one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub early_signs: Vec<EarlySign>,
    /// How far the rebuild or resync is, where one runs. `prpt` fills it in when it shows an incident; neither the journal nor
    /// the socket has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What to do next, the first thing first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// Written data is lost, and nobody has acknowledged it: it stays open until then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_acknowledgement: bool,
    /// Who knows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledged>,
}

/// Events that failed nothing, and came so often that a failure is near.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EarlySign {
    /// Which kind, by its name in the configuration: `recovered_errors`.
    pub kind: String,
    /// The type of the events that were counted.
    pub event_type: EventType,
    /// The most of them within `within_s`.
    pub count: u64,
    /// Seconds within which they are counted.
    pub within_s: u32,
    /// When there were as many as the limit of the kind.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub since: Timestamp,
    /// When the latest of them came.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub last: Timestamp,
    /// In words: `12 recovered errors in 1 h`.
    pub words: String,
    /// What it says, for people.
    pub meaning: String,
}

/// How far a rebuild or resync is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Progress {
    /// The device that is rebuilt: `md0`.
    pub device: String,
    /// What is done: `recover`, `resync`, `reshape`.
    pub action: String,
    /// How much of it is done.
    pub percent: f64,
    /// Its speed, as the kernel measures it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kib_per_s: Option<u64>,
    /// Seconds that it takes still, at that speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
}

/// Whether an incident is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Something of it is wrong.
    #[default]
    Open,
    /// A rebuild or resync runs.
    Recovering,
    /// All that opened it is proven to be over.
    Resolved,
    /// It turned out to be part of another incident.
    Superseded,
}

impl State {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Recovering => "recovering",
            Self::Resolved => "resolved",
            Self::Superseded => "superseded",
        }
    }

    /// Whether it asks for attention.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Recovering)
    }
}

/// What is hurt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Impact {
    /// The worst first.
    pub kinds: Vec<ImpactKind>,
    /// Devices that are hit, by their shortest names, a bounded number of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Filesystems that are hit: device and type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filesystems: Vec<String>,
    /// Where those are mounted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mount_points: Vec<String>,
}

/// A kind of harm, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ImpactKind {
    /// Written data is lost.
    DataLost,
    /// Data cannot be reached.
    Unavailable,
    /// Data can be read and not written.
    ReadOnly,
    /// Some data may be damaged, or could not be read.
    DataAtRisk,
    /// Another failure would hurt.
    RedundancyLost,
    /// One way to the data of several is lost.
    PathLost,
    /// Requests take long.
    Slow,
    /// Nothing is hurt.
    None,
}

impl ImpactKind {
    /// All of them, the worst first.
    pub const ALL: [Self; 8] = [
        Self::DataLost,
        Self::Unavailable,
        Self::ReadOnly,
        Self::DataAtRisk,
        Self::RedundancyLost,
        Self::PathLost,
        Self::Slow,
        Self::None,
    ];

    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DataLost => "data_lost",
            Self::Unavailable => "unavailable",
            Self::ReadOnly => "read_only",
            Self::DataAtRisk => "data_at_risk",
            Self::RedundancyLost => "redundancy_lost",
            Self::PathLost => "path_lost",
            Self::Slow => "slow",
            Self::None => "none",
        }
    }

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::DataLost => "written data lost",
            Self::Unavailable => "unavailable",
            Self::ReadOnly => "read-only",
            Self::DataAtRisk => "data at risk",
            Self::RedundancyLost => "redundancy lost",
            Self::PathLost => "path lost",
            Self::Slow => "slow",
            Self::None => "no impact",
        }
    }

    /// How bad it is.
    pub const fn severity(self) -> Severity {
        match self {
            Self::DataLost | Self::Unavailable | Self::ReadOnly => Severity::Critical,
            Self::DataAtRisk => Severity::Error,
            Self::RedundancyLost | Self::PathLost | Self::Slow => Severity::Warning,
            Self::None => Severity::Notice,
        }
    }
}

/// An event of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Member {
    /// Its id.
    pub event_id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// To what, by the shortest name.
    pub device: String,
    /// How it belongs to the incident.
    pub relation: Relation,
    /// The event that led to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<EventId>,
    /// The rule that says so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// How bad.
    pub severity: Severity,
    /// How many failures.
    pub count: u64,
    /// When the first failure happened.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub first: Timestamp,
    /// When the latest failure happened.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub last: Timestamp,
    /// In words.
    pub msg: String,
}

/// How an event belongs to an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// The others come of it.
    Cause,
    /// The same request failed.
    SameRequest,
    /// The same sectors failed again.
    SameRange,
    /// The same device failed again, or in another way.
    SameDevice,
    /// A device failed that is made of the one that caused it.
    DeviceAbove,
    /// A device failed of which the one with the cause is made.
    DeviceBelow,
    /// Another device failed that has the cause in common.
    Sibling,
    /// Something came of it.
    Consequence,
    /// Something of it is over.
    Recovery,
    /// The state of a device, looked at because of it.
    Snapshot,
}

impl Relation {
    /// Whether the event is a failure, and not the end of one or a look at a device.
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Recovery | Self::Snapshot)
    }

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Cause => "cause",
            Self::SameRequest => "same request",
            Self::SameRange => "same range",
            Self::SameDevice => "same device",
            Self::DeviceAbove => "device above",
            Self::DeviceBelow => "device below",
            Self::Sibling => "sibling",
            Self::Consequence => "consequence",
            Self::Recovery => "recovery",
            Self::Snapshot => "health snapshot",
        }
    }
}

/// A person knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Acknowledged {
    /// Who.
    pub by: String,
    /// When.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_impact_is_named_as_in_json_the_worst_first() {
        for kind in ImpactKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert!(ImpactKind::ALL.is_sorted() && ImpactKind::ALL[0] == ImpactKind::DataLost);
    }
}
