//! What the rules for placed devices link, and what they do not.

use super::*;

/// For each rule the two events that it links, and two that are alike and that nothing links.
pub(super) fn cases() -> Vec<Case> {
    let map = |at| stacked(event("DM_MPATH_NO_PATH", "dm-0", at), &["sda", "sdb"], &[], &[]);
    let path = |name: &str, at| stacked(event("DM_MPATH_PATH_FAILED", name, at), &[], &["dm-0"], &[]);
    let day = 24 * 3600 * 1000;
    let adapter = |host, at| with(event("SCSI_ERROR_RECOVERY", "", at), "adapter.host", host);
    let offlined = |name: &str, at: &str, ms| with(event("SCSI_DEVICE_OFFLINED", name, ms), "scsi.hctl", at);
    vec![
        (
            "same-failure-again",
            vec![medium("sda", 8, 0), medium("sda", 8, 6_000)],
            vec![medium("sda", 8, 0), medium("sdb", 8, 6_000)],
        ),
        (
            "last-path",
            vec![path("sda", 0), map(5)],
            vec![stacked(event("DM_MPATH_PATH_FAILED", "sdc", 0), &[], &["dm-9"], &[]), map(5)],
        ),
        (
            "failing-device",
            vec![event("SCSI_TIMEOUT", "sda", 0), medium("sda", 8, 31_000)],
            vec![event("SCSI_TIMEOUT", "sda", 0), medium("sda", 8, day)],
        ),
        (
            "device-that-does-not-answer",
            vec![event("ATA_DEVICE_DISABLED", "sda", 0), transport("sda", 3_600_000)],
            vec![event("ATA_DEVICE_DISABLED", "sda", 0), medium("sda", 8, 3_600_000)],
        ),
        (
            "error-handling-of-the-way",
            vec![
                placed(event("USB_STORAGE_ERROR", "sda", 0), "0:0:0:0", None),
                event("USB_STORAGE_ERROR", "host0", 200),
            ],
            vec![
                placed(event("USB_STORAGE_ERROR", "sda", 0), "0:0:0:0", None),
                event("USB_STORAGE_ERROR", "host1", 200),
            ],
        ),
        (
            "path-of-map",
            vec![transport("sda", 0), path("sda", 20)],
            vec![transport("sda", 0), path("sdb", 20)],
        ),
        (
            "way-to-device",
            vec![
                event("ISCSI_CONNECTION_ERROR", "session3", 0),
                placed(transport("sdd", 9_000), "7:0:0:1", Some(iscsi("session3", "10.0.0.1"))),
            ],
            vec![
                event("ISCSI_CONNECTION_ERROR", "session3", 0),
                placed(medium("sdd", 8, 9_000), "7:0:0:1", Some(iscsi("session3", "10.0.0.1"))),
            ],
        ),
        (
            "member-of-array",
            vec![medium("sda", 8, 0), stacked(event("MD_DISK_FAILED", "md0", 10), &["sda", "sdb"], &[], &[])],
            vec![medium("sdc", 8, 0), stacked(event("MD_DISK_FAILED", "md0", 10), &["sda", "sdb"], &[], &[])],
        ),
        (
            "array-lacks-member",
            vec![
                stacked(event("MD_MEMBER_REJECTED", "sda", 0), &[], &["md0"], &[]),
                stacked(event("MD_DISK_FAILED", "md0", day), &["sda", "sdb"], &[], &[]),
            ],
            vec![
                stacked(event("MD_MEMBER_REJECTED", "sda", 0), &[], &["md0"], &[]),
                stacked(event("MD_READ_ERROR", "md0", day), &["sda", "sdb"], &[], &[]),
            ],
        ),
        (
            "array-of-members",
            vec![
                stacked(event("MD_DISK_FAILED", "sda", 0), &[], &["md0"], &[]),
                stacked(event("MD_ARRAY_FAILED", "md0", 5), &["sda", "sdb"], &[], &[]),
            ],
            vec![
                stacked(event("MD_DISK_FAILED", "sdc", 0), &[], &["md1"], &[]),
                stacked(event("MD_ARRAY_FAILED", "md0", 5), &["sda", "sdb"], &[], &[]),
            ],
        ),
        (
            "repaired-from-copy",
            vec![event("FS_CHECKSUM_ERROR", "sda", 0), event("FS_READ_ERROR_CORRECTED", "sda", 3)],
            vec![event("FS_CHECKSUM_ERROR", "sda", 0), event("FS_READ_ERROR_CORRECTED", "sdb", 3)],
        ),
        (
            "pool-runs-full",
            vec![event("DM_THIN_POOL_LOW_WATER", "dm-3", 0), event("DM_THIN_POOL_OUT_OF_DATA", "dm-3", day)],
            vec![event("DM_THIN_POOL_LOW_WATER", "dm-3", 0), event("DM_THIN_POOL_OUT_OF_DATA", "dm-4", day)],
        ),
        (
            "map-without-path",
            vec![
                map(0),
                stacked(event("FS_JOURNAL_ABORTED", "dm-1", 60_000), &["dm-0", "sda", "sdb"], &[], &["/srv"]),
            ],
            vec![map(0), stacked(event("FS_JOURNAL_ABORTED", "dm-2", 60_000), &["sdc"], &[], &["/srv"])],
        ),
        (
            "stack-above",
            vec![
                event("DM_THIN_POOL_OUT_OF_DATA", "dm-3", 0),
                stacked(io(event("BLK_NO_SPACE", "dm-5", 60_000), Op::Write, 8, 28), &["dm-3"], &[], &[]),
            ],
            vec![
                event("DM_THIN_POOL_OUT_OF_DATA", "dm-3", 0),
                stacked(io(event("BLK_MEDIUM_ERROR", "dm-5", 60_000), Op::Read, 8, 61), &["dm-3"], &[], &[]),
            ],
        ),
        (
            "request-below",
            vec![
                medium("sda", 8, 0),
                stacked(io(event("BLK_IO_ERROR", "dm-0", 1), Op::Read, 8, 5), &["sda"], &[], &[]),
            ],
            vec![
                medium("sda", 8, 0),
                stacked(io(event("BLK_NO_SPACE", "dm-0", 1), Op::Write, 8, 28), &["sda"], &[], &[]),
            ],
        ),
        (
            "filesystem-on-failing-device",
            vec![
                io(event("BLK_IO_ERROR", "vda", 0), Op::Write, 8, 5),
                stacked(event("FS_JOURNAL_ABORTED", "vda1", 60_000), &["vda"], &[], &["/"]),
            ],
            vec![
                io(event("BLK_IO_ERROR", "vdb", 0), Op::Write, 8, 5),
                stacked(event("FS_JOURNAL_ABORTED", "vda1", 60_000), &["vda"], &[], &["/"]),
            ],
        ),
        (
            "filesystem-on-failing-command",
            vec![event("SCSI_MEDIUM_ERROR", "sdb", 0), event("FS_JOURNAL_ABORTED", "sdb1", 300)],
            vec![event("SCSI_MEDIUM_ERROR", "sdb", 0), event("FS_JOURNAL_ABORTED", "sdc1", 300)],
        ),
        (
            "filesystem-below",
            vec![
                event("FS_SHUTDOWN", "loop0", 0),
                stacked(event("FS_REMOUNT_READ_ONLY", "loop1", 3_600_000), &["loop0"], &[], &[]),
            ],
            vec![
                event("FS_SHUTDOWN", "loop0", 0),
                stacked(event("FS_REMOUNT_READ_ONLY", "loop1", 3_600_000), &["loop7"], &[], &[]),
            ],
        ),
        (
            "filesystem-itself",
            vec![event("FS_ERROR", "sda1", 0), event("FS_REMOUNT_READ_ONLY", "sda1", 5)],
            vec![event("FS_ERROR", "sda1", 0), event("FS_REMOUNT_READ_ONLY", "sda2", 5)],
        ),
        (
            "pool-without-space",
            vec![
                stacked(io(event("BLK_NO_SPACE", "dm-3", 0), Op::Write, 8, 28), &["dm-2"], &[], &[]),
                event("DM_THIN_POOL_OUT_OF_DATA", "dm-2", 40),
            ],
            vec![
                stacked(io(event("BLK_NO_SPACE", "dm-3", 0), Op::Write, 8, 28), &["dm-4"], &[], &[]),
                event("DM_THIN_POOL_OUT_OF_DATA", "dm-2", 40),
            ],
        ),
        (
            "full-filesystem",
            vec![event("FS_NO_SPACE", "sda1", 0), io(event("BLK_LOST_WRITE", "sda1", 5), Op::Write, 8, 28)],
            vec![event("FS_NO_SPACE", "sda1", 0), io(event("BLK_LOST_WRITE", "sda2", 5), Op::Write, 8, 28)],
        ),
        (
            "pool-on-failing-device",
            vec![medium("sda", 8, 0), event("ZFS_IO_ERROR", "sda1", 5)],
            vec![medium("sda", 8, 0), stacked(event("ZFS_IO_ERROR", "sdb1", 5), &["sdb"], &[], &[])],
        ),
        (
            "device-of-pool",
            vec![
                with(event("ZFS_VDEV_FAULTED", "sda1", 0), "zfs.pool", "tank"),
                with(event("ZFS_POOL_SUSPENDED", "tank", 5), "zfs.pool", "tank"),
            ],
            vec![
                with(event("ZFS_VDEV_FAULTED", "sda1", 0), "zfs.pool", "tank"),
                stacked(
                    with(event("ZFS_POOL_SUSPENDED", "other", 5), "zfs.pool", "other"),
                    &["sdx"],
                    &[],
                    &[],
                ),
            ],
        ),
        (
            "service-on-filesystem",
            vec![event("FS_SHUTDOWN", "dm-4", 0), event("GLUSTER_BRICK_DOWN", "dm-4", 900)],
            vec![
                event("FS_SHUTDOWN", "dm-4", 0),
                event("FS_SHUTDOWN", "dm-5", 100),
                event("GLUSTER_BRICK_DOWN", "datavol", 900),
            ],
        ),
        (
            "volume-on-brick",
            vec![
                with(gluster("GLUSTER_BRICK_DOWN", "dm-4", "rep", 0), "gluster.brick", "n1:/b"),
                gluster("GLUSTER_HEAL_PENDING", "rep", "rep", 900),
            ],
            vec![
                with(gluster("GLUSTER_BRICK_DOWN", "dm-4", "rep", 0), "gluster.brick", "n1:/b"),
                gluster("GLUSTER_HEAL_PENDING", "dist", "dist", 900),
            ],
        ),
        (
            "task-waits-for-device",
            vec![event("NVME_PATH_FAILED", "nvme1", 0), event("TASK_BLOCKED", "nvme1n1", 122_000)],
            vec![
                event("NVME_PATH_FAILED", "nvme1", 0),
                stacked(event("TASK_BLOCKED", "nvme2n1", 122_000), &["nvme2"], &[], &[]),
            ],
        ),
        (
            "found-by-scan",
            vec![medium("sda", 8, 0), event("SCAN_FOUND_BAD", "sda", 900)],
            vec![medium("sda", 8, 0), event("SCAN_FOUND_BAD", "sdb", 900)],
        ),
        (
            "failure-was-predicted",
            vec![event("SMART_DISK_FAIL", "sda", 0), medium("sda", 8, day)],
            vec![event("SMART_DISK_FAIL", "sda", 0), transport("sda", day)],
        ),
        (
            "disk-counts-its-errors",
            vec![medium("sda", 8, 0), event("SMART_ATTRIBUTE_WARNING", "sda", 400_000)],
            vec![medium("sda", 8, 0), event("SMART_ATTRIBUTE_WARNING", "sdb", 400_000)],
        ),
        (
            "bad-medium-makes-wait",
            vec![medium("sda", 8, 0), event("SCSI_ERROR_RECOVERY", "sda", 635_000)],
            vec![medium("sdb", 8, 0), event("SCSI_ERROR_RECOVERY", "sda", 635_000)],
        ),
        (
            "adapter-itself",
            vec![
                event("SCSI_HOST_ADAPTER_RESET", "mpt3sas_cm0", 0),
                event("SCSI_TRANSPORT_ERROR", "mpt3sas_cm0", 5_000),
            ],
            vec![
                event("SCSI_HOST_ADAPTER_RESET", "mpt3sas_cm0", 0),
                event("SCSI_TRANSPORT_ERROR", "mpt3sas_cm1", 5_000),
            ],
        ),
        (
            "host-of-card",
            vec![
                event("MMC_ERROR", "mmc0", 0),
                io(event("BLK_IO_ERROR", "mmcblk0p2", 200), Op::Write, 4096, 5),
            ],
            vec![
                event("MMC_ERROR", "mmc1", 0),
                io(event("BLK_IO_ERROR", "mmcblk0", 200), Op::Write, 4096, 5),
            ],
        ),
        (
            "failing-after-repairs",
            vec![event("MD_READ_ERROR_CORRECTED", "sdc1", 0), event("MD_DISK_FAILED", "sdc1", 82_000)],
            vec![event("MD_READ_ERROR_CORRECTED", "sdc1", 0), event("MD_DISK_FAILED", "sdd1", 82_000)],
        ),
        (
            "early-sign",
            (0..10)
                .map(|n| event("SCSI_RECOVERED_ERROR", "sda", n * 60_000))
                .chain([medium("sda", 8, 5_000_000)])
                .collect(),
            vec![event("SCSI_RECOVERED_ERROR", "sda", 0), medium("sda", 8, 5_000_000)],
        ),
        (
            "way-to-device",
            vec![adapter("2", 0), offlined("sdb", "2:0:0:1", 9_000)],
            vec![adapter("2", 0), offlined("sdb", "3:0:0:1", 9_000)],
        ),
        (
            "full-filesystem",
            vec![event("FS_NO_SPACE", "sda1", 0), event("FS_REMOUNT_READ_ONLY", "sda1", 5)],
            vec![event("FS_NO_SPACE", "sda1", 0), event("FS_REMOUNT_READ_ONLY", "sda2", 5)],
        ),
        (
            "host-of-card",
            vec![
                event("MMC_ERROR", "mmc1", 0),
                io(event("BLK_IO_ERROR", "mmcblk1boot0", 200), Op::Read, 8064, 5),
            ],
            vec![
                event("MMC_ERROR", "mmc0", 0),
                io(event("BLK_IO_ERROR", "mmcblk1boot0", 200), Op::Read, 8064, 5),
            ],
        ),
        (
            "filesystem-itself",
            vec![event("FS_IO_ERROR", "ubi0", 0), event("FS_ERROR", "ubi0:2", 5)],
            vec![event("FS_IO_ERROR", "ubi1", 0), event("FS_ERROR", "ubi0:2", 5)],
        ),
    ]
}

#[test]
fn a_read_of_a_lost_snapshot_is_of_it_also_when_the_line_had_no_name_at_first() {
    let of_snapshot = |event: Event| stacked(event, &["dm-0", "dm-1"], &[], &[]);
    for read_first in [true, false] {
        let mut named = of_snapshot(event("DM_SNAPSHOT_INVALID", "dm-3", 10_000));
        let mut read = of_snapshot(io(event("BLK_IO_ERROR", "dm-3", 10_350), Op::Read, 0, 5));
        let mut run = run(vec![
            of_snapshot(event("DM_SPACE_LOW", "dm-3", 0)),
            event("DM_SNAPSHOT_INVALID", "", 10_000),
        ]);
        (named.event_id, named.revision) = (run.events[1].event_id, 1);
        let mut order = [&mut read, &mut named];
        if !read_first {
            order.reverse();
        }
        order.into_iter().for_each(|event| run.stage.push(event, &mut run.written));
        read.revision = 1;
        run.stage.push(&mut read, &mut run.written);
        let space = run.events[0].incident_id;
        assert_eq!((named.incident_id, read.incident_id), (space, space), "{read_first}");
        let found = run.found();
        let open: Vec<_> = found.iter().filter(|i| i.state != State::Superseded).collect();
        assert_eq!(open.len(), 1, "{read_first}: {open:#?}");
    }
}
