//! Requests and bios that failed, with what their drivers said.

use peripety_common::{KernelRecord, Kind};

use super::{
    super::{
        fault::{Fault, refines},
        fold::{Fold, Origin},
        fold_table::FoldId,
        key::{FoldKey, Scope},
        matching::line::is_of_chain,
        pending_commands::{Driver, Pending},
    },
    Context, Correlator,
};
use crate::{
    block::Dev,
    event::{Event, EventType, Extent, Facts, Op, facts::Member},
    parser::{self, RawEvent, errno, nvme, scsi},
    record::{Missed, Stamp},
};

/// A failed request or bio, in numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub dev: u32,
    pub op: Op,
    pub errno: i32,
    pub sector: u64,
    pub nr_sectors: u32,
    pub extent: Option<Extent>,
    pub kind: Kind,
}

impl Correlator {
    pub(super) fn request(&mut self, rq: Request, record: &KernelRecord, time: Stamp, cx: &mut Context<'_>) {
        let reported = if self.pending.is_empty() {
            None
        } else {
            self.pending.take(rq.dev, rq.sector, rq.op == Op::Flush)
        };
        let refined = reported.as_ref().and_then(|p| refined_type(p, rq.errno).map(|t| (t, p.fault)));
        let fault = refined.as_ref().map(|(_, fault)| *fault);
        let key = FoldKey::block(Scope::dev(rq.dev), rq.op, rq.errno, fault);
        let plain = FoldKey::block(Scope::dev(rq.dev), rq.op, rq.errno, None);
        let mut place = self.open_at(&key, time, cx);
        if let Some(doubted) = place.filter(|place| self.is_of_other_request(*place, &rq)) {
            self.close(doubted, cx);
            place = None;
        }
        // A request without a driver's word is none that a path answered so.
        if reported.is_none() && self.live.has(Kind::ScsiDone) {
            place = place.filter(|place| {
                self.table
                    .get(*place)
                    .is_none_or(|fold| fold.fault != Some(Fault::Scsi(scsi::ScsiFault::PathState)))
            });
        }
        // The first requests of a fold came without their driver's word.
        if place.is_none()
            && let Some((event_type, fault)) = &refined
            && let Some(open) = self.open_at(&plain, time, cx)
            && let Some(fold) = self.table.get_mut(open).filter(|fold| fold.fault.is_none())
        {
            fold.refine(event_type.clone(), Some(*fault));
            if let Some(reported) = &reported {
                add_details(fold.event_mut(), reported);
            }
            self.table.add_key(open, key);
            self.table.add_key(open, FoldKey::driver(Scope::dev(rq.dev), *fault));
            place = Some(open);
        }
        place = place.or_else(|| self.join_attempts(&rq, reported.as_ref(), refined.as_ref(), time, cx));
        place = place.or_else(|| self.join_blind_attempts(&rq, time, cx));
        if place.is_none() && self.join_own_flush(&rq, time, cx) {
            return;
        }
        let sectors = (rq.sector != u64::MAX).then_some((rq.sector, rq.nr_sectors));
        if let Some(place) = place {
            if let Some(fold) = self.table.touch(place, self.now_ns) {
                fold.add(Origin::Probe, 1, time, sectors);
                fold.extent(rq.extent);
                fold.reported_by(rq.kind);
                if let Some(reported) = &reported {
                    fold.reported_by(reported.kind());
                    fold.retried(reported.attempts.saturating_sub(1));
                    sensed(fold, reported);
                }
            }
            return;
        }
        if reported.is_none() && self.is_counted_with_other_devices(&rq, time) {
            return;
        }
        self.first_request(rq, record, time, reported, refined, cx);
    }

    /// So many devices fail that there is no room for another event: then numbers are all that is looked at.
    fn is_counted_with_other_devices(&mut self, rq: &Request, time: Stamp) -> bool {
        if !self.table.is_busy(self.now_ns) {
            return false;
        }
        let key = FoldKey::block(Scope::REST, rq.op, rq.errno, None);
        let Some(place) = self.table.find(&key) else { return false };
        let Some(fold) = self.table.touch(place, self.now_ns) else { return false };
        fold.add(Origin::Probe, 1, time, None);
        fold.reported_by(rq.kind);
        let Some(crowd) = &mut fold.crowd else { return true };
        crowd.add(Scope::dev(rq.dev).0, 1, || Member {
            kdev: Some(Dev::from_kernel(rq.dev).to_string()),
            ..Member::default()
        });
        true
    }

    /// Attempts at this very request that failed before were reported already: it is the same failure, which is worse now.
    fn join_attempts(
        &mut self,
        rq: &Request,
        reported: Option<&Pending>,
        refined: Option<&(EventType, Fault)>,
        time: Stamp,
        cx: &mut Context<'_>,
    ) -> Option<FoldId> {
        let scope = Scope::dev(rq.dev);
        let faults = reported.map(|reported| reported.fault).into_iter().chain([Fault::TimedOut]);
        let keys =
            faults.flat_map(|fault| [FoldKey::driver_op(scope, fault, rq.op), FoldKey::driver(scope, fault)]);
        for key in keys {
            let Some(place) = self.open_at(&key, time, cx) else { continue };
            let Some(fold) = self.table.get_mut(place) else { continue };
            if fold.has_requests || !fold.is_about(rq.op, rq.sector) {
                continue;
            }
            fold.request_failed(rq.errno, errno::name(rq.errno), 0);
            let fault = match refined {
                Some((event_type, fault)) if fold.fault.is_none() => {
                    fold.refine(event_type.clone(), Some(*fault));
                    Some(*fault)
                }
                _ => fold.fault,
            };
            // The last attempt had another tag than the first, and lines of text name that of the last.
            forget_attempt(&mut fold.event_mut().facts);
            if let Some(reported) = reported {
                add_details(fold.event_mut(), reported);
            }
            self.table.add_key(place, FoldKey::block(scope, rq.op, rq.errno, fault));
            self.table.add_key(place, FoldKey::block(scope, rq.op, rq.errno, None));
            self.table.add_key(place, FoldKey::latest_request(scope));
            self.attach_held(place);
            return Some(place);
        }
        None
    }

    /// The same for attempts of which the driver's hook reports no place, as NVMe's classic tracepoint: the request that fails
    /// so soon after them, and of the same, is theirs.
    fn join_blind_attempts(&mut self, rq: &Request, time: Stamp, cx: &mut Context<'_>) -> Option<FoldId> {
        const SOON_NS: u64 = 1_000_000_000;
        let scope = Scope::dev(rq.dev);
        let fault = Fault::Nvme(match rq.errno {
            5 => nvme::NvmeFault::Io,
            61 | 84 => nvme::NvmeFault::Medium,
            _ => return None,
        });
        let place = self.open_at(&FoldKey::driver(scope, fault), time, cx)?;
        let fold = self.table.get_mut(place).filter(|fold| !fold.has_requests)?;
        let is_blind = fold.event().io.as_ref().is_some_and(|io| io.op == Op::Unknown && io.sector.is_none());
        let is_soon = match (time.monotonic_ns, fold.last().monotonic_ns) {
            (Some(now), Some(last)) => now.saturating_sub(last) < SOON_NS,
            _ => true,
        };
        if !is_blind || !is_soon {
            return None;
        }
        if let Some(io) = &mut fold.event_mut().io {
            io.op = rq.op;
            io.sector = Some(rq.sector).filter(|sector| *sector != u64::MAX);
            io.nr_sectors = Some(rq.nr_sectors);
        }
        fold.request_failed(rq.errno, errno::name(rq.errno), 0);
        self.table.add_key(place, FoldKey::block(scope, rq.op, rq.errno, Some(fault)));
        self.table.add_key(place, FoldKey::block(scope, rq.op, rq.errno, None));
        self.table.add_key(place, FoldKey::latest_request(scope));
        self.attach_held(place);
        Some(place)
    }

    /// A write that begins with a flush fails once for the flush, with no sectors left, and once for itself.
    fn join_own_flush(&mut self, rq: &Request, time: Stamp, cx: &mut Context<'_>) -> bool {
        let scope = Scope::dev(rq.dev);
        let key = FoldKey::block(scope, Op::Flush, rq.errno, None);
        if rq.op != Op::Write || rq.sector == 0 {
            return false;
        }
        let Some(place) = self.open_at(&key, time, cx) else { return false };
        let sectors = (rq.sector, rq.nr_sectors);
        let Some(fold) = self.table.get_mut(place).filter(|fold| !fold.is_out()) else { return false };
        if !fold.was_flush_of_write(sectors) {
            return false;
        }
        self.table.add_key(place, FoldKey::block(scope, rq.op, rq.errno, None));
        true
    }

    /// Requests that the kernel side counted and for which the ring had no room: with the others of their kind, or by
    /// themselves where no record of them came through.
    pub fn missed(&mut self, missed: &Missed, time: Stamp, cx: &mut Context<'_>) {
        self.silence_says_nothing(self.now_ns);
        let Some(kind) = Kind::from_number(missed.kind) else { return };
        let op = parser::block::op(missed.op);
        let scope = Scope::dev(missed.dev);
        let key = FoldKey::block(scope, op, missed.errno, None);
        // When they failed is not known: not later than what is still open.
        let open = self.open_of_device(&key, time, cx);
        // An old line of text does not name the operation.
        let unknown = FoldKey::block(scope, Op::Unknown, missed.errno, None);
        let count = missed.count - self.text_counts.take([key, unknown], missed.count, self.now_ns);
        if count == 0 {
            return;
        }
        if let Some(place) = open {
            if let Some(fold) = self.table.touch(place, self.now_ns) {
                fold.count(Origin::Probe, count);
                fold.reported_by(kind);
                fold.missed(count);
            }
            return;
        }
        let mut raw = parser::block::missed(missed, kind, time);
        raw.count = count;
        let typed = FoldKey::typed(scope, raw.event_type.as_str(), 0);
        let block = cx.facts.by_dev(Dev::from_kernel(missed.dev), time.monotonic_ns);
        let keys = [key, FoldKey::latest_request(scope), typed];
        let Some(place) = self.open(&raw, block, &keys, Origin::Probe, Some(kind), cx) else { return };
        if let Some(fold) = self.table.get_mut(place) {
            fold.has_requests = true;
            fold.missed(count);
        }
    }

    fn first_request(
        &mut self,
        rq: Request,
        record: &KernelRecord,
        time: Stamp,
        reported: Option<Pending>,
        refined: Option<(EventType, Fault)>,
        cx: &mut Context<'_>,
    ) {
        let Some(mut raw) = parser::kernel(record, time) else { return };
        let fault = refined.as_ref().map(|(_, fault)| *fault);
        if let Some((event_type, _)) = refined {
            raw = retyped(raw, event_type);
        }
        if let Some(reported) = &reported {
            // The driver's tag is that of the request.
            raw.facts.block = None;
            raw.facts.fill(&reported.facts());
            if let (Some(io), Driver::Scsi(cmd)) = (&mut raw.io, &reported.driver) {
                io.bad_lba = scsi::bad_sector(cmd);
            }
        }
        let scope = Scope::dev(rq.dev);
        let typed = FoldKey::typed(scope, raw.event_type.as_str(), 0);
        let mut keys = vec![
            FoldKey::block(Scope::dev(rq.dev), rq.op, rq.errno, fault),
            FoldKey::block(Scope::dev(rq.dev), rq.op, rq.errno, None),
            FoldKey::latest_request(scope),
            typed,
        ];
        keys.extend(fault.map(|fault| FoldKey::driver(scope, fault)));
        let block = cx.facts.by_dev(Dev::from_kernel(rq.dev), time.monotonic_ns);
        let Some(place) = self.open(&raw, block, &keys, Origin::Probe, Some(rq.kind), cx) else { return };
        if let Some(fold) = self.table.get_mut(place) {
            fold.fault = fault;
            fold.has_requests = true;
            if let Some(reported) = &reported {
                fold.reported_by(reported.kind());
                fold.retried(reported.attempts.saturating_sub(1));
                sensed(fold, reported);
            }
        }
        self.attach_held(place);
    }

    /// No request failed of what a driver said: the command was sent again, or was no request.
    pub(super) fn unanswered(&mut self, reported: &Pending, cx: &mut Context<'_>) {
        if reported.fault == Fault::Scsi(scsi::ScsiFault::UnknownSense) {
            return;
        }
        let scope = reported.scope(cx.facts);
        let key = FoldKey::driver(scope, reported.fault);
        let by_op = FoldKey::driver_op(scope, reported.fault, reported.op());
        let place = self.open_at(&by_op, reported.time, cx).or_else(|| {
            // Attempts at writes are not of the reads that fail.
            let same = |fold: &Fold| {
                fold.event().io.as_ref().is_none_or(|io| io.op == reported.op() || io.op == Op::Unknown)
            };
            self.open_at(&key, reported.time, cx).filter(|place| self.table.get(*place).is_some_and(same))
        });
        if let Some(place) = place {
            let Some(fold) = self.table.get_mut(place) else { return };
            if fold.has_requests {
                fold.retried(reported.attempts);
                return;
            }
            if let Some(fold) = self.table.touch(place, self.now_ns) {
                fold.add(Origin::Probe, reported.attempts, reported.time, reported.sectors());
                fold.reported_by(reported.kind());
                sensed(fold, reported);
            }
            return;
        }
        if self.belongs_to_request(reported, scope) || self.belongs_to_line(reported, scope, cx) {
            return;
        }
        let Some(mut raw) = reported.raw_event() else { return };
        raw.count = reported.attempts;
        let mut keys = vec![key, by_op, FoldKey::typed(scope, raw.event_type.as_str(), 0)];
        if raw.io.is_some() {
            keys.push(FoldKey::latest_request(scope));
        }
        let block = super::event_builder::device(&raw, cx.facts);
        if let Some(place) = self.open(&raw, block, &keys, Origin::Probe, Some(reported.kind()), cx) {
            if let Some(fold) = self.table.get_mut(place) {
                fold.fault = Some(reported.fault);
                sensed(fold, reported);
            }
            self.attach_held(place);
        }
    }
}

impl Correlator {
    /// Whether the request that a driver's word is about failed before the word came: then it makes that more precise.
    fn belongs_to_request(&mut self, reported: &Pending, scope: Scope) -> bool {
        let Some((sector, _)) = reported.sectors() else { return false };
        let Some(place) = self.table.find(&FoldKey::latest_request(scope)) else { return false };
        let Some(fold) = self.table.get_mut(place) else { return false };
        if !fold.has_requests || !fold.has_sector(sector) {
            return false;
        }
        if fold.fault.is_none()
            && let Some(event_type) = fold.errno().and_then(|errno| refined_type(reported, errno))
        {
            fold.refine(event_type, Some(reported.fault));
            add_details(fold.event_mut(), reported);
            self.table.add_key(place, FoldKey::driver(scope, reported.fault));
        }
        true
    }
}

impl Correlator {
    /// Whether report of a unit was reported by a line that came first and seemed older than the probe: the clock of text may be
    /// off by a moment before it is known by how much.
    fn belongs_to_line(&mut self, reported: &Pending, scope: Scope, cx: &mut Context<'_>) -> bool {
        let Driver::Scsi(cmd) = &reported.driver else { return false };
        let Some(fault) = scsi::classify(cmd).filter(|fault| fault.is_change()) else { return false };
        let key = FoldKey::typed(scope, fault.event_type().as_str(), 0);
        let Some(place) = self.open_at(&key, reported.time, cx) else { return false };
        if !self.table.get(place).is_some_and(|fold| !fold.has_probe() && is_of_chain(reported.time, fold)) {
            return false;
        }
        if let Some(fold) = self.table.touch(place, self.now_ns) {
            fold.text_is_of_probe();
            fold.fault = Some(reported.fault);
            fold.add(Origin::Probe, reported.attempts, reported.time, None);
            fold.reported_by(reported.kind());
            add_details(fold.event_mut(), reported);
        }
        self.table.add_key(place, FoldKey::driver(scope, reported.fault));
        true
    }
}

/// The type that a driver's word gives to a failed request, where it is more precise than the errno's.
fn refined_type(reported: &Pending, errno: i32) -> Option<EventType> {
    const EIO: i32 = 5;
    match &reported.driver {
        Driver::Scsi(cmd) => {
            let fault = scsi::classify(cmd)?;
            refines(fault, errno).then(|| fault.event_type())
        }
        Driver::Nvme(rq) => match nvme::classify(rq)? {
            nvme::NvmeFault::Io if errno != EIO => None,
            fault => Some(fault.event_type()),
        },
    }
}

fn retyped(raw: RawEvent, event_type: EventType) -> RawEvent {
    let fresh = RawEvent::new(raw.time, "", "", event_type);
    RawEvent {
        severity: raw.severity.min(fresh.severity),
        sub_system: fresh.sub_system,
        event_type: fresh.event_type,
        ..raw
    }
}

/// Notes what the sense data of a command say of its path.
fn sensed(fold: &mut Fold, reported: &Pending) {
    if let Driver::Scsi(cmd) = &reported.driver
        && let Some(fault) = scsi::classify(cmd).filter(|fault| *fault != scsi::ScsiFault::UnknownSense)
    {
        fold.sensed(fault == scsi::ScsiFault::PathState);
    }
}

/// What names one attempt among others.
fn forget_attempt(facts: &mut Facts) {
    if let Some(block) = &mut facts.block {
        block.tag = None;
    }
    if let Some(scsi) = &mut facts.scsi {
        (scsi.tag, scsi.retries) = (None, None);
    }
    if let Some(nvme) = &mut facts.nvme {
        nvme.retries = None;
    }
}

fn add_details(event: &mut Event, reported: &Pending) {
    let sector = event.io.as_ref().and_then(|io| io.sector);
    let same = sector.zip(reported.first()).is_none_or(|(sector, (first, scale))| {
        sector == first || (scale > 1 && first.checked_mul(scale) == Some(sector))
    });
    let mut facts = reported.facts();
    if !same {
        // Of another request than the one that the event names: how it failed, and not what it was.
        if let Some(scsi) = &mut facts.scsi {
            (scsi.opcode, scsi.cdb, scsi.tag, scsi.retries) = (None, None, None, None);
        }
        if let Some(nvme) = &mut facts.nvme {
            (nvme.opcode, nvme.command, nvme.lba, nvme.blocks) = (None, None, None, None);
            (nvme.qid, nvme.cid, nvme.retries) = (None, None, None);
        }
    }
    event.facts.fill(&facts);
}
