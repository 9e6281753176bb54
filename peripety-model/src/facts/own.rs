//! What peripety found out about an event or says of itself.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::field::section;

section! {
    /// How bad a failure is for those who use the data. What is not known, or is not so, is absent.
    ImpactFacts {
        /// An attempt failed, and the command was sent again.
        tried_again: bool,
        /// No request failed of it: it was sent again and succeeded.
        succeeded: bool,
        /// Another path or copy serves what this one does not.
        spared: bool,
        /// The filesystem put it right from another copy.
        repaired: bool,
        /// The device was removed, and nothing was wrong with it before.
        removed: bool,
        /// Somebody asked for the device to go.
        requested: bool,
    }
}

section! {
    /// How far the numbers and texts of an event go.
    CountFacts {
        /// Commands that failed and were sent again for the same requests.
        retried_commands: u64,
        /// Failures that are counted, and of whose sectors nothing is known: the ring had no room for them.
        details_missing: u64,
        /// Lines of the kernel that the event does not hold: it holds the first ones.
        raw_msgs_left_out: u64,
        /// There are more ranges of sectors than an event holds: some were joined over what lies between them.
        ranges_coarsened: bool,
    }
}

section! {
    /// Records that were lost.
    LossFacts {
        /// Where: a source as in `sources`, `printk`, `journald`, `recording` …
        source: String,
        /// Why.
        reason: String,
        /// Function in the kernel whose text was limited.
        site: String,
        /// Probe that counts what the lost lines are about.
        counted_by: String,
        /// File that lacks the records.
        file: String,
    }
}

section! {
    /// A scan of a device by peripety-scan.
    ScanFacts {
        /// What it did: `read`, `checked`, `scrubbed`.
        method: String,
        /// Bytes that it read or compared.
        bytes: u64,
        /// How long that took.
        seconds: u64,
        /// Ranges that cannot be read, errors that a scrub found, sectors that differ between copies.
        errors: u64,
        /// Errors that were mended from a copy.
        corrected: u64,
        /// Why it cannot go on.
        reason: String,
    }
}

/// One of those for which an event stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Member {
    /// The device, where it distinguishes the members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kdev: Option<String>,
    /// Inode number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
    /// Path of the file below the root of its filesystem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Function in the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Line of the kernel's source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Leg of a mirror or array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leg: Option<String>,
    /// Member of an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// iSCSI session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<u32>,
    /// Task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Pages that it lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<u64>,
    /// Failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

section! {
    /// Those for which one event stands, where a cause makes more events than anybody reads: the first by name, all by
    /// number.
    GroupFacts {
        /// Files that lost data.
        files: Vec<Member>,
        /// How many files.
        files_total: u64,
        /// Devices that fail.
        devices: Vec<Member>,
        /// How many devices.
        devices_total: u64,
        /// Anything else that distinguishes events of one type on one device.
        others: Vec<Member>,
        /// How many.
        others_total: u64,
    }
}

section! {
    /// Devices that went together, or that an array cannot do without.
    RemovalFacts {
        /// Their names, in the order in which they went.
        devices: Vec<String>,
    }
}

section! {
    /// What the daemon says of itself, and who asked it to.
    DaemonFacts {
        /// What is wrong with the configuration.
        errors: Vec<String>,
        /// Name of the user who asked.
        user: String,
        /// Number of that user.
        uid: u32,
        /// The reason that was given.
        reason: String,
        /// Incident that a person speaks of.
        incident_id: String,
        /// Conditions that were said to be over: each with its name, its device, since when, and its event.
        resolved: Vec<Map<String, Value>>,
    }
}
