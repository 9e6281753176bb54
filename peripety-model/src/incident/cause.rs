//! What led to an incident.

use serde::{Deserialize, Serialize};

use crate::EventId;

/// What led to an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cause {
    /// The event at the root; none where several have a part in common that no event is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// The device or part at fault, by the shortest name that people use: `sda`, `vg/lv`, `host2`, `session3`.
    pub name: String,
    /// What it is.
    pub part: Part,
    /// What is known of the device: path, world wide id, serial number, model, place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// What kind of fault it is.
    pub kind: CauseKind,
    /// How sure that is.
    pub certainty: Certainty,
    /// The names of the rules that led there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
}

/// A device, as a person who is to replace it needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Device {
    /// The path that people use.
    pub path: String,
    /// World wide id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub wwid: String,
    /// Serial number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub serial: String,
    /// Vendor and model.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// Where it is: SCSI or PCI address, enclosure and bay, port.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
}

/// What a cause is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A block device, or what is on it.
    #[default]
    Device,
    /// A port of an adapter: SATA, USB.
    Port,
    /// An NVMe controller.
    Controller,
    /// An iSCSI session.
    Session,
    /// An address of a target.
    Portal,
    /// A port of a target.
    TargetPort,
    /// A SAS expander.
    Expander,
    /// An enclosure.
    Enclosure,
    /// A port of a host adapter.
    HostPort,
    /// A host adapter.
    Adapter,
    /// What lies between this machine and its storage.
    Network,
    /// What provides the disks of a virtual machine.
    Hypervisor,
    /// A pool of space.
    Pool,
    /// A server of files.
    Server,
    /// A driver, a program, the kernel.
    Software,
}

/// What kind of fault a cause is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// What is stored cannot be read or written, or is not what was written.
    Medium,
    /// The way to the device: link, cable, adapter, network.
    Transport,
    /// The device itself does not work or does not answer.
    Target,
    /// It was removed, or has no power.
    PowerOrRemoval,
    /// No space is left.
    Space,
    /// A setting, or the order in which things were started.
    Configuration,
    /// A bug of the kernel.
    KernelBug,
    /// Not known.
    #[default]
    Unknown,
}

impl CauseKind {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Medium => "medium",
            Self::Transport => "transport",
            Self::Target => "device",
            Self::PowerOrRemoval => "power or removal",
            Self::Space => "space",
            Self::Configuration => "configuration",
            Self::KernelBug => "kernel bug",
            Self::Unknown => "unknown",
        }
    }
}

/// How sure something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// It fits, and something else would fit as well.
    #[default]
    Possible,
    /// Nothing else that is known fits as well.
    Likely,
    /// The kernel says so.
    Certain,
}

impl Certainty {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}
