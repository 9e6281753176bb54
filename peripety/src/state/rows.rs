//! The conditions: what opens each and what ends it.

use crate::event::Event;

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
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

/// What sysfs and mountinfo can tell of the end of a condition.
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
}

/// One condition.
#[derive(Debug)]
pub struct Row {
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
    /// It ends when nothing new was heard of it for so many seconds; 0: never.
    pub quiet_s: i64,
}

const HOUR: i64 = 3600;

/// Removal of the device ends what is about it, as [`Check::Gone`] does.
const REMOVED: &str = "BLK_DEVICE_REMOVED";

/// Every condition, the worst first.
pub static ROWS: &[Row] = &[
    Row {
        name: "filesystem_shut_down",
        words: "filesystem shut down",
        about: About::Device,
        opens: &["FS_SHUTDOWN"],
        closes: &["FS_MOUNTED", "FS_UNMOUNTED"],
        checks: &[Check::Unmounted],
        quiet_s: 0,
    },
    Row {
        name: "filesystem_read_only",
        words: "filesystem read-only",
        about: About::Device,
        opens: &["FS_REMOUNT_READ_ONLY"],
        closes: &["FS_MOUNTED", "FS_UNMOUNTED"],
        checks: &[Check::Unmounted, Check::Writable],
        quiet_s: 0,
    },
    Row {
        name: "journal_aborted",
        words: "journal aborted",
        about: About::Device,
        opens: &["FS_JOURNAL_ABORTED"],
        closes: &["FS_MOUNTED", "FS_UNMOUNTED"],
        checks: &[Check::Unmounted],
        quiet_s: 0,
    },
    Row {
        name: "removed_in_use",
        words: "removed while in use",
        about: About::Device,
        opens: &[REMOVED],
        closes: &["FS_UNMOUNTED", "BLK_DEVICE_ADDED"],
        checks: &[Check::Unused],
        quiet_s: 0,
    },
    Row {
        name: "no_path",
        words: "no path left",
        about: About::Device,
        opens: &["DM_MPATH_NO_PATH", "DM_MPATH_QUEUE_TIMEOUT"],
        closes: &["DM_MPATH_PATH_REINSTATED", REMOVED],
        checks: &[Check::Gone],
        quiet_s: 0,
    },
    Row {
        name: "path_down",
        words: "path down",
        about: About::Path,
        opens: &["DM_MPATH_PATH_FAILED", "DM_MPATH_NO_PATH", "MULTIPATHD_PATH_DOWN"],
        closes: &["DM_MPATH_PATH_REINSTATED", "MULTIPATHD_PATH_UP", REMOVED],
        checks: &[Check::Gone],
        quiet_s: 0,
    },
    Row {
        name: "nvme_path_down",
        words: "path down",
        about: About::Controller,
        opens: &["NVME_PATH_FAILED"],
        closes: &["NVME_PATH_RECOVERED", "NVME_CONTROLLER_RECOVERED", REMOVED],
        checks: &[],
        quiet_s: HOUR,
    },
    Row {
        name: "array_failed",
        words: "array failed",
        about: About::Array,
        opens: &["MD_ARRAY_FAILED", "DM_MIRROR_FAILED"],
        closes: &["MD_RECOVERY_DONE", "DM_RAID_IN_SYNC", "DM_MIRROR_IN_SYNC", REMOVED],
        checks: &[Check::Gone, Check::Whole],
        quiet_s: 0,
    },
    Row {
        name: "array_degraded",
        words: "array degraded",
        about: About::Array,
        opens: &["MD_DISK_FAILED", "MD_MEMBER_REJECTED", "DM_RAID_LEG_FAILED", "DM_MIRROR_LEG_FAILED"],
        closes: &["MD_RECOVERY_DONE", "DM_RAID_IN_SYNC", "DM_MIRROR_IN_SYNC", REMOVED],
        checks: &[Check::Gone, Check::Whole],
        quiet_s: 0,
    },
    Row {
        name: "pool_failed",
        words: "thin pool failed",
        about: About::Device,
        opens: &["DM_THIN_POOL_FAILED", "DM_THIN_POOL_READ_ONLY"],
        closes: &["DM_THIN_POOL_WRITABLE", REMOVED],
        checks: &[Check::Gone],
        quiet_s: 0,
    },
    Row {
        name: "pool_full",
        words: "thin pool full",
        about: About::Device,
        opens: &["DM_THIN_POOL_OUT_OF_DATA"],
        closes: &["DM_THIN_POOL_WRITABLE", REMOVED],
        checks: &[Check::Gone],
        quiet_s: 0,
    },
    Row {
        name: "pool_low",
        words: "thin pool low",
        about: About::Device,
        opens: &["DM_THIN_POOL_LOW_WATER"],
        closes: &["DM_THIN_POOL_WRITABLE", "BLK_CAPACITY_CHANGED", REMOVED],
        checks: &[Check::Gone],
        quiet_s: 0,
    },
    Row {
        name: "degraded_mapping",
        words: "snapshot or cache failed",
        about: About::Device,
        opens: &["DM_SNAPSHOT_INVALID", "DM_CACHE_MODE_CHANGED", "BCACHE_DEVICE_DISABLED"],
        closes: &[REMOVED],
        checks: &[Check::Gone],
        quiet_s: 0,
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
        quiet_s: 0,
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
        closes: &["ATA_LINK_UP", "FC_LINK_UP", "ISCSI_SESSION_RECOVERED"],
        checks: &[],
        quiet_s: 24 * HOUR,
    },
    Row {
        name: "failure_predicted",
        words: "failure predicted",
        about: About::Device,
        opens: &["SMART_DISK_FAIL", "SMART_ATTRIBUTE_WARNING"],
        closes: &["SMART_DISK_RECOVERED", REMOVED],
        checks: &[Check::Gone],
        quiet_s: 0,
    },
    Row {
        name: "device_failing",
        words: "device failing",
        about: About::Device,
        opens: &[
            "BLK_IO_ERROR",
            "BLK_MEDIUM_ERROR",
            "BLK_TIMEOUT",
            "BLK_TARGET_ERROR",
            "BLK_TRANSPORT_ERROR",
            "BLK_PROTECTION_ERROR",
            "BLK_NO_SPACE",
            "BLK_LOST_WRITE",
            "SCSI_MEDIUM_ERROR",
            "SCSI_HARDWARE_ERROR",
            "SCSI_NOT_READY",
            "SCSI_DATA_PROTECT",
            "SCSI_TRANSPORT_ERROR",
            "SCSI_TIMEOUT",
            "ATA_COMMAND_ERROR",
            "ATA_TIMEOUT",
            "NVME_IO_ERROR",
            "NVME_MEDIUM_ERROR",
            "NVME_TIMEOUT",
            "USB_STORAGE_ERROR",
            "MMC_ERROR",
            "UFS_ERROR",
            "LOOP_ERROR",
            "NBD_ERROR",
            "ZRAM_ERROR",
            "BCACHE_ERROR",
            "RBD_ERROR",
            "SWAP_IO_ERROR",
        ],
        closes: &[
            "DM_MPATH_PATH_REINSTATED",
            "MULTIPATHD_PATH_UP",
            "NVME_PATH_RECOVERED",
            "NVME_CONTROLLER_RECOVERED",
            REMOVED,
        ],
        checks: &[Check::Gone],
        quiet_s: HOUR,
    },
    Row {
        name: "pool_suspended",
        words: "pool suspended",
        about: About::Named,
        opens: &["ZFS_POOL_SUSPENDED"],
        closes: &["ZFS_POOL_ONLINE"],
        checks: &[],
        quiet_s: 0,
    },
    Row {
        name: "pool_device_faulted",
        words: "pool device faulted",
        about: About::Device,
        opens: &["ZFS_VDEV_FAULTED"],
        closes: &["ZFS_VDEV_ONLINE"],
        checks: &[],
        quiet_s: 0,
    },
    Row {
        name: "adapter_failed",
        words: "adapter failed",
        about: About::Named,
        opens: &["SCSI_HOST_ADAPTER_FAILED", "SCSI_HOST_ADAPTER_RESET", "USB_HOST_CONTROLLER_FAILED"],
        closes: &["SCSI_HOST_ADAPTER_RECOVERED"],
        checks: &[],
        quiet_s: 0,
    },
    Row {
        name: "pcie_error",
        words: "PCIe error",
        about: About::Named,
        opens: &["PCIE_UNCORRECTED_ERROR", "PCIE_RECOVERY_FAILED", "PCIE_LINK_DOWN"],
        closes: &["PCIE_RECOVERED", "PCIE_LINK_UP"],
        checks: &[],
        quiet_s: 0,
    },
    Row {
        name: "server_unreachable",
        words: "server not responding",
        about: About::Named,
        opens: &["NFS_SERVER_NOT_RESPONDING", "CIFS_SERVER_NOT_RESPONDING", "CEPH_CONNECTION_LOST"],
        closes: &["NFS_SERVER_OK", "CEPH_CONNECTION_RESTORED"],
        checks: &[],
        quiet_s: 24 * HOUR,
    },
    Row {
        name: "replication_broken",
        words: "replication broken",
        about: About::Device,
        opens: &["DRBD_STATE_CHANGED"],
        closes: &["DRBD_CONNECTED", "DRBD_UP_TO_DATE", REMOVED],
        checks: &[Check::Gone],
        quiet_s: 0,
    },
    Row {
        name: "brick_down",
        words: "brick down",
        about: About::Named,
        opens: &["GLUSTER_BRICK_DOWN"],
        closes: &[],
        checks: &[],
        quiet_s: 24 * HOUR,
    },
    Row {
        name: "configuration_rejected",
        words: "configuration rejected",
        about: About::Source,
        opens: &["PERIPETY_CONFIG_REJECTED"],
        closes: &["PERIPETY_CONFIG_RELOADED", "PERIPETY_STARTED"],
        checks: &[],
        quiet_s: 0,
    },
    Row {
        name: "events_lost",
        words: "records lost",
        about: About::Source,
        opens: &["PERIPETY_EVENTS_LOST"],
        closes: &[],
        checks: &[],
        quiet_s: 600,
    },
];

/// The condition with this name.
pub fn row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

impl Row {
    /// Whether this event opens it.
    pub fn is_opened_by(&self, event: &Event) -> bool {
        if !self.opens.contains(&event.event_type.as_str()) {
            return false;
        }
        match event.event_type.as_str() {
            REMOVED => super::condition::in_use(event),
            // Lines that the kernel left out and a probe counted are no loss.
            _ => event.severity.at_least(crate::event::Severity::Warning),
        }
    }

    /// Whether this event ends it, if it is about the same.
    pub fn is_closed_by(&self, event_type: &str) -> bool {
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
