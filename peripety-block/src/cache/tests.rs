//! The cache over made-up machines, over time, and on the running machine.

use std::time::{Duration, Instant};

use crate::{
    BlkCache, BlkType, Dev, DeviceFacts, Identity, Roots, Transport,
    fixture::{HOST3, HOST5, LUN, Tree, multipath, stack, uevent},
};

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_stack_is_known_from_the_volume_to_its_paths() {
    let cache = multipath().scan();
    let volume = cache.by_name("dm-300", None).unwrap();
    assert_eq!(stack(&volume), (vec!["dm-1", "dm-0", "sdb", "sdaa"], vec![]));
    let id = &volume.id;
    assert_eq!((id.blk_type, id.dev), (BlkType::DmLvm, Dev::new(253, 300)));
    assert_eq!(id.preferred_blk_path, "/dev/vg0/root-lv");
    assert_eq!((id.fs_type.as_str(), id.label.as_str()), ("ext4", "my data"));
    assert_eq!(id.uuid, "0a1b2c3d-1111-4222-8333-444455556666");
    assert_eq!(id.mount_points, ["/srv/my data", "/bind"]);
    let path = cache.by_name("3:0:0:1", None).unwrap();
    assert_eq!(stack(&path), (vec![], vec!["dm-0", "dm-1", "dm-300"]));
    assert_eq!(path.holders[2].mount_points, ["/srv/my data", "/bind"]);
    let id = &path.id;
    assert_eq!((id.wwid.as_str(), id.serial.as_str()), (LUN, "SN-0001"));
    assert_eq!((id.vendor.as_str(), id.model.as_str()), ("LIO-ORG", "disk0"));
    assert_eq!((id.transport_id.as_str(), id.diskseq), ("3:0:0:1", Some(2)));
    assert_eq!(
        id.transport,
        Some(Transport::Iscsi {
            target: "iqn.2003-01.org.example:t1".into(),
            address: "192.0.2.1".into(),
            port: 3260,
            tpgt: 1,
            iface: "default".into(),
            session: "session1".into(),
        })
    );
    let fc = cache.by_dev(Dev::new(65, 160), None).unwrap();
    assert_eq!(
        fc.id.transport,
        Some(Transport::Fc {
            host_wwpn: "0x10000000c9a1b2c3".into(),
            target_wwpn: "0x500a09801234abcd".into(),
            speed: "16 Gbit".into(),
            port_state: "Online".into(),
            rport: "rport-5:0-3".into(),
        })
    );
    let kinds: Vec<BlkType> = volume.owners.iter().map(|owner| owner.blk_type).collect();
    assert_eq!(kinds, [BlkType::DmPartition, BlkType::DmMultipath, BlkType::Scsi, BlkType::Scsi]);
    assert_eq!(cache.all().len(), 5);
}

#[test]
fn a_card_is_known_by_its_slot() {
    let tree = Tree::new();
    let card = "devices/platform/fe340000.mmc/mmc_host/mmc0/mmc0:0001/block/mmcblk0";
    tree.disk(card, "179:0", 1);
    tree.disk(&format!("{card}/mmcblk0boot0"), "179:8", 2);
    let cache = tree.scan();
    for name in ["mmc0", "mmc0:0001", "mmcblk0"] {
        let disk = cache.by_name(name, None).unwrap();
        assert_eq!(disk.id.blk_path, "/dev/mmcblk0", "{name}");
    }
    assert_eq!(cache.by_name("mmc1", None), None);
}

#[test]
fn a_warm_answer_reads_no_file() {
    let tree = multipath();
    let cache = tree.scan();
    let before = cache.all();
    tree.delete();
    assert_eq!(cache.all(), before);
    for name in ["dm-300", "253:300", "5:0:0:1", "/dev/sdaa", "/dev/vg0/root-lv"] {
        assert!(cache.by_name(name, Some(5 * SECOND)).is_some(), "{name}");
    }
    assert!(cache.by_dev(Dev::new(8, 16), None).is_some());
}

#[test]
fn udev_that_lags_behind_does_not_lend_the_old_entry_to_the_new_disk() {
    let tree = Tree::new();
    tree.file("run/udev/control", "");
    tree.scsi(HOST3, "3:0:0:1", "sdb", "8:16", 2);
    tree.udev("8:16", &["I:5000000", "E:ID_FS_TYPE=ext4", "E:ID_FS_UUID=old"]);
    let cache = tree.scan();
    let devpath = format!("{HOST3}/3:0:0:1/block/sdb");
    assert_eq!(cache.by_name("sdb", None).unwrap().id.uuid, "old");
    cache.apply_uevent(&uevent("remove", &devpath, "8:16"), 100 * SECOND);
    tree.file(&format!("sys/{devpath}/diskseq"), "3\n");
    cache.apply_uevent(&uevent("add", &devpath, "8:16"), 101 * SECOND);
    assert_eq!(cache.by_name("sdb", None).unwrap().id.uuid, "");
    tree.udev("8:16", &["I:101500000", "E:ID_FS_TYPE=xfs", "E:ID_FS_UUID=new"]);
    let mut from_udev = uevent("add", &devpath, "8:16");
    from_udev.udev = true;
    cache.apply_uevent(&from_udev, 102 * SECOND);
    assert_eq!(cache.by_name("sdb", None).unwrap().id.uuid, "new");
    assert_eq!(cache.by_name("sdb", Some(50 * SECOND)).unwrap().id.uuid, "old");
}

#[test]
fn what_udev_told_stays_when_the_kernel_tells_more() {
    let tree = Tree::new();
    tree.file("run/udev/control", "");
    let cache = tree.scan();
    tree.scsi(HOST3, "3:0:0:1", "sdb", "8:16", 2);
    let devpath = format!("{HOST3}/3:0:0:1/block/sdb");
    // The kernel's uevent is read late: udev is faster.
    tree.udev(
        "8:16",
        &["S:disk/by-id/wwn-0x60014005aa0000000000000000000001", "I:99000000", "E:ID_FS_TYPE=ext4"],
    );
    cache.apply_uevent(&uevent("add", &devpath, "8:16"), 100 * SECOND);
    let mut from_udev = uevent("add", &devpath, "8:16");
    from_udev.udev = true;
    cache.apply_uevent(&from_udev, 101 * SECOND);
    let reported = cache.by_name("sdb", None).unwrap();
    assert_eq!(reported.id.preferred_blk_path, "/dev/disk/by-id/wwn-0x60014005aa0000000000000000000001");
    cache.apply_uevent(&uevent("change", &devpath, "8:16"), 200 * SECOND);
    assert_eq!(cache.by_name("sdb", None).unwrap(), reported);
    std::fs::remove_file(tree.0.path().join("run/udev/data/b8:16")).unwrap();
    cache.apply_uevent(&uevent("change", &devpath, "8:16"), 201 * SECOND);
    assert_eq!(cache.by_name("sdb", None).unwrap(), reported);
    assert_eq!(cache.by_name(&reported.id.preferred_blk_path, None).unwrap(), reported);
}

#[test]
fn what_udev_met_late_was_not_there_before() {
    let tree = Tree::new();
    tree.scsi(HOST3, "3:0:0:1", "sdb", "8:16", 2);
    tree.udev("8:16", &["I:86400000000"]);
    let cache = tree.scan();
    assert_eq!(cache.by_name("sdb", Some(3600 * SECOND)), None);
    assert!(cache.by_name("sdb", Some(86_500 * SECOND)).is_some());
}

#[test]
fn lost_uevents_are_made_up_for_by_a_new_scan() {
    let tree = multipath();
    let cache = tree.scan();
    tree.remove(&format!("{HOST3}/3:0:0:1/block/sdb"));
    tree.scsi(HOST3, "3:0:0:2", "sdc", "8:32", 4);
    tree.file("sys/devices/virtual/block/dm-1/diskseq", "999\n");
    cache.rescan(100 * SECOND).unwrap();
    assert_eq!(cache.by_name("sdb", None).unwrap().id.identity, Identity::Removed);
    assert_eq!(cache.by_name("sdc", None).unwrap().id.identity, Identity::Live);
    assert_eq!(cache.by_dev(Dev::new(253, 1), Some(1)).unwrap().id.diskseq, Some(101));
    assert_eq!(cache.by_dev(Dev::new(253, 1), Some(101 * SECOND)).unwrap().id.diskseq, Some(999));
    assert_eq!(stack(&cache.by_name("dm-300", None).unwrap()).0, ["dm-1", "dm-0", "sdb", "sdaa"]);
}

#[test]
fn a_member_that_an_array_took_in_is_known_once_the_array_is_read_again() {
    let tree = Tree::new();
    for (n, name) in ["sda", "sdb", "sdc"].into_iter().enumerate() {
        tree.scsi(
            "pci0000:00/0000:00:01.0",
            &format!("2:0:{n}:0"),
            name,
            &format!("8:{}", n * 16),
            n as u64 + 1,
        );
    }
    tree.disk("virtual/block/md0", "9:0", 9);
    tree.over("virtual/block/md0", &["sda", "sdb"]);
    let cache = tree.scan();
    let holders = |name: &str| cache.by_name(name, None).unwrap().holders.len();
    assert_eq!((holders("sdb"), holders("sdc")), (1, 0));
    tree.over("virtual/block/md0", &["sdc"]);
    assert_eq!(holders("sdc"), 0);
    cache.reread_array("md0", SECOND, Duration::ZERO);
    assert_eq!((holders("sdb"), holders("sdc")), (1, 1));
    for no_array in ["md7", "md/../sda", ""] {
        cache.reread_array(no_array, SECOND, Duration::ZERO);
    }
}

#[test]
fn the_memory_of_what_went_is_bounded() {
    let tree = Tree::new();
    let cache = tree.scan();
    let loop0 = "devices/virtual/block/loop0";
    for seq in 1..=u64::try_from(super::store::GONE_MOST).unwrap() + 100 {
        tree.loop_on(0, &format!("/srv/{seq}"), seq);
        cache.apply_uevent(&uevent("change", loop0, "7:0"), seq * SECOND);
    }
    let store = cache.shared.store();
    assert_eq!(store.remembered(), super::store::GONE_MOST);
    drop(store);
    assert_eq!(cache.by_name("loop0", Some(1100 * SECOND)).unwrap().id.wwid, "/srv/1100");
    assert_eq!(cache.by_name("loop0", Some(50 * SECOND)), None, "forgotten");
}

#[test]
fn mounts_come_and_go() {
    let tree = multipath();
    let cache = tree.scan();
    tree.mounts(&["40 1 253:300 / /mnt rw - ext4 /dev/dm-300 rw"]);
    cache.refresh_mounts();
    assert_eq!(cache.by_name("dm-300", None).unwrap().id.mount_points, ["/mnt"]);
    assert_eq!(cache.by_name("sdb", None).unwrap().holders[2].mount_points, ["/mnt"]);
    tree.mounts(&[]);
    cache.refresh_mounts();
    assert_eq!(cache.by_name("dm-300", None).unwrap().id.mount_points, [] as [String; 0]);
}

#[test]
fn btrfs_on_two_devices_is_found_by_its_anonymous_number() {
    let tree = Tree::new();
    const UUID: &str = "0a1b2c3d-1111-4222-8333-444455556666";
    for (name, dev, target, seq) in [("sdb", "8:16", HOST3, 1), ("sdc", "8:32", HOST5, 2)] {
        let hctl = if name == "sdb" { "3:0:0:1" } else { "5:0:0:1" };
        tree.scsi(target, hctl, name, dev, seq);
        tree.udev(dev, &["E:ID_FS_TYPE=btrfs", &format!("E:ID_FS_UUID={UUID}")]);
        tree.link(
            &format!("sys/fs/btrfs/{UUID}/devices/{name}"),
            &format!("sys/{target}/{hctl}/block/{name}"),
        );
    }
    tree.mounts(&[
        "30 1 0:41 / /data rw - btrfs /dev/sdc rw",
        "31 1 0:41 /sub /sub rw - btrfs /dev/sdc rw,subvol=/sub",
    ]);
    let cache = tree.scan();
    assert_eq!(cache.by_dev(Dev::new(0, 41), None).unwrap().id.blk_path, "/dev/sdc");
    for name in ["sdb", "sdc"] {
        assert_eq!(cache.by_name(name, None).unwrap().id.mount_points, ["/data", "/sub"], "{name}");
    }
    tree.mounts(&[]);
    cache.refresh_mounts();
    assert_eq!(
        cache.by_dev(Dev::new(0, 41), None).unwrap().id.blk_path,
        "/dev/sdc",
        "a record after the unmount"
    );
}

#[test]
fn a_loop_on_a_file_of_its_own_filesystem_ends() {
    let tree = Tree::new();
    tree.loop_on(0, "/a/x.img", 1);
    tree.loop_on(1, "/b/y.img", 2);
    tree.mounts(&["30 1 7:0 / /b rw - ext4 /dev/loop0 rw", "31 1 7:1 / /a rw - ext4 /dev/loop1 rw"]);
    let cache = tree.scan();
    assert_eq!(stack(&cache.by_name("loop0", None).unwrap()), (vec!["loop1"], vec!["loop1"]));
}

#[test]
fn thousands_of_devices_are_read_and_found_in_no_time() {
    const DISKS: u32 = 1250;
    let tree = Tree::new();
    let mut mounts = Vec::new();
    for n in 0..DISKS {
        let target = format!("devices/pci0000:00/host1/rport-1:0-{n}/target1:0:{n}");
        let (hctl, name) = (format!("1:0:{n}:0"), format!("sdx{n}"));
        tree.scsi(&target, &hctl, &name, &format!("8:{}", n * 16), u64::from(n) + 1);
        let disk = format!("{target}/{hctl}/block/{name}");
        tree.partition(&disk, 1, &format!("8:{}", n * 16 + 1));
        tree.dm(2 * n, &format!("mpath{n}"), &format!("mpath-{n}"), &[&disk]);
        tree.dm(
            2 * n + 1,
            &format!("vg-lv{n}"),
            &format!("LVM-{}", "b".repeat(64)),
            &[&format!("devices/virtual/block/dm-{}", 2 * n)],
        );
        mounts.push(format!("{} 1 253:{} / /mnt/{n} rw - xfs /dev/vg/lv{n} rw", 100 + n, 2 * n + 1));
    }
    tree.mounts(&mounts.iter().map(String::as_str).collect::<Vec<_>>());
    let start = Instant::now();
    let cache = tree.scan();
    let scan = start.elapsed();
    let start = Instant::now();
    assert_eq!(cache.all().len(), 4 * DISKS as usize);
    let all = start.elapsed();
    let start = Instant::now();
    for n in 0..DISKS {
        assert_eq!(cache.by_name(&format!("sdx{n}"), None).unwrap().holders.len(), 3);
    }
    let warm = start.elapsed();
    let start = Instant::now();
    for n in 0..DISKS {
        let devpath = format!("devices/pci0000:00/host1/rport-1:0-{n}/target1:0:{n}/1:0:{n}:0/block/sdx{n}");
        cache.apply_uevent(
            &uevent("remove", &format!("{devpath}/sdx{n}1"), &format!("8:{}", n * 16 + 1)),
            SECOND,
        );
        cache.apply_uevent(&uevent("remove", &devpath, &format!("8:{}", n * 16)), SECOND);
        assert_eq!(cache.by_name(&format!("sdx{n}"), Some(SECOND)).unwrap().holders.len(), 3);
    }
    let storm = start.elapsed();
    println!(
        "{} devices: scan {scan:?}, all {all:?}, {DISKS} warm lookups {warm:?}, {} removals {storm:?}",
        4 * DISKS,
        2 * DISKS
    );
    assert!(scan.as_secs() < 30 && all.as_secs() < 5 && warm.as_secs() < 2 && storm.as_secs() < 20);
}

#[test]
fn the_running_machine_is_known() {
    let cache = BlkCache::scan(&Roots::system()).unwrap();
    for info in cache.all() {
        assert_eq!(info.id.identity, Identity::Live);
        // Nothing fails on a loop device without a file.
        let at_ns = (info.id.size_sectors != Some(peripety_model::Sectors(0))).then_some(1);
        let again = cache.by_dev(info.id.dev, at_ns).unwrap();
        assert_eq!(again, info);
        let by_name = cache.by_name(&info.id.blk_path, None).unwrap();
        assert_eq!(by_name.id.dev, info.id.dev, "{}", info.id.blk_path);
    }
}
