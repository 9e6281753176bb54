//! What drivers said of commands, until the block layer says that the request failed.

use std::collections::{HashMap, VecDeque};

use peripety_common::{Header, Kind, nvme_rq::NvmeRq, scsi_cmd::ScsiCmd};

use serde::{Deserialize, Serialize};

use super::{
    fault::Fault,
    key::{BuildKeyHasher, Scope},
};
use crate::{
    block::DeviceFacts,
    event::{Facts, Op, Sector, Severity},
    parser::{RawEvent, nvme, scsi},
    record::Stamp,
};

/// How long a driver's word waits for its request.
pub(super) const WAIT_NS: u64 = 80_000_000;
/// How many wait at a time.
const PENDING_MAX: usize = 1024;

/// A driver's word.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Driver {
    /// A SCSI command.
    Scsi(ScsiCmd),
    /// An NVMe command.
    Nvme(NvmeRq),
}

/// A driver's word about a command.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Pending {
    /// Of the record.
    pub header: Header,
    /// Of the record.
    pub time: Stamp,
    /// What was said.
    pub driver: Driver,
    /// The fault.
    pub fault: Fault,
    /// How many commands failed so for the same request.
    pub attempts: u64,
    /// Whether it waited in vain for a request that fails.
    waited: bool,
    deadline_ns: u64,
}

impl Pending {
    /// A word that waits from now on.
    pub(super) fn new(header: Header, time: Stamp, driver: Driver, fault: Fault, now_ns: u64) -> Self {
        Self {
            header,
            time,
            driver,
            fault,
            attempts: 1,
            waited: false,
            deadline_ns: now_ns.saturating_add(WAIT_NS),
        }
    }
}

impl Pending {
    /// The hook that reported it.
    pub(super) const fn kind(&self) -> Kind {
        match self.driver {
            Driver::Scsi(_) => Kind::ScsiDone,
            Driver::Nvme(_) => Kind::NvmeCompleteRq,
        }
    }

    /// The device, as it stands in keys.
    pub(super) fn scope(&self, facts: &dyn DeviceFacts) -> Scope {
        match &self.driver {
            Driver::Scsi(cmd) => scsi_scope(cmd, self.time, facts),
            Driver::Nvme(rq) => nvme_scope(rq, self.time, facts),
        }
    }

    /// The sectors it is about.
    pub(super) fn sectors(&self) -> Option<(Sector, u32)> {
        match &self.driver {
            Driver::Scsi(cmd) => scsi::io(cmd).and_then(|io| Some((io.sector?, io.nr_sectors.unwrap_or(1)))),
            Driver::Nvme(_) => None,
        }
    }

    /// Where it begins, and how many sectors at most a unit of that has.
    pub(super) fn first(&self) -> Option<(u64, u64)> {
        match &self.driver {
            Driver::Scsi(_) => self.sectors().map(|(sector, _)| (sector.0, 1)),
            Driver::Nvme(rq) => (rq.qid != 0 && rq.slba != u64::MAX).then_some((rq.slba, 8)),
        }
    }

    /// The operation.
    pub(super) fn op(&self) -> Op {
        match &self.driver {
            Driver::Scsi(cmd) => scsi::op(cmd),
            Driver::Nvme(rq) => nvme::op(rq),
        }
    }

    /// What is known of the command.
    pub(super) fn facts(&self) -> Facts {
        match &self.driver {
            Driver::Scsi(cmd) => Facts { scsi: Some(Box::new(scsi::facts(cmd))), ..Facts::default() },
            Driver::Nvme(rq) => Facts { nvme: Some(Box::new(nvme::facts(rq))), ..Facts::default() },
        }
    }

    /// The event it is by itself.
    pub(super) fn raw_event(&self) -> Option<RawEvent> {
        match &self.driver {
            Driver::Scsi(cmd) => {
                let mut raw = scsi::done(&self.header, cmd, self.time)?;
                if self.waited {
                    raw.severity = scsi::classify(cmd)?.severity_when_retried();
                    raw.facts.impact.get_or_insert_default().tried_again = Some(true);
                }
                Some(raw)
            }
            Driver::Nvme(rq) => {
                let mut raw = nvme::request(&self.header, rq, self.time)?;
                if self.waited {
                    raw.severity = raw.severity.max(Severity::Warning);
                    raw.facts.impact.get_or_insert_default().tried_again = Some(true);
                }
                Some(raw)
            }
        }
    }
}

/// A SCSI device, as it stands in keys: by number if the record or the facts have it, else by address.
/// News of a unit is always by address where the facts lack it: so its line and its uevent name it.
pub(super) fn scsi_scope(cmd: &ScsiCmd, time: Stamp, facts: &dyn DeviceFacts) -> Scope {
    if cmd.dev != 0 && !scsi::classify(cmd).is_some_and(scsi::ScsiFault::is_change) {
        return Scope::dev(cmd.dev);
    }
    let known =
        facts.by_name(&scsi::hctl(cmd).to_string(), time.monotonic_ns).filter(|info| !info.id.dev.is_none());
    known.map_or_else(
        || Scope::hctl(cmd.host, cmd.channel, cmd.target, cmd.lun),
        |info| Scope::dev(info.id.dev.to_kernel()),
    )
}

/// An NVMe disk or controller, as it stands in keys. A classic tracepoint reports the disk by name alone.
pub(super) fn nvme_scope(rq: &NvmeRq, time: Stamp, facts: &dyn DeviceFacts) -> Scope {
    if rq.dev != 0 {
        return Scope::dev(rq.dev);
    }
    let known = nvme::own_disk(rq).and_then(|name| facts.by_name(name, time.monotonic_ns));
    known.filter(|info| !info.id.dev.is_none()).map_or_else(
        || Scope::number(Scope::NVME, rq.ctrl.unsigned_abs()),
        |info| Scope::dev(info.id.dev.to_kernel()),
    )
}

/// Where a request begins, in the driver's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum At {
    /// A sector of 512 bytes.
    Sector(Sector),
    /// A logical block of a size that the record does not report.
    Lba(u64),
    /// A cache flush.
    Flush,
    /// Not known.
    Unknown,
}

/// The driver's words that wait.
#[derive(Debug, Default)]
pub(super) struct PendingCommands {
    waiting: VecDeque<Option<((u32, At), Pending)>>,
    /// Number of the first of `waiting`.
    base: u64,
    index: HashMap<(u32, At), u64, BuildKeyHasher>,
}

impl PendingCommands {
    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// How many places are taken.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Lets a word wait. Returns one that can wait no longer for lack of room.
    #[must_use]
    pub(super) fn insert(&mut self, dev: u32, at: At, pending: Pending) -> Option<Pending> {
        let key = (dev, at);
        if let Some(number) = self.index.get(&key)
            && let Some(Some((_, waiting))) = self.waiting.get_mut((number - self.base) as usize)
        {
            // The request was sent again and failed again: the last word counts, the time of the first.
            let attempts = waiting.attempts.saturating_add(pending.attempts);
            *waiting = Pending { attempts, waited: true, deadline_ns: waiting.deadline_ns, ..pending };
            return None;
        }
        self.drop_done();
        let too_much = if self.waiting.len() >= PENDING_MAX { self.pop() } else { None };
        self.index.insert(key, self.base + self.waiting.len() as u64);
        self.waiting.push_back(Some((key, Pending { waited: true, ..pending })));
        too_much
    }

    /// The word about a request that failed, by where the block layer says that it begins.
    pub(super) fn take(&mut self, dev: u32, sector: Option<Sector>, is_flush: bool) -> Option<Pending> {
        if is_flush {
            return self.remove(dev, At::Flush).or_else(|| self.remove(dev, At::Unknown));
        }
        sector.and_then(|sector| self.take_at(dev, sector)).or_else(|| self.remove(dev, At::Unknown))
    }

    fn take_at(&mut self, dev: u32, sector: Sector) -> Option<Pending> {
        // A logical block has 512 bytes, or 4096.
        let Sector(number) = sector;
        self.remove(dev, At::Sector(sector))
            .or_else(|| self.remove(dev, At::Lba(number)))
            .or_else(|| if number.is_multiple_of(8) { self.remove(dev, At::Lba(number / 8)) } else { None })
    }

    fn remove(&mut self, dev: u32, at: At) -> Option<Pending> {
        let number = self.index.remove(&(dev, at))?;
        let taken = self.waiting.get_mut((number - self.base) as usize)?.take();
        self.drop_done();
        taken.map(|(_, pending)| pending)
    }

    /// A word that waited for long enough.
    pub(super) fn expired(&mut self, now_ns: u64) -> Option<Pending> {
        self.drop_done();
        let deadline_ns = self.next_deadline_ns()?;
        if deadline_ns <= now_ns { self.pop() } else { None }
    }

    /// When the next one has waited for long enough.
    pub(super) fn next_deadline_ns(&self) -> Option<u64> {
        self.waiting.iter().flatten().next().map(|(_, pending)| pending.deadline_ns)
    }

    /// The words that wait, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &((u32, At), Pending)> {
        self.waiting.iter().flatten()
    }

    /// Takes in a word as it was saved.
    pub(super) fn restore(&mut self, key: (u32, At), pending: Pending) {
        self.index.insert(key, self.base + self.waiting.len() as u64);
        self.waiting.push_back(Some((key, pending)));
    }

    fn drop_done(&mut self) {
        while let Some(None) = self.waiting.front() {
            self.waiting.pop_front();
            self.base += 1;
        }
    }

    fn pop(&mut self) -> Option<Pending> {
        let first = self.waiting.pop_front()?;
        self.base += 1;
        let (key, pending) = first?;
        self.index.remove(&key);
        Some(pending)
    }
}
