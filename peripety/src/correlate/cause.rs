//! Which failure caused which, over the stack of devices.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::key::BuildKeyHasher;
use crate::{
    block::Dev,
    event::{Event, EventId, EventType, Nature},
};

/// How long after a failure another one may still be its consequence.
pub const WINDOW_NS: u64 = 5_000_000_000;
/// The same for what comes of it that a device does not answer: error handling and reconnecting go on for that long.
const OUTAGE_NS: u64 = 180_000_000_000;
/// How much later than its consequence a cause may seem to be, where text tells of one of them: its clock lags.
const SLACK_NS: u64 = 300_000_000;
/// Devices whose failures are remembered.
const DEVICES_MAX: usize = 256;
/// Failures remembered for each.
const EACH_MAX: usize = 8;

/// How near to the medium a failure is said, the lower the nearer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rank {
    /// The way to the device is lost, and all devices behind it.
    Transport,
    /// The device went away, or its driver speaks.
    Driver,
    /// The driver gave the device up.
    GivenUp,
    /// The block layer.
    Block,
    /// Stacked drivers: device-mapper, md, multipath, loop.
    Stacked,
    /// The page cache.
    Cache,
    /// A filesystem, or swap.
    Filesystem,
    /// Not part of a chain.
    #[default]
    None,
}

/// An event's place among the devices.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Node {
    /// How near to the medium.
    pub rank: Rank,
    /// The device.
    pub dev: Option<Dev>,
    /// The devices it is made of, nearest first.
    pub owners: Vec<Dev>,
    /// When its first failure was.
    pub first_ns: u64,
    /// Whether that is exact: a probe's clock.
    pub exact: bool,
    /// Whether it may come of an outage that began long before.
    pub ends_outage: bool,
}

impl Node {
    /// Where an event about `block` stands, or about a device of which only the number is known.
    pub fn of(event: &Event, dev: Option<Dev>, first_ns: u64, exact: bool) -> Self {
        let block = event.block.as_deref();
        Self {
            first_ns,
            exact,
            rank: rank(event),
            ends_outage: ends_outage(event),
            dev: block.map(|b| b.id.dev).filter(|d| !d.is_none()).or(dev),
            owners: block.map(|b| b.owners.iter().map(|o| o.dev).collect()).unwrap_or_default(),
        }
    }
}

/// What a driver says when it gives a device up.
const GIVEN_UP: [EventType; 5] = [
    EventType::SCSI_DEVICE_OFFLINED,
    EventType::SCSI_MEDIUM_ACCESS_TIMEOUT_OFFLINEING_DISK,
    EventType::ISCSI_SESSION_TIMEOUT,
    EventType::NVME_CONTROLLER_FAILED,
    EventType::ATA_DEVICE_DISABLED,
];

/// What begins an outage, beside the loss of a way to the device.
const NO_ANSWER: [EventType; 4] =
    [EventType::SCSI_TIMEOUT, EventType::NVME_TIMEOUT, EventType::ATA_TIMEOUT, EventType::NVME_PATH_FAILED];

/// How requests fail in the end of one.
const NOT_SERVED: [EventType; 6] = [
    EventType::SCSI_TIMEOUT,
    EventType::SCSI_TRANSPORT_ERROR,
    EventType::NVME_TIMEOUT,
    EventType::BLK_TIMEOUT,
    EventType::BLK_TRANSPORT_ERROR,
    EventType::BLK_DEVICE_OFFLINE,
];

fn begins_outage(event: &Event, rank: Rank) -> bool {
    rank == Rank::Transport || (rank == Rank::Driver && NO_ANSWER.contains(&event.event_type))
}

fn ends_outage(event: &Event) -> bool {
    let failed = event.io.as_ref().is_some_and(|io| io.errno.is_some());
    GIVEN_UP.contains(&event.event_type) || (failed && NOT_SERVED.contains(&event.event_type))
}

fn rank(event: &Event) -> Rank {
    let fault = event.event_type.info().is_none_or(|info| info.nature == Nature::Fault);
    match event.sub_system.as_str() {
        _ if event.event_type == EventType::BLK_DEVICE_REMOVED => Rank::Driver,
        // A pool that fills up has not failed anything yet.
        _ if !fault || event.event_type == EventType::DM_THIN_POOL_LOW_WATER => Rank::None,
        "peripety" => Rank::None,
        "block"
            if [EventType::BLK_LOST_WRITE, EventType::BLK_BUFFER_IO_ERROR].contains(&event.event_type) =>
        {
            Rank::Cache
        }
        "block" => Rank::Block,
        "iscsi" | "fc" => Rank::Transport,
        _ if GIVEN_UP.contains(&event.event_type) => Rank::GivenUp,
        // A request that failed of what the driver said, and no other request fails of it.
        "scsi" | "ata" | "nvme" if event.io.as_ref().is_some_and(|io| io.errno.is_some()) => Rank::Block,
        "scsi" | "ata" | "nvme" | "usb" | "mmc" | "ufs" | "nbd" | "rbd" | "zram" | "smart" => Rank::Driver,
        // What guards the data of a device speaks before its own requests fail of it.
        "dm-integrity" | "dm-crypt" | "dm-verity" => Rank::Driver,
        "multipath" | "md" | "loop" | "bcache" | "drbd" => Rank::Stacked,
        stacked if stacked.starts_with("dm") => Rank::Stacked,
        _ => Rank::Filesystem,
    }
}

/// What a failure is to others that may follow from it: to writes that are lost, a filesystem that was shut down is below.
fn rank_as_cause(event: &Event, rank: Rank) -> Rank {
    if event.event_type == EventType::FS_SHUTDOWN { Rank::Stacked } else { rank }
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    id: EventId,
    root: Option<EventId>,
    incident: EventId,
    rank: Rank,
    first_ns: u64,
    last_ns: u64,
    exact: bool,
    /// It is an outage: what comes of it may come late.
    outage: bool,
}

impl Failure {
    /// Whether it was there before `node` failed, and not long before.
    fn precedes(&self, node: &Node) -> bool {
        let slack_ns = if self.exact && node.exact { 0 } else { SLACK_NS };
        let window_ns = if self.outage && node.ends_outage { OUTAGE_NS } else { WINDOW_NS };
        self.first_ns <= node.first_ns.saturating_add(slack_ns)
            && node.first_ns.saturating_sub(self.last_ns) <= window_ns
    }
}

/// What a failure is a consequence of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The failure that began it.
    pub root: EventId,
    /// What all failures of the incident have in common.
    pub incident: EventId,
}

/// The failures of late, by device.
#[derive(Debug, Default)]
pub struct Causes {
    by_dev: HashMap<u32, Vec<Failure>, BuildKeyHasher>,
    order: VecDeque<u32>,
}

impl Causes {
    /// What caused a failure at `node`: the deepest failure of the last seconds on its device or on one that it is made of.
    pub fn find(&self, node: &Node, id: EventId) -> Option<Cause> {
        if node.rank == Rank::None {
            return None;
        }
        let own = node.dev.into_iter().map(|dev| (dev, false));
        let below = node.owners.iter().map(|dev| (*dev, true));
        own.chain(below)
            .flat_map(|(dev, below)| {
                let failures = self.by_dev.get(&dev.to_kernel()).map(Vec::as_slice).unwrap_or_default();
                failures.iter().map(move |f| (f, below))
            })
            .filter(|(f, below)| {
                f.id != id && f.root != Some(id) && f.precedes(node) && (*below || f.rank < node.rank)
            })
            // The nearest to the medium; of those the latest.
            .min_by_key(|(f, below)| (!below, f.rank, u64::MAX - f.last_ns))
            .map(|(f, _)| Cause { root: f.root.unwrap_or(f.id), incident: f.incident })
    }

    /// Another device has this number from now on.
    pub fn forget(&mut self, dev: Dev) {
        if self.by_dev.remove(&dev.to_kernel()).is_some() {
            self.order.retain(|known| *known != dev.to_kernel());
        }
    }

    /// Remembers a failure, or that it went on until `last_ns`.
    pub fn remember(&mut self, node: &Node, event: &Event, last_ns: u64) {
        let (Some(dev), true) = (node.dev, node.rank != Rank::None) else { return };
        let failure = Failure {
            id: event.event_id,
            root: event.root_cause_event_id,
            incident: event.incident_id.unwrap_or(event.event_id),
            rank: rank_as_cause(event, node.rank),
            first_ns: node.first_ns,
            last_ns: last_ns.max(node.first_ns),
            exact: node.exact,
            outage: begins_outage(event, node.rank),
        };
        let dev = dev.to_kernel();
        if !self.by_dev.contains_key(&dev) {
            if self.order.len() >= DEVICES_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.by_dev.remove(&oldest);
            }
            self.order.push_back(dev);
        }
        let failures = self.by_dev.entry(dev).or_default();
        if let Some(known) = failures.iter_mut().find(|f| f.id == failure.id) {
            *known = failure;
            return;
        }
        if failures.len() >= EACH_MAX {
            // One that is over, else the one that is farthest from the medium.
            let over = |f: &Failure| failure.first_ns.saturating_sub(f.last_ns) > WINDOW_NS;
            let least = failures
                .iter()
                .enumerate()
                .max_by_key(|(_, f)| (over(f), f.rank, u64::MAX - f.last_ns))
                .map(|(i, _)| i);
            failures.swap_remove(least.unwrap_or_default());
        }
        failures.push(failure);
    }
}
