//! The event itself, as it stands in JSON.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Errno, EventId, EventType, Facts, Sector, Severity, SubSystem};
use crate::BlkInfo;

/// Version of the JSON that an [`Event`] becomes; raised by an incompatible change only.
pub const SCHEMA_VERSION: u32 = 1;

/// One storage event: a failure, its end, or a change of a device.
///
/// An event that grows keeps its `event_id` and is written again with a higher `revision`; `count` is the total so far.
/// Every key of this level is always present, but `confirmed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    /// Version of this format.
    pub schema: u32,
    /// The same for every revision of an event, and for the same record on every read.
    pub event_id: EventId,
    /// The event that caused this one, where that is known. It may become known by a later revision.
    #[serde(default)]
    pub root_cause_event_id: Option<EventId>,
    /// What all events of one incident have in common.
    #[serde(default)]
    pub incident_id: Option<EventId>,
    /// When it happened (the latest failure, for an event that grew): RFC 3339 in UTC.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub timestamp: Timestamp,
    /// CLOCK_MONOTONIC at `timestamp` in nanoseconds, where the source has it.
    #[serde(default)]
    pub monotonic_ns: Option<u64>,
    /// Boot that it happened in, 32 hexadecimal digits as in journald's `_BOOT_ID`.
    pub boot_id: String,
    /// Host that it happened on.
    pub hostname: String,
    /// By impact, not by the level that the kernel printed at.
    pub severity: Severity,
    /// Who speaks: `block`, `scsi`, `ext4` …
    pub sub_system: SubSystem,
    /// What happened; `prpt types` explains each.
    pub event_type: EventType,
    /// One line for a human, with the device by the name that humans use.
    pub msg: String,
    /// The kernel's own lines about it, oldest first, a bounded number of them.
    #[serde(default)]
    pub raw_msgs: Vec<String>,
    /// The device as the kernel named it: `sdf`, `8:16`, `4:0:0:1`.
    #[serde(default)]
    pub kdev: String,
    /// The device at fault; none when it cannot be known.
    #[serde(default)]
    pub block: Option<Arc<BlkInfo>>,
    /// The request that failed (the first one, for an event that grew).
    #[serde(default)]
    pub io: Option<Io>,
    /// How many failures this event stands for so far.
    #[serde(default = "one")]
    pub count: u64,
    /// 0 for the first writing, then one more for each.
    #[serde(default)]
    pub revision: u32,
    /// No further revision follows.
    #[serde(rename = "final", default)]
    pub is_final: bool,
    /// When the first failure happened.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub first_timestamp: Timestamp,
    /// When the latest failure happened.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub last_timestamp: Timestamp,
    /// The sectors (of 512 bytes) that failed, merged and in order.
    #[serde(default)]
    pub sector_ranges: Vec<SectorRange>,
    /// Where the records came from: `ebpf:block_rq_error`, `kmsg`, `uevent`, `journal:multipathd` … In a
    /// log that was written down, `syslog:unproven` is a line of a syslog file that calls itself the kernel's, as any
    /// program's may, and `syslog:multipathd:unproven` one that calls itself a program's.
    #[serde(default)]
    pub sources: Vec<String>,
    /// `false` where kernel text claims a failure that a live probe would have seen, and did not: then the severity is at most
    /// warning, and nothing is said to come of it. Absent otherwise.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub confirmed: bool,
    /// Records known to be lost just before this event.
    #[serde(default)]
    pub lost_before: u64,
    /// What is known of the failure, by subject: `scsi`, `nvme`, `fs` … A section and a field of it are there if
    /// something is known of them.
    #[serde(default)]
    pub facts: Facts,
    /// What a rule of the user captured, and what it adds.
    #[serde(default)]
    pub extension: BTreeMap<String, Value>,
}

impl Event {
    /// One failure of which nothing but its type and time is known; more may follow (it is not final).
    ///
    /// ```
    /// use peripety_model::{Event, EventType, Severity, event_id};
    ///
    /// let id = event_id("6c8e0a4e1c3b4d0f8a2b5c7d9e0f1a2b", "kmsg", "1042");
    /// let event = Event { kdev: "sda".into(), ..Event::new(id, EventType::BLK_IO_ERROR, "2026-03-01T12:00:00Z".parse()?) };
    /// assert_eq!((event.severity, event.sub_system.as_str(), event.count), (Severity::Error, "block", 1));
    /// # Ok::<(), jiff::Error>(())
    /// ```
    pub fn new(event_id: EventId, event_type: EventType, timestamp: Timestamp) -> Self {
        let info = event_type.info();
        Self {
            schema: SCHEMA_VERSION,
            event_id,
            root_cause_event_id: None,
            incident_id: None,
            timestamp,
            monotonic_ns: None,
            boot_id: String::new(),
            hostname: String::new(),
            severity: info.map_or(Severity::Info, |info| info.severity),
            sub_system: SubSystem::known(info.map_or("kernel", |info| info.sub_system)),
            event_type,
            msg: String::new(),
            raw_msgs: Vec::new(),
            kdev: String::new(),
            block: None,
            io: None,
            count: 1,
            revision: 0,
            is_final: false,
            first_timestamp: timestamp,
            last_timestamp: timestamp,
            sector_ranges: Vec::new(),
            confirmed: true,
            sources: Vec::new(),
            lost_before: 0,
            facts: Facts::default(),
            extension: BTreeMap::new(),
        }
    }
}

const fn one() -> u64 {
    1
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_true(value: &bool) -> bool {
    *value
}

/// The request that failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Io {
    /// What was asked of the device.
    pub op: Op,
    /// First sector of the request, in units of 512 bytes from the start of the device `kdev`. A cache flush has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sector: Option<Sector>,
    /// Sectors of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nr_sectors: Option<u32>,
    /// For a bio-based device (device mapper, md, zram), whether all of these sectors and of `sector_ranges` failed, or some
    /// of them did. Where it is not known the sectors may be no more than what its driver had not yet worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extent: Option<Extent>,
    /// Linux errno, positive: 5 is EIO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<Errno>,
    /// Name of `errno`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_name: Option<String>,
    /// The bad block itself, where the device's sense data names one, in units of 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad_lba: Option<Sector>,
    /// Pages of the page cache that were lost with the writes that failed (large folios count as one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_pages: Option<u64>,
}

/// How sectors are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// All of them failed.
    Exact,
    /// Those that failed are among them.
    Within,
}

/// Operation of a request: the kernel's `enum req_op` (include/linux/blk_types.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// REQ_OP_READ.
    Read,
    /// REQ_OP_WRITE.
    Write,
    /// REQ_OP_FLUSH, or a write of no sectors.
    Flush,
    /// REQ_OP_DISCARD.
    Discard,
    /// REQ_OP_SECURE_ERASE.
    SecureErase,
    /// REQ_OP_WRITE_SAME (up to Linux 5.17).
    WriteSame,
    /// REQ_OP_WRITE_ZEROES.
    WriteZeroes,
    /// Any of REQ_OP_ZONE_*.
    Zone,
    /// REQ_OP_DRV_IN, REQ_OP_DRV_OUT, REQ_OP_SCSI_*: not a request of a filesystem.
    Passthrough,
    /// Not known.
    #[default]
    Unknown,
}

impl Op {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Flush => "flush",
            Self::Discard => "discard",
            Self::SecureErase => "secure_erase",
            Self::WriteSame => "write_same",
            Self::WriteZeroes => "write_zeroes",
            Self::Zone => "zone",
            Self::Passthrough => "passthrough",
            Self::Unknown => "unknown",
        }
    }
}

/// Sectors that failed: `start` to `end`, both included, in units of 512 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SectorRange {
    /// First sector.
    pub start: Sector,
    /// Last sector.
    pub end: Sector,
}
