//! Which failure caused which, over the stack of devices.
//!
//! The cause of an event is decided before the event is written for the first time, and that of its cause before it: so the
//! root of an incident is an event that has no cause, and all events of the incident name it. A root whose cause is read soon
//! after it was written is joined to that, with all of its incident (`late.rs`); nothing else is decided twice.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    fold_table::{FoldId, Table},
    key::BuildKeyHasher,
    layer::{self, Answer, Failed, Layer, may_cause},
};
use crate::{
    block::Dev,
    event::{Event, EventId, Sector, Sectors},
};

/// How long after a failure another one may still be its consequence: caches are written back after some seconds.
pub(super) const WINDOW_NS: u64 = 5_000_000_000;
/// The same for what follows at once: the request above a request, what a filesystem says of a read.
const PROMPT_NS: u64 = 1_000_000_000;
/// The same for what comes of it that a device does not answer: error handling and reconnecting go on for that long.
const OUTAGE_NS: u64 = 180_000_000_000;
/// How much later than its consequence a cause may seem to be, where text reports one of them: its clock lags.
pub(super) const SLACK_NS: u64 = 300_000_000;
/// Devices whose failures are remembered.
const DEVICES_MAX: usize = 256;
/// Failures remembered for each.
const EACH_MAX: usize = 8;

/// An event's place among the devices.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Node {
    /// What failed.
    pub failed: Failed,
    /// The device.
    pub dev: Option<Dev>,
    /// The devices it is made of, nearest first.
    pub owners: Vec<Dev>,
    /// When its first failure was.
    pub first_ns: u64,
    /// Whether that is exact: a probe's clock.
    pub exact: bool,
    /// The sectors of its first failure.
    pub sectors: Option<(Sector, u32)>,
}

impl Node {
    /// Where an event about `block` stands, or about a device of which only the number is known.
    pub(super) fn of(event: &Event, dev: Option<Dev>, first_ns: u64, exact: bool) -> Self {
        let block = event.block.as_deref();
        let mut node = Self {
            first_ns,
            exact,
            dev: block.map(|b| b.id.dev).filter(|d| !d.is_none()).or(dev),
            owners: block.map(|b| b.owners.iter().map(|o| o.dev).collect()).unwrap_or_default(),
            ..Self::default()
        };
        node.learn(event);
        node
    }

    /// What is known of the failure by now.
    pub(super) fn learn(&mut self, event: &Event) {
        self.failed = layer::of(event);
        self.sectors = event.io.as_ref().and_then(|io| Some((io.sector?, io.nr_sectors.unwrap_or(1))));
    }

    /// Whether it may come of an outage that began long before.
    fn ends_outage(&self) -> bool {
        match self.failed.layer {
            Layer::GivenUp => true,
            Layer::Request => self.failed.answer == Answer::None,
            _ => false,
        }
    }
}

#[derive(Clone, Debug)]
struct Failure {
    id: EventId,
    /// Of its fold, while that is open.
    place: Option<FoldId>,
    /// The event at the root of its incident, once that is decided.
    root: Option<EventId>,
    /// That is being decided.
    deciding: bool,
    failed: Failed,
    sectors: Option<(Sector, u32)>,
    first_ns: u64,
    last_ns: u64,
    exact: bool,
}

impl Failure {
    /// Whether it was there before `node` failed, and not long before.
    fn precedes(&self, node: &Node, below: bool, last_ns: u64, slack_ns: u64) -> bool {
        let slack_ns = if self.exact && node.exact { 0 } else { slack_ns };
        let outage = matches!(self.failed.layer, Layer::Way | Layer::NoAnswer) && node.ends_outage();
        let window_ns = if outage { OUTAGE_NS } else { self.window_ns(node, below) };
        self.first_ns <= node.first_ns.saturating_add(slack_ns)
            && node.first_ns.saturating_sub(last_ns) <= window_ns
    }

    /// Whether it is only claimed, so far.
    fn is_doubted(&self, table: &Table) -> bool {
        self.place.and_then(|place| table.get(place)).is_some_and(|fold| !fold.event().confirmed)
    }

    fn window_ns(&self, node: &Node, below: bool) -> u64 {
        let of_request = self.failed.layer == Layer::Request;
        let prompt = match node.failed.layer {
            Layer::Request => below && of_request,
            _ => of_request && self.failed.op == crate::event::Op::Read,
        };
        if prompt { PROMPT_NS } else { WINDOW_NS }
    }

    fn as_cause(&self, table: &Table) -> Cause {
        let open = self.place.and_then(|place| table.get(place));
        let first_ns = open.map_or(self.first_ns, |open| open.node.first_ns);
        Cause { id: self.id, place: self.place, root: self.root, first_ns }
    }

    /// Whether two commands of one device are about the same blocks, where that matters.
    fn same_place(&self, node: &Node) -> bool {
        let same = || match (self.sectors, node.sectors) {
            (Some((one, of_one)), Some((other, of_other))) => {
                one < other + Sectors(of_other.max(1).into()) && other < one + Sectors(of_one.max(1).into())
            }
            _ => false,
        };
        match (self.failed.layer, node.failed.layer) {
            (Layer::Command, Layer::Request | Layer::Command) => same(),
            // Error handling takes back what is under way. Of a request that failed without a reason, only the place reports.
            (Layer::NoAnswer, Layer::Request) => {
                node.failed.answer == Answer::None || self.sectors.is_none() || same()
            }
            _ => true,
        }
    }
}

/// The failure that another one is a consequence of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// Its event.
    pub id: EventId,
    /// The fold of that, while it is open.
    pub place: Option<FoldId>,
    /// The event at the root of its incident, once that is decided.
    pub root: Option<EventId>,
    /// When its first failure was.
    pub first_ns: u64,
}

/// The failures of late, by device.
#[derive(Debug, Default)]
pub(super) struct Causes {
    by_dev: HashMap<u32, Vec<Failure>, BuildKeyHasher>,
    order: VecDeque<u32>,
}

impl Causes {
    /// What may have caused a failure at `node`, the best first: failures of the last seconds, on its device or on one that it
    /// is made of, of which it can have come. Those that certainly came before it, then the nearest.
    pub(super) fn find(&self, node: &Node, id: EventId, table: &Table) -> Vec<Cause> {
        if node.failed.layer == Layer::None {
            return Vec::new();
        }
        let mut found: Vec<_> = self
            .within_reach(node)
            .filter_map(|(f, below)| {
                let last_ns = self.came_before(f, below, node, id, SLACK_NS, table)?;
                let cause = f.as_cause(table);
                Some(((cause.first_ns <= node.first_ns, f.failed.layer, last_ns), cause))
            })
            .collect();
        // Of equals the latest that is remembered.
        found.reverse();
        found.sort_by(|(one, _), (other, _)| other.cmp(one));
        found.into_iter().map(|(_, cause)| cause).collect()
    }

    /// Whether a failure at `node`, which was written without a cause, came of a failure that is known only now.
    ///
    /// Clocks are not certain enough to say which of two that could cause each other came first; of some it is certain.
    pub(super) fn find_late(&self, node: &Node, id: EventId, cause: EventId, table: &Table) -> Option<Cause> {
        if node.failed.layer == Layer::None {
            return None;
        }
        self.within_reach(node).filter(|(f, _)| f.id == cause).find_map(|(f, below)| {
            let is_state =
                matches!(f.failed.layer, Layer::NoPath | Layer::Array | Layer::Pool | Layer::Guard);
            let slack_ns = if is_state { SLACK_NS } else { 0 };
            self.came_before(f, below, node, id, slack_ns, table).map(|_| f.as_cause(table))
        })
    }

    /// The failures of a device and of what it is made of; of the latter, true.
    fn within_reach(&self, node: &Node) -> impl Iterator<Item = (&Failure, bool)> {
        let own = node.dev.into_iter().map(|dev| (dev, false));
        let below = node.owners.iter().map(|dev| (*dev, true));
        own.chain(below).flat_map(|(dev, below)| {
            let failures = self.by_dev.get(&dev.to_kernel()).map(Vec::as_slice).unwrap_or_default();
            failures.iter().map(move |f| (f, below))
        })
    }

    /// Whether a failure can have caused that at `node`: until when it went on.
    fn came_before(
        &self,
        f: &Failure,
        below: bool,
        node: &Node,
        id: EventId,
        slack_ns: u64,
        table: &Table,
    ) -> Option<u64> {
        let open = f.place.and_then(|place| table.get(place));
        if open.is_some_and(|fold| fold.is_path_state() || !fold.event().confirmed) {
            return None;
        }
        let last_ns = open.and_then(|fold| fold.last().monotonic_ns).unwrap_or(f.last_ns).max(f.last_ns);
        let is_cause = f.id != id
            && !f.deciding
            && f.root != Some(id)
            && f.precedes(node, below, last_ns, slack_ns)
            && (below || f.same_place(node))
            && may_cause(&f.failed, &node.failed, below);
        is_cause.then_some(last_ns)
    }

    /// The incident of `old` is part of that of `new`.
    pub(super) fn joined(&mut self, old: EventId, new: EventId) {
        for failure in self.by_dev.values_mut().flatten().filter(|f| f.root == Some(old)) {
            failure.root = Some(new);
        }
    }

    /// When the first failure of an event was.
    pub(super) fn first_ns(&self, id: EventId) -> Option<u64> {
        self.by_dev.values().flatten().filter(|f| f.id == id).map(|f| f.first_ns).min()
    }

    /// While the cause of a failure is looked for, it is none itself.
    pub(super) fn deciding(&mut self, node: &Node, id: EventId) {
        if let Some(failure) = self.get(node, id) {
            failure.deciding = true;
        }
    }

    /// The root of a failure's incident is known.
    pub(super) fn decided(&mut self, node: &Node, id: EventId, root: EventId) {
        if let Some(failure) = self.get(node, id) {
            (failure.deciding, failure.root) = (false, Some(root));
        }
    }

    fn get(&mut self, node: &Node, id: EventId) -> Option<&mut Failure> {
        self.by_dev.get_mut(&node.dev?.to_kernel())?.iter_mut().find(|f| f.id == id)
    }

    /// Whether a device was in trouble before `at_ns`, and not long before.
    pub(super) fn was_in_trouble(&self, dev: Dev, at_ns: u64, table: &Table) -> bool {
        self.by_dev.get(&dev.to_kernel()).into_iter().flatten().filter(|f| !f.is_doubted(table)).any(|f| {
            let bad = f.failed.layer <= Layer::Request && f.failed.layer != Layer::Removed;
            bad && f.first_ns < at_ns && at_ns.saturating_sub(f.last_ns) < OUTAGE_NS
        })
    }

    /// It was no failure.
    pub(super) fn drop(&mut self, node: &Node, id: EventId) {
        if let Some(failures) = node.dev.and_then(|dev| self.by_dev.get_mut(&dev.to_kernel())) {
            failures.retain(|f| f.id != id);
        }
    }

    /// A failure that is remembered went on until `last_ns`.
    pub(super) fn went_on(&mut self, node: &Node, id: EventId, last_ns: u64) {
        if let Some(failure) = self.get(node, id) {
            failure.failed = node.failed;
            failure.last_ns = failure.last_ns.max(last_ns);
        }
    }

    /// The devices that failed within the last seconds before `at_ns`.
    pub(super) fn failed_before(&self, at_ns: u64, table: &Table) -> impl Iterator<Item = Dev> {
        let recent = move |f: &Failure| {
            !f.is_doubted(table)
                && f.first_ns <= at_ns.saturating_add(SLACK_NS)
                && at_ns.saturating_sub(f.last_ns) <= WINDOW_NS
        };
        let failed = self
            .order
            .iter()
            .filter(move |dev| self.by_dev.get(*dev).is_some_and(|failures| failures.iter().any(recent)));
        failed.map(|dev| Dev::from_kernel(*dev))
    }

    /// Another device has this number from now on.
    pub(super) fn forget(&mut self, dev: Dev) {
        if self.by_dev.remove(&dev.to_kernel()).is_some() {
            self.order.retain(|known| *known != dev.to_kernel());
        }
    }

    /// Remembers a failure. The root of its incident is in the event once it is decided.
    pub(super) fn remember(&mut self, node: &Node, event: &Event, place: Option<FoldId>, last_ns: u64) {
        let (Some(dev), true) = (node.dev, node.failed.layer != Layer::None) else { return };
        let failure = Failure {
            id: event.event_id,
            place,
            root: event.incident_id,
            deciding: false,
            failed: node.failed,
            sectors: node.sectors,
            first_ns: node.first_ns,
            last_ns: last_ns.max(node.first_ns),
            exact: node.exact,
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
        if failures.len() >= EACH_MAX {
            // One that is over, else the one that is farthest from the medium.
            let over = |f: &Failure| failure.first_ns.saturating_sub(f.last_ns) > WINDOW_NS;
            let least = failures
                .iter()
                .enumerate()
                .max_by_key(|(_, f)| (over(f), f.failed.layer, u64::MAX - f.last_ns))
                .map(|(i, _)| i);
            failures.swap_remove(least.unwrap_or_default());
        }
        failures.push(failure);
    }
}
