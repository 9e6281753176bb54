//! Devices that go together: a host with all its disks, a disk with its partitions. They are one event, which names each.

use std::sync::Arc;

use peripety_common::Kind;

use super::{
    super::{
        cause::Node,
        event_builder,
        fold::Origin,
        key::{FoldKey, Scope},
    },
    Context, Correlator, QUIET_NS,
};
use crate::{
    block::{BlkId, BlkInfo, BlkType, Dev, Hctl, Transport},
    event::{EventType, Severity},
    parser::{Kdev, RawEvent},
};

/// How soon after each other devices go that go together.
const TOGETHER_NS: u64 = 1_000_000_000;
/// Devices that an event names; it counts all.
const NAMES_MAX: usize = 256;

/// What devices go with: the SCSI host, the NVMe controller.
pub(super) fn family(block: Option<&BlkInfo>) -> Option<FoldKey> {
    let block = block.filter(|block| !is_used(block))?;
    let is_part = block.id.blk_type == BlkType::Partition;
    let id = if is_part { block.owners.first()? } else { &block.id };
    let scope = match (&id.transport, id.transport_id.parse::<Hctl>()) {
        (Some(Transport::Nvme { controller, .. }), _) => Scope::name(controller),
        (_, Ok(place)) => Scope::number(Scope::SCSI_HOST, place.host),
        _ => return None,
    };
    Some(FoldKey::typed(scope, EventType::BLK_DEVICE_REMOVED.as_str(), 1))
}

/// Whether its removal is felt: then it is an event of its own.
fn is_used(block: &BlkInfo) -> bool {
    let mounted = |id: &BlkId| !id.mount_points.is_empty();
    let holds =
        |id: &BlkId| !matches!(id.blk_type, BlkType::Partition | BlkType::DmPartition | BlkType::DmMultipath);
    mounted(&block.id) || block.holders.iter().any(|holder| mounted(holder) || holds(holder))
}

impl Correlator {
    /// A device went: with others of its host, if those went just now.
    pub(super) fn removed(&mut self, raw: &RawEvent, block: Option<Arc<BlkInfo>>, cx: &mut Context<'_>) {
        let lost: Vec<BlkId> = block
            .as_deref()
            .map(|block| self.left.lost_with(block).into_iter().cloned().collect())
            .unwrap_or_default();
        let last;
        let raw = if lost.is_empty() {
            raw
        } else {
            last = RawEvent { severity: Severity::Critical, ..raw.clone() };
            &last
        };
        let name = raw.facts.uevent.as_ref().and_then(|uevent| uevent.name.clone());
        let name = name.unwrap_or_else(|| raw.kdev.to_text());
        let member = event_builder::kdev(raw, block.as_deref());
        self.goes(raw, block, &name, cx);
        for array in lost.iter().filter(|above| above.blk_type == BlkType::Md) {
            self.fails_with(raw, array, &member, cx);
        }
    }

    /// An array cannot go on without a member that went. The kernel prints nothing of it.
    fn fails_with(&mut self, raw: &RawEvent, array: &BlkId, member: &str, cx: &mut Context<'_>) {
        let sequence = format!("{}/{}", raw.sequence, array.dev);
        let mut failed = RawEvent::new(raw.time, &*raw.source, sequence, EventType::MD_ARRAY_FAILED);
        failed.kdev = Kdev::Dev(array.dev);
        let md = failed.facts.md.get_or_insert_default();
        md.array = Some(array.blk_path.strip_prefix("/dev/").unwrap_or(&array.blk_path).to_owned());
        md.level = Some(array.raid_level.clone()).filter(|level| !level.is_empty());
        failed.facts.removal.get_or_insert_default().devices = Some(vec![member.to_owned()]);
        let block = event_builder::device(&failed, cx.facts);
        self.plain(&failed, Scope::dev(array.dev.to_kernel()), block, Origin::Uevent, cx);
    }

    fn goes(&mut self, raw: &RawEvent, block: Option<Arc<BlkInfo>>, name: &str, cx: &mut Context<'_>) {
        let Some(key) = family(block.as_deref()) else {
            self.open(raw, block, &[], Origin::Uevent, None, cx);
            return;
        };
        if let Some(place) = self.open_at(&key, raw.time, cx)
            && self.table.get(place).is_some_and(|fold| is_together(fold, raw))
        {
            self.goes_too(place, raw, block, name);
            return;
        }
        let Some(place) = self.open(raw, block, &[key], Origin::Uevent, None::<Kind>, cx) else { return };
        if let Some(fold) = self.table.get_mut(place) {
            fold.event_mut().facts.removal.get_or_insert_default().devices = Some(vec![name.to_owned()]);
        }
    }

    fn goes_too(&mut self, place: super::FoldId, raw: &RawEvent, block: Option<Arc<BlkInfo>>, name: &str) {
        self.decide_at(place, 0);
        let first_ns = raw.time.monotonic_ns.unwrap_or(self.now_ns);
        let Some(fold) = self.table.touch(place, self.now_ns) else { return };
        fold.add(Origin::Uevent, 1, raw.time, None);
        let event = fold.event_mut();
        let removal = event.facts.removal.get_or_insert_default();
        let names = removal.devices.get_or_insert_default();
        if names.len() < NAMES_MAX {
            names.push(name.to_owned());
        }
        let dev = block.as_ref().map(|block| block.id.dev).filter(|dev| !dev.is_none());
        let node = Node::of(event, None, first_ns, false);
        let node = Node { dev: dev.or(dev_of(raw)), owners: Vec::new(), ..node };
        // The disk rather than its partition, which goes first.
        let is_part = |block: &Option<Arc<BlkInfo>>| {
            block.as_ref().is_some_and(|block| block.id.blk_type == BlkType::Partition)
        };
        if is_part(&event.block) && !is_part(&block) {
            name.clone_into(&mut event.kdev);
            event.block = block;
            event.facts.uevent.clone_from(&raw.facts.uevent);
        }
        self.causes.remember(&node, fold.event(), Some(place), first_ns);
    }
}

fn dev_of(raw: &RawEvent) -> Option<Dev> {
    if let Kdev::Dev(dev) = raw.kdev { Some(dev) } else { None }
}

fn is_together(fold: &super::Fold, raw: &RawEvent) -> bool {
    let apart = raw.time.monotonic_ns.zip(fold.last().monotonic_ns).map(|(one, other)| one.abs_diff(other));
    apart.unwrap_or(QUIET_NS) <= TOGETHER_NS
}
