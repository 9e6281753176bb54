//! Events that open, and which of those that are open still are.

use std::sync::Arc;

use peripety_common::Kind;

use super::{
    super::{
        cause::Node,
        crowd::{self, Crowd},
        event_builder,
        fold::{Fold, Origin},
        fold_table::FoldId,
        key::{FoldKey, Scope},
    },
    Context, Correlator, MOUNT_NS, SETTLE_NS, SETTLE_SOON_NS,
    detail::{clear_detail, detail, detail_of},
    scope,
    writing::{is_mounted, is_silent},
};
use crate::{
    block::{BlkInfo, Dev},
    event::{
        EventType, Facts, Severity,
        facts::{Member, MountStage},
    },
    parser::{Kdev, RawEvent},
    record::Stamp,
};

impl Correlator {
    /// What differs from other events of its type on its device in a detail only, and comes after too many of them, goes
    /// into one event with the rest. Whether it did.
    pub(super) fn goes_with_the_rest(
        &mut self,
        raw: &RawEvent,
        scope: Scope,
        block: Option<&Arc<BlkInfo>>,
        origin: Origin,
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
            self.open(&raw, block.cloned(), &[rest, of_type], origin, kind, cx)
        });
        // There was no room even for that: it was counted with other devices.
        let Some(place) = place else { return true };
        let Some(fold) = self.table.touch(place, self.now_ns) else { return true };
        if !is_new {
            fold.add(origin, raw.count, raw.time, None);
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
    pub(super) fn goes_with_other_devices(
        &mut self,
        raw: &RawEvent,
        block: Option<&Arc<BlkInfo>>,
        origin: Origin,
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
        fold.add(origin, raw.count, raw.time, None);
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
    pub(super) fn open_at(&mut self, key: &FoldKey, time: Stamp, cx: &mut Context<'_>) -> Option<FoldId> {
        let place = self.table.find(key)?;
        self.still_open(place, time, cx)
    }

    /// The same for a fold that was found in another way.
    pub(super) fn still_open(&mut self, place: FoldId, time: Stamp, cx: &mut Context<'_>) -> Option<FoldId> {
        self.unless(is_stale, place, time, cx)
    }

    /// The open fold with this key, however long it was quiet.
    pub(super) fn open_of_device(
        &mut self,
        key: &FoldKey,
        time: Stamp,
        cx: &mut Context<'_>,
    ) -> Option<FoldId> {
        let place = self.table.find(key)?;
        self.unless(is_of_predecessor, place, time, cx)
    }

    /// A fold, unless it is over, and then it is closed.
    fn unless(
        &mut self,
        is_over: fn(&Fold, Stamp, &Context<'_>) -> bool,
        place: FoldId,
        time: Stamp,
        cx: &mut Context<'_>,
    ) -> Option<FoldId> {
        if is_over(self.table.get(place)?, time, cx) {
            self.close(place, cx);
            return None;
        }
        Some(place)
    }

    /// Opens an event.
    pub(super) fn open(
        &mut self,
        raw: &RawEvent,
        block: Option<Arc<BlkInfo>>,
        keys: &[FoldKey],
        origin: Origin,
        kind: Option<Kind>,
        cx: &mut Context<'_>,
    ) -> Option<FoldId> {
        let goes_alone = happens_once(&raw.event_type, keys)
            || raw.severity.at_least(Severity::Critical)
            || raw.sub_system.as_str() == "peripety";
        if !goes_alone && self.table.is_busy(self.now_ns) {
            self.goes_with_other_devices(raw, block.as_ref(), origin, kind, cx);
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
        let node = Node::of(&event, dev, first_ns, origin == Origin::Probe);
        let mut fold = Fold::new(event, node);
        fold.known.watched = self.live.requests();
        fold.count(origin, raw.count);
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
            self.mounting.push(self.table.open(fold, self.now_ns, MOUNT_NS));
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
}

/// What is reported once and does not grow.
pub(super) fn happens_once(event_type: &EventType, keys: &[FoldKey]) -> bool {
    if *event_type == EventType::BLK_DEVICE_REMOVED {
        return keys.is_empty();
    }
    const ONCE: [EventType; 3] =
        [EventType::BLK_DEVICE_ADDED, EventType::FS_MOUNTED, EventType::FS_UNMOUNTED];
    ONCE.contains(event_type)
}

/// Where requests that fail so are counted, when there is no room for the device's own event.
pub(super) fn rest_of_requests(raw: &RawEvent) -> Option<FoldKey> {
    let io = raw.io.as_ref()?;
    Some(FoldKey::block(Scope::REST, io.op, io.errno?, None))
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
