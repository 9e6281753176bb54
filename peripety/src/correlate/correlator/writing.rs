//! Events that are written, with what is known by then, and closed.

use super::{
    super::{
        fold::Fold,
        fold_table::FoldId,
        impact::{self, Known},
        layer::{self, Layer},
    },
    Context, Correlator, MOUNTING_NS,
};
use crate::{
    block::{BlkInfo, BlkType, Dev, DeviceFacts, Hctl},
    event::{Event, EventType, Severity},
};

impl Correlator {
    /// What is known of the impact by now.
    pub(super) fn assess(&mut self, place: FoldId, cx: &Context<'_>) {
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
            known.spared = known.spared
                || self.is_spared(event, block, fold.node.failed.layer, cx.facts)
                || impact::is_taken_out(&event.event_type, block);
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

    /// Whether another path or copy serves what a device does not.
    fn is_spared(&self, event: &Event, block: &BlkInfo, layer: Layer, facts: &dyn DeviceFacts) -> bool {
        let is_below = (layer <= Layer::Request && layer != Layer::Removed)
            || impact::LEG_FAILED.contains(&event.event_type);
        is_below && impact::is_spared(block, &self.left, facts)
    }

    /// Sets how bad it is what nothing reported, and the daemon saw by itself.
    pub(crate) fn weigh_seen(&self, event: &mut Event, facts: &dyn DeviceFacts) {
        let layer = layer::of(event).layer;
        let spared = event.block.as_ref().is_some_and(|block| self.is_spared(event, block, layer, facts));
        impact::weigh(event, Known { spared, ..Known::default() });
    }

    pub(super) fn write(&mut self, place: FoldId, cx: &mut Context<'_>) {
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
        // What the device only refuses says nothing of the filesystem: its mount may wait to know where.
        let is_error = fold.event().severity.at_least(Severity::Error);
        if is_error && !fold.is_out() && !self.mounting.is_empty() {
            self.write_mount_before(place, cx);
        }
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

    /// Writes the mount that waits to know where, before what failed after it: else the mount would seem to end the failure.
    fn write_mount_before(&mut self, place: FoldId, cx: &mut Context<'_>) {
        let Some(node) = self.table.get(place).map(|fold| &fold.node) else { return };
        let (Some(dev), first_ns) = (node.dev, node.first_ns) else { return };
        for mount in self.mounting_of(dev) {
            let is_before = |fold: &Fold| !fold.only_begun && fold.node.first_ns <= first_ns;
            if self.table.get(mount).is_some_and(is_before) {
                self.close(mount, cx);
            }
        }
    }

    pub(super) fn close(&mut self, place: FoldId, cx: &mut Context<'_>) {
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

/// A disk may fail before it is announced, and a filesystem before its mount is read: the event has the name and the mount
/// point once they are known.
pub(super) fn identify(fold: &mut Fold, cx: &Context<'_>) {
    let Some(dev) = fold.node.dev else { return };
    let is_of_filesystem = || fold.event().event_type.as_str().starts_with("FS_");
    if fold.event().block.as_deref().is_some_and(|block| is_mounted(block) || !is_of_filesystem()) {
        return;
    }
    let Some(block) = cx.facts.by_dev(dev, Some(fold.node.first_ns)) else { return };
    if fold.event().block.is_some() {
        if is_mounted(&block) {
            fold.event_mut().block = Some(block);
        }
        return;
    }
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
pub(super) fn is_silent(block: &BlkInfo) -> bool {
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

pub(super) fn is_mounted(block: &BlkInfo) -> bool {
    !block.id.mount_points.is_empty()
}

pub(super) fn mounted(dev: Dev, cx: &Context<'_>) -> bool {
    cx.facts.by_dev(dev, None).as_deref().is_some_and(is_mounted)
}
