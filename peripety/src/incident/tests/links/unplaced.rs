//! What the rules for events without a place link, and what they do not.

use super::*;

fn usb() -> Event {
    event("USB_STORAGE_ERROR", "2-1.4", 0)
}

/// For each rule the two events that it links, and two that are alike and that nothing links.
pub(super) fn cases() -> Vec<Case> {
    vec![
        (
            "only-device-before-unnamed-filesystem",
            vec![event("NBD_ERROR", "nbd0", 0), event("FS_IO_ERROR", "", 200)],
            vec![event("NBD_ERROR", "nbd0", 0), event("FS_IO_ERROR", "", 60_000)],
        ),
        (
            "devices-of-cache-set",
            vec![event("BCACHE_ERROR", "nvme0n1p6", 0), event("FS_SHUTDOWN", "bcache3", 300)],
            vec![event("BCACHE_ERROR", "nvme0n1p6", 0), event("FS_SHUTDOWN", "sdc1", 300)],
        ),
        (
            "link-partners",
            vec![
                with(event("PCIE_CORRECTED_ERROR", "0000:00:1b.4", 0), "pci.driver", "pcieport"),
                with(event("PCIE_CORRECTED_ERROR", "0000:02:00.0", 500), "pci.driver", "nvme"),
            ],
            vec![
                with(event("PCIE_CORRECTED_ERROR", "0000:00:1b.4", 0), "pci.driver", "pcieport"),
                with(event("PCIE_CORRECTED_ERROR", "0000:02:00.0", 60_000), "pci.driver", "nvme"),
            ],
        ),
        (
            "port-of-unknown-disk",
            vec![usb(), with(transport("sdb", 30_000), "scsi.hctl", "0:0:0:0")],
            vec![
                usb(),
                placed(transport("sdb", 30_000), "0:0:0:0", Some(Transport::Usb { port: "3-1".into() })),
            ],
        ),
        (
            "link-of-drive",
            vec![event("PCIE_LINK_DOWN", "0000:05:01.0", 0), event("NVME_CONTROLLER_FAILED", "nvme2", 300)],
            vec![
                event("PCIE_LINK_DOWN", "0000:05:01.0", 0),
                event("NVME_CONTROLLER_FAILED", "nvme2", 60_000),
            ],
        ),
        (
            "pool-by-another-name",
            vec![
                event("DM_THIN_POOL_LOW_WATER", "dm-4", 0),
                event("DM_THIN_POOL_LOW_WATER", "/dev/mapper/vg0-pool-tpool", 900),
            ],
            vec![event("DM_THIN_POOL_LOW_WATER", "dm-4", 0), event("DM_THIN_POOL_LOW_WATER", "dm-5", 900)],
        ),
        (
            "pool-of-unknown-volume",
            vec![event("DM_THIN_POOL_OUT_OF_DATA", "dm-4", 0), event("FS_JOURNAL_ABORTED", "dm-7", 300)],
            vec![event("DM_THIN_POOL_OUT_OF_DATA", "dm-4", 0), event("FS_JOURNAL_ABORTED", "sda1", 300)],
        ),
        (
            "server-of-block-device",
            vec![event("CEPH_CONNECTION_LOST", "osd4", 0), event("RBD_ERROR", "rbd0", 60_000)],
            vec![event("CEPH_CONNECTION_LOST", "osd4", 0), event("BLK_IO_ERROR", "sda", 60_000)],
        ),
        (
            "command-of-unknown-disk",
            vec![
                event("SCSI_TRANSPORT_ERROR", "", 0),
                with(event("SCSI_DEVICE_OFFLINED", "sdb", 25_000), "scsi.hctl", "1:0:0:0"),
            ],
            vec![
                event("SCSI_TRANSPORT_ERROR", "mpt2sas1", 0),
                with(
                    with(event("SCSI_ERROR_RECOVERY", "7:0:14:0", 25_000), "scsi.hctl", "7:0:14:0"),
                    "adapter.name",
                    "mpt2sas3",
                ),
            ],
        ),
        (
            "member-of-unnamed-array",
            vec![
                stacked(event("DM_RAID_LEG_FAILED", "dm-1", 0), &["sda"], &["dm-4"], &[]),
                event("MD_DISK_FAILED", "mdX", 22_000),
            ],
            vec![
                stacked(event("DM_RAID_LEG_FAILED", "dm-1", 0), &["sda"], &["dm-4"], &[]),
                event("MD_DISK_FAILED", "md3", 22_000),
            ],
        ),
        (
            "mount-of-missing-device",
            vec![
                event("BLK_DEVICE_MISSING", "mmcblk0p1", 0),
                with(event("FS_MOUNT_FAILED", "", 300), "fs.path", "/boot"),
            ],
            vec![
                event("BLK_DEVICE_MISSING", "mmcblk0p1", 0),
                with(event("FS_MOUNT_FAILED", "", 30_000), "fs.path", "/boot"),
            ],
        ),
        (
            "only-path-at-the-time",
            vec![event("DM_MPATH_PATH_FAILED", "sda", 0), event("DM_MPATH_NO_PATH", "dm-0", 5)],
            vec![
                event("DM_MPATH_PATH_FAILED", "sda", 0),
                event("DM_MPATH_PATH_FAILED", "sdb", 3),
                event("DM_MPATH_NO_PATH", "dm-0", 5),
            ],
        ),
        (
            "only-failure-at-the-time",
            vec![event("SCSI_TIMEOUT", "sda", 0), event("TASK_BLOCKED", "", 122_000)],
            vec![
                event("SCSI_TIMEOUT", "sda", 0),
                event("SCSI_TIMEOUT", "sdb", 60_000),
                event("TASK_BLOCKED", "", 122_000),
            ],
        ),
        (
            "same-failure-unnamed",
            vec![event("CIFS_ERROR", "", 0), event("CIFS_ERROR", "", 700_000)],
            vec![event("CIFS_ERROR", "", 0), event("FS_SHUTDOWN", "", 700_000)],
        ),
        (
            "only-server-of-the-moment",
            vec![event("CIFS_ERROR", "10.0.0.7", 0), event("CIFS_ERROR", "", 5)],
            vec![event("CIFS_ERROR", "10.0.0.7", 0), event("NFS_ERROR", "", 5)],
        ),
        (
            "only-device-of-the-moment",
            vec![event("SCSI_SENSE_OTHER", "2:0:1:0", 0), medium("sdb", 8, 5)],
            vec![event("SCSI_SENSE_OTHER", "2:0:1:0", 0), medium("sdb", 8, 60_000)],
        ),
        (
            "only-filesystem-of-the-moment",
            vec![event("FS_PANIC", "", 0), event("FS_ERROR", "dm-5", 5)],
            vec![event("FS_PANIC", "", 0), event("FS_ERROR", "dm-5", 60_000)],
        ),
        (
            "only-failure-of-the-moment",
            vec![event("DM_VERITY_CORRUPTION", "179:8", 0), event("FS_IO_ERROR", "", 4)],
            vec![event("DM_VERITY_CORRUPTION", "179:8", 0), event("FS_IO_ERROR", "", 60_000)],
        ),
        (
            "server-of-block-device",
            vec![event("LOOP_ERROR", "", 0), event("BLK_IO_ERROR", "loop1", 900)],
            vec![event("LOOP_ERROR", "", 0), event("BLK_IO_ERROR", "sda", 900)],
        ),
        (
            "only-filesystem-of-the-moment",
            vec![event("FS_NO_SPACE", "dm-5", 0), io(event("FS_JOURNAL_ABORTED", "", 5), Op::Write, 8, 28)],
            vec![
                event("FS_NO_SPACE", "dm-5", 0),
                io(event("FS_JOURNAL_ABORTED", "", 60_000), Op::Write, 8, 28),
            ],
        ),
        (
            "command-of-unknown-disk",
            vec![event("ATA_COMMAND_ERROR", "ata2", 0), event("SCSI_ABORTED_COMMAND", "sdb", 900)],
            vec![
                event("ATA_COMMAND_ERROR", "ata2", 0),
                placed(
                    event("SCSI_ABORTED_COMMAND", "sdb", 900),
                    "4:0:0:0",
                    Some(Transport::Sata { port: "ata5".into(), speed: String::new() }),
                ),
            ],
        ),
        (
            "only-failure-at-the-time",
            vec![event("SCSI_TIMEOUT", "sda", 0), event("TASK_BLOCKED", "dm-0", 122_000)],
            vec![event("SCSI_TIMEOUT", "sda", 0), event("TASK_BLOCKED", "nvme0n1", 122_000)],
        ),
    ]
}
