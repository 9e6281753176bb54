//! How bad a failure is for those who use the data: what another path or copy serves, what was sent again, what somebody asked
//! for. The kernel prints its lines without looking at any of it.

use super::left::Left;
use crate::{
    block::{BlkInfo, BlkType, DeviceFacts},
    event::{Event, EventType, Severity},
};

/// What an event has learned beside the failure itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Known {
    /// A probe reports every request that fails: what it does not report succeeded in the end.
    pub watched: bool,
    /// It is over for so long that a request which failed of it would be known.
    pub settled: bool,
    /// It counts failed requests.
    pub has_requests: bool,
    /// Another path or copy of the device serves what this one does not.
    pub spared: bool,
    /// The last path of its device.
    pub last: bool,
    /// The filesystem put it right from another copy.
    pub mended: bool,
    /// Somebody asked for the device to go.
    pub asked: bool,
    /// The device went, and nothing was wrong with it before.
    pub went: bool,
}

/// Additional sense code: medium not present.
const NO_MEDIUM: u8 = 0x3a;

/// What says that a leg or member failed, and not always how many are left.
pub(super) const LEG_FAILED: [EventType; 4] = [
    EventType::DM_MIRROR_LEG_FAILED,
    EventType::DM_MIRROR_LEG_OUT_OF_SYNC,
    EventType::DM_RAID_LEG_FAILED,
    EventType::MD_DISK_FAILED,
];

/// Sets the severity by the impact, and says in the facts what it follows from.
pub(super) fn weigh(event: &mut Event, known: Known) {
    let at_most = |event: &mut Event, severity: Severity| event.severity = event.severity.max(severity);
    if known.watched && !known.has_requests && is_attempt(event) {
        at_most(event, Severity::Warning);
    }
    let left = match event.event_type.as_str() {
        "DM_MPATH_PATH_FAILED" | "MULTIPATHD_PATH_DOWN" => {
            event.facts.mpath.as_ref().and_then(|mpath| mpath.valid_paths)
        }
        "MD_DISK_FAILED" | "MD_ARRAY_DEGRADED" | "DM_RAID_LEG_FAILED" => {
            event.facts.md.as_ref().and_then(|md| md.devices_left)
        }
        "DM_MIRROR_LEG_FAILED" | "DM_MIRROR_LEG_OUT_OF_SYNC" => {
            event.facts.dm.as_ref().and_then(|dm| dm.legs_left)
        }
        _ => None,
    };
    let mut impact = event.facts.impact.take().unwrap_or_default();
    match left {
        Some(0) => event.severity = event.severity.min(Severity::Critical),
        Some(_) => at_most(event, Severity::Warning),
        None if known.last => event.severity = event.severity.min(Severity::Critical),
        None if known.spared => {
            at_most(event, Severity::Warning);
            impact.spared = Some(true);
        }
        None => {}
    }
    if known.mended {
        at_most(event, Severity::Warning);
        impact.repaired = Some(true);
    }
    if event.event_type == EventType::BLK_CAPACITY_CHANGED && lost_its_size(event) {
        let may_be_taken_out = impact.removed == Some(true);
        let expected = known.went || known.asked || may_be_taken_out;
        event.severity = if expected { Severity::Notice } else { Severity::Error };
    }
    // A drive or reader with nothing in it; a disk that served requests before has lost something.
    let is_request = event.io.as_ref().is_some_and(|io| io.errno.is_some());
    let sense = event.facts.scsi.as_ref().map(|scsi| scsi.asc);
    if event.event_type == EventType::SCSI_NOT_READY && sense == Some(Some(NO_MEDIUM)) && !is_request {
        at_most(event, Severity::Info);
    }
    if known.went {
        at_most(event, Severity::Warning);
        impact.removed = Some(true);
    }
    if known.asked {
        at_most(event, Severity::Notice);
        impact.requested = Some(true);
    }
    event.facts.impact = Some(impact);
}

/// Whether a disk has no size any more. Arrays, loop devices and the like have none while they are not set up.
fn lost_its_size(event: &Event) -> bool {
    const DISKS: [&str; 5] = ["sd", "nvme", "vd", "mmcblk", "dasd"];
    event.facts.block.as_ref().is_some_and(|block| block.new_sectors == Some(0))
        && DISKS.iter().any(|disk| event.kdev.starts_with(disk))
}

/// Whether an event is about commands that did not come back or failed, and not about what became of their requests.
pub(super) fn is_attempt(event: &Event) -> bool {
    const SILENT: [EventType; 4] = [
        EventType::SCSI_TIMEOUT,
        EventType::NVME_TIMEOUT,
        EventType::ATA_TIMEOUT,
        EventType::ATA_COMMAND_ERROR,
    ];
    let failed = event.io.as_ref().is_some_and(|io| io.errno.is_some());
    !failed && (SILENT.contains(&event.event_type) || was_tried_again(event))
}

/// Whether an attempt failed and the command was sent again.
pub(super) fn was_tried_again(event: &Event) -> bool {
    event.facts.impact.as_ref().is_some_and(|impact| impact.tried_again.is_some())
}

/// Whether a leg of LVM's is part of nothing any more: its mirror does without it, and LVM took it out before anyone said why.
pub(super) fn is_taken_out(event_type: &EventType, block: &BlkInfo) -> bool {
    LEG_FAILED.contains(event_type) && block.id.blk_type == BlkType::DmLvmInternal && block.holders.is_empty()
}

/// Whether all that uses a disk has it as one of several paths or copies: then what it fails, another one serves.
pub(super) fn is_spared(block: &BlkInfo, left: &Left, facts: &dyn DeviceFacts) -> bool {
    if !block.id.mount_points.is_empty() {
        return false;
    }
    let own = block.id.preferred_blk_path.as_str();
    let mut safe = Vec::new();
    for holder in &block.holders {
        let copies = match holder.blk_type {
            BlkType::DmMultipath => true,
            BlkType::Md => {
                matches!(holder.raid_level.as_str(), "raid1" | "raid4" | "raid5" | "raid6" | "raid10")
            }
            // Legs of LVM's RAID and mirrors. One without a metadata device beside it may be striped.
            BlkType::DmLvmInternal => {
                let name = holder.preferred_blk_path.as_str();
                let raid = || block.holders.iter().any(|other| other.preferred_blk_path.contains("_rmeta_"));
                name.contains("_mimage_") || (name.contains("_rimage_") && raid()) || name.contains("_rmeta_")
            }
            BlkType::DmLvm => own.contains("_mimage_") || own.contains("_rimage_") || own.contains("_rmeta_"),
            _ => false,
        };
        if copies && left.serves_without(holder, block) {
            safe.push(holder.dev);
            if let Some(info) = facts.by_dev(holder.dev, None) {
                safe.extend(info.holders.iter().map(|above| above.dev));
                safe.extend(info.owners.iter().map(|below| below.dev));
            }
        }
    }
    !safe.is_empty() && block.holders.iter().all(|holder| safe.contains(&holder.dev))
}
