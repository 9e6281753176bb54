//! What an event says failed: one class for each event type.

use serde::{Deserialize, Serialize};

use crate::{
    correlate::layer::{self, Answer, Failed, Layer},
    event::{
        Errno, Event, EventType, Nature, Severity,
        incident::{CauseKind, Certainty},
    },
};

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A host adapter or a USB host controller.
    Adapter,
    /// A PCIe link, an IOMMU.
    Bus,
    /// A session, port or connection.
    Way,
    /// A device went away while it was used.
    Removed,
    /// A command, link or controller that does not answer, and what is done about it.
    NoAnswer,
    /// The driver gave the device up.
    GivenUp,
    /// A command that failed.
    Command,
    /// A request that failed.
    Request,
    /// Stored data do not match their checksums (dm-integrity, dm-verity, dm-crypt).
    Guard,
    /// A path of a multipath map.
    Path,
    /// A multipath map without a path.
    NoPath,
    /// A member of an array.
    Member,
    /// An array that cannot go on.
    Array,
    /// A pool that fills up.
    Low,
    /// A pool, snapshot or cache that changed to a worse mode.
    Pool,
    /// Another driver of stacked devices.
    Stacked,
    /// A device or pool of ZFS.
    Zfs,
    /// The page cache.
    Cache,
    /// A filesystem saw I/O fail.
    Fs,
    /// A filesystem is full.
    Full,
    /// A filesystem found its contents wrong.
    Contents,
    /// A filesystem's checksums do not match.
    Checksum,
    /// A filesystem goes read-only, or shuts down.
    Reaction,
    /// Put right from another copy.
    Mended,
    /// A program that works on a filesystem.
    Service,
    /// A filesystem was not mounted, or a device did not appear.
    Missing,
    /// A task waits for storage.
    Blocked,
    /// A device says that it is going to fail.
    Predicted,
    /// A scan of a device found errors, or cannot go on.
    Scan,
    /// A server of files does not answer.
    Server,
    /// A bug of the kernel.
    Bug,
    /// Peripety itself.
    Own,
    /// Anything else that is a fault.
    Other,
}

/// Types whose class does not follow from where they stand in a stack of devices.
const BY_TYPE: &[(&str, Class)] = &[
    ("SCSI_HOST_ADAPTER_RESET", Class::Adapter),
    ("SCSI_HOST_ADAPTER_FAILED", Class::Adapter),
    ("USB_HOST_CONTROLLER_FAILED", Class::Adapter),
    ("USB_DISCONNECTED", Class::Removed),
    ("PCIE_CORRECTED_ERROR", Class::Bus),
    ("PCIE_UNCORRECTED_ERROR", Class::Bus),
    ("PCIE_RECOVERY_FAILED", Class::Bus),
    ("PCIE_LINK_DOWN", Class::Bus),
    ("IOMMU_FAULT", Class::Bus),
    ("NVME_PATH_FAILED", Class::NoAnswer),
    ("ATA_SPEED_LIMITED", Class::NoAnswer),
    ("SCSI_RECOVERED_ERROR", Class::Command),
    ("NVME_ASYNC_EVENT", Class::Predicted),
    ("SMART_DISK_FAIL", Class::Predicted),
    ("SMART_ATTRIBUTE_WARNING", Class::Predicted),
    ("DM_THIN_POOL_LOW_WATER", Class::Low),
    ("DM_SPACE_LOW", Class::Low),
    ("MD_MISMATCH", Class::Guard),
    ("SCSI_THIN_SOFT_THRESHOLD", Class::Low),
    ("FS_NO_SPACE", Class::Full),
    ("FS_MOUNT_FAILED", Class::Missing),
    ("BLK_DEVICE_MISSING", Class::Missing),
    ("GLUSTER_BRICK_DOWN", Class::Service),
    ("GLUSTER_QUORUM_LOST", Class::Service),
    ("GLUSTER_HEAL_PENDING", Class::Service),
    ("GLUSTER_SPLIT_BRAIN", Class::Service),
    ("GLUSTER_DAEMON_DOWN", Class::Service),
    ("GLUSTER_PEER_DISCONNECTED", Class::Server),
    ("GLUSTER_SPACE_LOW", Class::Low),
    ("TASK_BLOCKED", Class::Blocked),
    ("BLK_SLOW_IO", Class::Blocked),
    ("KERNEL_BUG_IN_STORAGE", Class::Bug),
    ("SCAN_FOUND_BAD", Class::Scan),
    ("SCAN_ENDED_WITH_ERRORS", Class::Scan),
    ("SCAN_STOPPED", Class::Scan),
    ("DRBD_STATE_CHANGED", Class::Member),
];

/// The class of an event that is a fault; none for what is no fault.
pub(super) fn of(event: &Event, failed: &Failed) -> Option<Class> {
    if event.event_type == EventType::BLK_DEVICE_REMOVED {
        return (crate::state::is_in_use(event) && event.severity.at_least(Severity::Warning))
            .then_some(Class::Removed);
    }
    // The kernel left out lines about what others report.
    if event.facts.loss.as_ref().is_some_and(|loss| loss.source.as_deref() == Some("printk")) {
        return None;
    }
    let Some(info) = event.event_type.info() else {
        return event.severity.at_least(Severity::Warning).then_some(Class::Other);
    };
    if info.nature != Nature::Fault {
        return None;
    }
    let fs = event.facts.fs.as_deref();
    // Nodes of a cluster that lost each other, and a heartbeat that was not written in time, are no damage.
    match info.name {
        "FS_WARNING" if event.facts.net.is_some() => return Some(Class::Server),
        "FS_ERROR" if fs.is_some_and(|fs| fs.milliseconds.is_some()) => return Some(Class::Fs),
        _ => {}
    }
    if let Some((_, class)) = BY_TYPE.iter().find(|(name, _)| *name == info.name) {
        return Some(*class);
    }
    Some(match info.sub_system {
        "peripety" => Class::Own,
        "zfs" => Class::Zfs,
        "nfs" | "cifs" | "ceph" => Class::Server,
        _ => of_layer(failed.layer),
    })
}

fn of_layer(layer: Layer) -> Class {
    match layer {
        Layer::Way => Class::Way,
        Layer::Removed => Class::Removed,
        Layer::NoAnswer => Class::NoAnswer,
        Layer::GivenUp => Class::GivenUp,
        Layer::Command => Class::Command,
        Layer::Guard => Class::Guard,
        Layer::Request => Class::Request,
        Layer::Path => Class::Path,
        Layer::NoPath => Class::NoPath,
        Layer::Member => Class::Member,
        Layer::Array => Class::Array,
        Layer::Pool => Class::Pool,
        Layer::Stacked => Class::Stacked,
        Layer::Cache => Class::Cache,
        Layer::Fs => Class::Fs,
        Layer::Contents => Class::Contents,
        Layer::Checksum => Class::Checksum,
        Layer::Reaction => Class::Reaction,
        Layer::Mended => Class::Mended,
        Layer::Other | Layer::None => Class::Other,
    }
}

/// What an event says of what failed, for the table of what may cause what.
pub(super) fn failed(event: &Event) -> Failed {
    layer::of(event)
}

/// Whether it is about space.
pub(super) fn is_space(class: Class, failed: &Failed) -> bool {
    matches!(class, Class::Low | Class::Full) || failed.space || failed.errno == Some(Errno::ENOSPC)
}

/// Whether the device, or the way to it, did not serve a command: it is not about this very command or its place.
pub(super) fn is_unserved(class: Class, failed: &Failed) -> bool {
    match class {
        Class::Adapter | Class::Way | Class::Removed | Class::NoAnswer | Class::GivenUp => true,
        Class::Request | Class::Command => failed.answer == Answer::None,
        _ => false,
    }
}

/// Whether it may be that it was not served: nobody knows that the device answered.
pub(super) fn may_be_unserved(class: Class, failed: &Failed) -> bool {
    is_unserved(class, failed)
        || (matches!(class, Class::Request | Class::Command) && failed.answer == Answer::Unknown)
}

/// What kind of fault it is where an event of this class is the cause.
pub(super) fn cause_kind(class: Class, failed: &Failed, event_type: &EventType) -> CauseKind {
    if is_space(class, failed) {
        return CauseKind::Space;
    }
    match (class, event_type.as_str()) {
        // Power was cut, or it was pulled, while it was mounted.
        (_, "FS_NOT_CLEAN") => CauseKind::PowerOrRemoval,
        (_, "FS_WARNING" | "IOMMU_FAULT") => CauseKind::Unknown,
        (_, "SCSI_MEDIUM_ERROR" | "BLK_MEDIUM_ERROR" | "NVME_MEDIUM_ERROR") => CauseKind::Medium,
        (Class::Guard | Class::Contents | Class::Checksum, _) => CauseKind::Medium,
        (_, "SCAN_FOUND_BAD" | "SCAN_ENDED_WITH_ERRORS") => CauseKind::Medium,
        (Class::Removed, _) => CauseKind::PowerOrRemoval,
        (Class::Bug, _) => CauseKind::KernelBug,
        (Class::Missing | Class::Own, _) => CauseKind::Configuration,
        (Class::Adapter | Class::Bus | Class::Way | Class::Path | Class::NoPath | Class::Server, _) => {
            CauseKind::Transport
        }
        (_, "SCSI_TRANSPORT_ERROR" | "BLK_TRANSPORT_ERROR" | "NVME_PATH_FAILED") => CauseKind::Transport,
        (_, "ATA_LINK_ERROR" | "ATA_LINK_DOWN" | "ATA_SPEED_LIMITED") => CauseKind::Transport,
        (Class::NoAnswer | Class::GivenUp | Class::Command | Class::Predicted | Class::Member, _) => {
            CauseKind::Target
        }
        (Class::Request, _) if failed.answer == Answer::None => CauseKind::Transport,
        (Class::Request, "BLK_IO_ERROR") => CauseKind::Unknown,
        (Class::Request, _) => CauseKind::Target,
        _ => CauseKind::Unknown,
    }
}

/// How sure an event of this class by itself says which kind of fault it is: of what does not answer nobody knows whether it is
/// the device or the way to it.
pub(super) fn sureness(class: Class, kind: CauseKind, event_type: &EventType) -> Certainty {
    match (class, event_type.as_str()) {
        _ if kind == CauseKind::Unknown => Certainty::Possible,
        (_, "FS_NOT_CLEAN") => Certainty::Possible,
        _ if kind == CauseKind::Space => Certainty::Certain,
        (_, "SCSI_MEDIUM_ERROR" | "BLK_MEDIUM_ERROR" | "NVME_MEDIUM_ERROR" | "SCSI_HARDWARE_ERROR") => {
            Certainty::Certain
        }
        (Class::Adapter | Class::Way | Class::Removed | Class::NoPath | Class::Own | Class::Bug, _) => {
            Certainty::Certain
        }
        _ => Certainty::Likely,
    }
}
