//! Devices that go, and what comes to their place and name.

use crate::{
    BlkCache, Dev, DeviceFacts, Identity, Transport,
    fixture::{HOST3, HOST5, LUN, Tree, multipath, stack, uevent},
};

const SECOND: u64 = 1_000_000_000;

/// The map on two paths after one of them was removed at second 100, and where sysfs had it.
fn without_sdb() -> (Tree, BlkCache, String) {
    let tree = multipath();
    let cache = tree.scan();
    let devpath = format!("{HOST3}/3:0:0:1/block/sdb");
    tree.remove(&devpath);
    cache.apply_uevent(&uevent("remove", &devpath, "8:16"), 100 * SECOND);
    (tree, cache, devpath)
}

#[test]
fn a_removed_device_is_remembered_as_it_was_and_its_successor_is_another() {
    let tree = multipath();
    let cache = tree.scan();
    let (devpath, before) = (format!("{HOST3}/3:0:0:1/block/sdb"), cache.by_name("sdb", None).unwrap());
    tree.remove(&devpath);
    cache.apply_uevent(&uevent("remove", &devpath, "8:16"), 100 * SECOND);
    let gone = cache.by_name("sdb", Some(99 * SECOND)).unwrap();
    assert_eq!(gone.id.identity, Identity::Removed);
    assert_eq!((&gone.id.wwid, &gone.holders), (&before.id.wwid, &before.holders));
    assert_eq!(cache.by_name("3:0:0:1", Some(101 * SECOND)).unwrap(), gone, "a late record");
    // The map still lies on it, for the kernel keeps the link until the next table.
    let map = cache.by_name("dm-0", None).unwrap();
    assert_eq!(stack(&map).0, ["sdb", "sdaa"]);
    assert_eq!(map.owners[0].identity, Identity::Removed);

    // Another disk comes and gets name and number.
    let other = "devices/pci0000:00/0000:00:1f.2/ata3/host7/target7:0:0";
    tree.scsi(other, "7:0:0:0", "sdb", "8:16", 9);
    tree.file(&format!("sys/{other}/7:0:0:0/wwid"), "t10.ATA     QEMU HARDDISK   QM00001\n");
    tree.file("sys/class/ata_link/link3/sata_spd", "6.0 Gbps\n");
    let devpath = format!("{other}/7:0:0:0/block/sdb");
    cache.apply_uevent(&uevent("add", &devpath, "8:16"), 200 * SECOND);
    let successor = cache.by_name("sdb", Some(201 * SECOND)).unwrap();
    assert_eq!(successor.id.wwid, "t10.ATA     QEMU HARDDISK   QM00001");
    assert_eq!(
        successor.id.transport,
        Some(Transport::Sata { port: "ata3".into(), speed: "6.0 Gbps".into() })
    );
    assert_eq!(cache.by_name("sdb", None).unwrap(), successor);
    for (at, expected, why) in [
        (99, &gone, "while it was there"),
        (101, &gone, "errors trail a removal"),
        (150, &gone, "long before the other came"),
        (199, &successor, "a new disk is read before it is announced"),
        (250, &successor, "while the other is there"),
    ] {
        let found = cache.by_dev(Dev::new(8, 16), Some(at * SECOND)).unwrap();
        assert_eq!(found.id.wwid, expected.id.wwid, "{why}");
    }
    assert_eq!(cache.by_name("3:0:0:1", Some(250 * SECOND)).unwrap(), gone, "the address was not reused");
    assert_eq!(stack(&cache.by_name("dm-0", None).unwrap()).0, ["sdb", "sdaa"]);
    assert_eq!(cache.by_name("dm-0", None).unwrap().owners[0].wwid, LUN);
}

#[test]
fn what_comes_to_the_place_of_a_removed_disk_is_not_taken_for_it() {
    // The kernel asks a new unit for its size and its partitions, which may fail, before it reports a block device.
    let (tree, cache, devpath) = without_sdb();
    let mut unit = uevent("add", &format!("{HOST3}/3:0:0:1"), "0:0");
    unit.subsystem = "scsi".to_owned();
    cache.apply_uevent(&unit, 110 * SECOND);
    let by_dev = |at| cache.by_dev(Dev::new(8, 16), Some(at * SECOND)).map(|info| info.id.wwid.clone());
    assert_eq!(by_dev(105).as_deref(), Some(LUN), "errors trail a removal");
    assert_eq!(by_dev(111), None);
    assert!(cache.by_name("3:0:0:1", Some(111 * SECOND)).is_none());
    assert!(cache.by_name("sdb", Some(111 * SECOND)).is_none());
    assert!(cache.by_name("5:0:0:1", Some(111 * SECOND)).is_some(), "another place");

    tree.scsi(HOST3, "3:0:0:1", "sdb", "8:16", 9);
    cache.apply_uevent(&uevent("add", &devpath, "8:16"), 112 * SECOND);
    assert_eq!(cache.by_name("sdb", Some(111 * SECOND)).unwrap().id.diskseq, Some(9));
}

#[test]
fn a_unit_that_speaks_before_it_is_added_is_not_taken_for_the_removed_one() {
    // As scsi_debug's does on 6.12: SDEV_UA for a device that sysfs does not have yet.
    let (_tree, cache, _devpath) = without_sdb();
    let say = |devpath: &str, at: u64| {
        let mut unit = uevent("change", devpath, "0:0");
        unit.subsystem = "scsi".to_owned();
        cache.apply_uevent(&unit, at * SECOND);
        cache.by_name("3:0:0:1", Some(at * SECOND)).map(|info| info.id.wwid.clone())
    };
    assert_eq!(
        say(&format!("{HOST3}/3:0:0:1"), 105).as_deref(),
        Some(LUN),
        "the last word of the one that goes"
    );
    assert_eq!(say("3:0:0:1", 110), None);
    assert!(cache.by_dev(Dev::new(8, 16), Some(110 * SECOND)).is_none());
}

#[test]
fn a_disk_in_another_place_may_have_the_name_of_a_removed_one() {
    let (tree, cache, _devpath) = without_sdb();
    let plug = |name: &str, at: u64| {
        let mut unit = uevent("add", &format!("{HOST3}/{name}"), "0:0");
        unit.subsystem = "scsi".to_owned();
        cache.apply_uevent(&unit, at * SECOND);
    };
    let by_dev = |at| cache.by_dev(Dev::new(8, 16), Some(at * SECOND)).map(|info| info.id.wwid.clone());
    plug("host7", 105);
    assert_eq!(by_dev(111).as_deref(), Some(LUN), "a host is no disk");
    plug("3:0:0:9", 110);
    assert_eq!(by_dev(108).as_deref(), Some(LUN));
    assert_eq!(by_dev(111), None, "it may be the one or the other");
    assert!(cache.by_name("sdb", Some(111 * SECOND)).is_none());
    assert!(cache.by_name("3:0:0:1", Some(111 * SECOND)).is_some(), "nobody else has its place");
    // The new one turns out to have the name.
    tree.scsi(HOST3, "3:0:0:9", "sdb", "8:16", 9);
    cache.apply_uevent(&uevent("add", &format!("{HOST3}/3:0:0:9/block/sdb"), "8:16"), 112 * SECOND);
    assert_eq!(cache.by_name("sdb", Some(111 * SECOND)).unwrap().id.diskseq, Some(9));
    assert_eq!(by_dev(108).as_deref(), Some(LUN));
    // The report of it may have been read late.
    assert!(cache.by_dev(Dev::new(8, 16), Some(109_500 * SECOND / 1000)).is_none());
}

#[test]
fn old_news_of_a_disk_are_not_taken_for_the_one_that_has_its_place() {
    let (tree, cache, devpath) = without_sdb();
    tree.scsi(HOST3, "3:0:0:1", "sdb", "8:16", 9);
    let add = |seq: &str, at: u64| {
        let mut add = uevent("add", &devpath, "8:16");
        add.properties.push(("DISKSEQ".to_owned(), seq.to_owned()));
        cache.apply_uevent(&add, at * SECOND);
        cache.by_name("sdb", Some((at + 1) * SECOND)).unwrap().id.diskseq
    };
    // The disk with number 8 came and went before anyone looked.
    assert_eq!(add("8", 200), Some(2));
    assert_eq!(add("9", 300), Some(9));
}

#[test]
fn a_link_to_a_successor_is_no_stack() {
    // The map is read again after another disk took the place: its link leads to the new one, which it does not hold.
    let (tree, cache, devpath) = without_sdb();
    tree.scsi(HOST3, "3:0:0:1", "sdb", "8:16", 9);
    cache.apply_uevent(&uevent("add", &devpath, "8:16"), 200 * SECOND);
    cache.apply_uevent(&uevent("change", "devices/virtual/block/dm-0", "253:0"), 201 * SECOND);
    let map = cache.by_name("dm-0", None).unwrap();
    let mut owners: Vec<(Option<u64>, Identity)> =
        map.owners.iter().map(|o| (o.diskseq, o.identity)).collect();
    owners.sort_by_key(|o| o.0);
    assert_eq!(owners, [(Some(2), Identity::Removed), (Some(3), Identity::Live)]);
    assert_eq!(stack(&cache.by_name("sdb", None).unwrap()).1, [] as [&str; 0]);
}

#[test]
fn a_device_that_came_later_does_not_answer_for_the_time_before() {
    let tree = Tree::new();
    let cache = tree.scan();
    tree.scsi(HOST3, "3:0:0:1", "sdb", "8:16", 2);
    cache.apply_uevent(&uevent("add", &format!("{HOST3}/3:0:0:1/block/sdb"), "8:16"), 500 * SECOND);
    assert_eq!(cache.by_name("sdb", Some(400 * SECOND)), None);
    assert!(cache.by_name("sdb", Some(499 * SECOND)).is_some(), "its partition table was read before");
    assert!(cache.by_name("sdb", Some(600 * SECOND)).is_some());
}

#[test]
fn a_loop_device_with_another_file_is_another_device() {
    let tree = Tree::new();
    tree.loop_on(0, "/srv/a.img", 1);
    let cache = tree.scan();
    tree.loop_on(0, "/srv/b.img", 3);
    let loop0 = "devices/virtual/block/loop0";
    cache.apply_uevent(&uevent("change", loop0, "7:0"), 100 * SECOND);
    assert_eq!(cache.by_name("loop0", Some(50 * SECOND)).unwrap().id.wwid, "/srv/a.img");
    assert_eq!(cache.by_name("loop0", Some(150 * SECOND)).unwrap().id.wwid, "/srv/b.img");
    // The same one announced again is still the same one.
    cache.apply_uevent(&uevent("add", loop0, "7:0"), 200 * SECOND);
    assert_eq!(cache.by_name("loop0", Some(150 * SECOND)).unwrap().id.identity, Identity::Live);
}

#[test]
fn what_fails_on_a_loop_device_before_its_file_is_known_is_of_no_empty_one() {
    let tree = Tree::new();
    let loop0 = "devices/virtual/block/loop0";
    tree.disk(loop0, "7:0", 1);
    tree.files(&format!("sys/{loop0}"), &[("size", "0")]);
    let cache = tree.scan();
    assert!(cache.by_name("loop0", None).is_some(), "who asks for it now finds it");
    assert_eq!(cache.by_name("loop0", Some(99 * SECOND)), None);
    tree.loop_on(0, "/srv/a.img", 2);
    cache.apply_uevent(&uevent("change", loop0, "7:0"), 100 * SECOND);
    assert_eq!(cache.by_name("loop0", Some(99 * SECOND)).unwrap().id.wwid, "/srv/a.img");
}

#[test]
fn a_disk_that_falls_with_its_partitions_still_tells_of_them() {
    let tree = Tree::new();
    let disk = format!("{HOST5}/5:0:0:1/block/sda");
    tree.scsi(HOST5, "5:0:0:1", "sda", "8:0", 1);
    tree.partition(&disk, 1, "8:1");
    tree.mounts(&["30 1 8:1 / /data rw - ext4 /dev/sda1 rw"]);
    let cache = tree.scan();
    let part = cache.by_name("sda1", None).unwrap();
    assert_eq!((part.id.wwid.as_str(), part.id.diskseq), (format!("{LUN}-part1").as_str(), Some(1)));
    assert_eq!(stack(&part).0, ["sda"]);
    cache.apply_uevent(&uevent("remove", &format!("{disk}/sda1"), "8:1"), 100 * SECOND);
    cache.apply_uevent(&uevent("remove", &disk, "8:0"), 101 * SECOND);
    let gone = cache.by_name("sda", Some(102 * SECOND)).unwrap();
    assert_eq!(stack(&gone).1, ["sda1"]);
    assert_eq!(gone.holders[0].mount_points, ["/data"]);
}

#[test]
fn a_partition_that_was_deleted_long_ago_is_not_told_of() {
    let tree = Tree::new();
    let disk = format!("{HOST5}/5:0:0:1/block/sda");
    tree.scsi(HOST5, "5:0:0:1", "sda", "8:0", 1);
    tree.partition(&disk, 1, "8:1");
    let cache = tree.scan();
    cache.apply_uevent(&uevent("remove", &format!("{disk}/sda1"), "8:1"), 100 * SECOND);
    assert_eq!(stack(&cache.by_name("sda", None).unwrap()).1, [] as [&str; 0]);
    cache.apply_uevent(&uevent("remove", &disk, "8:0"), 200 * SECOND);
    assert_eq!(stack(&cache.by_name("sda", None).unwrap()).1, [] as [&str; 0]);
}
