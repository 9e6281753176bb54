//! One failure is one event, whoever reports it.

mod array;
mod block;
mod btrfs;
mod causes;
mod command;
mod daemon_log;
mod detail;
mod ended;
mod kernel;
mod opening;
mod removal;
mod report;
mod status;
mod text;
mod writing;

use std::{collections::VecDeque, sync::Arc};

use super::{
    active_sources::LiveSources,
    asked::Asked,
    cause::Causes,
    crowd::Openings,
    doubt::{self, Silence},
    event_builder,
    fold::{Fold, Origin},
    fold_table::{Due, FoldId, Table},
    key::{FoldKey, Scope},
    lasting::{self, QUIET_NS},
    late::Roots,
    left::Left,
    nvme_outages::NvmeOutages,
    pending_commands::PendingCommands,
    reported_states::ReportedStates,
    saved::Noted,
    text_counts::TextCounts,
    waiting_lines::WaitingLines,
    writeback_counts::WritebackCounts,
};
use crate::{
    block::{BlkInfo, Dev, DeviceFacts, Hctl, is_nvme_controller},
    event::{Event, EventType},
    parser::{Kdev, RawEvent, Tracepoint},
    record::{Lost, Stamp},
};
pub(super) use detail::detail;

/// How long a new event waits for what text has to say about it.
pub(crate) const SETTLE_NS: u64 = 50_000_000;
/// The same where no driver has anything to say: for the block layer's own line, which the kernel hands over with its next
/// tick. If it comes later, it comes with a later revision.
pub(crate) const SETTLE_SOON_NS: u64 = 8_000_000;
/// How long the report of a mount waits for the mount point: the kernel reports it before it is in mountinfo.
const MOUNT_NS: u64 = 300_000_000;
/// How long requests may fail of the removal of a device before it is announced.
const GOING_NS: u64 = 2_000_000_000;
/// How far the records of one source may be ahead of the text that is read, on a busy machine.
const AHEAD_NS: u64 = 500_000_000;
/// How many causes of causes are looked for.
const DEPTH_MAX: u32 = 16;
/// How long a mount that began may take.
const MOUNTING_NS: u64 = 30_000_000_000;
/// Devices of which it is remembered that they went.
const GONE_MAX: usize = 256;

/// What the engine is asked with: where to learn of devices, and where events go.
pub(crate) struct Context<'c> {
    /// Facts about devices.
    pub facts: &'c dyn DeviceFacts,
    /// Events, in order.
    pub out: &'c mut Vec<Event>,
}

/// Joins what belongs together.
#[derive(Debug)]
pub(crate) struct Correlator {
    boot_id: String,
    hostname: String,
    live: LiveSources,
    /// The latest time that a record or a tick reported.
    now_ns: u64,
    pub(super) table: Table,
    pub(super) pending: PendingCommands,
    pub(super) waiting_lines: WaitingLines,
    pub(super) causes: Causes,
    pub(super) roots: Roots,
    pub(super) writeback_counts: WritebackCounts,
    pub(super) reported_states: ReportedStates,
    pub(super) nvme_outages: NvmeOutages,
    pub(super) left: Left,
    openings: Openings,
    pub(super) text_counts: TextCounts,
    pub(super) asked: Asked,
    /// Devices that went, of late.
    gone: VecDeque<Dev>,
    /// Records lost since the last event.
    pub(super) lost_before: u64,
    pub(super) noted: Noted,
    silence: Silence,
    /// Mounts that wait until it is known where.
    mounting: Vec<FoldId>,
}

impl Correlator {
    /// Nothing open.
    pub(crate) fn new(boot_id: String, hostname: String, live: LiveSources) -> Self {
        let mut silence = Silence::default();
        silence.is_unsure(live.since_ns());
        Self {
            boot_id,
            hostname,
            live,
            now_ns: 0,
            table: Table::default(),
            pending: PendingCommands::default(),
            waiting_lines: WaitingLines::default(),
            causes: Causes::default(),
            roots: Roots::default(),
            writeback_counts: WritebackCounts::default(),
            openings: Openings::default(),
            gone: VecDeque::new(),
            reported_states: ReportedStates::default(),
            nvme_outages: NvmeOutages::default(),
            left: Left::default(),
            text_counts: TextCounts::default(),
            asked: Asked::default(),
            lost_before: 0,
            noted: Noted::default(),
            silence,
            mounting: Vec::new(),
        }
    }

    /// Probes were attached or are gone.
    pub(crate) fn set_live(&mut self, live: LiveSources) {
        // Of a probe that no line is held against, nothing follows.
        let proves = |live: LiveSources| {
            let of = |t: Tracepoint| (live.covers(t.probes(), None), live.is_complete(t.probes()));
            (Tracepoint::ALL.map(of), live.since_ns(), live.text())
        };
        if proves(live) != proves(self.live) {
            self.silence_says_nothing(self.now_ns.max(live.since_ns()));
        }
        self.live = live;
    }

    /// The latest time that a record or a tick had.
    pub(super) const fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// How many events may still grow.
    pub(crate) fn open_folds(&self) -> usize {
        self.table.len()
    }

    /// How many commands and lines wait.
    pub(crate) fn waiting(&self) -> usize {
        self.pending.len() + self.waiting_lines.len()
    }

    /// When something is due next.
    pub(crate) fn next_deadline_ns(&self) -> Option<u64> {
        let waiting = [
            self.table.next_deadline_ns(),
            self.pending.next_deadline_ns(),
            self.waiting_lines.next_deadline_ns(),
        ];
        waiting.into_iter().flatten().min()
    }

    /// Lets time go on, and does what is due. `all_read` if neither the ring nor the text has anything of before then: only that
    /// makes it sure that a line has no record. A record of another source may be ahead of text that is not read yet.
    pub(crate) fn advance(&mut self, now_ns: u64, all_read: bool, cx: &mut Context<'_>) {
        let read_ns = if all_read { now_ns } else { now_ns.saturating_sub(AHEAD_NS) };
        self.now_ns = self.now_ns.max(now_ns);
        let (now_ns, live) = (self.now_ns, self.live);
        while let Some(pending) = self.pending.expired(now_ns) {
            self.unanswered(&pending, cx);
        }
        while let Some(mut line) =
            self.waiting_lines.expired(read_ns, |line| !all_read && doubt::may_be(line, live))
        {
            line.raw.unseen = self.is_contradicted(&line, cx);
            self.unmatched(line, cx);
        }
        while let Some(due) = self.table.due(now_ns) {
            match due {
                Due::Write(place) => self.write(place, cx),
                Due::Close(place) => {
                    if let Some(fold) = self.table.get_mut(place) {
                        fold.known.settled = true;
                    }
                    self.close(place, cx);
                }
            }
        }
    }

    /// Writes and closes everything.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>) {
        while let Some(pending) = self.pending.expired(u64::MAX) {
            self.unanswered(&pending, cx);
        }
        while let Some(line) = self.waiting_lines.expired(u64::MAX, |_| false) {
            self.unmatched(line, cx);
        }
        // What is known of causes, before their effects are closed.
        for place in self.table.oldest_first() {
            if self
                .table
                .get(place)
                .is_some_and(|fold| !fold.is_out() && !fold.waits_for_mount && !fold.is_path_state())
            {
                self.assess(place, cx);
                self.decide_before_writing(place);
            }
        }
        for place in self.table.oldest_first() {
            self.close(place, cx);
        }
    }

    /// A uevent.
    pub(crate) fn uevent(&mut self, raw: RawEvent, cx: &mut Context<'_>) {
        let mut raw = raw;
        self.left.note(&raw, cx.facts);
        if raw.event_type == EventType::NVME_PATH_RECOVERED {
            let Some(outage) = self.nvme_outages.end(&raw.kdev.to_text()) else { return };
            if !outage.is_path {
                raw.event_type = EventType::NVME_CONTROLLER_RECOVERED;
            }
        }
        let block = event_builder::device(&raw, cx.facts);
        let scope = scope(&raw, block.as_deref());
        self.end(&raw, scope, cx);
        if let Kdev::Dev(dev) = &raw.kdev
            && self.is_told_gone(*dev, &raw.event_type)
        {
            return;
        }
        if let Some(dev) = scope.as_dev() {
            let at_ns = raw.time.monotonic_ns.unwrap_or(self.now_ns);
            let dev = Dev::from_kernel(dev);
            if raw.event_type == EventType::BLK_DEVICE_ADDED {
                self.asked.came(dev, at_ns);
            } else if raw.event_type == EventType::BLK_DEVICE_REMOVED
                && !self.causes.was_in_trouble(dev, at_ns.saturating_sub(GOING_NS), &self.table)
            {
                self.asked.went(dev, at_ns);
            }
        }
        if raw.event_type == EventType::BLK_DEVICE_REMOVED
            && let Some(place) = block.as_ref().and_then(|block| block.id.transport_id.parse().ok())
        {
            self.vacated(place, cx);
        }
        if raw.event_type == EventType::BLK_DEVICE_REMOVED {
            return self.removed(&raw, block, cx);
        }
        self.plain(&raw, scope, block, Origin::Uevent, cx);
        if raw.event_type == EventType::NVME_CONTROLLER_FAILED {
            // It is gone for good: another one may get its name.
            self.nvme_outages.end(&raw.kdev.to_text());
        }
    }

    /// A disk went from a SCSI address: what was said of the address alone is not about the unit that comes to it next
    /// (promise 3).
    fn vacated(&mut self, place: Hctl, cx: &mut Context<'_>) {
        let scope = Scope::hctl(place.host, place.channel, place.target, place.lun);
        for place in self.table.oldest_first() {
            let fold = self.table.get(place);
            if fold.is_some_and(|fold| fold.keys.iter().any(|key| key.scope == scope.0)) {
                self.close(place, cx);
            }
        }
    }

    /// Whether it was reported already that a device went: device mapper says so before the block layer does.
    fn is_told_gone(&mut self, dev: Dev, event_type: &EventType) -> bool {
        if *event_type == EventType::BLK_DEVICE_ADDED {
            self.causes.forget(dev);
            self.gone.retain(|gone| *gone != dev);
        } else if *event_type == EventType::BLK_DEVICE_REMOVED {
            if self.gone.contains(&dev) {
                return true;
            }
            if self.gone.len() >= GONE_MAX {
                self.gone.pop_front();
            }
            self.gone.push_back(dev);
        }
        false
    }

    /// Records are known to be lost.
    pub(crate) fn lost(&mut self, lost: &Lost, time: Stamp, cx: &mut Context<'_>) {
        if lost.count == 0 {
            return;
        }
        self.silence_says_nothing(self.now_ns);
        self.lost_before = self.lost_before.saturating_add(lost.count);
        // Devices that came may be among what was lost.
        self.gone.clear();
        let mut raw = RawEvent::new(time, &*lost.source, &*lost.sequence, EventType::PERIPETY_EVENTS_LOST);
        raw.count = lost.count;
        let loss = raw.facts.loss.get_or_insert_default();
        (loss.source, loss.reason) = (Some(lost.source.to_string()), Some(lost.reason.to_string()));
        self.plain(&raw, Scope::name(""), None, Origin::Probe, cx);
    }

    /// A raw event that is found by its type alone.
    fn plain(
        &mut self,
        raw: &RawEvent,
        scope: Scope,
        block: Option<Arc<BlkInfo>>,
        origin: Origin,
        cx: &mut Context<'_>,
    ) {
        let key = FoldKey::typed(scope, raw.event_type.as_str(), detail(raw));
        if let Some(place) = self.open_at(&key, raw.time, cx) {
            if let Some(fold) = self.table.touch(place, self.now_ns) {
                let sectors = raw.io.as_ref().and_then(|io| Some((io.sector?, io.nr_sectors.unwrap_or(1))));
                fold.add(origin, raw.count, raw.time, sectors);
                fold.learn(raw);
                fold.kernel_knows_better(raw);
            }
            self.state_ends(&raw.event_type, &[key]);
            return;
        }
        if self.goes_with_the_rest(raw, scope, block.as_ref(), origin, None, cx) {
            return;
        }
        if let Some(place) = self.open(raw, block, &[key], origin, None, cx) {
            self.attach_held(place);
        }
    }

    /// What ends a state came: if the state does not come again soon, its event is over.
    pub(super) fn state_ends(&mut self, clear: &EventType, keys: &[FoldKey]) {
        if !lasting::is_end(clear) {
            return;
        }
        for place in self.table.oldest_first() {
            let Some(fold) = self.table.get(place) else { continue };
            let is_same = || fold.keys.iter().any(|key| keys.iter().any(|end| end.scope == key.scope));
            if lasting::ends(clear, &fold.event().event_type) && is_same() {
                if let Some(fold) = self.table.get_mut(place) {
                    fold.ended = true;
                }
                self.table.set_quiet(place);
            }
        }
    }

    /// Mounts of this device that wait until it is known where.
    fn mounting_of(&mut self, dev: Dev) -> Vec<FoldId> {
        let table = &self.table;
        self.mounting.retain(|place| table.get(*place).is_some());
        let is_of = |place: &FoldId| table.get(*place).is_some_and(|fold| fold.node.dev == Some(dev));
        self.mounting.iter().copied().filter(is_of).collect()
    }

    /// A filesystem is unmounted: a mount that had only begun did succeed, whoever saw it in mountinfo.
    fn was_mounted(&mut self, dev: Dev, cx: &mut Context<'_>) {
        let mut begun = self.mounting_of(dev);
        begun.retain(|place| self.table.get(*place).is_some_and(|fold| fold.only_begun));
        for place in begun {
            if let Some(fold) = self.table.get_mut(place) {
                fold.only_begun = false;
            }
            self.close(place, cx);
        }
    }
}

/// The device of a raw event, as it stands in keys.
fn scope(raw: &RawEvent, block: Option<&BlkInfo>) -> Scope {
    match (&raw.kdev, block) {
        (Kdev::Dev(dev), _) => Scope::dev(dev.to_kernel()),
        (_, Some(info)) if !info.id.dev.is_none() => Scope::dev(info.id.dev.to_kernel()),
        (Kdev::Hctl(h), _) => Scope::hctl(h.host, h.channel, h.target, h.lun),
        // Before a disk is announced, its records have its number and its lines its name.
        (Kdev::Name(name), _) => {
            Dev::of_sd_name(name).map_or_else(|| Scope::name(name), |dev| Scope::dev(dev.to_kernel()))
        }
        (Kdev::None, _) => Scope::name(""),
    }
}

/// The controller that a raw event names: each is another way to the same namespace.
fn controller(raw: &RawEvent) -> Option<&str> {
    let Kdev::Name(name) = &raw.kdev else { return None };
    is_nvme_controller(name).then_some(name.as_str())
}
