//! Machines with NVMe over several controllers, and with SAS disks in an md array.

use crate::Uevent;
use crate::{
    BlkType, Dev, DeviceFacts, Transport,
    fixture::{Tree, stack},
};

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
        Some(Transport::Sas {
            address: "0x5000c500a1b2c3d5".into(),
            port: "expander-0:0 phy 4".into(),
            speed: String::new(),
            enclosure: String::new(),
            bay: None,
        })
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

fn sas_of(tree: &Tree, name: &str) -> (String, String, String, String, Option<u32>) {
    let Some(Transport::Sas { address, port, speed, enclosure, bay }) =
        tree.scan().by_name(name, None).unwrap().id.transport.clone()
    else {
        panic!()
    };
    (address, port, speed, enclosure, bay)
}

#[test]
fn a_sas_disk_is_found_in_its_bay_behind_any_number_of_expanders() {
    let tree = Tree::new();
    let host = "devices/pci0000:00/0000:00:03.0/0000:02:00.0/host0";
    let device =
        |name: &str, files: &[(&str, &str)]| tree.files(&format!("sys/class/sas_device/{name}"), files);
    let rate = |phy: &str, rate: &str| {
        tree.files(&format!("sys/class/sas_phy/{phy}"), &[("negotiated_linkrate", rate)]);
    };
    // Behind two expanders, in an enclosure.
    let far = format!(
        "{host}/port-0:0/expander-0:0/port-0:0:0/expander-0:1/port-0:1:3/end_device-0:1:3/target0:0:5"
    );
    tree.scsi(&far, "0:0:5:0", "sda", "8:0", 1);
    device(
        "end_device-0:1:3",
        &[
            ("sas_address", "0x5000c5008a1b2c3d"),
            ("phy_identifier", "11"),
            ("enclosure_identifier", "0x500304801f2a3b3f"),
            ("bay_identifier", "7"),
            ("device_type", "end device"),
        ],
    );
    rate("phy-0:1:11", "12.0 Gbit");
    rate("phy-0:11", "1.5 Gbit");
    // On the host adapter itself, without an enclosure; a SATA disk over STP has an address that the adapter made up.
    tree.scsi(&format!("{host}/port-0:1/end_device-0:1/target0:0:1"), "0:0:1:0", "sdb", "8:16", 2);
    device(
        "end_device-0:1",
        &[
            ("sas_address", "0x4433221101000000"),
            ("phy_identifier", "2"),
            ("enclosure_identifier", "0x0000000000000000"),
            ("bay_identifier", "0"),
        ],
    );
    rate("phy-0:2", "6.0 Gbit");
    // A link that is down.
    tree.scsi(&format!("{host}/port-0:2/end_device-0:2/target0:0:2"), "0:0:2:0", "sdc", "8:32", 3);
    device(
        "end_device-0:2",
        &[("sas_address", "0x5000c5008a1b2c4d"), ("phy_identifier", "3"), ("bay_identifier", "3")],
    );
    rate("phy-0:3", "Unknown");
    // Nothing can be read of it.
    tree.scsi(&format!("{host}/port-0:4/end_device-0:4/target0:0:4"), "0:0:4:0", "sdd", "8:48", 4);

    let text = |parts: [&str; 4], bay| {
        let [address, port, speed, enclosure] = parts.map(str::to_owned);
        (address, port, speed, enclosure, bay)
    };
    let wanted =
        text(["0x5000c5008a1b2c3d", "expander-0:1 phy 11", "12.0 Gbit", "0x500304801f2a3b3f"], Some(7));
    assert_eq!(sas_of(&tree, "sda"), wanted);
    assert_eq!(sas_of(&tree, "sdb"), text(["0x4433221101000000", "port-0:1 phy 2", "6.0 Gbit", ""], None));
    assert_eq!(sas_of(&tree, "sdc"), text(["0x5000c5008a1b2c4d", "port-0:2 phy 3", "", ""], None));
    assert_eq!(sas_of(&tree, "sdd"), text(["", "port-0:4", "", ""], None));
    let json = serde_json::to_value(&tree.scan().by_name("sdb", None).unwrap().id.transport).unwrap();
    assert_eq!(json.get("bay"), None, "{json}");
}

#[test]
fn fibre_channel_has_ports_on_both_sides_and_virtual_ones() {
    let tree = Tree::new();
    let pci = "devices/pci0000:80/0000:80:02.0/0000:82:00.0";
    let port = |host: &str, wwpn: &str, speed: &str| {
        let files = [
            ("port_name", wwpn),
            ("speed", speed),
            ("port_state", "Online"),
            ("node_name", "0x2000000000000000"),
        ];
        tree.files(&format!("sys/class/fc_host/{host}"), &files);
    };
    port("host6", "0x21000024ff3d1c44", "32 Gbit");
    port("host9", "0x2102000a1b2c3d4e", "32 Gbit");
    port("host7", "0x21000024ff3d1c45", "Unknown");
    let rport = |name: &str, wwpn: &str, state: &str| {
        let files =
            [("port_name", wwpn), ("port_state", state), ("roles", "FCP Target"), ("port_id", "0x010200")];
        tree.files(&format!("sys/class/fc_remote_ports/{name}"), &files);
    };
    rport("rport-6:0-2", "0x50060e80123456a1", "Online");
    rport("rport-9:0-0", "0x50060e80123456a2", "Blocked");
    tree.scsi(&format!("{pci}/host6/rport-6:0-2/target6:0:0"), "6:0:0:3", "sda", "8:0", 1);
    // A virtual port (NPIV): a host below the host.
    tree.scsi(&format!("{pci}/host6/vport-6:0-1/host9/rport-9:0-0/target9:0:0"), "9:0:0:3", "sdb", "8:16", 2);
    // A remote port that is gone, of which the target still knows; the host's link is down.
    tree.scsi(&format!("{pci}/host7/rport-7:0-1/target7:0:0"), "7:0:0:3", "sdc", "8:32", 3);
    tree.files("sys/class/fc_transport/target7:0:0", &[("port_name", "0x50060e80123456a3")]);
    // A channel of a mainframe (zfcp).
    tree.scsi(
        "devices/css0/0.0.0015/0.0.1900/host8/rport-8:0-0/target8:0:0",
        "8:0:0:1077035009",
        "sdd",
        "8:48",
        4,
    );
    port("host8", "0xc05076ffe5003611", "16 Gbit");
    rport("rport-8:0-0", "0x500507630303c562", "Online");

    let cache = tree.scan();
    let of = |name: &str| {
        let Some(Transport::Fc { host_wwpn, target_wwpn, speed, port_state, rport }) =
            cache.by_name(name, None).unwrap().id.transport.clone()
        else {
            panic!()
        };
        [host_wwpn, target_wwpn, speed, port_state, rport]
    };
    assert_eq!(of("sda"), ["0x21000024ff3d1c44", "0x50060e80123456a1", "32 Gbit", "Online", "rport-6:0-2"]);
    assert_eq!(of("sdb"), ["0x2102000a1b2c3d4e", "0x50060e80123456a2", "32 Gbit", "Blocked", "rport-9:0-0"]);
    assert_eq!(of("sdc"), ["0x21000024ff3d1c45", "0x50060e80123456a3", "", "", "rport-7:0-1"]);
    assert_eq!(of("sdd"), ["0xc05076ffe5003611", "0x500507630303c562", "16 Gbit", "Online", "rport-8:0-0"]);
    assert_eq!(cache.by_name("sdd", None).unwrap().id.transport_id, "8:0:0:1077035009");
}

#[test]
fn an_iscsi_session_has_its_portal_and_its_disks() {
    let tree = Tree::new();
    let session = |n: u32, target: &str| {
        tree.files(
            &format!("sys/class/iscsi_session/session{n}"),
            &[("targetname", target), ("tpgt", "2"), ("ifacename", "iface-eth1"), ("state", "LOGGED_IN")],
        );
    };
    session(1, "iqn.2003-01.org.example:a");
    session(12, "iqn.2003-01.org.example:b");
    // IPv6, and only the address of the login.
    tree.files("sys/class/iscsi_connection/connection1:0", &[("address", "2001:db8::5"), ("port", "3260")]);
    tree.files(
        "sys/class/iscsi_connection/connection12:0",
        &[
            ("persistent_address", "192.0.2.7"),
            ("persistent_port", "860"),
            ("address", "192.0.2.8"),
            ("port", "3260"),
        ],
    );
    tree.scsi("devices/platform/host2/session1/target2:0:0", "2:0:0:10", "sdb", "8:16", 2);
    tree.scsi("devices/platform/host2/session1/target2:0:0", "2:0:0:2", "sda", "8:0", 1);
    // An offloading adapter is a device of the PCI bus.
    tree.scsi("devices/pci0000:00/0000:00:04.0/host4/session12/target4:0:0", "4:0:0:0", "sdc", "8:32", 3);
    let cache = tree.scan();
    let of = |name: &str| {
        let Some(Transport::Iscsi { target, address, port, tpgt, iface, session }) =
            cache.by_name(name, None).unwrap().id.transport.clone()
        else {
            panic!()
        };
        (target, address, port, tpgt, iface, session)
    };
    let (a, b) = (of("sda"), of("sdc"));
    assert_eq!((a.0.as_str(), a.1.as_str(), a.2, a.3), ("iqn.2003-01.org.example:a", "2001:db8::5", 3260, 2));
    assert_eq!((a.4.as_str(), a.5.as_str()), ("iface-eth1", "session1"));
    assert_eq!((b.1.as_str(), b.2, b.5.as_str()), ("192.0.2.7", 860, "session12"));
    // A session stands for its first disk.
    assert_eq!(cache.by_name("session1", None).unwrap().id.blk_path, "/dev/sda");
    assert_eq!(cache.by_name("session12", None).unwrap().id.blk_path, "/dev/sdc");
    for unknown in ["session", "session2", "session1x"] {
        assert_eq!(cache.by_name(unknown, None), None, "{unknown}");
    }
}

#[test]
fn a_path_whose_disk_is_made_after_its_controller_is_announced_counts_at_the_next_look() {
    let tree = nvme();
    let hidden = tree.roots().sysfs.join("devices/virtual/nvme-fabrics/ctl/nvme1/nvme0c1n1");
    let later = tree.roots().sysfs.join("not-yet");
    std::fs::rename(&hidden, &later).unwrap();
    let cache = tree.scan();
    assert_eq!(cache.by_name("nvme0n1", None).unwrap().id.paths, None);
    std::fs::rename(&later, &hidden).unwrap();
    assert!(cache.has_nvme());
    cache.reread_nvme(5, std::time::Duration::ZERO);
    assert_eq!(cache.by_name("nvme0n1", None).unwrap().id.paths, Some(2));
}
