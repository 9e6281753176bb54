//! The table of rules: what each links, and what it does not.

use super::*;

fn usb() -> Event {
    event("USB_STORAGE_ERROR", "2-1.4", 0)
}

fn gluster(kind: &'static str, kdev: &str, volume: &str, at: i64) -> Event {
    with(event(kind, kdev, at), "gluster.volume", volume)
}

/// For each rule the two events that it links, and two that are alike and that nothing links.
fn cases() -> Vec<(&'static str, Vec<Event>, Vec<Event>)> {
    let map = |at| stacked(event("DM_MPATH_NO_PATH", "dm-0", at), &["sda", "sdb"], &[], &[]);
    let path = |name: &str, at| stacked(event("DM_MPATH_PATH_FAILED", name, at), &[], &["dm-0"], &[]);
    let day = 24 * 3600 * 1000;
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
            "link-of-drive",
            vec![event("PCIE_LINK_DOWN", "0000:05:01.0", 0), event("NVME_CONTROLLER_FAILED", "nvme2", 300)],
            vec![
                event("PCIE_LINK_DOWN", "0000:05:01.0", 0),
                event("NVME_CONTROLLER_FAILED", "nvme2", 60_000),
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
            "failing-after-repairs",
            vec![event("MD_READ_ERROR_CORRECTED", "sdc1", 0), event("MD_DISK_FAILED", "sdc1", 82_000)],
            vec![event("MD_READ_ERROR_CORRECTED", "sdc1", 0), event("MD_DISK_FAILED", "sdd1", 82_000)],
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
            "early-sign",
            (0..10)
                .map(|n| event("SCSI_RECOVERED_ERROR", "sda", n * 60_000))
                .chain([medium("sda", 8, 5_000_000)])
                .collect(),
            vec![event("SCSI_RECOVERED_ERROR", "sda", 0), medium("sda", 8, 5_000_000)],
        ),
    ]
}

/// More that a rule links, and more that it does not.
fn more_cases() -> Vec<(&'static str, Vec<Event>, Vec<Event>)> {
    let adapter = |host, at| with(event("SCSI_ERROR_RECOVERY", "", at), "adapter.host", host);
    let offlined = |name: &str, at: &str, ms| with(event("SCSI_DEVICE_OFFLINED", name, ms), "scsi.hctl", at);
    vec![
        (
            "way-to-device",
            vec![adapter("2", 0), offlined("sdb", "2:0:0:1", 9_000)],
            vec![adapter("2", 0), offlined("sdb", "3:0:0:1", 9_000)],
        ),
        (
            "server-of-block-device",
            vec![event("LOOP_ERROR", "", 0), event("BLK_IO_ERROR", "loop1", 900)],
            vec![event("LOOP_ERROR", "", 0), event("BLK_IO_ERROR", "sda", 900)],
        ),
        (
            "full-filesystem",
            vec![event("FS_NO_SPACE", "sda1", 0), event("FS_REMOUNT_READ_ONLY", "sda1", 5)],
            vec![event("FS_NO_SPACE", "sda1", 0), event("FS_REMOUNT_READ_ONLY", "sda2", 5)],
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

#[test]
fn every_rule_links_what_it_is_for_and_nothing_else() {
    let cases: Vec<_> = cases().into_iter().chain(more_cases()).collect();
    let tested: BTreeSet<&str> = cases.iter().map(|(name, _, _)| *name).collect();
    let all: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(tested, all, "each rule has its test");
    let mut wrong = Vec::new();
    for (name, yes, no) in cases {
        let (together, apart) = (run(yes), run(no.clone()));
        let found = together.found();
        let rules: Vec<&String> = found.iter().flat_map(|incident| &incident.cause.rules).collect();
        if found.len() != 1 || !rules.iter().any(|rule| *rule == name) {
            wrong.push(format!("{name}: {} incidents by {rules:?}", found.len()));
        }
        if apart.found().len() != no.len() {
            let titles: Vec<String> =
                apart.found().iter().map(|i| format!("{} {:?}", i.title, i.cause.rules)).collect();
            wrong.push(format!("{name}: not to be linked: {titles:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_volume_that_lacks_a_brick_is_explained_by_it_also_where_the_brick_is_reported_later() {
    let run = run(vec![
        gluster("GLUSTER_HEAL_PENDING", "rep", "rep", 0),
        with(gluster("GLUSTER_BRICK_DOWN", "dm-4", "rep", 900), "gluster.brick", "n1:/b"),
    ]);
    let found = run.found();
    assert_eq!(found.len(), 1, "{:?}", found.iter().map(|i| &i.title).collect::<Vec<_>>());
    assert_eq!(
        (found[0].cause.name.as_str(), &found[0].cause.rules[..]),
        ("dm-4", &["volume-on-brick".to_owned()][..])
    );
}
