//! The table of conditions.

use super::{About, Check, Lasts, REMOVED, Row};
use crate::event::Severity;

/// Every condition, the worst first.
pub(crate) static ROWS: &[Row] = &[
    Row {
        name: "filesystem_shut_down",
        words: "filesystem shut down",
        opens: &["FS_SHUTDOWN"],
        closes: &["FS_MOUNTED", "FS_UNMOUNTED"],
        checks: &[Check::Unmounted],
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "filesystem_read_only",
        words: "filesystem read-only",
        opens: &["FS_REMOUNT_READ_ONLY"],
        closes: &["FS_MOUNTED", "FS_UNMOUNTED"],
        checks: &[Check::Unmounted, Check::Writable],
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "journal_aborted",
        words: "journal aborted",
        opens: &["FS_JOURNAL_ABORTED"],
        closes: &["FS_MOUNTED", "FS_UNMOUNTED"],
        checks: &[Check::Unmounted],
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "removed_in_use",
        words: "removed while in use",
        opens: &[REMOVED],
        closes: &["FS_UNMOUNTED", "BLK_DEVICE_ADDED"],
        checks: &[Check::Unused],
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "no_path",
        words: "no path left",
        opens: &["DM_MPATH_NO_PATH", "DM_MPATH_QUEUE_TIMEOUT"],
        closes: &["DM_MPATH_PATH_REINSTATED", REMOVED],
        checks: &[Check::Gone],
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "array_failed",
        words: "array failed",
        about: About::Array,
        opens: &["MD_ARRAY_FAILED", "DM_MIRROR_FAILED"],
        closes: &["MD_RECOVERY_DONE", "DM_RAID_IN_SYNC", "DM_MIRROR_IN_SYNC", REMOVED],
        checks: &[Check::Gone, Check::Whole],
        ..Row::USUAL
    },
    Row {
        name: "pool_failed",
        words: "thin pool failed",
        opens: &["DM_THIN_POOL_FAILED", "DM_THIN_POOL_READ_ONLY"],
        closes: &["DM_THIN_POOL_WRITABLE", REMOVED],
        checks: &[Check::Gone],
        ..Row::USUAL
    },
    Row {
        name: "pool_full",
        words: "thin pool full",
        opens: &["DM_THIN_POOL_OUT_OF_DATA"],
        closes: &["DM_THIN_POOL_WRITABLE", REMOVED],
        checks: &[Check::Gone],
        ..Row::USUAL
    },
    Row {
        name: "filesystem_corrupt",
        words: "filesystem has errors",
        opens: &["FS_ERROR", "FS_CHECKSUM_ERROR"],
        closes: &[],
        checks: &[Check::CleanMount, Check::Gone],
        from: Severity::Error,
        ..Row::USUAL
    },
    Row {
        name: "data_corrupt",
        words: "data corrupt",
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
        ..Row::USUAL
    },
    Row {
        name: "data_lost",
        words: "written data lost",
        opens: &["FS_DATA_LOST"],
        closes: &[REMOVED],
        checks: &[Check::CleanMount, Check::Gone],
        from: Severity::Error,
        ..Row::USUAL
    },
    Row {
        name: "device_offline",
        words: "device offline",
        opens: &[
            "SCSI_DEVICE_OFFLINED",
            "SCSI_MEDIUM_ACCESS_TIMEOUT_OFFLINEING_DISK",
            "BLK_DEVICE_OFFLINE",
            "ATA_DEVICE_DISABLED",
            "NVME_CONTROLLER_FAILED",
        ],
        closes: &["DM_MPATH_PATH_REINSTATED", "NVME_PATH_RECOVERED", "NVME_CONTROLLER_RECOVERED", REMOVED],
        checks: &[Check::Gone, Check::Running],
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "path_down",
        words: "path down",
        about: About::Path,
        opens: &["DM_MPATH_PATH_FAILED", "DM_MPATH_NO_PATH", "MULTIPATHD_PATH_DOWN"],
        closes: &["DM_MPATH_PATH_REINSTATED", "MULTIPATHD_PATH_UP", REMOVED],
        checks: &[Check::Gone, Check::NoMap],
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "nvme_path_down",
        words: "path down",
        about: About::Controller,
        opens: &["NVME_PATH_FAILED"],
        closes: &["NVME_PATH_RECOVERED", "NVME_CONTROLLER_RECOVERED", REMOVED],
        checks: &[Check::LinkUp],
        lasts: Lasts::Boot,
        ..Row::USUAL
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
        ..Row::USUAL
    },
    Row {
        name: "copies_differ",
        words: "members do not agree",
        about: About::Array,
        opens: &["MD_MISMATCH"],
        closes: &["MD_CHECK_DONE", REMOVED],
        checks: &[Check::Gone],
        ..Row::USUAL
    },
    Row {
        name: "pool_low",
        words: "thin pool low",
        opens: &["DM_THIN_POOL_LOW_WATER", "SCSI_THIN_SOFT_THRESHOLD", "DM_SPACE_LOW"],
        closes: &["DM_SPACE_AVAILABLE", "DM_THIN_POOL_WRITABLE", "BLK_CAPACITY_CHANGED", REMOVED],
        checks: &[Check::Gone],
        ..Row::USUAL
    },
    Row {
        name: "degraded_mapping",
        words: "pool, snapshot or cache failed",
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
        ..Row::USUAL
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
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "failure_predicted",
        words: "failure predicted",
        opens: &["SMART_DISK_FAIL", "SMART_ATTRIBUTE_WARNING"],
        closes: &["SMART_DISK_RECOVERED", "BLK_READ_BACK", REMOVED],
        checks: &[Check::Gone],
        ..Row::USUAL
    },
    Row {
        name: "out_of_space",
        words: "out of space",
        opens: &["BLK_NO_SPACE", "BLK_LOST_WRITE", "FS_NO_SPACE"],
        closes: &["DM_THIN_POOL_WRITABLE", REMOVED],
        checks: &[Check::Gone, Check::Space],
        from: Severity::Error,
        ..Row::USUAL
    },
    Row {
        name: "medium_errors",
        words: "medium errors",
        opens: &["BLK_MEDIUM_ERROR", "SCSI_MEDIUM_ERROR", "NVME_MEDIUM_ERROR"],
        closes: &["BLK_READ_BACK", "MD_READ_ERROR_CORRECTED", "SCAN_FINISHED", REMOVED],
        checks: &[Check::Gone],
        from: Severity::Error,
        ..Row::USUAL
    },
    Row {
        name: "found_by_scan",
        words: "a scan found errors",
        opens: &["SCAN_FOUND_BAD", "SCAN_ENDED_WITH_ERRORS"],
        closes: &["SCAN_FINISHED", REMOVED],
        checks: &[Check::Gone],
        ..Row::USUAL
    },
    Row {
        name: "scan_stopped",
        words: "a scan cannot go on",
        opens: &["SCAN_STOPPED"],
        closes: &["SCAN_RESUMED", "SCAN_FINISHED", REMOVED],
        checks: &[Check::Gone],
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "not_answering",
        words: "requests not answered",
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
        ..Row::USUAL
    },
    Row {
        name: "device_failing",
        words: "device failing",
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
        ..Row::USUAL
    },
    Row {
        name: "filesystem_errors",
        words: "filesystem saw I/O errors",
        opens: &["FS_IO_ERROR", "FS_ERROR", "FS_CHECKSUM_ERROR", "FS_DATA_LOST"],
        closes: &["FS_MOUNTED", "FS_UNMOUNTED"],
        checks: &[Check::Unmounted],
        from: Severity::Error,
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "pool_suspended",
        words: "pool suspended",
        about: About::Named,
        opens: &["ZFS_POOL_SUSPENDED"],
        closes: &["ZFS_POOL_ONLINE"],
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "pool_device_faulted",
        words: "pool device faulted",
        opens: &["ZFS_VDEV_FAULTED"],
        closes: &["ZFS_VDEV_ONLINE"],
        ..Row::USUAL
    },
    Row {
        name: "adapter_failed",
        words: "adapter failed",
        about: About::Named,
        opens: &["SCSI_HOST_ADAPTER_FAILED", "SCSI_HOST_ADAPTER_RESET", "USB_HOST_CONTROLLER_FAILED"],
        closes: &["SCSI_HOST_ADAPTER_RECOVERED"],
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "pcie_error",
        words: "PCIe error",
        about: About::Named,
        opens: &["PCIE_UNCORRECTED_ERROR", "PCIE_RECOVERY_FAILED", "PCIE_LINK_DOWN"],
        closes: &["PCIE_RECOVERED", "PCIE_LINK_UP"],
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "server_unreachable",
        words: "server not responding",
        about: About::Named,
        opens: &["NFS_SERVER_NOT_RESPONDING", "CIFS_SERVER_NOT_RESPONDING", "CEPH_CONNECTION_LOST"],
        closes: &["NFS_SERVER_OK", "CEPH_CONNECTION_RESTORED"],
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "replication_broken",
        words: "replication broken",
        opens: &["DRBD_STATE_CHANGED"],
        closes: &["DRBD_CONNECTED", "DRBD_UP_TO_DATE", REMOVED],
        checks: &[Check::Gone],
        ..Row::USUAL
    },
    Row {
        name: "brick_down",
        words: "brick down",
        about: About::Named,
        opens: &["GLUSTER_BRICK_DOWN"],
        closes: &["GLUSTER_BRICK_UP"],
        ..Row::USUAL
    },
    Row {
        name: "volume_quorum_lost",
        words: "no quorum",
        about: About::Named,
        opens: &["GLUSTER_QUORUM_LOST"],
        closes: &["GLUSTER_QUORUM_MET", "GLUSTER_VOLUME_STOPPED", "GLUSTER_VOLUME_DELETED"],
        ..Row::USUAL
    },
    Row {
        name: "peer_disconnected",
        words: "peer disconnected",
        about: About::Named,
        opens: &["GLUSTER_PEER_DISCONNECTED"],
        closes: &["GLUSTER_PEER_CONNECTED"],
        ..Row::USUAL
    },
    Row {
        name: "heal_pending",
        words: "heal pending",
        about: About::Named,
        opens: &["GLUSTER_HEAL_PENDING"],
        closes: &["GLUSTER_HEALED", "GLUSTER_VOLUME_DELETED"],
        ..Row::USUAL
    },
    Row {
        name: "split_brain",
        words: "split-brain",
        about: About::Named,
        opens: &["GLUSTER_SPLIT_BRAIN"],
        closes: &["GLUSTER_SPLIT_BRAIN_ENDED", "GLUSTER_VOLUME_DELETED"],
        ..Row::USUAL
    },
    Row {
        name: "georep_faulty",
        words: "geo-replication faulty",
        about: About::Named,
        opens: &["GLUSTER_GEOREP_FAULTY"],
        closes: &["GLUSTER_GEOREP_ACTIVE", "GLUSTER_VOLUME_DELETED"],
        ..Row::USUAL
    },
    Row {
        name: "glusterd_down",
        words: "glusterd does not answer",
        about: About::Named,
        opens: &["GLUSTER_DAEMON_DOWN"],
        closes: &["GLUSTER_DAEMON_UP"],
        ..Row::USUAL
    },
    Row {
        name: "kernel_bug",
        words: "kernel bug in storage code",
        about: About::Named,
        opens: &["KERNEL_BUG_IN_STORAGE"],
        closes: &[],
        from: Severity::Error,
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "configuration_rejected",
        words: "configuration rejected",
        about: About::Source,
        opens: &["PERIPETY_CONFIG_REJECTED"],
        closes: &["PERIPETY_CONFIG_RELOADED", "PERIPETY_STARTED"],
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "notification_failed",
        words: "notifications do not arrive",
        about: About::Named,
        opens: &["PERIPETY_NOTIFICATION_FAILED"],
        closes: &["PERIPETY_NOTIFICATION_RESTORED"],
        lasts: Lasts::Boot,
        ..Row::USUAL
    },
    Row {
        name: "events_lost",
        words: "records lost",
        about: About::Source,
        opens: &["PERIPETY_EVENTS_LOST"],
        closes: &[],
        lasts: Lasts::Seconds(600),
        ..Row::USUAL
    },
];
