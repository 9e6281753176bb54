//! The conditions: what opens each and what ends it.

use crate::event::{Event, Severity};

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The event's device.
    Device,
    /// The array that the device is a member of.
    Array,
    /// The path of a multipath map.
    Path,
    /// The NVMe controller.
    Controller,
    /// What the kernel named: a port, a host, a session.
    Named,
    /// The place in peripety or before it that lost records.
    Source,
}

/// What sysfs and mountinfo can show of the end of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The device is there no more, or another one has its name.
    Gone,
    /// Its filesystem is mounted nowhere.
    Unmounted,
    /// Its filesystem can be written to.
    Writable,
    /// The SCSI layer says that the device runs.
    Running,
    /// The md array has all its members.
    Whole,
    /// Nothing uses the device that was removed.
    Unused,
    /// Its filesystem was mounted anew since, and has no errors recorded.
    CleanMount,
    /// Requests succeeded since the last failure.
    Answers,
    /// The link, port or session is up, or is there no more.
    LinkUp,
    /// No multipath map uses the path any more.
    NoMap,
    /// The filesystem that holds the file of a loop device has room again.
    Space,
}

impl Check {
    /// What is seen then, as the end of a sentence that begins with "or when".
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Gone => "the device is there no more, or another one has its name",
            Self::Unmounted => "its filesystem is mounted nowhere",
            Self::Writable => "its filesystem can be written to",
            Self::Running => "the SCSI layer says that the device runs",
            Self::Whole => "the array has all its members",
            Self::Unused => "nothing uses the device that was removed",
            Self::CleanMount => "its filesystem was mounted anew since, and has no errors recorded",
            Self::Answers => "requests succeeded since the last failure",
            Self::LinkUp => "the link, port or session is up, or is there no more",
            Self::NoMap => "no multipath map uses the path any more",
            Self::Space => "the filesystem that holds the file of a loop device has room again",
        }
    }
}

/// How long a condition lasts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasts {
    /// Until something proves that it is over, also over reboots: it is about the medium or what is written on it.
    OverReboots,
    /// Until something proves that it is over, at the latest the end of the boot: it is a state of the running kernel.
    Boot,
    /// Seconds without another one: it is transient by nature.
    Seconds(i64),
}

impl Lasts {
    /// The same in words.
    pub(crate) fn words(self) -> String {
        match self {
            Self::OverReboots => "until something proves that it is over, also over reboots".to_owned(),
            Self::Boot => {
                "until something proves that it is over, at the latest the end of the boot".to_owned()
            }
            Self::Seconds(seconds) => format!("{seconds} seconds without another one"),
        }
    }
}

/// One condition.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its name in JSON.
    pub name: &'static str,
    /// Its name for humans.
    pub words: &'static str,
    /// What it is about.
    pub about: About,
    /// Event types that open it.
    pub opens: &'static [&'static str],
    /// Event types that end it.
    pub closes: &'static [&'static str],
    /// What else ends it.
    pub checks: &'static [Check],
    /// From which severity of an event on it is open.
    pub from: Severity,
    /// How long it lasts by itself.
    pub lasts: Lasts,
}

/// Removal of the device ends what is about it, as [`Check::Gone`] does.
pub(crate) const REMOVED: &str = "BLK_DEVICE_REMOVED";
/// A person says that a fault is over, whatever it is.
pub(crate) const RESOLVED: &str = "PERIPETY_RESOLVED";

/// Every condition, the worst first.
pub(crate) static ROWS: &[Row] = &[
    Row {
        name: "filesystem_shut_down",
        words: "filesystem shut down",
        about: About::Device,
        opens: &["FS_SHUTDOWN"],
        closes: &["FS_MOUNTED", "FS_UNMOUNTED"],
        checks: &[Check::Unmounted],
        from: Severity::Warning,
        lasts: Lasts::Boot,
    },
    Row {
        name: "filesystem_read_only",
        words: "filesystem read-only",
        about: About::Device,
        opens: &["FS_REMOUNT_READ_ONLY"],
        closes: &["FS_MOUNTED", "FS_UNMOUNTED"],
        checks: &[Check::Unmounted, Check::Writable],
        from: Severity::Warning,
        lasts: Lasts::Boot,
    },
    Row {
        name: "journal_aborted",
        words: "journal aborted",
        about: About::Device,
        opens: &["FS_JOURNAL_ABORTED"],
        closes: &["FS_MOUNTED", "FS_UNMOUNTED"],
        checks: &[Check::Unmounted],
        from: Severity::Warning,
        lasts: Lasts::Boot,
    },
    Row {
        name: "removed_in_use",
        words: "removed while in use",
        about: About::Device,
        opens: &[REMOVED],
        closes: &["FS_UNMOUNTED", "BLK_DEVICE_ADDED"],
        checks: &[Check::Unused],
        from: Severity::Warning,
        lasts: Lasts::Boot,
    },
    Row {
        name: "no_path",
        words: "no path left",
        about: About::Device,
        opens: &["DM_MPATH_NO_PATH", "DM_MPATH_QUEUE_TIMEOUT"],
        closes: &["DM_MPATH_PATH_REINSTATED", REMOVED],
        checks: &[Check::Gone],
        from: Severity::Warning,
        lasts: Lasts::Boot,
    },
    Row {
        name: "array_failed",
        words: "array failed",
        about: About::Array,
        opens: &["MD_ARRAY_FAILED", "DM_MIRROR_FAILED"],
        closes: &["MD_RECOVERY_DONE", "DM_RAID_IN_SYNC", "DM_MIRROR_IN_SYNC", REMOVED],
        checks: &[Check::Gone, Check::Whole],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "pool_failed",
        words: "thin pool failed",
        about: About::Device,
        opens: &["DM_THIN_POOL_FAILED", "DM_THIN_POOL_READ_ONLY"],
        closes: &["DM_THIN_POOL_WRITABLE", REMOVED],
        checks: &[Check::Gone],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "pool_full",
        words: "thin pool full",
        about: About::Device,
        opens: &["DM_THIN_POOL_OUT_OF_DATA"],
        closes: &["DM_THIN_POOL_WRITABLE", REMOVED],
        checks: &[Check::Gone],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "filesystem_corrupt",
        words: "filesystem has errors",
        about: About::Device,
        opens: &["FS_ERROR", "FS_CHECKSUM_ERROR"],
        closes: &[],
        checks: &[Check::CleanMount, Check::Gone],
        from: Severity::Error,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "data_corrupt",
        words: "data corrupt",
        about: About::Device,
        opens: &[
            "DM_INTEGRITY_CHECKSUM_FAILED",
            "DM_VERITY_CORRUPTION",
            "DM_CRYPT_INTEGRITY_ERROR",
            "BLK_PROTECTION_ERROR",
            "ZFS_DATA_ERROR",
        ],
        // An array wrote the sectors anew from another member.
        closes: &["MD_READ_ERROR_CORRECTED", REMOVED],
        checks: &[Check::Gone],
        from: Severity::Error,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "data_lost",
        words: "written data lost",
        about: About::Device,
        opens: &["FS_DATA_LOST"],
        closes: &[REMOVED],
        checks: &[Check::CleanMount, Check::Gone],
        from: Severity::Error,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "device_offline",
        words: "device offline",
        about: About::Device,
        opens: &[
            "SCSI_DEVICE_OFFLINED",
            "SCSI_MEDIUM_ACCESS_TIMEOUT_OFFLINEING_DISK",
            "BLK_DEVICE_OFFLINE",
            "ATA_DEVICE_DISABLED",
            "NVME_CONTROLLER_FAILED",
        ],
        closes: &["DM_MPATH_PATH_REINSTATED", "NVME_PATH_RECOVERED", "NVME_CONTROLLER_RECOVERED", REMOVED],
        checks: &[Check::Gone, Check::Running],
        from: Severity::Warning,
        lasts: Lasts::Boot,
    },
    Row {
        name: "path_down",
        words: "path down",
        about: About::Path,
        opens: &["DM_MPATH_PATH_FAILED", "DM_MPATH_NO_PATH", "MULTIPATHD_PATH_DOWN"],
        closes: &["DM_MPATH_PATH_REINSTATED", "MULTIPATHD_PATH_UP", REMOVED],
        checks: &[Check::Gone, Check::NoMap],
        from: Severity::Warning,
        lasts: Lasts::Boot,
    },
    Row {
        name: "nvme_path_down",
        words: "path down",
        about: About::Controller,
        opens: &["NVME_PATH_FAILED"],
        closes: &["NVME_PATH_RECOVERED", "NVME_CONTROLLER_RECOVERED", REMOVED],
        checks: &[Check::LinkUp],
        from: Severity::Warning,
        lasts: Lasts::Boot,
    },
    Row {
        name: "array_degraded",
        words: "array degraded",
        about: About::Array,
        opens: &[
            "MD_DISK_FAILED",
            "MD_MEMBER_REJECTED",
            "MD_ARRAY_DEGRADED",
            "DM_RAID_LEG_FAILED",
            "DM_MIRROR_LEG_FAILED",
            "DM_MIRROR_LEG_OUT_OF_SYNC",
        ],
        closes: &["MD_RECOVERY_DONE", "DM_RAID_IN_SYNC", "DM_MIRROR_IN_SYNC", REMOVED],
        checks: &[Check::Gone, Check::Whole],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "copies_differ",
        words: "members do not agree",
        about: About::Array,
        opens: &["MD_MISMATCH"],
        closes: &["MD_CHECK_DONE", REMOVED],
        checks: &[Check::Gone],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "pool_low",
        words: "thin pool low",
        about: About::Device,
        opens: &["DM_THIN_POOL_LOW_WATER", "SCSI_THIN_SOFT_THRESHOLD", "DM_SPACE_LOW"],
        closes: &["DM_SPACE_AVAILABLE", "DM_THIN_POOL_WRITABLE", "BLK_CAPACITY_CHANGED", REMOVED],
        checks: &[Check::Gone],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "degraded_mapping",
        words: "pool, snapshot or cache failed",
        about: About::Device,
        opens: &[
            "DM_SNAPSHOT_INVALID",
            "DM_CACHE_MODE_CHANGED",
            "DM_METADATA_NEEDS_CHECK",
            "DM_WRITECACHE_FAILED",
            "DM_VDO_READ_ONLY",
            "BCACHE_DEVICE_DISABLED",
        ],
        closes: &[REMOVED],
        checks: &[Check::Gone],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "link_down",
        words: "link or session down",
        about: About::Named,
        opens: &[
            "ATA_LINK_DOWN",
            "FC_LINK_DOWN",
            "FC_PORT_LOST",
            "ISCSI_CONNECTION_ERROR",
            "ISCSI_SESSION_TIMEOUT",
            "NBD_CONNECTION_LOST",
        ],
        closes: &["ATA_LINK_UP", "FC_LINK_UP", "ISCSI_SESSION_RECOVERED", REMOVED],
        checks: &[Check::LinkUp],
        from: Severity::Warning,
        lasts: Lasts::Boot,
    },
    Row {
        name: "failure_predicted",
        words: "failure predicted",
        about: About::Device,
        opens: &["SMART_DISK_FAIL", "SMART_ATTRIBUTE_WARNING"],
        closes: &["SMART_DISK_RECOVERED", "BLK_READ_BACK", REMOVED],
        checks: &[Check::Gone],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "out_of_space",
        words: "out of space",
        about: About::Device,
        opens: &["BLK_NO_SPACE", "BLK_LOST_WRITE", "FS_NO_SPACE"],
        closes: &["DM_THIN_POOL_WRITABLE", REMOVED],
        checks: &[Check::Gone, Check::Space],
        from: Severity::Error,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "medium_errors",
        words: "medium errors",
        about: About::Device,
        opens: &["BLK_MEDIUM_ERROR", "SCSI_MEDIUM_ERROR", "NVME_MEDIUM_ERROR"],
        closes: &["BLK_READ_BACK", "MD_READ_ERROR_CORRECTED", "SCAN_FINISHED", REMOVED],
        checks: &[Check::Gone],
        from: Severity::Error,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "found_by_scan",
        words: "a scan found errors",
        about: About::Device,
        opens: &["SCAN_FOUND_BAD", "SCAN_ENDED_WITH_ERRORS"],
        closes: &["SCAN_FINISHED", REMOVED],
        checks: &[Check::Gone],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "scan_stopped",
        words: "a scan cannot go on",
        about: About::Device,
        opens: &["SCAN_STOPPED"],
        closes: &["SCAN_RESUMED", "SCAN_FINISHED", REMOVED],
        checks: &[Check::Gone],
        from: Severity::Warning,
        lasts: Lasts::Boot,
    },
    Row {
        name: "not_answering",
        words: "requests not answered",
        about: About::Device,
        opens: &[
            "BLK_TIMEOUT",
            "BLK_TRANSPORT_ERROR",
            "SCSI_NOT_READY",
            "SCSI_TRANSPORT_ERROR",
            "SCSI_TIMEOUT",
            "ATA_TIMEOUT",
            "NVME_TIMEOUT",
            "USB_STORAGE_ERROR",
            "NBD_ERROR",
            "RBD_ERROR",
        ],
        closes: &[
            "DM_MPATH_PATH_REINSTATED",
            "MULTIPATHD_PATH_UP",
            "NVME_PATH_RECOVERED",
            "NVME_CONTROLLER_RECOVERED",
            REMOVED,
        ],
        checks: &[Check::Gone, Check::Answers],
        from: Severity::Error,
        lasts: Lasts::Boot,
    },
    Row {
        name: "device_failing",
        words: "device failing",
        about: About::Device,
        opens: &[
            "BLK_IO_ERROR",
            "BLK_LOST_WRITE",
            "BLK_TARGET_ERROR",
            "SCSI_HARDWARE_ERROR",
            "SCSI_DATA_PROTECT",
            "ATA_COMMAND_ERROR",
            "NVME_IO_ERROR",
            "MMC_ERROR",
            "UFS_ERROR",
            "LOOP_ERROR",
            "ZRAM_ERROR",
            "BCACHE_ERROR",
            "SWAP_IO_ERROR",
            "MD_READ_ERROR",
        ],
        closes: &[
            "DM_MPATH_PATH_REINSTATED",
            "MULTIPATHD_PATH_UP",
            "NVME_PATH_RECOVERED",
            "NVME_CONTROLLER_RECOVERED",
            "MD_READ_ERROR_CORRECTED",
            REMOVED,
        ],
        checks: &[Check::Gone],
        from: Severity::Error,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "filesystem_errors",
        words: "filesystem saw I/O errors",
        about: About::Device,
        opens: &["FS_IO_ERROR", "FS_ERROR", "FS_CHECKSUM_ERROR", "FS_DATA_LOST"],
        closes: &["FS_MOUNTED", "FS_UNMOUNTED"],
        checks: &[Check::Unmounted],
        from: Severity::Error,
        lasts: Lasts::Boot,
    },
    Row {
        name: "pool_suspended",
        words: "pool suspended",
        about: About::Named,
        opens: &["ZFS_POOL_SUSPENDED"],
        closes: &["ZFS_POOL_ONLINE"],
        checks: &[],
        from: Severity::Warning,
        lasts: Lasts::Boot,
    },
    Row {
        name: "pool_device_faulted",
        words: "pool device faulted",
        about: About::Device,
        opens: &["ZFS_VDEV_FAULTED"],
        closes: &["ZFS_VDEV_ONLINE"],
        checks: &[],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "adapter_failed",
        words: "adapter failed",
        about: About::Named,
        opens: &["SCSI_HOST_ADAPTER_FAILED", "SCSI_HOST_ADAPTER_RESET", "USB_HOST_CONTROLLER_FAILED"],
        closes: &["SCSI_HOST_ADAPTER_RECOVERED"],
        checks: &[],
        from: Severity::Warning,
        lasts: Lasts::Boot,
    },
    Row {
        name: "pcie_error",
        words: "PCIe error",
        about: About::Named,
        opens: &["PCIE_UNCORRECTED_ERROR", "PCIE_RECOVERY_FAILED", "PCIE_LINK_DOWN"],
        closes: &["PCIE_RECOVERED", "PCIE_LINK_UP"],
        checks: &[],
        from: Severity::Warning,
        lasts: Lasts::Boot,
    },
    Row {
        name: "server_unreachable",
        words: "server not responding",
        about: About::Named,
        opens: &["NFS_SERVER_NOT_RESPONDING", "CIFS_SERVER_NOT_RESPONDING", "CEPH_CONNECTION_LOST"],
        closes: &["NFS_SERVER_OK", "CEPH_CONNECTION_RESTORED"],
        checks: &[],
        from: Severity::Warning,
        lasts: Lasts::Boot,
    },
    Row {
        name: "replication_broken",
        words: "replication broken",
        about: About::Device,
        opens: &["DRBD_STATE_CHANGED"],
        closes: &["DRBD_CONNECTED", "DRBD_UP_TO_DATE", REMOVED],
        checks: &[Check::Gone],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "brick_down",
        words: "brick down",
        about: About::Named,
        opens: &["GLUSTER_BRICK_DOWN"],
        closes: &["GLUSTER_BRICK_UP"],
        checks: &[],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "volume_quorum_lost",
        words: "no quorum",
        about: About::Named,
        opens: &["GLUSTER_QUORUM_LOST"],
        closes: &["GLUSTER_QUORUM_MET", "GLUSTER_VOLUME_STOPPED", "GLUSTER_VOLUME_DELETED"],
        checks: &[],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "peer_disconnected",
        words: "peer disconnected",
        about: About::Named,
        opens: &["GLUSTER_PEER_DISCONNECTED"],
        closes: &["GLUSTER_PEER_CONNECTED"],
        checks: &[],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "heal_pending",
        words: "heal pending",
        about: About::Named,
        opens: &["GLUSTER_HEAL_PENDING"],
        closes: &["GLUSTER_HEALED", "GLUSTER_VOLUME_DELETED"],
        checks: &[],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "split_brain",
        words: "split-brain",
        about: About::Named,
        opens: &["GLUSTER_SPLIT_BRAIN"],
        closes: &["GLUSTER_SPLIT_BRAIN_ENDED", "GLUSTER_VOLUME_DELETED"],
        checks: &[],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "georep_faulty",
        words: "geo-replication faulty",
        about: About::Named,
        opens: &["GLUSTER_GEOREP_FAULTY"],
        closes: &["GLUSTER_GEOREP_ACTIVE", "GLUSTER_VOLUME_DELETED"],
        checks: &[],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "glusterd_down",
        words: "glusterd does not answer",
        about: About::Named,
        opens: &["GLUSTER_DAEMON_DOWN"],
        closes: &["GLUSTER_DAEMON_UP"],
        checks: &[],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    },
    Row {
        name: "kernel_bug",
        words: "kernel bug in storage code",
        about: About::Named,
        opens: &["KERNEL_BUG_IN_STORAGE"],
        closes: &[],
        checks: &[],
        from: Severity::Error,
        lasts: Lasts::Boot,
    },
    Row {
        name: "configuration_rejected",
        words: "configuration rejected",
        about: About::Source,
        opens: &["PERIPETY_CONFIG_REJECTED"],
        closes: &["PERIPETY_CONFIG_RELOADED", "PERIPETY_STARTED"],
        checks: &[],
        from: Severity::Warning,
        lasts: Lasts::Boot,
    },
    Row {
        name: "notification_failed",
        words: "notifications do not arrive",
        about: About::Named,
        opens: &["PERIPETY_NOTIFICATION_FAILED"],
        closes: &["PERIPETY_NOTIFICATION_RESTORED"],
        checks: &[],
        from: Severity::Warning,
        lasts: Lasts::Boot,
    },
    Row {
        name: "events_lost",
        words: "records lost",
        about: About::Source,
        opens: &["PERIPETY_EVENTS_LOST"],
        closes: &[],
        checks: &[],
        from: Severity::Warning,
        lasts: Lasts::Seconds(600),
    },
];

/// The condition with this name.
pub(crate) fn row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

impl Row {
    /// Whether this event opens it.
    pub(crate) fn is_opened_by(&self, event: &Event) -> bool {
        if !self.opens.contains(&event.event_type.as_str()) {
            return false;
        }
        match event.event_type.as_str() {
            // A member whose place another copy takes, and one that somebody took out, is a notice.
            REMOVED => event.severity.at_least(self.from) && super::condition::is_in_use(event),
            // Lines that the kernel left out and a probe counted are no loss, and what a retry healed is over.
            _ => event.severity.at_least(self.from) && self.fits(event),
        }
    }

    /// Whether requests that failed opened it: what is made of the device fails with it.
    pub(crate) fn is_of_requests(&self) -> bool {
        matches!(
            self.name,
            "medium_errors" | "not_answering" | "device_failing" | "device_offline" | "out_of_space"
        )
    }

    /// Whether an event whose type opens several conditions opens this one.
    fn fits(&self, event: &Event) -> bool {
        const EIO: i32 = 5;
        const ENOSPC: i32 = 28;
        let errno = event.io.as_ref().and_then(|io| io.errno);
        // What fails because requests below failed ends with the mount; what a filesystem found in itself stays in it.
        let of_requests = event.root_cause_event_id.is_some() || errno == Some(EIO);
        match (self.name, event.event_type.as_str()) {
            ("filesystem_corrupt" | "data_lost", _) => !of_requests,
            ("filesystem_errors", "FS_IO_ERROR") => true,
            ("filesystem_errors", _) => of_requests,
            ("out_of_space", "BLK_LOST_WRITE") => errno == Some(ENOSPC),
            ("device_failing", "BLK_LOST_WRITE") => errno != Some(ENOSPC),
            _ => true,
        }
    }

    /// Whether this event ends it, if it is about the same.
    pub(crate) fn is_closed_by(&self, event_type: &str) -> bool {
        self.closes.contains(&event_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Nature, TYPES, info};

    #[test]
    fn every_name_is_an_event_type_and_every_type_that_clears_clears_something() {
        for name in ROWS.iter().flat_map(|row| row.opens.iter().chain(row.closes)) {
            assert!(info(name).is_some(), "{name}");
        }
        for cleared in TYPES.iter().filter(|t| t.nature == Nature::Clears) {
            assert!(ROWS.iter().any(|row| row.is_closed_by(cleared.name)), "{}", cleared.name);
        }
        let names: std::collections::BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len());
    }
}
