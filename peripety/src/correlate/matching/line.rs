//! What a line is, by its type and facts.

use peripety_common::Kind;

use super::{super::fold::Fold, ata::is_ata_command};
use crate::{
    event::{Errno, EventType},
    parser::{
        Kdev, RawEvent, errno,
        scsi::{ScsiFault, is_path_state},
    },
    record::Stamp,
};

/// The probes that report failed requests.
pub(super) const REQUEST_PROBES: &[Kind] = &[Kind::BlockRqError, Kind::BlockRqComplete];

/// How far the lines about one command are from each other, and from its record by another clock.
const CHAIN_NS: u64 = 300_000_000;

/// Whether the additional sense of a line is that a path is not the active one; none if the line has no such sense.
pub(in super::super) fn senses(raw: &RawEvent) -> Option<bool> {
    let scsi = raw.facts.scsi.as_ref()?;
    let (asc, ascq) = (scsi.asc?, scsi.ascq?);
    // The line names no key, and no other key has these.
    Some([2, 5].iter().any(|key| is_path_state(*key, asc, ascq)))
}

/// What md says of a member that failed; the line about its superblock, which names no device, is about it.
pub(in super::super) const MEMBER_FAILED: [EventType; 3] =
    [EventType::MD_DISK_FAILED, EventType::MD_ARRAY_FAILED, EventType::DM_RAID_LEG_FAILED];

/// Whether md says that a member failed, and leaves it to the next line to name it.
pub(in super::super) fn is_nameless(raw: &RawEvent) -> bool {
    raw.event_type == EventType::MD_DISK_FAILED && raw.kdev == Kdev::None
}

/// The errno of a line about a failed request; none for any other line.
pub(in super::super) fn errno_of(raw: &RawEvent) -> Option<Errno> {
    let of_type = errno::of_block_type(&raw.event_type)?;
    Some(raw.io.as_ref().and_then(|io| io.errno).unwrap_or(of_type))
}

/// The fault that a line about a SCSI command names; none if it leaves that to the sense line of its chain.
pub(in super::super) fn fault_of(raw: &RawEvent) -> Option<ScsiFault> {
    let has_key = || raw.facts.scsi.as_ref().is_some_and(|scsi| scsi.sense_key.is_some());
    if raw.event_type == EventType::SCSI_SENSE_OTHER && !has_key() {
        return None;
    }
    ScsiFault::ALL.iter().copied().find(|fault| fault.event_type() == raw.event_type)
}

/// Whether a line is one of those that the SCSI layer prints about one failed command: result, sense, command.
pub(in super::super) fn is_chain(raw: &RawEvent) -> bool {
    ["scsi", "smart"].contains(&raw.sub_system.as_str())
        && raw.event_type.as_str() != EventType::SCSI_MEDIUM_ACCESS_TIMEOUT_OFFLINEING_DISK.as_str()
        && (is_conflict(raw) || raw.facts.scsi.as_ref().is_some_and(|scsi| scsi.is_of_command()))
}

/// Whether an optical drive says so where it has no disc, an empty one, or one that is shorter than its table of contents says.
/// A disc that is there and cannot be read has an error of its medium.
pub(in super::super) fn is_of_no_disc(raw: &RawEvent) -> bool {
    const TYPES: [EventType; 7] = [
        EventType::BLK_IO_ERROR,
        EventType::BLK_TARGET_ERROR,
        EventType::BLK_BUFFER_IO_ERROR,
        EventType::SCSI_SENSE_OTHER,
        EventType::SCSI_ILLEGAL_REQUEST,
        EventType::SCSI_NOT_READY,
        EventType::SCSI_UNIT_ATTENTION,
    ];
    TYPES.contains(&raw.event_type)
}

/// Whether a line of a chain has the bytes of a command and nothing of how it ended.
pub(in super::super) fn is_bare_command(raw: &RawEvent) -> bool {
    raw.event_type == EventType::SCSI_SENSE_OTHER
        && raw.facts.scsi.as_ref().is_some_and(|scsi| scsi.cdb.is_some() && !scsi.has_result())
}

/// Whether a line stands for a chain: a reservation conflict prints no other, but that of the request.
pub(in super::super) fn is_conflict(raw: &RawEvent) -> bool {
    raw.event_type == EventType::SCSI_RESERVATION_CONFLICT
}

/// Whether a line of a chain is the one that counts: the first of them, unless the request's own line counts.
pub(in super::super) fn opens_chain(raw: &RawEvent, has_requests: bool) -> bool {
    !has_requests
        && (is_conflict(raw) || raw.facts.scsi.as_ref().is_some_and(|scsi| scsi.host_byte.is_some()))
}

/// Whether something of this time can be of one chain with the latest of a fold, as far as the times are known.
pub(in super::super) fn is_of_chain(time: Stamp, fold: &Fold) -> bool {
    let apart = time.monotonic_ns.zip(fold.last().monotonic_ns).map(|(one, other)| one.abs_diff(other));
    apart.is_none_or(|apart| apart <= CHAIN_NS)
}

/// Whether a line came together with the latest failure of a fold.
pub(in super::super) fn is_near(fold: &Fold, raw: &RawEvent) -> bool {
    let apart_us = raw.time.realtime_us.abs_diff(fold.last().realtime_us);
    apart_us.saturating_mul(1000) <= CHAIN_NS
}

/// The probes that report what a line reports.
pub(in super::super) fn probes_for(raw: &RawEvent) -> &'static [Kind] {
    match (raw.sub_system.as_str(), raw.event_type.as_str()) {
        ("block", "BLK_LOST_WRITE") => &[Kind::FilemapSetWbErr],
        ("block", _) if errno_of(raw).is_some() => REQUEST_PROBES,
        ("scsi" | "smart", _) if is_chain(raw) => {
            &[Kind::ScsiDone, Kind::BlockRqError, Kind::BlockRqComplete]
        }
        ("scsi", _) if fault_of(raw).is_some_and(ScsiFault::is_change) => &[Kind::ScsiDone],
        ("nvme", "NVME_IO_ERROR" | "NVME_MEDIUM_ERROR" | "NVME_PATH_FAILED") => &[Kind::NvmeCompleteRq],
        ("ata", _) if is_ata_command(raw) => &[Kind::ScsiTimeout],
        ("ext4", "FS_SHUTDOWN") => &[Kind::Ext4Shutdown],
        ("ext4", _) if raw.facts.fs.as_ref().is_some_and(|fs| fs.function.is_some()) => &[Kind::Ext4Error],
        ("xfs", "FS_SHUTDOWN") => &[Kind::XfsForceShutdown],
        _ => &[],
    }
}
