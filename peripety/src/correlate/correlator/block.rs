//! Requests and bios that failed, with what their drivers said.

use peripety_common::{KernelRecord, Kind};

use super::{
    super::{
        fault::{Fault, refines},
        fold::{Fold, Origin},
        fold_table::FoldId,
        key::{FoldKey, Scope},
        matching::{
            probe_command::{CommandMatch, decide_command},
            probe_request::{Failed, Request, RequestMatch, decide_request, fault_without_place},
        },
        pending_commands::{Driver, Pending},
    },
    Context, Correlator,
};
use crate::{
    block::Dev,
    event::{Errno, Event, EventType, Facts, Op, facts::Member},
    parser::{self, RawEvent, nvme, scsi},
    record::{Missed, Stamp},
};

impl Correlator {
    pub(super) fn request(&mut self, rq: Request, record: &KernelRecord, time: Stamp, cx: &mut Context<'_>) {
        let command = if self.pending.is_empty() {
            None
        } else {
            self.pending.take(rq.dev, rq.sector, rq.op == Op::Flush)
        };
        let refined = command.as_ref().and_then(|p| refined_type(p, rq.errno).map(|t| (t, p.fault)));
        let failed = Failed {
            request: rq,
            time,
            now_ns: self.now_ns,
            command: command.as_ref(),
            refined: refined.as_ref(),
        };
        // An event that is another failure by now is closed, and the rest is asked again.
        let decided = loop {
            let decided = decide_request(&self.view(), &failed);
            let Some(place) = decided.fold() else { break decided };
            if self.still_open(place, time, cx).is_none() {
                continue;
            }
            if matches!(decided, RequestMatch::Repeat(_)) && self.is_of_other_request(place, &rq) {
                self.close(place, cx);
                continue;
            }
            break decided;
        };
        match decided {
            RequestMatch::Open => return self.first_request(rq, record, time, command, refined, cx),
            RequestMatch::OtherDevices(place) => return self.count_with_other_devices(place, &rq, time),
            RequestMatch::FlushOfIt(place) => return self.join_flush(place, &failed),
            RequestMatch::Refine(place) => self.refine_requests(place, &failed),
            RequestMatch::Attempts(place) => self.join_attempts(place, &failed),
            RequestMatch::AttemptsWithoutPlace(place) => self.join_attempts_without_place(place, &failed),
            RequestMatch::Repeat(_) => {}
        }
        if let Some(place) = decided.fold() {
            self.repeat_request(place, &failed);
        }
    }

    fn repeat_request(&mut self, place: FoldId, failed: &Failed<'_>) {
        let Request { sector, nr_sectors, extent, kind, .. } = failed.request;
        let Some(fold) = self.table.touch(place, self.now_ns) else { return };
        fold.add(Origin::Probe, 1, failed.time, sector.map(|sector| (sector, nr_sectors)));
        fold.extent(extent);
        fold.reported_by(kind);
        if let Some(command) = failed.command {
            fold.reported_by(command.kind());
            fold.retried(command.attempts.saturating_sub(1));
            sensed(fold, command);
        }
    }

    /// The first requests of a fold came without what their driver reports.
    fn refine_requests(&mut self, place: FoldId, failed: &Failed<'_>) {
        let Some((event_type, fault)) = failed.refined else { return };
        let Some(fold) = self.table.get_mut(place) else { return };
        fold.refine(event_type.clone(), Some(*fault));
        if let Some(command) = failed.command {
            add_details(fold.event_mut(), command);
        }
        self.table.add_key(place, failed.key(Some(*fault)));
        self.table.add_key(place, FoldKey::driver(Scope::dev(failed.request.dev), *fault));
    }

    /// So many devices fail that there is no room for another event: then numbers are all that is looked at.
    fn count_with_other_devices(&mut self, place: FoldId, rq: &Request, time: Stamp) {
        let Some(fold) = self.table.touch(place, self.now_ns) else { return };
        fold.add(Origin::Probe, 1, time, None);
        fold.reported_by(rq.kind);
        let Some(crowd) = &mut fold.crowd else { return };
        crowd.add(Scope::dev(rq.dev).0, 1, || Member {
            kdev: Some(Dev::from_kernel(rq.dev).to_string()),
            ..Member::default()
        });
    }

    /// Its flush failed first, and counted: it is the same failure.
    fn join_flush(&mut self, place: FoldId, failed: &Failed<'_>) {
        let Request { sector, nr_sectors, .. } = failed.request;
        if let Some(fold) = self.table.get_mut(place) {
            fold.was_flush_of_write(sector, nr_sectors);
        }
        self.table.add_key(place, failed.key(None));
    }

    fn join_attempts(&mut self, place: FoldId, failed: &Failed<'_>) {
        let errno = failed.request.errno;
        let Some(fold) = self.table.get_mut(place) else { return };
        fold.request_failed(errno, 0);
        let fault = match failed.refined {
            Some((event_type, fault)) if fold.fault.is_none() => {
                fold.refine(event_type.clone(), Some(*fault));
                Some(*fault)
            }
            _ => fold.fault,
        };
        // The last attempt had another tag than the first, and lines of text name that of the last.
        forget_attempt(&mut fold.event_mut().facts);
        if let Some(command) = failed.command {
            add_details(fold.event_mut(), command);
        }
        self.counts_requests(place, failed, fault);
    }

    /// From now on requests find the event of the attempts at them, and lines about them do.
    fn counts_requests(&mut self, place: FoldId, failed: &Failed<'_>, fault: Option<Fault>) {
        self.table.add_key(place, failed.key(fault));
        self.table.add_key(place, failed.key(None));
        self.table.add_key(place, FoldKey::latest_request(Scope::dev(failed.request.dev)));
        self.attach_held(place);
    }

    fn join_attempts_without_place(&mut self, place: FoldId, failed: &Failed<'_>) {
        let Request { op, errno, sector, nr_sectors, .. } = failed.request;
        let Some(fold) = self.table.get_mut(place) else { return };
        if let Some(io) = &mut fold.event_mut().io {
            io.op = op;
            io.sector = sector;
            io.nr_sectors = Some(nr_sectors);
        }
        fold.request_failed(errno, 0);
        self.counts_requests(place, failed, fault_without_place(errno));
    }

    /// Requests that the kernel side counted and for which the ring had no room: with the others of their kind, or by
    /// themselves where no record of them came through.
    pub(crate) fn missed(&mut self, missed: &Missed, time: Stamp, cx: &mut Context<'_>) {
        self.silence_says_nothing(self.now_ns);
        let Some(kind) = Kind::from_number(missed.kind) else { return };
        let op = parser::block::op(missed.op);
        let errno = Errno::from_raw(missed.errno);
        let scope = Scope::dev(missed.dev);
        let key = FoldKey::block(scope, op, errno, None);
        // When they failed is not known: not later than what is still open.
        let open = self.open_of_device(&key, time, cx);
        // An old line of text does not name the operation.
        let unknown = FoldKey::block(scope, Op::Unknown, errno, None);
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

    /// No request failed of a command that a driver's probe reported: it was sent again, or was no request.
    pub(super) fn unanswered(&mut self, command: &Pending, cx: &mut Context<'_>) {
        if command.fault == Fault::Scsi(scsi::ScsiFault::UnknownSense) {
            return;
        }
        let scope = command.scope(cx.facts);
        let decided = loop {
            let decided = decide_command(&self.view(), command, scope);
            let Some(place) = decided.fold() else { break decided };
            if matches!(decided, CommandMatch::Request(_))
                || self.still_open(place, command.time, cx).is_some()
            {
                break decided;
            }
        };
        match decided {
            CommandMatch::Repeat(place) => self.repeat_command(place, command),
            CommandMatch::Request(place) => self.explain_request(place, command, scope),
            CommandMatch::Line(place) => self.prove_line(place, command, scope),
            CommandMatch::Open => self.first_command(command, scope, cx),
        }
    }

    fn repeat_command(&mut self, place: FoldId, command: &Pending) {
        if let Some(fold) = self.table.get_mut(place).filter(|fold| fold.has_requests) {
            fold.retried(command.attempts);
            return;
        }
        if let Some(fold) = self.table.touch(place, self.now_ns) {
            fold.add(Origin::Probe, command.attempts, command.time, command.sectors());
            fold.reported_by(command.kind());
            sensed(fold, command);
        }
    }

    /// A request failed before the driver's record of its command came, which makes it more precise.
    fn explain_request(&mut self, place: FoldId, command: &Pending, scope: Scope) {
        let Some(fold) = self.table.get_mut(place).filter(|fold| fold.fault.is_none()) else { return };
        let Some(event_type) = fold.errno().and_then(|errno| refined_type(command, errno)) else { return };
        fold.refine(event_type, Some(command.fault));
        add_details(fold.event_mut(), command);
        self.table.add_key(place, FoldKey::driver(scope, command.fault));
    }

    /// What a line said first is what this command reports.
    fn prove_line(&mut self, place: FoldId, command: &Pending, scope: Scope) {
        if let Some(fold) = self.table.touch(place, self.now_ns) {
            fold.text_is_of_probe();
            fold.fault = Some(command.fault);
            fold.add(Origin::Probe, command.attempts, command.time, None);
            fold.reported_by(command.kind());
            add_details(fold.event_mut(), command);
        }
        self.table.add_key(place, FoldKey::driver(scope, command.fault));
    }

    fn first_command(&mut self, command: &Pending, scope: Scope, cx: &mut Context<'_>) {
        let Some(mut raw) = command.raw_event() else { return };
        raw.count = command.attempts;
        let mut keys = vec![
            FoldKey::driver(scope, command.fault),
            FoldKey::driver_op(scope, command.fault, command.op()),
            FoldKey::typed(scope, raw.event_type.as_str(), 0),
        ];
        if raw.io.is_some() {
            keys.push(FoldKey::latest_request(scope));
        }
        let block = super::event_builder::device(&raw, cx.facts);
        if let Some(place) = self.open(&raw, block, &keys, Origin::Probe, Some(command.kind()), cx) {
            if let Some(fold) = self.table.get_mut(place) {
                fold.fault = Some(command.fault);
                sensed(fold, command);
            }
            self.attach_held(place);
        }
    }
}

/// The type that a driver's word gives to a failed request, where it is more precise than the errno's.
fn refined_type(reported: &Pending, errno: Errno) -> Option<EventType> {
    match &reported.driver {
        Driver::Scsi(cmd) => {
            let fault = scsi::classify(cmd)?;
            refines(fault, errno).then(|| fault.event_type())
        }
        Driver::Nvme(rq) => match nvme::classify(rq)? {
            nvme::NvmeFault::Io if errno != Errno::EIO => None,
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
        sector.0 == first || (scale > 1 && first.checked_mul(scale) == Some(sector.0))
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
