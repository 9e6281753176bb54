//! Which kind of failure may come of which: one table, by what failed and on which device.
//!
//! A link that is wrong is worse than none. What stands here is what the kernel does: a request that fails at a disk fails at
//! the map above it, a map without paths fails its requests. Two requests of one disk have nothing to do with each other.

use serde::{Deserialize, Serialize};

use crate::event::{Errno, Event, EventType, Nature, Op};

/// What failed. In the order in which a failure goes up, as far as there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Layer {
    /// The way to the device: a session, a port, a connection.
    Way,
    /// The device went away.
    Removed,
    /// A command, link or controller that does not answer, and the error handling of it.
    NoAnswer,
    /// The driver gave the device up.
    GivenUp,
    /// A command that failed, whose request is not known to have failed.
    Command,
    /// What a target knows of the data that it guards: checksums that do not match.
    Guard,
    /// A request.
    Request,
    /// A path of a multipath map; the event names the path.
    Path,
    /// A multipath map has no path.
    NoPath,
    /// A member of an array; the event names the member.
    Member,
    /// An array that cannot go on.
    Array,
    /// A pool, snapshot or cache that changed to a worse mode.
    Pool,
    /// Any other driver of stacked devices.
    Stacked,
    /// The page cache.
    Cache,
    /// A filesystem saw I/O fail.
    Fs,
    /// A filesystem found its contents wrong.
    Contents,
    /// A filesystem's own checksums do not match.
    Checksum,
    /// What a filesystem does about what it found: it goes read-only, shuts down.
    Reaction,
    /// Put right, from another copy: an effect, and never a cause.
    Mended,
    /// Swap, and what a user's rule introduced: an effect, and never a cause.
    Other,
    /// Not part of a chain.
    #[default]
    None,
}

/// What is known of how a device took a command that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It answered with an error that is about this very command.
    #[default]
    Given,
    /// Nobody knows.
    Unknown,
    /// It did not serve it.
    None,
}

/// What a failed request says about its cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// What failed.
    pub layer: Layer,
    /// What was asked of the device; unknown where that is not a request.
    pub op: Op,
    /// Of the request.
    pub errno: Option<Errno>,
    /// Whether the device answered.
    pub answer: Answer,
    /// It is about space, not about a failure of hardware.
    pub space: bool,
}

/// What a driver says when it gives a device up.
const GIVEN_UP: [EventType; 5] = [
    EventType::SCSI_DEVICE_OFFLINED,
    EventType::SCSI_MEDIUM_ACCESS_TIMEOUT_OFFLINEING_DISK,
    EventType::ISCSI_SESSION_TIMEOUT,
    EventType::NVME_CONTROLLER_FAILED,
    EventType::ATA_DEVICE_DISABLED,
];

/// What does not answer, and what is done about that.
const NO_ANSWER: [EventType; 11] = [
    EventType::SCSI_TIMEOUT,
    EventType::SCSI_ERROR_RECOVERY,
    EventType::NVME_TIMEOUT,
    EventType::NVME_CONTROLLER_RESET,
    EventType::NVME_PATH_FAILED,
    EventType::ATA_TIMEOUT,
    EventType::ATA_LINK_DOWN,
    EventType::ATA_LINK_ERROR,
    EventType::ATA_LINK_RESET,
    EventType::USB_STORAGE_ERROR,
    EventType::UFS_ERROR,
];

/// How requests fail of which nobody knows why.
const UNKNOWN: [EventType; 2] = [EventType::BLK_IO_ERROR, EventType::NVME_IO_ERROR];

/// How requests fail that the device did not serve.
const UNSERVED: [EventType; 9] = [
    EventType::SCSI_TIMEOUT,
    EventType::SCSI_TRANSPORT_ERROR,
    EventType::SCSI_NOT_READY,
    EventType::NVME_TIMEOUT,
    EventType::NVME_PATH_FAILED,
    EventType::ATA_TIMEOUT,
    EventType::BLK_TIMEOUT,
    EventType::BLK_TRANSPORT_ERROR,
    EventType::BLK_DEVICE_OFFLINE,
];

/// What is a fault, and fails nothing.
const APART: [EventType; 10] = [
    // What a check found is of long ago.
    EventType::MD_MISMATCH,
    // Pools and snapshots that fill up.
    EventType::DM_THIN_POOL_LOW_WATER,
    EventType::DM_SPACE_LOW,
    EventType::SCSI_THIN_SOFT_THRESHOLD,
    // The data came.
    EventType::SCSI_RECOVERED_ERROR,
    EventType::BLK_SLOW_IO,
    // What a device says of itself.
    EventType::SMART_DISK_FAIL,
    EventType::SMART_ATTRIBUTE_WARNING,
    EventType::NVME_ASYNC_EVENT,
    EventType::ATA_SPEED_LIMITED,
];

/// Where an event stands.
pub(crate) fn of(event: &Event) -> Failed {
    let io = event.io.as_ref();
    let layer = layer(event);
    Failed {
        layer,
        op: match event.event_type.as_str() {
            "BLK_LOST_WRITE" | "FS_DATA_LOST" => Op::Write,
            "MD_READ_ERROR"
            | "MD_READ_ERROR_CORRECTED"
            | "MD_READ_REDIRECTED"
            | "DM_MIRROR_READ_FAILED"
            | "FS_READ_ERROR_CORRECTED" => Op::Read,
            _ => io.map_or(Op::Unknown, |io| io.op),
        },
        errno: io.and_then(|io| io.errno),
        answer: match &event.event_type {
            silent if UNSERVED.contains(silent) => Answer::None,
            vague if UNKNOWN.contains(vague) => Answer::Unknown,
            _ => Answer::Given,
        },
        space: [EventType::DM_THIN_POOL_OUT_OF_DATA, EventType::DM_SNAPSHOT_INVALID]
            .contains(&event.event_type),
    }
}

fn layer(event: &Event) -> Layer {
    let event_type = &event.event_type;
    let Some(info) = event_type.info() else { return Layer::Other };
    if *event_type == EventType::BLK_DEVICE_REMOVED {
        return Layer::Removed;
    }
    if info.nature != Nature::Fault || APART.contains(event_type) {
        return Layer::None;
    }
    if GIVEN_UP.contains(event_type) {
        return Layer::GivenUp;
    }
    let failed = event.io.as_ref().is_some_and(|io| io.errno.is_some());
    match event_type.as_str() {
        "DM_MPATH_PATH_FAILED" | "MULTIPATHD_PATH_DOWN" => Layer::Path,
        "DM_MPATH_NO_PATH" | "DM_MPATH_QUEUE_TIMEOUT" => Layer::NoPath,
        "MD_ARRAY_FAILED" | "DM_MIRROR_FAILED" => Layer::Array,
        "MD_DISK_FAILED"
        | "MD_ARRAY_DEGRADED"
        | "MD_MEMBER_REJECTED"
        | "MD_READ_ERROR"
        | "DM_RAID_LEG_FAILED"
        | "DM_MIRROR_LEG_FAILED"
        | "DM_MIRROR_LEG_OUT_OF_SYNC" => Layer::Member,
        "MD_READ_ERROR_CORRECTED"
        | "MD_READ_REDIRECTED"
        | "DM_MIRROR_READ_FAILED"
        | "FS_READ_ERROR_CORRECTED" => Layer::Mended,
        "DM_SNAPSHOT_INVALID"
        | "DM_CACHE_MODE_CHANGED"
        | "DM_METADATA_NEEDS_CHECK"
        | "DM_WRITECACHE_FAILED"
        | "DM_VDO_READ_ONLY" => Layer::Pool,
        pool if pool.starts_with("DM_THIN_POOL_") => Layer::Pool,
        "DM_INTEGRITY_CHECKSUM_FAILED" | "DM_VERITY_CORRUPTION" | "DM_CRYPT_INTEGRITY_ERROR" => Layer::Guard,
        "BLK_LOST_WRITE" | "BLK_BUFFER_IO_ERROR" => Layer::Cache,
        "FS_ERROR" | "FS_WARNING" => Layer::Contents,
        "FS_CHECKSUM_ERROR" => Layer::Checksum,
        "FS_SHUTDOWN" | "FS_REMOUNT_READ_ONLY" | "FS_PANIC" | "FS_JOURNAL_ABORTED" => Layer::Reaction,
        fs if fs.starts_with("FS_") => Layer::Fs,
        "SWAP_IO_ERROR" | "SCAN_FOUND_BAD" | "SCAN_ENDED_WITH_ERRORS" | "SCAN_STOPPED" => Layer::Other,
        "NBD_CONNECTION_LOST" => Layer::Way,
        _ => match info.sub_system {
            "iscsi" | "fc" => Layer::Way,
            "block" => Layer::Request,
            "scsi" | "ata" | "nvme" | "usb" | "mmc" | "ufs" | "nbd" | "rbd" | "zram" => {
                match event_type {
                    // A request that failed of what the driver said.
                    _ if failed => Layer::Request,
                    silent if NO_ANSWER.contains(silent) => Layer::NoAnswer,
                    _ => Layer::Command,
                }
            }
            "md" | "loop" | "bcache" | "drbd" => Layer::Stacked,
            dm if dm.starts_with("dm") => Layer::Stacked,
            _ => Layer::None,
        },
    }
}

/// Whether `effect` may come of `cause`, which is of the same device or of one `below`. Of two commands to one device that is
/// not enough: they have to be about the same blocks, which is for the caller to know.
pub(crate) fn may_cause(cause: &Failed, effect: &Failed, below: bool) -> bool {
    use Layer::{
        Array, Cache, Checksum, Command, Contents, Fs, GivenUp, Guard, Member, Mended, NoAnswer, NoPath,
        None, Other, Path, Pool, Reaction, Removed, Request, Stacked, Way,
    };
    let outage = matches!(cause.layer, Way | Removed | GivenUp);
    let stack = matches!(cause.layer, NoPath | Array | Pool | Guard);
    let request = cause.layer == Request && same_op(cause.op, effect.op);
    match effect.layer {
        None | Way | Guard => false,
        // A dead way ends in the removal of its devices.
        Removed | NoAnswer => !below && cause.layer == Way,
        GivenUp => {
            !below && (matches!(cause.layer, Way | NoAnswer) || (cause.layer == Command && unserved(cause)))
        }
        Command => !below && unserved(effect) && (outage || cause.layer == NoAnswer),
        Request => match cause.layer {
            Request => below && request && same_errno(cause.errno, effect.errno),
            Command => !below && same_op(cause.op, effect.op),
            Way | Removed | GivenUp => unserved(effect),
            NoAnswer => !below && unserved(effect),
            NoPath | Array => unserved(effect),
            Pool => {
                effect.errno == Some(Errno::ENOSPC)
                    || (effect.errno == Some(Errno::EIO) && !matches!(effect.op, Op::Flush))
            }
            Guard => matches!(effect.errno, Some(Errno::EIO | Errno::EILSEQ)),
            // A filesystem that was shut down below a loop device.
            Reaction => below && unserved(effect),
            _ => false,
        },
        Path => {
            !below
                && match cause.layer {
                    Request | Command => unserved(cause),
                    NoAnswer => true,
                    _ => outage,
                }
        }
        NoPath => below && (cause.layer == Path || outage || (cause.layer == Request && unserved(cause))),
        Member | Mended => outage || stack || request,
        Array => outage || stack || request || cause.layer == Member,
        Pool if effect.space => false,
        Pool => (below && (outage || stack || request)) || (!below && cause.layer == Pool),
        Stacked => outage || stack || request,
        Cache => {
            let same_reason =
                effect.errno != Some(Errno::ENOSPC) || cause.errno == Some(Errno::ENOSPC) || cause.space;
            (outage || stack || request || (cause.layer == Reaction)) && (same_reason || outage)
        }
        // Data that came, and are wrong.
        Checksum => cause.layer == Guard,
        Other => outage || stack || request,
        Contents | Fs => {
            outage || stack || request || (!below && matches!(cause.layer, Cache | Checksum | Reaction))
        }
        Reaction => {
            let own = matches!(cause.layer, Cache | Fs | Contents | Checksum | Reaction);
            outage || stack || request || (!below && own)
        }
    }
}

fn unserved(failed: &Failed) -> bool {
    failed.answer != Answer::Given
}

/// Whether a request that fails so may fail the one above it so: errors go up as they are, or as the general one.
fn same_errno(cause: Option<Errno>, effect: Option<Errno>) -> bool {
    effect.is_none() || effect == Some(Errno::EIO) || cause == effect
}

/// Whether what was asked above may have become what was asked below.
fn same_op(cause: Op, effect: Op) -> bool {
    let writes = |op: Op| matches!(op, Op::Write | Op::WriteZeroes | Op::WriteSame | Op::Flush);
    match (cause, effect) {
        (Op::Discard | Op::SecureErase | Op::Zone | Op::Passthrough, _) => cause == effect,
        (_, Op::Unknown) | (Op::Unknown, _) => true,
        _ => cause == effect || (writes(cause) && writes(effect)),
    }
}
