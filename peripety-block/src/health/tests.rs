use peripety_model::{Dev, facts::HealthFacts};
use proptest::prelude::*;

use super::{Disk, Kind, Readiness, ata, nvme, readiness, scsi};
use crate::fixture::Tree;

fn attribute(table: &mut [u8], place: usize, id: u8, value: u8, raw: u64) {
    let at = 2 + place * 12;
    table[at..at + 5].copy_from_slice(&[id, 1, 0, value, value]);
    table[at + 5..at + 11].copy_from_slice(&raw.to_le_bytes()[..6]);
}

#[test]
fn smart_attributes_are_counted_and_a_threshold_that_is_reached_is_a_failure() {
    let (mut data, mut limits) = ([0; 512], [0; 512]);
    attribute(&mut data, 0, 5, 90, 1208);
    attribute(&mut data, 1, 9, 40, 0x12_00c3_5001);
    attribute(&mut data, 2, 194, 62, 0x0020_0012_0026);
    attribute(&mut data, 3, 197, 100, 16);
    attribute(&mut limits, 0, 5, 36, 0);
    limits[3] = 36;
    let mut facts = HealthFacts::default();
    ata::decode(&data, &limits, &mut facts);
    assert_eq!((facts.reallocated_sectors, facts.pending_sectors), (Some(1208), Some(16)));
    assert_eq!((facts.temperature, facts.failing), (Some(38), Some(false)));
    assert_eq!(facts.power_on_hours, Some(0xc3_5001));
    limits[3] = 90;
    ata::decode(&data, &limits, &mut facts);
    assert_eq!(facts.failing_because.as_deref(), Some("SMART attribute 5 has reached its threshold"));
}

#[test]
fn the_smart_status_is_read_from_the_registers() {
    let mut sense = vec![0x72, 1, 0, 0x1d, 0, 0, 0, 14, 0x09, 0x0c];
    sense.resize(22, 0);
    (sense[17], sense[19]) = (0x4f, 0xc2);
    let mut facts = HealthFacts::default();
    ata::status(&sense, &mut facts);
    assert_eq!(facts.failing, None);
    (sense[17], sense[19]) = (0xf4, 0x2c);
    ata::status(&sense, &mut facts);
    assert_eq!(facts.failing, Some(true));
}

#[test]
fn the_health_log_of_nvme() {
    let mut log = [0_u8; 512];
    log[..6].copy_from_slice(&[0b101, 0x3d, 0x01, 4, 10, 103]);
    log[128] = 200;
    log[144] = 7;
    log[160..162].copy_from_slice(&[0x01, 0x02]);
    let mut facts = HealthFacts::default();
    nvme::decode(&log, &mut facts);
    assert_eq!((facts.temperature, facts.spare_percent, facts.used_percent), (Some(44), Some(4), Some(103)));
    assert_eq!((facts.power_on_hours, facts.unsafe_shutdowns), (Some(200), Some(7)));
    assert_eq!(facts.uncorrected_errors, Some(0x201));
    assert_eq!(
        facts.failing_because.as_deref(),
        Some("spare blocks below the threshold, reliability is degraded by errors")
    );
}

#[test]
fn log_pages_of_scsi() {
    let mut facts = HealthFacts::default();
    // Read errors: 5 corrected in all, 3 not.
    scsi::decode(&[3, 0, 0, 14, 0, 3, 0x60, 4, 0, 0, 0, 5, 0, 6, 0x60, 2, 0, 3], &mut facts);
    scsi::decode(&[2, 0, 0, 6, 0, 6, 0x60, 2, 0, 1], &mut facts);
    assert_eq!((facts.corrected_errors, facts.uncorrected_errors), (Some(5), Some(4)));
    scsi::decode(&[0x0d, 0, 0, 6, 0, 0, 3, 2, 0, 37], &mut facts);
    assert_eq!(facts.temperature, Some(37));
    scsi::decode(&[0x2f, 0, 0, 8, 0, 0, 3, 4, 0, 0, 37, 0], &mut facts);
    assert_eq!((facts.failing, facts.failing_because.as_deref()), (Some(false), None));
    scsi::decode(&[0x2f, 0, 0, 8, 0, 0, 3, 4, 0x5d, 0x10, 37, 0], &mut facts);
    assert_eq!(facts.failing, Some(true));
    assert!(facts.failing_because.is_some());
}

proptest! {
    #[test]
    fn whatever_a_disk_answers_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut facts = HealthFacts::default();
        nvme::decode(&bytes, &mut facts);
        ata::decode(&bytes, &bytes, &mut facts);
        ata::status(&bytes, &mut facts);
        scsi::decode(&bytes, &mut facts);
    }
}

const SDA: &str = "sys/devices/pci0000:00/0000:00:17.0/ata3/host2/target2:0:0/2:0:0:0/block/sda";

fn sda() -> Tree {
    let tree = Tree::default();
    tree.file(&format!("{SDA}/stat"), "10 0 80 1 20 0 160 2 0 3 3 0 0 0 0 4 1\n");
    tree.link("sys/dev/block/8:0", SDA);
    let device = "sys/devices/pci0000:00/0000:00:17.0/ata3/host2/target2:0:0/2:0:0:0";
    tree.link(&format!("{SDA}/device"), device);
    tree.link(&format!("{device}/subsystem"), "sys/bus/scsi");
    tree.file("sys/bus/scsi/uevent", "");
    let values = [
        ("vendor", "ATA     \n"),
        ("rev", "SC61\n"),
        ("state", "running\n"),
        ("iorequest_cnt", "0x64\n"),
        ("ioerr_cnt", "0x3\n"),
        ("iotmo_cnt", "0x1\n"),
    ];
    for (name, value) in values {
        tree.file(&format!("{device}/{name}"), value);
    }
    tree.file("sys/class/ata_link/link3/sata_spd", "3.0 Gbps\n");
    tree.file("sys/class/ata_link/link3/hw_sata_spd_limit", "6.0 Gbps\n");
    tree.file("sys/class/scsi_host/host2/state", "running\n");
    tree
}

#[test]
fn a_sata_disk_is_known_by_its_place_and_its_slow_link_is_seen() {
    let tree = sda();
    let disk = Disk::find(&tree.roots(), Dev::new(8, 0)).unwrap();
    assert_eq!(disk.kind(), Kind::Ata);
    let facts = disk.shown();
    assert_eq!(
        (facts.commands, facts.commands_failed, facts.commands_timed_out),
        (Some(100), Some(3), Some(1))
    );
    assert_eq!(facts.firmware.as_deref(), Some("SC61"));
    assert_eq!((facts.link.as_deref(), facts.link_reduced), (Some("SATA 3.0 Gbps of 6.0 Gbps"), Some(true)));
    assert!(Disk::find(&tree.roots(), Dev::new(8, 16)).is_none());
}

#[test]
fn pcie_and_usb_links_are_compared_with_what_they_could_be() {
    let tree = Tree::default();
    let pci = "sys/devices/pci0000:00/0000:00:1d.0/0000:3b:00.0";
    tree.file(&format!("{pci}/nvme/nvme0/nvme0n1/stat"), "0 0 0 0 0 0 0 0 0\n");
    tree.link("sys/dev/block/259:0", &format!("{pci}/nvme/nvme0/nvme0n1"));
    for (name, value) in [
        ("current_link_speed", "8.0 GT/s PCIe\n"),
        ("max_link_speed", "16.0 GT/s PCIe\n"),
        ("current_link_width", "4\n"),
        ("max_link_width", "4\n"),
    ] {
        tree.file(&format!("{pci}/{name}"), value);
    }
    let facts = Disk::find(&tree.roots(), Dev::new(259, 0)).unwrap().shown();
    assert_eq!(facts.link.as_deref(), Some("PCIe 8.0 GT/s x4 of 16.0 GT/s x4"));
    let usb = "sys/devices/pci0000:00/0000:00:14.0/usb2/2-1";
    tree.file(&format!("{usb}/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdc/stat"), "");
    tree.link("sys/dev/block/8:32", &format!("{usb}/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdc"));
    for (name, value) in [("bMaxPower", "896mA\n"), ("speed", "480\n"), ("version", " 3.20\n")] {
        tree.file(&format!("{usb}/{name}"), value);
    }
    let facts = Disk::find(&tree.roots(), Dev::new(8, 32)).unwrap().shown();
    assert_eq!(facts.link.as_deref(), Some("USB 480 Mbit/s, the device speaks USB 3.20"));
    assert_eq!(facts.link_reduced, Some(true));
}

#[test]
fn who_hangs_or_is_gone_is_not_asked() {
    let tree = sda();
    let ready = || readiness(&Disk::find(&tree.roots(), Dev::new(8, 0)).unwrap());
    assert_eq!(ready(), Readiness::Ready);
    tree.file(&format!("{SDA}/stat"), "10 0 80 1 20 0 160 2 2 3 3 0 0 0 0 4 1\n");
    assert_eq!(ready(), Readiness::Busy { completed: 34 });
    tree.file("sys/class/scsi_host/host2/state", "recovery\n");
    assert_eq!(ready(), Readiness::Not("not asked: its host adapter is in state recovery".to_owned()));
    tree.file("sys/devices/pci0000:00/0000:00:17.0/ata3/host2/target2:0:0/2:0:0:0/state", "offline\n");
    assert_eq!(ready(), Readiness::Not("not asked: it is offline".to_owned()));
}

#[test]
fn behind_an_expander_the_phy_is_the_expanders() {
    let tree = Tree::default();
    let disk = "sys/devices/pci0000:00/0000:03:00.0/host0/port-0:0/expander-0:0/port-0:0:11/end_device-0:0:11/target0:0:0/0:0:0:0/block/sdd";
    tree.file(&format!("{disk}/stat"), "");
    tree.link("sys/dev/block/8:48", disk);
    tree.file("sys/class/sas_device/end_device-0:0:11/phy_identifier", "11\n");
    for (phy, rate) in [("phy-0:0:11", "6.0 Gbit"), ("phy-0:11", "3.0 Gbit")] {
        tree.file(&format!("sys/class/sas_phy/{phy}/negotiated_linkrate"), rate);
        tree.file(&format!("sys/class/sas_phy/{phy}/maximum_linkrate"), "12.0 Gbit");
    }
    let facts = Disk::find(&tree.roots(), Dev::new(8, 48)).unwrap().shown();
    assert_eq!((facts.link.as_deref(), facts.link_reduced), (Some("SAS 6.0 Gbit of 12.0 Gbit"), Some(true)));
}
