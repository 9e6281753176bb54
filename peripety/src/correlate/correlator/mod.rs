//! One failure is one event, whoever reports it.

mod array;
mod block;
mod btrfs;
mod command;
mod daemon_log;
mod detail;
mod ended;
mod kernel;
mod removal;
mod text;

use std::{collections::VecDeque, sync::Arc};

use peripety_common::Kind;

use super::{
    active_sources::LiveSources,
    asked::Asked,
    cause::{Cause, Causes, Node},
    crowd::{self, Crowd, Openings},
    doubt::{self, Silence},
    event_builder,
    fold::{Fold, Origin},
    fold_table::{Due, FoldId, Table},
    impact,
    key::{FoldKey, Scope},
    lasting::{self, QUIET_NS},
    late::Roots,
    layer::Layer,
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
    block::{BlkInfo, BlkType, Dev, DeviceFacts, Hctl, is_nvme_controller},
    event::{
        Event, EventId, EventType, Facts, Severity,
        facts::{Member, MountStage},
    },
    parser::{Kdev, RawEvent, Tracepoint},
    record::{Lost, Stamp},
};
pub(super) use detail::detail;
use detail::{clear_detail, detail_of};

/// How long a new event waits for what text has to say about it.
pub const SETTLE_NS: u64 = 50_000_000;
/// The same where no driver has anything to say: for the block layer's own line, which the kernel hands over with its next
/// tick. If it comes later, it comes with a later revision.
pub const SETTLE_SOON_NS: u64 = 8_000_000;
/// How long the report of a mount waits for the mount point: the kernel reports it before it is in mountinfo.
const MOUNT_NS: u64 = 300_000_000;
/// How long requests may fail of the removal of a device before it is announced.
const GOING_NS: u64 = 2_000_000_000;
/// How many causes of causes are looked for.
const DEPTH_MAX: u32 = 16;
/// How long a mount that began may take.
const MOUNTING_NS: u64 = 30_000_000_000;
/// Devices of which it is remembered that they went.
const GONE_MAX: usize = 256;

/// What the engine is asked with: where to learn of devices, and where events go.
pub struct Context<'c> {
    /// Facts about devices.
    pub facts: &'c dyn DeviceFacts,
    /// Events, in order.
    pub out: &'c mut Vec<Event>,
}

/// Joins what belongs together.
#[derive(Debug)]
pub struct Correlator {
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
}

impl Correlator {
    /// Nothing open.
    pub fn new(boot_id: String, hostname: String, live: LiveSources) -> Self {
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
        }
    }

    /// Probes were attached or are gone.
    pub fn set_live(&mut self, live: LiveSources) {
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
    pub fn open_folds(&self) -> usize {
        self.table.len()
    }

    /// How many commands and lines wait.
    pub fn waiting(&self) -> usize {
        self.pending.len() + self.waiting_lines.len()
    }

    /// When something is due next.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let waiting = [
            self.table.next_deadline_ns(),
            self.pending.next_deadline_ns(),
            self.waiting_lines.next_deadline_ns(),
        ];
        waiting.into_iter().flatten().min()
    }

    /// Lets time go on, and does what is due. `all_read` if the ring has nothing of before then: only that makes it sure that
    /// a line has no record.
    pub fn advance(&mut self, now_ns: u64, all_read: bool, cx: &mut Context<'_>) {
        self.now_ns = self.now_ns.max(now_ns);
        let now_ns = self.now_ns;
        while let Some(pending) = self.pending.expired(now_ns) {
            self.unanswered(&pending, cx);
        }
        let live = self.live;
        while let Some(mut line) =
            self.waiting_lines.expired(now_ns, |line| !all_read && doubt::may_be(line, live))
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
    pub fn finish(&mut self, cx: &mut Context<'_>) {
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
    pub fn uevent(&mut self, raw: RawEvent, cx: &mut Context<'_>) {
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
        if let (true, Some(dev)) = (raw.event_type == EventType::BLK_DEVICE_REMOVED, scope.as_dev()) {
            let at_ns = raw.time.monotonic_ns.unwrap_or(self.now_ns);
            let dev = Dev::from_kernel(dev);
            if !self.causes.was_in_trouble(dev, at_ns.saturating_sub(GOING_NS), &self.table) {
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
    pub fn lost(&mut self, lost: &Lost, time: Stamp, cx: &mut Context<'_>) {
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
        witness: Origin,
        cx: &mut Context<'_>,
    ) {
        let key = FoldKey::typed(scope, raw.event_type.as_str(), detail(raw));
        if let Some(place) = self.open_at(&key, raw.time, cx) {
            if let Some(fold) = self.table.touch(place, self.now_ns) {
                let sectors = raw.io.as_ref().and_then(|io| Some((io.sector?, io.nr_sectors.unwrap_or(1))));
                fold.add(witness, raw.count, raw.time, sectors);
                fold.learn(raw);
                fold.kernel_knows_better(raw);
            }
            self.state_ends(&raw.event_type, &[key]);
            return;
        }
        if self.goes_with_the_rest(raw, scope, block.as_ref(), witness, None, cx) {
            return;
        }
        if let Some(place) = self.open(raw, block, &[key], witness, None, cx) {
            self.attach_held(place);
        }
    }

    /// What differs from other events of its type on its device in a detail only, and comes after too many of them, goes
    /// into one event with the rest. Whether it did.
    fn goes_with_the_rest(
        &mut self,
        raw: &RawEvent,
        scope: Scope,
        block: Option<&Arc<BlkInfo>>,
        witness: Origin,
        kind: Option<Kind>,
        cx: &mut Context<'_>,
    ) -> bool {
        let id = detail(raw);
        if id == 0 || raw.sub_system.as_str() == "peripety" {
            return false;
        }
        let rest = if raw.unseen {
            FoldKey::rest(scope, &format!("{}?", raw.event_type.as_str()))
        } else {
            FoldKey::rest(scope, raw.event_type.as_str())
        };
        let of_type = FoldKey::typed(scope, raw.event_type.as_str(), 0);
        let open = self.open_at(&rest, raw.time, cx);
        let is_new = open.is_none();
        if is_new && !self.openings.is_too_many(of_type, self.now_ns) {
            return false;
        }
        let place = open.or_else(|| {
            let mut raw = raw.clone();
            clear_detail(&mut raw);
            self.open(&raw, block.cloned(), &[rest, of_type], witness, kind, cx)
        });
        // There was no room even for that: it was counted with other devices.
        let Some(place) = place else { return true };
        let Some(fold) = self.table.touch(place, self.now_ns) else { return true };
        if !is_new {
            fold.add(witness, raw.count, raw.time, None);
            match kind {
                Some(kind) => fold.reported_by(kind),
                None => fold.source(&raw.source),
            }
        }
        let crowd = fold.crowd.get_or_insert_with(|| Box::new(Crowd::new(crowd::of(&raw.event_type))));
        let inode = raw.facts.fs.as_ref().and_then(|fs| fs.inode);
        crowd.add(inode.unwrap_or(id), raw.count, || detail_of(raw).named(raw));
        true
    }

    /// So many devices fail that there is no room for another event: one event for all that there is no room for.
    fn goes_with_other_devices(
        &mut self,
        raw: &RawEvent,
        block: Option<&Arc<BlkInfo>>,
        witness: Origin,
        kind: Option<Kind>,
        cx: &mut Context<'_>,
    ) {
        let key = FoldKey::rest(Scope::REST, raw.event_type.as_str());
        let is_new = self.table.find(&key).is_none();
        if is_new {
            if let Some(oldest) = self.table.must_go() {
                self.close(oldest, cx);
            }
            let mut event = event_builder::event(raw, None, &self.boot_id, &self.hostname);
            event.kdev = String::new();
            event.extension.clear();
            event.facts = Facts::default();
            event.io = None;
            event.lost_before = std::mem::take(&mut self.lost_before);
            let node = Node::of(&event, None, raw.time.monotonic_ns.unwrap_or(self.now_ns), false);
            let mut fold = Fold::new(event, node);
            fold.crowd = Some(Box::new(Crowd::new(crowd::Of::Devices)));
            let place = self.table.open(fold, self.now_ns, 0);
            self.table.add_key(place, key);
        }
        let Some(place) = self.table.find(&key) else { return };
        if let Some(request) = rest_of_requests(raw) {
            self.table.add_key(place, request);
        }
        let Some(fold) = self.table.touch(place, self.now_ns) else { return };
        fold.add(witness, raw.count, raw.time, None);
        match kind {
            Some(kind) => fold.reported_by(kind),
            None => fold.source(&raw.source),
        }
        let Some(crowd) = &mut fold.crowd else { return };
        crowd.add(scope(raw, block.map(|block| &**block)).0, raw.count, || Member {
            kdev: Some(event_builder::kdev(raw, block.map(|block| &**block))),
            ..Member::default()
        });
    }

    /// The open fold with this key, unless it was quiet for so long before `time` that it is another failure, or is about
    /// another device that had the name and number before (promise 3).
    fn open_at(&mut self, key: &FoldKey, time: Stamp, cx: &mut Context<'_>) -> Option<FoldId> {
        let place = self.table.find(key)?;
        if is_stale(self.table.get(place)?, time, cx) {
            self.close(place, cx);
            return None;
        }
        Some(place)
    }

    /// The open fold with this key, however long it was quiet.
    fn open_of_device(&mut self, key: &FoldKey, time: Stamp, cx: &mut Context<'_>) -> Option<FoldId> {
        let place = self.table.find(key)?;
        if is_of_predecessor(self.table.get(place)?, time, cx) {
            self.close(place, cx);
            return None;
        }
        Some(place)
    }

    /// Opens an event.
    fn open(
        &mut self,
        raw: &RawEvent,
        block: Option<Arc<BlkInfo>>,
        keys: &[FoldKey],
        witness: Origin,
        kind: Option<Kind>,
        cx: &mut Context<'_>,
    ) -> Option<FoldId> {
        let goes_alone = happens_once(&raw.event_type, keys)
            || raw.severity.at_least(Severity::Critical)
            || raw.sub_system.as_str() == "peripety";
        if !goes_alone && self.table.is_busy(self.now_ns) {
            self.goes_with_other_devices(raw, block.as_ref(), witness, kind, cx);
            return None;
        }
        let dev = match (&raw.kdev, &block) {
            (_, Some(info)) if !info.id.dev.is_none() => Some(info.id.dev),
            (Kdev::Dev(dev), _) => Some(*dev),
            (Kdev::Name(name), _) => Dev::of_sd_name(name),
            _ => None,
        };
        if !raw.program && !raw.unseen {
            self.reported_states.note(raw, scope(raw, block.as_deref()), block.as_deref());
        }
        let mut event = event_builder::event(raw, block, &self.boot_id, &self.hostname);
        if event.confirmed {
            self.nvme_outages.note(&event);
        }
        self.state_ends(&event.event_type, keys);
        let is_loss = raw.event_type == EventType::PERIPETY_EVENTS_LOST;
        if !is_loss {
            event.lost_before = std::mem::take(&mut self.lost_before);
        }
        let first_ns = raw.time.monotonic_ns.unwrap_or(self.now_ns);
        let node = Node::of(&event, dev, first_ns, witness == Origin::Probe);
        let mut fold = Fold::new(event, node);
        fold.known.watched = self.live.requests();
        fold.count(witness, raw.count);
        match kind {
            Some(kind) => fold.reported_by(kind),
            None => fold.learn(raw),
        }
        if let (true, Some(dev)) = (raw.event_type == EventType::FS_UNMOUNTED, dev) {
            self.was_mounted(dev, cx);
        }
        let fs = fold.event_mut().facts.fs.as_mut();
        fold.only_begun = fs.and_then(|fs| fs.stage.take()) == Some(MountStage::Begun);
        let waits = fold.only_begun || !fold.event().block.as_deref().is_none_or(is_mounted);
        if raw.event_type == EventType::FS_MOUNTED && waits {
            fold.waits_for_mount = true;
        } else if happens_once(&raw.event_type, keys) {
            self.decide(&mut fold, 0);
            self.causes.remember(&fold.node, fold.event(), None, first_ns);
            self.find_effects(&mut fold, self.now_ns);
            self.root_is_final(&fold);
            let event = fold.render(true);
            cx.out.push(event);
            return None;
        }
        if let Some(oldest) = self.table.must_go() {
            self.close(oldest, cx);
        }
        if fold.waits_for_mount {
            self.table.open(fold, self.now_ns, MOUNT_NS);
            return None;
        }
        let is_request =
            matches!(kind, Some(Kind::BlockRqError | Kind::BlockRqComplete | Kind::BlockBioComplete));
        let settle_ns = match &fold.event().block {
            _ if !self.live.text() || is_loss => 0,
            Some(block) if is_request && is_silent(block) => SETTLE_SOON_NS,
            _ => SETTLE_NS,
        };
        let place = self.table.open(fold, self.now_ns, settle_ns);
        if let Some(fold) = self.table.get(place) {
            self.causes.remember(&fold.node, fold.event(), Some(place), first_ns);
        }
        for key in keys {
            self.table.add_key(place, *key);
        }
        self.known_by_its_map(place, raw, cx);
        Some(place)
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

    /// Decides what caused an event, once and for good: before it is written, or where its own consequence has to know.
    fn decide(&mut self, fold: &mut Fold, depth: u32) {
        let id = fold.event().event_id;
        if fold.event().incident_id.is_some() || fold.is_own() {
            return;
        }
        fold.node_learns();
        self.causes.deciding(&fold.node, id);
        let found =
            if depth < DEPTH_MAX { self.causes.find(&fold.node, id, &self.table) } else { Vec::new() };
        let cause = found.into_iter().find(|cause| self.in_order(fold, cause));
        let root = cause.map(|cause| cause.root.unwrap_or_else(|| self.root_of(&cause, depth)));
        self.causes.decided(&fold.node, id, root.unwrap_or(id));
        let event = fold.event_mut();
        event.root_cause_event_id = root;
        event.incident_id = Some(root.unwrap_or(id));
    }

    /// Sees to it that a cause is not after its effect, where the clock of text let it seem so. False if it cannot be had.
    fn in_order(&mut self, fold: &mut Fold, cause: &Cause) -> bool {
        if cause.first_ns <= fold.node.first_ns {
            return true;
        }
        if !fold.node.exact && !fold.is_out() {
            fold.first_at(cause.first_ns);
            return true;
        }
        let Some(open) = cause.place.and_then(|place| self.table.get_mut(place)) else { return false };
        if open.is_out() || open.node.exact {
            return false;
        }
        open.first_at(fold.node.first_ns);
        true
    }

    /// The root of the incident that a cause is of, which is decided now.
    fn root_of(&mut self, cause: &Cause, depth: u32) -> EventId {
        if let Some(place) = cause.place {
            self.decide_at(place, depth + 1);
            if let Some(root) = self.table.get(place).and_then(|fold| fold.event().incident_id) {
                return root;
            }
        }
        cause.id
    }

    /// The same for an event that is written now, and of what is out already and came of it.
    fn decide_before_writing(&mut self, place: FoldId) {
        self.decide_at(place, 0);
        if self.table.get(place).is_none_or(Fold::is_out) {
            return;
        }
        let Some(mut fold) = self.table.take(place) else { return };
        self.find_effects(&mut fold, self.now_ns);
        self.table.put(place, fold);
    }

    fn decide_at(&mut self, place: FoldId, depth: u32) {
        if self.table.get(place).is_none_or(|fold| fold.event().incident_id.is_some()) {
            return;
        }
        let Some(mut fold) = self.table.take(place) else { return };
        self.decide(&mut fold, depth);
        self.table.put(place, fold);
    }

    /// What is known of the impact by now.
    fn assess(&mut self, place: FoldId, cx: &Context<'_>) {
        if let Some(fold) = self.table.get_mut(place) {
            fold.node_learns();
        }
        let Some(fold) = self.table.get(place) else { return };
        let event = fold.event();
        let mut known = fold.known;
        if let Some(key) = fold.keys.first() {
            known.mended = self.is_mended(event, key.scope, fold.total());
        }
        known.asked = known.asked || self.asked.covers(fold) == Some(true);
        known.went = known.went || self.asked.covers(fold) == Some(false);
        if let Some(block) = &event.block {
            let layer = fold.node.failed.layer;
            let is_below = (layer <= Layer::Request && layer != Layer::Removed)
                || impact::LEG_FAILED.contains(&event.event_type);
            known.spared = known.spared || (is_below && impact::is_spared(block, &self.left, cx.facts));
            if let (Some(paths), true) = (block.id.paths, event.event_type == EventType::NVME_PATH_FAILED) {
                let down = self.nvme_outages.paths_down(block.id.dev);
                known.last = known.last || down >= paths as usize;
                known.spared = !known.last;
            }
        }
        if let Some(fold) = self.table.get_mut(place) {
            fold.known = known;
        }
    }

    /// A filesystem is unmounted: a mount that had only begun did succeed, whoever saw it in mountinfo.
    fn was_mounted(&mut self, dev: Dev, cx: &mut Context<'_>) {
        let begun = |fold: &Fold| fold.only_begun && fold.node.dev == Some(dev);
        let places = self.table.oldest_first().into_iter();
        let begun: Vec<FoldId> = places.filter(|place| self.table.get(*place).is_some_and(begun)).collect();
        for place in begun {
            if let Some(fold) = self.table.get_mut(place) {
                fold.only_begun = false;
            }
            self.close(place, cx);
        }
    }

    fn write(&mut self, place: FoldId, cx: &mut Context<'_>) {
        let now_ns = self.now_ns;
        let Some(fold) = self.table.get_mut(place) else { return };
        if fold.waits_for_mount {
            let since_ns = now_ns.saturating_sub(fold.node.first_ns);
            if fold.only_begun && since_ns < MOUNTING_NS && !fold.node.dev.is_some_and(|dev| mounted(dev, cx))
            {
                self.table.touch(place, now_ns);
                return;
            }
            return self.close(place, cx);
        }
        identify(fold, cx);
        self.assess(place, cx);
        if self.table.get(place).is_some_and(Fold::is_path_state) {
            return;
        }
        self.decide_before_writing(place);
        let Some(fold) = self.table.get_mut(place) else { return };
        let is_first = !fold.is_out();
        let event = fold.render(false);
        self.causes.went_on(&fold.node, event.event_id, fold.last().monotonic_ns.unwrap_or(now_ns));
        cx.out.push(event);
        if is_first {
            self.note_root(place, now_ns);
        }
    }

    fn close(&mut self, place: FoldId, cx: &mut Context<'_>) {
        if let Some(fold) = self.table.get_mut(place) {
            identify(fold, cx);
        }
        self.assess(place, cx);
        let is_silent = self.table.get(place).is_some_and(Fold::is_path_state);
        if !is_silent {
            self.decide_before_writing(place);
        }
        let Some(mut fold) = self.table.close(place) else { return };
        if is_silent && !fold.is_out() {
            self.lost_before = self.lost_before.saturating_add(fold.event().lost_before);
            return self.causes.drop(&fold.node, fold.event().event_id);
        }
        let by_text = fold.counted_by_text();
        if by_text > 0
            && let Some(key) = fold.keys.iter().find(|key| key.is_block())
        {
            self.text_counts.note(*key, by_text, self.now_ns);
        }
        if let (true, Some(dev)) = (fold.waits_for_mount, fold.node.dev)
            && let Some(block) = cx.facts.by_dev(dev, Some(fold.node.first_ns))
        {
            fold.event_mut().block = Some(block);
        }
        if fold.only_begun && !fold.event().block.as_deref().is_some_and(is_mounted) {
            // Nobody saw it mounted.
            self.lost_before = self.lost_before.saturating_add(fold.event().lost_before);
            return;
        }
        self.root_is_final(&fold);
        let event = fold.render(true);
        if !event.confirmed {
            self.causes.drop(&fold.node, event.event_id);
        }
        let last_ns = fold.last().monotonic_ns.unwrap_or(self.now_ns);
        self.causes.went_on(&fold.node, event.event_id, last_ns);
        cx.out.push(event);
    }
}

/// A disk may fail before it is announced: its event has its name once that is known.
fn identify(fold: &mut Fold, cx: &Context<'_>) {
    let (None, Some(dev)) = (&fold.event().block, fold.node.dev) else { return };
    let Some(block) = cx.facts.by_dev(dev, Some(fold.node.first_ns)) else { return };
    let place = fold.event().facts.scsi.as_ref().and_then(|scsi| scsi.hctl);
    let elsewhere = |place: Hctl| {
        block.id.transport_id.parse::<Hctl>().is_ok() && block.id.transport_id != place.to_string()
    };
    if place.is_some_and(elsewhere) {
        return;
    }
    fold.node.owners = block.owners.iter().map(|owner| owner.dev).collect();
    if let Some(name) = block.id.blk_path.strip_prefix("/dev/") {
        name.clone_into(&mut fold.event_mut().kdev);
    }
    fold.event_mut().block = Some(block);
}

/// Whether neither the device's driver nor one below it prints anything of a request that fails.
fn is_silent(block: &BlkInfo) -> bool {
    const SILENT: [BlkType; 10] = [
        BlkType::Loop,
        BlkType::Zram,
        BlkType::Ram,
        BlkType::Virtio,
        BlkType::Pmem,
        BlkType::Partition,
        BlkType::Dm,
        BlkType::DmLvm,
        BlkType::DmCrypt,
        BlkType::DmPartition,
    ];
    std::iter::once(&block.id).chain(&block.owners).all(|id| SILENT.contains(&id.blk_type))
}

fn is_mounted(block: &BlkInfo) -> bool {
    !block.id.mount_points.is_empty()
}

fn mounted(dev: Dev, cx: &Context<'_>) -> bool {
    cx.facts.by_dev(dev, None).as_deref().is_some_and(is_mounted)
}

/// What is reported once and does not grow.
fn happens_once(event_type: &EventType, keys: &[FoldKey]) -> bool {
    if *event_type == EventType::BLK_DEVICE_REMOVED {
        return keys.is_empty();
    }
    const ONCE: [EventType; 3] =
        [EventType::BLK_DEVICE_ADDED, EventType::FS_MOUNTED, EventType::FS_UNMOUNTED];
    ONCE.contains(event_type)
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

/// Where requests that fail so are counted, when there is no room for the device's own event.
fn rest_of_requests(raw: &RawEvent) -> Option<FoldKey> {
    let io = raw.io.as_ref()?;
    Some(FoldKey::block(Scope::REST, io.op, io.errno?, None))
}

/// The controller that a raw event names: each is another way to the same namespace.
fn controller(raw: &RawEvent) -> Option<&str> {
    let Kdev::Name(name) = &raw.kdev else { return None };
    is_nvme_controller(name).then_some(name.as_str())
}

/// Whether what happens at `time` is another failure than that of a fold: it was quiet for too long, or the device is another.
fn is_stale(fold: &Fold, time: Stamp, cx: &Context<'_>) -> bool {
    let last = fold.last();
    let gap = match (time.monotonic_ns, last.monotonic_ns) {
        (Some(new), Some(old)) => new.saturating_sub(old),
        _ => {
            u64::try_from(time.realtime_us.saturating_sub(last.realtime_us)).unwrap_or(0).saturating_mul(1000)
        }
    };
    gap > fold.quiet_ns() || is_of_predecessor(fold, time, cx)
}

/// Whether the device of a fold had its number before another device got it, which has it at `time`.
fn is_of_predecessor(fold: &Fold, time: Stamp, cx: &Context<'_>) -> bool {
    let Some(then) = fold.event().block.as_ref().filter(|block| !block.id.dev.is_none()) else {
        return false;
    };
    // Nobody knows whose the number is: a disk that is not announced yet may have it.
    let Some(now) = cx.facts.by_dev(then.id.dev, time.monotonic_ns) else { return true };
    let differs = |old: &str, new: &str| !old.is_empty() && !new.is_empty() && old != new;
    match (then.id.diskseq, now.id.diskseq) {
        (Some(then), Some(now)) => then != now,
        // Before Linux 5.15 nothing but the ids can report.
        _ => {
            differs(&then.id.wwid, &now.id.wwid)
                || differs(&then.id.serial, &now.id.serial)
                || differs(&then.id.transport_id, &now.id.transport_id)
        }
    }
}
