//! The table of event types, grouped by subsystem.

use std::borrow::Cow;

use super::{EventType, Nature, Severity, TypeInfo};

event_types! {
    BLK_IO_ERROR "block" Error Fault
        "a request failed with no more precise reason (EIO)";
    BLK_MEDIUM_ERROR "block" Error Fault
        "critical medium error (ENODATA) on a device that is not SCSI";
    BLK_TIMEOUT "block" Error Fault
        "timeout error (ETIMEDOUT, ETIME for duration limits)";
    BLK_TARGET_ERROR "block" Error Fault
        "critical target error (EREMOTEIO)";
    BLK_TRANSPORT_ERROR "block" Error Fault
        "recoverable transport error (ENOLINK)";
    BLK_RESERVATION_CONFLICT "block" Error Fault
        "critical nexus / reservation conflict (EBADE)";
    BLK_PROTECTION_ERROR "block" Error Fault
        "protection (integrity metadata) error (EILSEQ)";
    BLK_NO_SPACE "block" Error Fault
        "critical space allocation error (ENOSPC)";
    BLK_RESOURCE_ERROR "block" Warning Fault
        "kernel or device resource error, nonblocking retry, dm internal retry, zone limits";
    BLK_NOT_SUPPORTED "block" Info News
        "operation not supported (EOPNOTSUPP): a probe for a feature, never a fault";
    BLK_DEVICE_OFFLINE "block" Error Fault
        "request to a dead or offline device (ENODEV)";
    BLK_BUFFER_IO_ERROR "block" Error Fault
        "buffer cache read failed";
    BLK_LOST_WRITE "block" Critical Fault
        "the page cache lost written data ('lost async page write', 'lost sync page write', writeback error)";
    BLK_BEYOND_END "block" Error Fault
        "access beyond end of device";
    BLK_DEVICE_ADDED "block" Info News
        "a block device appeared";
    BLK_DEVICE_REMOVED "block" Notice News
        "a block device went away";
    BLK_CAPACITY_CHANGED "block" Notice News
        "detected capacity change";
    BLK_SLOW_IO "block" Warning Fault
        "a request took longer than the configured limit";
    BLK_READ_ONLY_CHANGED "block" Notice News
        "a block device became read-only, or writable again";
    BLK_DEVICE_MISSING "block" Error Fault
        "a device that the system waited for did not appear";
    BLK_HEALTH "block" Info News
        "the state of a disk when something of it failed: SMART, error counters, link";
    BLK_READ_BACK "block" Notice Clears
        "sectors that had failed were read, or written, with success since";
    SCSI_MEDIUM_ERROR "scsi" Error Fault
        "sense key 3";
    SCSI_HARDWARE_ERROR "scsi" Error Fault
        "sense key 4";
    SCSI_RECOVERED_ERROR "scsi" Warning Fault
        "sense key 1";
    SCSI_NOT_READY "scsi" Error Fault
        "sense key 2";
    SCSI_ILLEGAL_REQUEST "scsi" Info News
        "sense key 5";
    SCSI_UNIT_ATTENTION "scsi" Notice News
        "sense key 6 with no more precise type below";
    SCSI_DATA_PROTECT "scsi" Error Fault
        "sense key 7";
    SCSI_ABORTED_COMMAND "scsi" Warning Fault
        "sense key 0xb";
    SCSI_SENSE_OTHER "scsi" Warning Fault
        "any other sense key (blank check, miscompare, volume overflow …)";
    SCSI_TRANSPORT_ERROR "scsi" Error Fault
        "host byte other than DID_OK and DID_TIME_OUT (DID_NO_CONNECT, DID_BUS_BUSY, DID_TRANSPORT_*, DID_SOFT_ERROR …)";
    SCSI_TIMEOUT "scsi" Error Fault
        "command timed out or was aborted for time";
    SCSI_DEVICE_OFFLINED "scsi" Critical Fault
        "the SCSI layer took the device offline, or rejects I/O to an offline or dead device";
    SCSI_MEDIUM_ACCESS_TIMEOUT_OFFLINEING_DISK "scsi" Critical Fault
        "medium access timeout failure, disk offlined";
    SCSI_ERROR_RECOVERY "scsi" Warning Fault
        "error handler woke up, reset of device, target, bus or host";
    SCSI_RESERVATION_CONFLICT "scsi" Error Fault
        "status byte reservation conflict";
    SCSI_POWER_ON_RESET "scsi" Notice News
        "power on or device reset occurred";
    SCSI_LUN_CHANGED "scsi" Notice News
        "LUN assignments or inquiry data have changed";
    SCSI_CAPACITY_CHANGED "scsi" Notice News
        "capacity data has changed";
    SCSI_ALUA_STATE_CHANGED "scsi" Notice News
        "asymmetric access state changed";
    SCSI_THIN_SOFT_THRESHOLD "scsi" Warning Fault
        "the LUN reached its thin provisioning soft threshold";
    SCSI_SPINNING_UP_DISK "scsi" Info News
        "the disk is spinning up";
    SCSI_UNALIGNED_PARTIAL_COMPLETION "scsi" Warning Fault
        "a command completed part of an unaligned transfer";
    SCSI_HOST_ADAPTER_RESET "scsi" Error Fault
        "a host adapter stopped answering or reported a firmware fault, and was or is being reset";
    SCSI_HOST_ADAPTER_FAILED "scsi" Critical Fault
        "a host adapter was given up: its reset failed, or it is dead or offline";
    SCSI_HOST_ADAPTER_RECOVERED "scsi" Notice Clears
        "the reset of a host adapter succeeded";
    ATA_COMMAND_ERROR "ata" Error Fault
        "failed command with a device error (media error, ABRT, IDNF …)";
    ATA_LINK_ERROR "ata" Warning Fault
        "SError or ICRC: cable, backplane, PHY";
    ATA_LINK_RESET "ata" Warning Fault
        "hard or soft resetting link";
    ATA_LINK_DOWN "ata" Error Fault
        "SATA link down";
    ATA_LINK_UP "ata" Notice Clears
        "SATA link up";
    ATA_SPEED_LIMITED "ata" Warning Fault
        "limiting SATA link speed, NCQ disabled";
    ATA_TIMEOUT "ata" Error Fault
        "qc timeout, frozen port";
    ATA_DEVICE_DISABLED "ata" Critical Fault
        "reset failed and gave up, device disabled";
    NVME_IO_ERROR "nvme" Error Fault
        "a command failed; status, DNR and LBA are in `facts.nvme`";
    NVME_MEDIUM_ERROR "nvme" Error Fault
        "status code type 2 (media and data integrity)";
    NVME_TIMEOUT "nvme" Error Fault
        "I/O timeout (abort, completion polled, reset)";
    NVME_CONTROLLER_RESET "nvme" Warning Fault
        "controller is down and will reset, or was reset";
    NVME_CONTROLLER_FAILED "nvme" Critical Fault
        "reset failed, controller disabled or removed";
    NVME_PATH_FAILED "nvme" Error Fault
        "a path of a multipath namespace failed over, or no usable path";
    NVME_PATH_RECOVERED "nvme" Notice Clears
        "reconnected";
    NVME_CONTROLLER_RECOVERED "nvme" Notice Clears
        "a controller works again after a reset";
    NVME_ASYNC_EVENT "nvme" Warning Fault
        "asynchronous event (critical warning, persistent internal error …)";
    DM_MPATH_PATH_FAILED "multipath" Error Fault
        "a path of a multipath map failed";
    DM_MPATH_PATH_REINSTATED "multipath" Notice Clears
        "a path of a multipath map works again";
    DM_MPATH_NO_PATH "multipath" Critical Fault
        "the last path failed";
    DM_MPATH_QUEUE_TIMEOUT "multipath" Critical Fault
        "queue_if_no_path timeout, failing queued I/O";
    MULTIPATHD_PATH_DOWN "multipath" Warning Fault
        "multipathd says that a path is down";
    MULTIPATHD_PATH_UP "multipath" Notice Clears
        "multipathd says that a path is up";
    MULTIPATHD_MAP_EVENT "multipath" Notice News
        "multipathd says something else about a map";
    DM_DIRTY_LOG_READ_FAILED "dm-dirty-log" Error Fault
        "the dirty region log cannot be read";
    DM_DIRTY_LOG_WRITE_FAILED "dm-dirty-log" Error Fault
        "the dirty region log cannot be written";
    DM_MIRROR_LEG_FAILED "dm-mirror" Error Fault
        "a leg failed a write or a flush (D, F or U in the status; the letter is `facts.dm.leg`): it is out of sync";
    DM_MIRROR_LEG_OUT_OF_SYNC "dm-mirror" Error Fault
        "a leg could not be brought in sync (S in the status)";
    DM_MIRROR_READ_FAILED "dm-mirror" Warning Fault
        "a leg failed a read (R in the status) that another one served: no data is affected";
    DM_MIRROR_FAILED "dm-mirror" Critical Fault
        "all sides failed";
    DM_MIRROR_IN_SYNC "dm-mirror" Notice Clears
        "a mirror is in sync again";
    DM_RAID_LEG_FAILED "dm-raid" Error Fault
        "a leg of a dm-raid array failed";
    DM_RAID_IN_SYNC "dm-raid" Notice Clears
        "a dm-raid array is in sync again";
    DM_RESYNC_STARTED "dm" Notice News
        "a mirror or a dm-raid array is being brought in sync; how far it was stands in `facts.dm.percent`";
    DM_THIN_POOL_LOW_WATER "dm-thin" Warning Fault
        "reached the low water mark for data or metadata, or is 80 % full and each 5 % more";
    DM_THIN_POOL_OUT_OF_DATA "dm-thin" Critical Fault
        "switched to out-of-data-space mode, no free data space";
    DM_THIN_POOL_READ_ONLY "dm-thin" Critical Fault
        "a thin pool switched to read-only mode";
    DM_THIN_POOL_FAILED "dm-thin" Critical Fault
        "fail mode, metadata operation failed";
    DM_THIN_POOL_WRITABLE "dm-thin" Notice Clears
        "switched to write mode";
    DM_CACHE_MODE_CHANGED "dm-cache" Critical Fault
        "read-only, fail or passthrough mode";
    DM_SNAPSHOT_INVALID "dm-snapshot" Critical Fault
        "a snapshot was invalidated: it is full or its store failed";
    DM_INTEGRITY_CHECKSUM_FAILED "dm-integrity" Critical Fault
        "data does not match its dm-integrity checksum";
    DM_VERITY_CORRUPTION "dm-verity" Critical Fault
        "a block does not match its dm-verity hash";
    DM_CRYPT_INTEGRITY_ERROR "dm-crypt" Critical Fault
        "authenticated encryption found altered data";
    DM_ERROR "dm" Error Fault
        "any other device-mapper failure";
    DM_SPACE_LOW "dm" Warning Fault
        "a snapshot or a VDO pool is filling up";
    DM_SPACE_AVAILABLE "dm" Notice Clears
        "a pool or a snapshot is less than 80 % full again";
    DM_METADATA_NEEDS_CHECK "dm" Critical Fault
        "the metadata of a pool or cache have to be checked before they are written again (needs_check)";
    DM_WRITECACHE_FAILED "dm-writecache" Critical Fault
        "a writecache failed: what it did not write back is at risk";
    DM_VDO_READ_ONLY "dm-vdo" Critical Fault
        "a VDO volume went read-only";
    MD_DISK_FAILED "md" Error Fault
        "disk failure, disabling device";
    MD_ARRAY_DEGRADED "md" Error Fault
        "an array lacks members, and no line said why";
    MD_ARRAY_FAILED "md" Critical Fault
        "no more redundancy left, cannot continue";
    MD_READ_ERROR_CORRECTED "md" Warning Fault
        "a read error was corrected from redundancy";
    MD_READ_REDIRECTED "md" Warning Fault
        "a read that failed on one member was sent to another";
    MD_READ_ERROR "md" Error Fault
        "read error that redundancy could not or did not correct";
    MD_RECOVERY_STARTED "md" Notice News
        "resync, recovery, check or reshape started";
    MD_RECOVERY_DONE "md" Notice Clears
        "resync, recovery, check or reshape is done";
    MD_MISMATCH "md" Warning Fault
        "a check found that members of an array do not agree";
    MD_CHECK_DONE "md" Notice Clears
        "a check read all members of an array, and they agree";
    MD_MEMBER_REJECTED "md" Warning Fault
        "kicking non-fresh, bad superblock";
    FS_MOUNTED "fs" Info News
        "a filesystem was mounted";
    FS_UNMOUNTED "fs" Info News
        "a filesystem was unmounted";
    FS_IO_ERROR "fs" Error Fault
        "the filesystem saw an I/O error below it";
    FS_ERROR "fs" Error Fault
        "the filesystem found itself inconsistent";
    FS_CHECKSUM_ERROR "fs" Error Fault
        "data or metadata checksum mismatch";
    FS_READ_ERROR_CORRECTED "fs" Warning Fault
        "repaired from another copy";
    FS_DATA_LOST "fs" Critical Fault
        "the filesystem says that written data is lost";
    FS_JOURNAL_ABORTED "fs" Critical Fault
        "the journal was aborted: no further change reaches the disk";
    FS_REMOUNT_READ_ONLY "fs" Critical Fault
        "remounted or forced read-only";
    FS_SHUTDOWN "fs" Critical Fault
        "the filesystem shut itself down";
    FS_PANIC "fs" Emergency Fault
        "the kernel panics because of a filesystem error";
    FS_WARNING "fs" Warning Fault
        "any other warning of a filesystem";
    FS_MOUNT_FAILED "fs" Error Fault
        "a filesystem could not be mounted";
    FS_NOT_CLEAN "fs" Warning Fault
        "a filesystem was not cleanly unmounted; it may be refused, or needs a check";
    FS_NO_SPACE "fs" Error Fault
        "a filesystem ran out of space";
    NFS_SERVER_NOT_RESPONDING "nfs" Error Fault
        "an NFS server does not respond, or timed out";
    NFS_SERVER_OK "nfs" Notice Clears
        "an NFS server responds again";
    NFS_ERROR "nfs" Error Fault
        "the NFS client could not recover state, or the server refused it";
    CIFS_SERVER_NOT_RESPONDING "cifs" Error Fault
        "an SMB server does not respond";
    CIFS_ERROR "cifs" Error Fault
        "an SMB session or request failed";
    CEPH_CONNECTION_LOST "ceph" Error Fault
        "the connection to a Ceph monitor, OSD or metadata server is lost";
    CEPH_CONNECTION_RESTORED "ceph" Notice Clears
        "the connection to a Ceph monitor, OSD or metadata server works again";
    CEPH_ERROR "ceph" Error Fault
        "the Ceph client was evicted, or failed a request";
    ZFS_POOL_SUSPENDED "zfs" Critical Fault
        "a pool was suspended after an uncorrectable I/O failure: all writes to it wait";
    ZFS_POOL_ONLINE "zfs" Notice Clears
        "a pool works again";
    ZFS_VDEV_FAULTED "zfs" Error Fault
        "a device of a pool is faulted, degraded, removed or cannot be opened";
    ZFS_VDEV_ONLINE "zfs" Notice Clears
        "a device of a pool is online again, or its resilver is done";
    ZFS_IO_ERROR "zfs" Error Fault
        "an I/O of a pool failed on a device";
    ZFS_CHECKSUM_ERROR "zfs" Error Fault
        "a block of a pool does not match its checksum";
    ZFS_DATA_ERROR "zfs" Critical Fault
        "data of a pool is damaged and no copy of it is good";
    GLUSTER_BRICK_DOWN "gluster" Critical Fault
        "a brick of a GlusterFS volume failed its health check or lost its process";
    GLUSTER_BRICK_UP "gluster" Notice Clears
        "a brick of a GlusterFS volume serves again";
    GLUSTER_QUORUM_LOST "gluster" Critical Fault
        "of the bricks with the same data of a GlusterFS volume, or of its servers, fewer are up than writes need";
    GLUSTER_QUORUM_MET "gluster" Notice Clears
        "enough bricks or servers of a GlusterFS volume are up again";
    GLUSTER_PEER_DISCONNECTED "gluster" Error Fault
        "glusterd lost the connection to another node of its cluster";
    GLUSTER_PEER_CONNECTED "gluster" Notice Clears
        "glusterd is connected to the other node again";
    GLUSTER_HEAL_PENDING "gluster" Warning Fault
        "files of a GlusterFS volume differ between its bricks and wait for heal";
    GLUSTER_HEALED "gluster" Notice Clears
        "no file of a GlusterFS volume waits for heal any more";
    GLUSTER_SPLIT_BRAIN "gluster" Critical Fault
        "files of a GlusterFS volume differ between its bricks and none is known to be right: they cannot be read";
    GLUSTER_SPLIT_BRAIN_ENDED "gluster" Notice Clears
        "no file of a GlusterFS volume is in split-brain any more";
    GLUSTER_GEOREP_FAULTY "gluster" Error Fault
        "a worker of GlusterFS' geo-replication stopped working";
    GLUSTER_GEOREP_ACTIVE "gluster" Notice Clears
        "the worker of GlusterFS' geo-replication works again";
    GLUSTER_REBALANCE_FAILED "gluster" Error Fault
        "the rebalance of a GlusterFS volume failed";
    GLUSTER_BAD_FILE "gluster" Error Fault
        "the content of a file on a brick is not what was written";
    GLUSTER_SPACE_LOW "gluster" Warning Fault
        "a brick, a quota or the snapshots of a GlusterFS volume are nearly full";
    GLUSTER_DAEMON_DOWN "gluster" Error Fault
        "glusterd of this node does not answer";
    GLUSTER_DAEMON_UP "gluster" Notice Clears
        "glusterd of this node answers again";
    GLUSTER_VOLUME_CREATED "gluster" Info News
        "a GlusterFS volume was made";
    GLUSTER_VOLUME_STARTED "gluster" Info News
        "a GlusterFS volume was started";
    GLUSTER_VOLUME_STOPPED "gluster" Notice News
        "a GlusterFS volume was stopped by a person";
    GLUSTER_VOLUME_DELETED "gluster" Notice News
        "a GlusterFS volume was deleted";
    GLUSTER_VOLUME_CHANGED "gluster" Info News
        "an option, a brick, the snapshots or the layout of a GlusterFS volume, or a peer of the cluster, changed";
    ISCSI_CONNECTION_ERROR "iscsi" Error Fault
        "detected conn error, ping timeout, digest error";
    ISCSI_SESSION_TIMEOUT "iscsi" Critical Fault
        "session recovery timed out";
    ISCSI_SESSION_RECOVERED "iscsi" Notice Clears
        "the session works again";
    FC_PORT_LOST "fc" Error Fault
        "remote port timed out, blocked or removed";
    FC_LINK_DOWN "fc" Error Fault
        "the link of a host port is down";
    FC_LINK_UP "fc" Notice Clears
        "the link of a host port is up";
    SMART_DISK_FAIL "smart" Critical Fault
        "the disk predicts its own failure";
    SMART_ATTRIBUTE_WARNING "smart" Warning Fault
        "an attribute, a self-test, a sector count or the temperature gives reason to worry";
    SMART_DISK_RECOVERED "smart" Notice Clears
        "what SMART warned of is over";
    USB_STORAGE_ERROR "usb" Error Fault
        "USB storage: reset, timeout or failed command";
    USB_HOST_CONTROLLER_FAILED "usb" Critical Fault
        "a USB host controller died: everything behind it is gone";
    USB_DISCONNECTED "usb" Warning Fault
        "a USB storage device was disconnected";
    PCIE_CORRECTED_ERROR "pcie" Warning Fault
        "PCIe errors that the link corrected, of a storage function or a port above one";
    PCIE_UNCORRECTED_ERROR "pcie" Error Fault
        "a PCIe error that was not corrected";
    PCIE_RECOVERED "pcie" Notice Clears
        "recovery of a PCIe device from an error succeeded";
    PCIE_RECOVERY_FAILED "pcie" Critical Fault
        "recovery of a PCIe device from an error failed";
    PCIE_LINK_DOWN "pcie" Error Fault
        "the link of a PCIe slot went down, or its card is gone";
    PCIE_LINK_UP "pcie" Notice Clears
        "the link of a PCIe slot is up";
    IOMMU_FAULT "iommu" Error Fault
        "the IOMMU refused a DMA access of a device";
    TASK_BLOCKED "task" Warning Fault
        "a task has waited for storage for longer than the hung task limit";
    KERNEL_BUG_IN_STORAGE "kernel" Critical Fault
        "the kernel hit a bug in storage code (BUG, Oops, general protection fault; a WARNING with severity warning)";
    MMC_ERROR "mmc" Error Fault
        "MMC: reset, timeout or failed command";
    UFS_ERROR "ufs" Error Fault
        "UFS: reset, timeout or failed command";
    LOOP_ERROR "loop" Error Fault
        "a loop device failed to reach its backing file";
    NBD_CONNECTION_LOST "nbd" Error Fault
        "the connection of a network block device is lost";
    NBD_ERROR "nbd" Error Fault
        "a network block device reports an error";
    ZRAM_ERROR "zram" Error Fault
        "zram failed to compress or decompress a page";
    BCACHE_ERROR "bcache" Error Fault
        "bcache saw an I/O error";
    BCACHE_DEVICE_DISABLED "bcache" Error Fault
        "bcache disabled a device or its caching";
    RBD_ERROR "rbd" Error Fault
        "a RADOS block device reports an error";
    DRBD_STATE_CHANGED "drbd" Error Fault
        "a DRBD resource changed its state";
    DRBD_CONNECTED "drbd" Notice Clears
        "a DRBD resource is connected to its peer again";
    DRBD_UP_TO_DATE "drbd" Notice Clears
        "a disk of a DRBD resource is up to date again";
    SWAP_IO_ERROR "swap" Critical Fault
        "read or write error on a swap device";
    SCAN_FINISHED "scan" Info Clears
        "a pass of peripety-scan over a device ended: all of it can be read, or was mended from a copy";
    SCAN_ENDED_WITH_ERRORS "scan" Warning Fault
        "a pass of peripety-scan over a device ended: not all can be read, or copies differ";
    SCAN_FOUND_BAD "scan" Error Fault
        "peripety-scan cannot read some sectors that nobody had asked for";
    SCAN_STOPPED "scan" Warning Fault
        "a scan of a device cannot go on: it does not answer, or what the scan asks for is refused";
    SCAN_RESUMED "scan" Notice Clears
        "a scan of a device that could not go on goes on";
    PERIPETY_BLK_INFO "peripety" Info News
        "one per block device at start, where configured";
    PERIPETY_EVENTS_LOST "peripety" Warning Fault
        "records known to be lost: where (printk ratelimit, kmsg overwrite, ring buffer, queue, journald), how many, when";
    PERIPETY_STARTED "peripety" Info News
        "the daemon started";
    PERIPETY_STOPPED "peripety" Info News
        "the daemon stopped";
    PERIPETY_RESOLVED "peripety" Notice News
        "a person says that a fault is over: who, and why, stand in `facts.daemon`";
    PERIPETY_ACKNOWLEDGED "peripety" Notice News
        "a person knows of a fault: who, when and why stand in `facts.daemon`";
    PERIPETY_CONFIG_RELOADED "peripety" Info News
        "a changed configuration is in force";
    PERIPETY_CONFIG_REJECTED "peripety" Error Fault
        "a changed configuration was refused; the old one stays in force";
    PERIPETY_NOTIFICATION_FAILED "peripety" Warning Fault
        "a receiver of notifications takes none for a while, or refuses one: which and why stand in the message";
    PERIPETY_NOTIFICATION_RESTORED "peripety" Notice Clears
        "a receiver of notifications takes them again";
}
