//! Lines of text: to the failure that they are about.

use peripety_common::Kind;

use super::{
    super::{
        doubt,
        fault::Fault,
        fold::{Fold, Witness},
        held::Line,
        key::{FoldKey, Scope},
        table::Place,
    },
    Context, Correlator,
    block::{Request, refines},
    btrfs, build,
    command::is_command,
    detail, scope,
};
use crate::{
    block::Identity,
    event::{EventType, Facts, Op, Severity, facts::ScsiFacts},
    parser::{
        Farewell, Kdev, RawEvent, errno,
        scsi::{ScsiFault, is_path_state},
        source_name,
    },
    record::Stamp,
};

const REQUEST_PROBES: &[Kind] = &[Kind::BlockRqError, Kind::BlockRqComplete];

/// Places in the kernel whose text is limited, and the probes that count what the text leaves out.
const LIMITED: &[(&str, &[Kind])] = &[
    ("blk_print_req_error", REQUEST_PROBES),
    ("print_req_error", REQUEST_PROBES),
    ("blk_update_request", REQUEST_PROBES),
    // The pages of a file, and the buffers of a device or of metadata, whose requests fail.
    ("iomap_finish_ioend", &[Kind::FilemapSetWbErr]),
    ("iomap_finish_ioend_buffered", &[Kind::FilemapSetWbErr]),
    ("iomap_finish_ioend_buffered_write", &[Kind::FilemapSetWbErr]),
    ("buffer_io_error", REQUEST_PROBES),
    ("scsi_io_completion_action", &[Kind::ScsiDone]),
    ("nvme_log_error", &[Kind::NvmeCompleteRq]),
    ("nvme_log_err_passthru", &[Kind::NvmeCompleteRq]),
    ("EXT4-fs error", &[Kind::Ext4Error]),
];

/// Faults by the sense key that news of a unit comes with.
const CARRIERS: &[ScsiFault] = &[ScsiFault::Recovered, ScsiFault::UnitAttention];
/// How far the lines about one command are from each other, and from its record by another clock.
const CHAIN_NS: u64 = 300_000_000;

const OPS: [Op; 10] = [
    Op::Read,
    Op::Write,
    Op::Flush,
    Op::Discard,
    Op::SecureErase,
    Op::WriteSame,
    Op::WriteZeroes,
    Op::Zone,
    Op::Passthrough,
    Op::Unknown,
];

impl Correlator {
    /// What a line of text says.
    pub fn text(&mut self, raw: RawEvent, cx: &mut Context<'_>) {
        self.left.note(&raw, cx.facts);
        if raw.event_type == EventType::PERIPETY_EVENTS_LOST {
            return self.suppressed(raw, cx);
        }
        if raw.kdev.is_floppy() {
            return;
        }
        if raw.program {
            return self.program(raw, cx);
        }
        let scope = scope(&raw, build::device(&raw, cx.facts).as_deref());
        self.end(&raw, scope, cx);
        self.note_mended(&raw, scope);
        if btrfs::names_member(&raw).is_some() {
            return self.bad_copy(raw, scope, cx);
        }
        let waits = btrfs::is_checksum(&raw) || (is_nameless(&raw) && self.target(&raw, scope).is_none());
        if let Some(place) = if waits { None } else { self.open_target(&raw, scope, cx) } {
            self.attach(place, &raw, scope);
        } else if waits
            || is_chain(&raw)
            || is_command(&raw)
            || self.live.covers(probes_for(&raw), raw.time.monotonic_ns)
        {
            if let Some(line) = self.held.push(raw, scope, self.now_ns) {
                self.unmatched(line, cx);
            }
        } else {
            self.open_text(raw, scope, cx);
        }
    }

    /// Somebody asked for something to go. The driver says the same of a controller that it gave up.
    pub fn farewell(&mut self, said: &Farewell<'_>, time: Stamp, cx: &Context<'_>) {
        let at_ns = time.monotonic_ns.unwrap_or(self.now_ns);
        if self.outages.was_down(said.name, at_ns.saturating_sub(super::GOING_NS)) {
            return;
        }
        let block = cx.facts.by_name(said.name, time.monotonic_ns);
        self.asked.note(said, block.as_deref(), at_ns);
    }

    /// A line that waited in vain: the record was lost, or the failure was before the probe.
    pub(super) fn unmatched(&mut self, line: Line, cx: &mut Context<'_>) {
        if line.raw.program {
            return self.program_alone(line, cx);
        }
        match self.open_target(&line.raw, line.scope, cx) {
            Some(place) => self.attach(place, &line.raw, line.scope),
            None => self.open_text(line.raw, line.scope, cx),
        }
    }

    /// Whether a line claims of a device that is there what its probe would have seen, and did not.
    pub(super) fn is_contradicted(&self, line: &Line, cx: &Context<'_>) -> bool {
        let is_there = || {
            build::device(&line.raw, cx.facts)
                .is_some_and(|block| !block.id.dev.is_none() && block.id.identity != Identity::Removed)
        };
        doubt::may_be(line, self.live) && self.silence.contradicts(line, self.now_ns) && is_there()
    }

    /// From now on for a while no line is doubted, and none that was and may still have its record.
    pub(super) fn silence_says_nothing(&mut self, now_ns: u64) {
        self.silence.is_unsure(now_ns);
        for place in self.table.oldest_first() {
            if let Some(fold) = self.table.get_mut(place).filter(|fold| !fold.event().confirmed) {
                fold.confirm();
                self.table.write_again(place, self.now_ns);
            }
        }
    }

    /// Whether a fold is about a request of which only a line tells, and that another one than this.
    pub(super) fn is_of_other_request(&self, place: Place, rq: &Request) -> bool {
        self.table
            .get(place)
            .is_some_and(|fold| !fold.event().confirmed && rq.op != Op::Flush && !fold.has_sector(rq.sector))
    }

    /// Gives a new event the lines that wait for it.
    pub(super) fn attach_held(&mut self, place: Place) {
        if self.held.is_empty() {
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        // The first lines of a chain name the command that the others are about.
        loop {
            let lines = held.take(|line| {
                let target = if line.raw.program {
                    self.counterpart(&line.raw, line.scope)
                } else {
                    self.target(&line.raw, line.scope)
                };
                target == Some(place)
            });
            if lines.is_empty() {
                break;
            }
            for line in lines {
                if line.raw.program {
                    self.add_words(place, &line.raw);
                    continue;
                }
                self.attach(place, &line.raw, line.scope);
            }
        }
        self.held = held;
    }

    fn open_text(&mut self, mut raw: RawEvent, mut scope: Scope, cx: &mut Context<'_>) {
        if is_nameless(&raw) {
            self.name_array(&mut raw, cx);
            scope = super::scope(&raw, build::device(&raw, cx.facts).as_deref());
        }
        if self.join_command(&raw, scope, cx) {
            return;
        }
        let key = FoldKey::typed(scope, raw.event_type.as_str(), detail(&raw));
        let mut keys = vec![key];
        let fault = fault_of(&raw);
        let request = errno_of(&raw);
        if let Some(errno) = request {
            let op = raw.io.as_ref().map_or(Op::Unknown, |io| io.op);
            keys.extend([FoldKey::block(scope, op, errno, None), FoldKey::latest_request(scope)]);
        } else if is_chain(&raw) {
            keys.push(FoldKey::latest_request(scope));
            keys.extend(fault.map(|fault| FoldKey::driver(scope, Fault::Scsi(fault))));
        }
        keys.extend(ext4_key(&raw, scope));
        if MEMBER_FAILED.contains(&raw.event_type) {
            keys.push(FoldKey::typed(Scope::name(""), EventType::MD_DISK_FAILED.as_str(), 0));
        }
        let block = build::device(&raw, cx.facts);
        // The lines that came before this one stand before it.
        let own = if super::happens_once(&raw.event_type, &keys) { None } else { raw.raw_msg.take() };
        let covered = self.live.covers(probes_for(&raw), raw.time.monotonic_ns);
        let witness = if covered { Witness::Text } else { Witness::TextAlone };
        if request.is_none() && self.goes_with_the_rest(&raw, scope, block.as_ref(), witness, None, cx) {
            return;
        }
        let Some(place) = self.open(&raw, block, &keys, witness, None, cx) else { return };
        if let Some(fold) = self.table.get_mut(place) {
            if let Some(is_path_state) = senses(&raw) {
                fold.sensed(is_path_state);
            }
            fold.has_requests = request.is_some();
            fold.fault = fault.filter(|_| request.is_none()).map(Fault::Scsi);
        }
        self.attach_held(place);
        if let (Some(own), Some(fold)) = (own, self.table.get_mut(place)) {
            fold.line(&own);
        }
    }

    fn open_target(&mut self, raw: &RawEvent, scope: Scope, cx: &mut Context<'_>) -> Option<Place> {
        let place = self.target(raw, scope)?;
        let key = *self.table.get(place)?.keys.first()?;
        self.open_at(&key, raw.time, cx).or_else(|| self.target(raw, scope))
    }

    /// The open event that a line is about.
    fn target(&self, raw: &RawEvent, scope: Scope) -> Option<Place> {
        let find = |key: FoldKey| self.table.find(&key);
        if let Some(errno) = errno_of(raw) {
            let op = raw.io.as_ref().map_or(Op::Unknown, |io| io.op);
            let by_op = |op: Op| find(FoldKey::block(scope, op, errno, None));
            return match op {
                Op::Unknown => OPS.into_iter().find_map(by_op),
                // A classic tracepoint has no letter of its own for some operations.
                op => by_op(op).or_else(|| by_op(Op::Unknown)),
            };
        }
        if let Some(key) = ext4_key(raw, scope)
            && let Some(place) = find(key)
        {
            return Some(place);
        }
        if let Some(place) = self.request_of(raw, scope) {
            return Some(place);
        }
        if is_ata_command(raw) {
            let exception = || self.exception_of(raw, scope);
            if let Some(place) = find(FoldKey::driver(scope, Fault::TimedOut)).or_else(exception) {
                return Some(place);
            }
        }
        if is_chain(raw) {
            if let Some(place) = self.recovery_of(raw, scope) {
                return Some(place);
            }
            let fault = fault_of(raw);
            let same = fault.and_then(|fault| find(FoldKey::driver(scope, Fault::Scsi(fault))));
            return same.or_else(|| self.news_target(raw, scope, fault)).or_else(|| {
                let place = find(FoldKey::latest_request(scope))?;
                let fold = self.table.get(place)?;
                let fits = match fault {
                    _ if same_command(fold, raw) => true,
                    _ if fold.fault.is_none() && !fold.has_requests => true,
                    Some(fault) if fold.fault.is_none() => {
                        fold.errno().is_some_and(|errno| refines(fault, errno))
                    }
                    Some(fault) => fold.fault == Some(Fault::Scsi(fault)),
                    None => true,
                };
                fits.then_some(place)
            });
        }
        find(FoldKey::typed(scope, raw.event_type.as_str(), detail(raw)))
    }

    /// What libata said of the link just before it told which commands failed of that.
    fn exception_of(&self, raw: &RawEvent, scope: Scope) -> Option<Place> {
        let place = self.table.find(&FoldKey::typed(scope, EventType::ATA_LINK_ERROR.as_str(), 0))?;
        let fold = self.table.get(place)?;
        (is_exception(fold) && is_near(fold, raw)).then_some(place)
    }

    /// The error handling that a command's line belongs to: drivers print the command that they take back.
    fn recovery_of(&self, raw: &RawEvent, scope: Scope) -> Option<Place> {
        const RECOVERIES: [EventType; 2] = [EventType::USB_STORAGE_ERROR, EventType::SCSI_ERROR_RECOVERY];
        let scsi = raw.facts.scsi.as_deref();
        let tag = scsi.and_then(|scsi| scsi.tag);
        let is_bare = scsi.is_some_and(|scsi| !scsi.has_result());
        let has_chain = || {
            let of_other = |scsi: &ScsiFacts| scsi.tag == tag && scsi.host_byte.is_some();
            let same = |other: &RawEvent| other.facts.scsi.as_deref().is_some_and(of_other);
            self.held.any(|line| line.scope == scope && same(&line.raw))
                || self
                    .table
                    .find(&FoldKey::latest_request(scope))
                    .and_then(|place| self.table.get(place))
                    .is_some_and(|fold| same_command(fold, raw))
        };
        if !is_bare || has_chain() {
            return None;
        }
        RECOVERIES.iter().find_map(|event_type| {
            let place = self.table.find(&FoldKey::typed(scope, event_type.as_str(), 0))?;
            is_near(self.table.get(place)?, raw).then_some(place)
        })
    }

    /// The lines of a chain about news of a unit: the line of the sense key says no more than recovered error or unit
    /// attention, the next one what it is. Either may have been first.
    fn news_target(&self, raw: &RawEvent, scope: Scope, fault: Option<ScsiFault>) -> Option<Place> {
        let now = fault.filter(|fault| fault.is_news() || CARRIERS.contains(fault))?;
        let carried = |fault: &ScsiFault| {
            if CARRIERS.contains(&now) { fault.is_news() } else { CARRIERS.contains(fault) }
        };
        ScsiFault::ALL.iter().filter(|fault| carried(fault)).find_map(|fault| {
            let place = self.table.find(&FoldKey::driver(scope, Fault::Scsi(*fault)))?;
            let fold = self.table.get(place)?;
            let key_of = |facts: &Facts| facts.scsi.as_ref().and_then(|scsi| scsi.sense_key);
            let told = key_of(&fold.event().facts);
            let same = told.is_some() && told == key_of(&raw.facts);
            (is_of_chain(raw.time, fold) && !fold.has_requests && (same || !CARRIERS.contains(&now)))
                .then_some(place)
        })
    }

    /// Adds a line to the event it is about.
    fn attach(&mut self, place: Place, raw: &RawEvent, scope: Scope) {
        let covered = self.live.covers(probes_for(raw), raw.time.monotonic_ns);
        let Some(fold) = self.table.get_mut(place) else { return };
        let first_line = fold.event().raw_msgs.is_empty() && fold.is_out();
        fold.learn(raw);
        if let Some(is_path_state) = senses(raw) {
            fold.sensed(is_path_state);
        }
        fold.kernel_knows_better(raw);
        if first_line {
            self.table.write_again(place, self.now_ns);
        }
        let Some(fold) = self.table.get_mut(place) else { return };
        // A sense line makes the failed request more precise.
        let was = fold.fault;
        let is_sharper = |fault: &ScsiFault| {
            was.is_none_or(|was| fault.is_news() && was.scsi().is_some_and(|was| CARRIERS.contains(&was)))
        };
        if let Some(fault) = fault_of(raw).filter(|fault| is_chain(raw) && is_sharper(fault)) {
            if fold.errno().is_none_or(|errno| refines(fault, errno)) {
                fold.refine(fault.event_type(), Some(Fault::Scsi(fault)));
                let keys = [
                    FoldKey::driver(scope, Fault::Scsi(fault)),
                    FoldKey::typed(scope, fault.event_type().as_str(), 0),
                ];
                for key in keys {
                    self.table.add_key(place, key);
                }
            }
        } else if knows_better(fold, raw, scope) {
            fold.refine_type(raw);
        }
        self.refine_by_command(place, raw, scope);
        let Some(fold) = self.table.get_mut(place) else { return };
        let counted_elsewhere = is_nameless(raw)
            || (fold.has_requests && is_command(raw))
            || (is_exception(fold) && is_ata_command(raw))
            || (fold.has_probe() && covered)
            || (is_chain(raw) && !opens_chain(raw, fold.has_requests));
        let witness = if covered { Witness::Text } else { Witness::TextAlone };
        if !counted_elsewhere {
            let sectors = raw.io.as_ref().and_then(|io| Some((io.sector?, io.nr_sectors.unwrap_or(1))));
            if let Some(fold) = self.table.touch(place, self.now_ns) {
                fold.add(witness, raw.count, raw.time, sectors);
            }
        }
    }

    /// The kernel says how many lines it left out. Where a probe counts the same failures, no failure is lost by it.
    fn suppressed(&mut self, mut raw: RawEvent, cx: &mut Context<'_>) {
        let loss = raw.facts.loss.get_or_insert_default();
        let limited = loss.site.as_deref().and_then(|site| LIMITED.iter().find(|row| row.0 == site));
        let probes = limited.map_or(&[][..], |row| row.1);
        match probes.iter().find(|kind| self.live.covers(&[**kind], raw.time.monotonic_ns)) {
            Some(kind) => {
                raw.severity = Severity::Info;
                loss.counted_by = Some(source_name(*kind));
            }
            None => self.lost_before = self.lost_before.saturating_add(raw.count),
        }
        self.plain(&raw, Scope::name(""), None, Witness::TextAlone, cx);
    }
}

/// Whether the additional sense of a line is that a path is not the active one; none if the line has no such sense.
fn senses(raw: &RawEvent) -> Option<bool> {
    let scsi = raw.facts.scsi.as_ref()?;
    let (asc, ascq) = (scsi.asc?, scsi.ascq?);
    // The line names no key, and no other key has these.
    Some([2, 5].iter().any(|key| is_path_state(*key, asc, ascq)))
}

/// What md says of a member that failed; the line about its superblock, which names no device, is about it.
const MEMBER_FAILED: [EventType; 3] =
    [EventType::MD_DISK_FAILED, EventType::MD_ARRAY_FAILED, EventType::DM_RAID_LEG_FAILED];

/// Whether md says that a member failed, and leaves it to the next line to name it.
fn is_nameless(raw: &RawEvent) -> bool {
    raw.event_type == EventType::MD_DISK_FAILED && raw.kdev == Kdev::None
}

/// The errno of a line about a failed request; none for any other line.
pub(super) fn errno_of(raw: &RawEvent) -> Option<i32> {
    let of_type = errno::of_block_type(&raw.event_type)?;
    Some(raw.io.as_ref().and_then(|io| io.errno).unwrap_or(of_type))
}

/// The fault that a line about a SCSI command names; none if it leaves that to the sense line of its chain.
fn fault_of(raw: &RawEvent) -> Option<ScsiFault> {
    let has_key = || raw.facts.scsi.as_ref().is_some_and(|scsi| scsi.sense_key.is_some());
    if raw.event_type == EventType::SCSI_SENSE_OTHER && !has_key() {
        return None;
    }
    ScsiFault::ALL.iter().copied().find(|fault| fault.event_type() == raw.event_type)
}

/// Whether a line is one of those that the SCSI layer prints about one failed command: result, sense, command.
fn is_chain(raw: &RawEvent) -> bool {
    ["scsi", "smart"].contains(&raw.sub_system.as_str())
        && raw.event_type.as_str() != EventType::SCSI_MEDIUM_ACCESS_TIMEOUT_OFFLINEING_DISK.as_str()
        && (is_conflict(raw) || raw.facts.scsi.as_ref().is_some_and(|scsi| scsi.is_of_command()))
}

/// Whether a line stands for a chain: a reservation conflict prints no other, but that of the request.
fn is_conflict(raw: &RawEvent) -> bool {
    raw.event_type == EventType::SCSI_RESERVATION_CONFLICT
}

/// Whether a line of a chain is the one that counts: the first of them, unless the request's own line counts.
fn opens_chain(raw: &RawEvent, has_requests: bool) -> bool {
    !has_requests
        && (is_conflict(raw) || raw.facts.scsi.as_ref().is_some_and(|scsi| scsi.host_byte.is_some()))
}

/// Whether a line of a chain is about the command that the latest failure of a fold was.
fn same_command(fold: &Fold, raw: &RawEvent) -> bool {
    const CHAIN_US: i64 = 500_000;
    let tag = raw.facts.scsi.as_ref().and_then(|scsi| scsi.tag);
    let Facts { scsi, block, .. } = &fold.event().facts;
    let of_fold = None
        .or_else(|| block.as_ref().and_then(|block| block.tag))
        .or_else(|| scsi.as_ref().and_then(|scsi| scsi.tag));
    tag.is_some() && of_fold == tag && (raw.time.realtime_us - fold.last().realtime_us).abs() < CHAIN_US
}

/// Whether libata told of the link, of which commands failed.
fn is_exception(fold: &Fold) -> bool {
    fold.event().sub_system.as_str() == "ata"
        && fold.event().facts.ata.as_ref().is_some_and(|ata| ata.serr.is_some())
}

/// Whether something of this time can be of one chain with the latest of a fold, as far as the times are known.
pub(super) fn is_of_chain(time: Stamp, fold: &Fold) -> bool {
    let apart = time.monotonic_ns.zip(fold.last().monotonic_ns).map(|(one, other)| one.abs_diff(other));
    apart.is_none_or(|apart| apart <= CHAIN_NS)
}

/// Whether a line came together with the latest failure of a fold.
fn is_near(fold: &Fold, raw: &RawEvent) -> bool {
    let apart_us = raw.time.realtime_us.abs_diff(fold.last().realtime_us);
    apart_us.saturating_mul(1000) <= CHAIN_NS
}

/// Whether a line is libata's about a command that failed, of which the SCSI layer's hook tells too.
fn is_ata_command(raw: &RawEvent) -> bool {
    raw.sub_system.as_str() == "ata" && raw.facts.ata.as_ref().is_some_and(|ata| ata.is_command())
}

/// Whether a line gives a more precise type than the probe that opened the event could.
fn knows_better(fold: &Fold, raw: &RawEvent, scope: Scope) -> bool {
    let event_type = &fold.event().event_type;
    (is_ata_command(raw) && *event_type == EventType::ATA_COMMAND_ERROR)
        || (is_ata_command(raw) && is_exception(fold) && raw.severity.at_least(Severity::Error))
        || (ext4_key(raw, scope).is_some() && *event_type == EventType::FS_ERROR)
}

/// ext4 prints the place that its tracepoint names.
fn ext4_key(raw: &RawEvent, scope: Scope) -> Option<FoldKey> {
    if raw.sub_system.as_str() != "ext4" {
        return None;
    }
    let fs = raw.facts.fs.as_ref()?;
    Some(FoldKey::ext4(scope, fs.function.as_ref()?.as_bytes(), fs.line?))
}

/// The probes that tell of what a line tells.
pub(super) fn probes_for(raw: &RawEvent) -> &'static [Kind] {
    match (raw.sub_system.as_str(), raw.event_type.as_str()) {
        ("block", "BLK_LOST_WRITE") => &[Kind::FilemapSetWbErr],
        ("block", _) if errno_of(raw).is_some() => REQUEST_PROBES,
        ("scsi" | "smart", _) if is_chain(raw) => {
            &[Kind::ScsiDone, Kind::BlockRqError, Kind::BlockRqComplete]
        }
        ("scsi", _) if fault_of(raw).is_some_and(ScsiFault::is_news) => &[Kind::ScsiDone],
        ("nvme", "NVME_IO_ERROR" | "NVME_MEDIUM_ERROR" | "NVME_PATH_FAILED") => &[Kind::NvmeCompleteRq],
        ("ata", _) if is_ata_command(raw) => &[Kind::ScsiTimeout],
        ("ext4", "FS_SHUTDOWN") => &[Kind::Ext4Shutdown],
        ("ext4", _) if raw.facts.fs.as_ref().is_some_and(|fs| fs.function.is_some()) => &[Kind::Ext4Error],
        ("xfs", "FS_SHUTDOWN") => &[Kind::XfsForceShutdown],
        _ => &[],
    }
}
