//! Of which disks a health snapshot is taken: of those of which something failed, or that what failed is made of.

use peripety_model::Nature;

use crate::{
    block::{BlkId, BlkType, Dev},
    event::{Event, Severity},
};

/// Disks that one event has snapshots taken of.
const DISKS_MAX: usize = 8;

/// The disks of an event that opened an incident, or joined one.
pub(super) fn disks_of(event: &Event) -> impl Iterator<Item = Dev> {
    let failed = event.revision == 0
        && event.incident_id.is_some()
        && event.confirmed
        && event.severity.at_least(Severity::Warning)
        && event.event_type.info().is_some_and(|info| info.nature == Nature::Fault);
    let block = event.block.as_deref().filter(|_| failed);
    let all = block.into_iter().flat_map(|block| std::iter::once(&block.id).chain(&block.owners));
    all.filter(|id| is_disk(id)).map(|id| id.dev).take(DISKS_MAX)
}

/// Whether it is a disk that says something of itself. Those in memory, in a file or in the network do not.
fn is_disk(id: &BlkId) -> bool {
    matches!(id.blk_type, BlkType::Scsi | BlkType::Nvme | BlkType::Mmc) && id.dev != Dev::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{BlkInfo, EventType};

    fn id(blk_type: BlkType, minor: u32) -> BlkId {
        BlkId { blk_type, dev: Dev::new(8, minor), ..BlkId::default() }
    }

    #[test]
    fn the_disks_below_what_failed_are_looked_at_once_and_of_what_failed_nothing_none() {
        let owners = vec![id(BlkType::Partition, 1), id(BlkType::Scsi, 0), id(BlkType::Nvme, 16)];
        let block = BlkInfo { id: id(BlkType::DmLvm, 253), owners, holders: Vec::new() };
        let mut event = crate::parser::RawEvent::new(
            crate::record::Stamp { monotonic_ns: Some(1), realtime_us: 1 },
            "kmsg",
            "1",
            EventType::BLK_IO_ERROR,
        );
        event.severity = Severity::Error;
        let mut event =
            crate::correlate::event_builder::event(&event, Some(std::sync::Arc::new(block)), "b", "h");
        let disks = |event: &Event| disks_of(event).collect::<Vec<_>>();
        assert!(disks(&event).is_empty(), "it belongs to no incident");
        event.incident_id = Some(event.event_id);
        assert_eq!(disks(&event), [Dev::new(8, 0), Dev::new(8, 16)]);
        event.revision = 1;
        assert!(disks(&event).is_empty());
        (event.revision, event.event_type) = (0, EventType::BLK_HEALTH);
        assert!(disks(&event).is_empty());
    }
}
