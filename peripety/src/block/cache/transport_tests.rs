//! Machines with NVMe over several controllers, and with SAS disks in an md array.

use crate::block::{
    BlkType, Dev, DeviceFacts, Transport,
    fixture::{Tree, stack},
};
use crate::record::Uevent;

#[test]
fn nvme_with_native_multipath_has_one_device_and_two_ways() {
    let tree = nvme();
    let cache = tree.scan();
    let head = cache.by_name("nvme0n1", None).unwrap();
    assert_eq!(head.id.blk_type, BlkType::Nvme);
    assert_eq!(head.id.wwid, "uuid.0a1b2c3d-1111-4222-8333-444455556666");
    assert_eq!((head.id.serial.as_str(), head.id.model.as_str()), ("S1", "Model"));
    let Some(Transport::Nvme { controller, subsystem_nqn, transport, traddr }) = &head.id.transport else {
        panic!()
    };
    assert_eq!((controller.as_str(), transport.as_str()), ("nvme1", "tcp"), "the one that is live");
    assert_eq!(
        (subsystem_nqn.as_str(), traddr.as_str()),
        ("nqn.2014-08.org.example:s", "traddr=192.0.2.2,trsvcid=4420")
    );
    assert_eq!(cache.by_name("nvme0c1n1", None).unwrap(), head, "a hidden path");
    let by_the_other = cache.by_name("nvme0", None).unwrap();
    assert_eq!(by_the_other.id.dev, head.id.dev);
    let Some(Transport::Nvme { controller, traddr, .. }) = &by_the_other.id.transport else { panic!() };
    assert_eq!((controller.as_str(), traddr.as_str()), ("nvme0", "traddr=192.0.2.1,trsvcid=4420"));
    assert_eq!(cache.by_name("nvme7", None), None);
    assert_eq!(cache.by_name("nvme0n1p1", None).unwrap().id.wwid, format!("{}-part1", head.id.wwid));
    for name in ["nvme1:7", "nvme0 7", "nvme0 nsid 7", "nvme2:1"] {
        let dev = if name.starts_with("nvme2") { 2 } else { 0 };
        assert_eq!(cache.resolve(name).unwrap().id.dev, Dev::new(259, dev), "{name}");
    }
    let plain = cache.by_name("nvme2n1", None).unwrap();
    assert_eq!(
        (plain.id.wwid.as_str(), plain.id.transport_id.as_str()),
        ("eui.0025385b71b00c1d", "0000:01:00.0")
    );
}

fn nvme() -> Tree {
    let tree = Tree::new();
    let subsystem = "devices/virtual/nvme-subsystem/nvme-subsys0";
    tree.disk(&format!("{subsystem}/nvme0n1"), "259:0", 1);
    tree.link(&format!("sys/{subsystem}/nvme0n1/device"), &format!("sys/{subsystem}"));
    tree.files(&format!("sys/{subsystem}"), &[("serial", "S1"), ("model", "Model")]);
    tree.files(&format!("sys/{subsystem}/nvme0n1"), &[("wwid", "uuid.0a1b2c3d-1111-4222-8333-444455556666")]);
    tree.partition(&format!("{subsystem}/nvme0n1"), 1, "259:1");
    for (controller, state, addr) in [("nvme0", "connecting", "192.0.2.1"), ("nvme1", "live", "192.0.2.2")] {
        let dir = format!("devices/virtual/nvme-fabrics/ctl/{controller}");
        tree.files(
            &format!("sys/{dir}"),
            &[
                ("state", state),
                ("transport", "tcp"),
                ("subsysnqn", "nqn.2014-08.org.example:s"),
                ("address", &format!("traddr={addr},trsvcid=4420")),
            ],
        );
        tree.files(&format!("sys/{dir}/nvme0c{}n1", &controller[4..]), &[("nsid", "7"), ("hidden", "1")]);
        tree.link(&format!("sys/class/nvme/{controller}"), &format!("sys/{dir}"));
        tree.link(&format!("sys/{subsystem}/{controller}"), &format!("sys/{dir}"));
        tree.link(
            &format!("sys/class/block/nvme0c{}n1", &controller[4..]),
            &format!("sys/{dir}/nvme0c{}n1", &controller[4..]),
        );
    }
    let pci = "devices/pci0000:00/0000:00:01.0/0000:01:00.0/nvme/nvme2";
    tree.disk(&format!("{pci}/nvme2n1"), "259:2", 2);
    tree.link(&format!("sys/{pci}/nvme2n1/device"), &format!("sys/{pci}"));
    tree.files(
        &format!("sys/{pci}"),
        &[("state", "live"), ("transport", "pcie"), ("address", "0000:01:00.0")],
    );
    tree.files(
        &format!("sys/{pci}/nvme2n1"),
        &[
            ("nsid", "1"),
            ("nguid", "00000000-0000-0000-0000-000000000000"),
            ("eui", "00 25 38 5b 71 b0 0c 1d"),
        ],
    );
    tree.link("sys/class/nvme/nvme2", &format!("sys/{pci}"));
    tree
}

#[test]
fn sas_md_and_loops_upon_loops() {
    let tree = Tree::new();
    for (index, name) in ["sda", "sdb"].into_iter().enumerate() {
        let port = format!(
            "devices/pci0000:00/0000:00:07.0/host0/port-0:0/expander-0:0/port-0:0:{index}/end_device-0:0:{index}"
        );
        let target = format!("{port}/target0:0:{index}");
        tree.scsi(&target, &format!("0:0:{index}:0"), name, &format!("8:{}", index * 16), index as u64 + 1);
        tree.files(
            &format!("sys/class/sas_device/end_device-0:0:{index}"),
            &[("sas_address", "0x5000c500a1b2c3d5"), ("phy_identifier", "4")],
        );
        tree.udev(
            &format!("8:{}", index * 16),
            &["E:ID_FS_TYPE=linux_raid_member", "E:ID_FS_UUID=01020304-0506-0708-090a-0b0c0d0e0f10"],
        );
    }
    let md = "devices/virtual/block/md127";
    tree.disk(md, "9:127", 20);
    tree.files(&format!("sys/{md}/md"), &[("level", "raid1")]);
    let disk = |i: u32, n: &str| {
        format!(
            "devices/pci0000:00/0000:00:07.0/host0/port-0:0/expander-0:0/port-0:0:{i}/end_device-0:0:{i}/target0:0:{i}/0:0:{i}:0/block/{n}"
        )
    };
    tree.over(md, &[&disk(0, "sda"), &disk(1, "sdb")]);
    tree.partition(md, 1, "259:700");
    tree.loop_on(0, "/data/a.img", 30);
    tree.loop_on(1, "/inner/b.img", 31);
    tree.mounts(&[
        "30 1 259:700 / /data rw - xfs /dev/md127p1 rw",
        "31 30 7:0 / /inner rw - ext4 /dev/loop0 rw",
    ]);
    let cache = tree.scan();
    let inner = cache.by_name("loop1", None).unwrap();
    assert_eq!(stack(&inner).0, ["loop0", "md127p1", "md127", "sda", "sdb"]);
    assert_eq!(stack(&cache.by_name("sda", None).unwrap()).1, ["md127", "md127p1", "loop0", "loop1"]);
    let array = cache.by_name("md127", None).unwrap();
    assert_eq!(
        (array.id.blk_type, array.id.wwid.as_str()),
        (BlkType::Md, "01020304-0506-0708-090a-0b0c0d0e0f10")
    );
    assert_eq!(
        cache.by_name("sdb", None).unwrap().id.transport,
        Some(Transport::Sas { address: "0x5000c500a1b2c3d5".into(), port: "expander-0:0 phy 4".into() })
    );
}

#[test]
fn a_controller_with_two_namespaces_is_neither_and_a_lost_one_is_still_known() {
    let tree = nvme();
    let cache = tree.scan();
    std::fs::remove_file(tree.0.path().join("sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0"))
        .unwrap();
    std::fs::remove_file(tree.0.path().join("sys/class/nvme/nvme0")).unwrap();
    let gone = Uevent { action: "remove".into(), subsystem: "nvme".into(), ..Uevent::default() };
    cache.apply_uevent(&gone, 50);
    let head = cache.by_name("nvme0n1", None).unwrap();
    assert_eq!(cache.by_name("nvme0", Some(60)).unwrap().id.dev, head.id.dev);

    let pci = "devices/pci0000:00/0000:00:01.0/0000:01:00.0/nvme/nvme2";
    assert_eq!(cache.by_name("nvme2", None).unwrap().id.blk_path, "/dev/nvme2n1");
    tree.disk(&format!("{pci}/nvme2n2"), "259:3", 3);
    tree.link(&format!("sys/{pci}/nvme2n2/device"), &format!("sys/{pci}"));
    tree.files(&format!("sys/{pci}/nvme2n2"), &[("nsid", "2")]);
    let cache = tree.scan();
    assert_eq!(cache.by_name("nvme2", None), None);
}
