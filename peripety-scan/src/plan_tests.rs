//! Machines, and what is scanned of them.

use std::path::Path;

use peripety_block::status::{MapStatus, MdArray, TargetLine};
use peripety_model::{BlkId, BlkType};

use super::*;
use crate::machine::raid;

fn device(name: &str, blk_type: BlkType, below: &[&str]) -> Device {
    Device {
        name: name.to_owned(),
        id: BlkId {
            blk_path: format!("/dev/{name}"),
            wwid: format!("wwid-{name}"),
            blk_type,
            size_sectors: Some(peripety_model::Sectors(2048)),
            ..BlkId::default()
        },
        below: below.iter().map(|name| (*name).to_owned()).collect(),
        ..Device::default()
    }
}

fn disk(name: &str) -> Device {
    device(name, BlkType::Scsi, &[])
}

fn part(name: &str, below: &str) -> Device {
    device(name, BlkType::Partition, &[below])
}

fn md(level: &str, below: &[&str], degraded: u64, action: &str) -> Device {
    let array = MdArray {
        level: level.to_owned(),
        disks: below.len() as u64,
        degraded,
        action: action.to_owned(),
        ..MdArray::default()
    };
    Device { md: Some(array), ..device("md0", BlkType::Md, below) }
}

fn dm_raid(health: &str, action: &str, below: &[&str]) -> Device {
    let line = TargetLine {
        start: 0,
        len: 2048,
        target: "raid".to_owned(),
        line: format!("raid1 2 {health} 2048/2048 {action} 0 0 -"),
        legs: Vec::new(),
    };
    let map = MapStatus {
        dev: "253:2".parse().unwrap(),
        name: "vg-lv".to_owned(),
        uuid: String::new(),
        targets: vec![line],
    };
    Device { raid: raid(&map), ..device("dm-2", BlkType::DmLvm, below) }
}

fn btrfs(of: Device) -> Device {
    let id = BlkId {
        fs_type: "btrfs".to_owned(),
        uuid: "11-22".to_owned(),
        mount_points: vec!["/data".to_owned()],
        ..of.id
    };
    Device { id, ..of }
}

fn with_target(of: Device, target: &str) -> Device {
    Device { targets: vec![target.to_owned()], ..of }
}

/// Each device with how it is scanned, or a word of why not.
fn check(devices: Vec<Device>, config: &str, expected: &[(&str, &str)]) {
    let devices: Devices = devices.into_iter().map(|device| (device.name.clone(), device)).collect();
    let config = Config::parse(config, Path::new("c")).unwrap();
    let planned = plan(&devices, &config);
    assert_eq!(planned.len(), expected.len());
    for planned in &planned {
        let name = planned.device.name.as_str();
        let (_, wanted) = expected.iter().find(|(of, _)| *of == name).unwrap();
        let got = match &planned.verdict {
            Verdict::Scan(method) => format!("{method:?}"),
            Verdict::No(why) => why.clone(),
        };
        assert!(got.contains(wanted), "{name}: '{got}', and not '{wanted}'");
    }
}

const ALL: &str = "[[scan]]\ndevices = [\"*\"]\n";

#[test]
fn each_byte_is_read_once_by_what_verifies_most() {
    check(
        vec![disk("sda"), part("sda1", "sda"), device("dm-0", BlkType::DmLvm, &["sda1"])],
        ALL,
        &[("sda", "Read"), ("sda1", "scanned with /dev/sda"), ("dm-0", "scanned with /dev/sda")],
    );
    // Partitions in an array, and one beside it.
    check(
        vec![
            disk("sda"),
            disk("sdb"),
            part("sda1", "sda"),
            part("sda2", "sda"),
            part("sdb1", "sdb"),
            md("raid1", &["sda1", "sdb1"], 0, "idle"),
            device("dm-0", BlkType::DmLvm, &["md0"]),
        ],
        ALL,
        &[
            ("sda", "part of /dev/md0"),
            ("sdb", "part of /dev/md0"),
            ("sda1", "part of /dev/md0"),
            ("sdb1", "part of /dev/md0"),
            ("sda2", "Read"),
            ("md0", "MdCheck"),
            ("dm-0", "scanned with /dev/md0"),
        ],
    );
    // Nothing compares what lies on a RAID 0.
    check(
        vec![disk("sda"), disk("sdb"), md("raid0", &["sda", "sdb"], 0, "")],
        ALL,
        &[("sda", "Read"), ("sdb", "Read"), ("md0", "scanned with")],
    );
    check(
        vec![
            disk("sda"),
            disk("sdb"),
            device("dm-0", BlkType::DmLvmInternal, &["sda"]),
            device("dm-1", BlkType::DmLvmInternal, &["sdb"]),
            dm_raid("AA", "idle", &["dm-0", "dm-1"]),
            device("dm-3", BlkType::DmLvm, &["sda"]),
        ],
        ALL,
        &[
            ("sda", "part of"),
            ("sdb", "part of"),
            ("dm-0", "part of"),
            ("dm-1", "part of"),
            ("dm-2", "RaidCheck"),
            ("dm-3", "Read"),
        ],
    );
}

#[test]
fn a_map_in_place_of_its_paths_and_tags_in_place_of_what_they_guard() {
    check(
        vec![disk("sda"), disk("sdb"), device("dm-0", BlkType::DmMultipath, &["sda", "sdb"])],
        ALL,
        &[("sda", "part of /dev/dm-0"), ("sdb", "part of /dev/dm-0"), ("dm-0", "Read")],
    );
    check(
        vec![disk("sda"), with_target(device("dm-0", BlkType::Dm, &["sda"]), "integrity")],
        ALL,
        &[("sda", "part of"), ("dm-0", "Read")],
    );
    // Tags below a mirror: its check reads both legs, and the mirror mends what one of them refuses.
    check(
        vec![
            disk("sda"),
            disk("sdb"),
            with_target(device("dm-0", BlkType::Dm, &["sda"]), "integrity"),
            md("raid1", &["dm-0", "sdb"], 0, "idle"),
        ],
        ALL,
        &[("sda", "part of"), ("sdb", "part of"), ("dm-0", "part of /dev/md0"), ("md0", "MdCheck")],
    );
}

#[test]
fn a_btrfs_is_scrubbed_once_and_only_where_it_is_mounted() {
    check(
        vec![btrfs(part("sda1", "sda")), disk("sda"), part("sda2", "sda"), btrfs(disk("sdb"))],
        ALL,
        &[
            ("sda", "part of /dev/sda1"),
            ("sda1", "Scrub"),
            ("sda2", "Read"),
            ("sdb", "scrubbed with /dev/sda1"),
        ],
    );
    // The check of the array below reads all copies.
    check(
        vec![
            disk("sda"),
            disk("sdb"),
            md("raid1", &["sda", "sdb"], 0, "idle"),
            btrfs(device("dm-0", BlkType::DmLvm, &["md0"])),
        ],
        ALL,
        &[("sda", "part of"), ("sdb", "part of"), ("md0", "MdCheck"), ("dm-0", "scanned with /dev/md0")],
    );
    let mut unmounted = btrfs(disk("sda"));
    unmounted.id.mount_points.clear();
    check(vec![unmounted.clone()], ALL, &[("sda", "Read")]);
    check(vec![unmounted], "[[scan]]\ndevices = [\"*\"]\nmethod = \"scrub\"", &[("sda", "nothing to scrub")]);
}

#[test]
fn an_array_that_is_degraded_or_busy_is_left_alone_with_its_members() {
    for (array, why) in [
        (md("raid1", &["sda", "sdb"], 1, "idle"), "degraded"),
        (md("raid5", &["sda", "sdb"], 0, "resync"), "busy with resync"),
        (dm_raid("AD", "idle", &["sda", "sdb"]), "degraded"),
        (dm_raid("Aa", "idle", &["sda", "sdb"]), "not in sync"),
        (dm_raid("AA", "repair", &["sda", "sdb"]), "busy with repair"),
    ] {
        for config in [ALL, "[[scan]]\ndevices = [\"sd*\", \"md*\", \"dm*\"]\nmethod = \"read\""] {
            let name = array.name.clone();
            check(
                vec![disk("sda"), disk("sdb"), array.clone()],
                config,
                &[("sda", why), ("sdb", why), (&name, why)],
            );
        }
    }
    // A check is no other work: it is ours, or who began it is asked by the program.
    check(
        vec![disk("sda"), disk("sdb"), md("raid1", &["sda", "sdb"], 0, "check")],
        ALL,
        &[("sda", "part of"), ("sdb", "part of"), ("md0", "MdCheck")],
    );
}

#[test]
fn what_is_scanned_only_where_it_is_named() {
    let swap = Device { swap: true, ..disk("sdb") };
    let snapshot = with_target(device("dm-0", BlkType::DmLvm, &[]), "snapshot");
    let read_only = Device { read_only: true, ..device("dm-1", BlkType::DmLvm, &[]) };
    let empty = Device {
        id: BlkId { size_sectors: Some(peripety_model::Sectors(0)), ..disk("sdc").id },
        ..disk("sdc")
    };
    let devices = || {
        vec![
            device("loop0", BlkType::Loop, &[]),
            device("zram0", BlkType::Zram, &[]),
            device("sr0", BlkType::ScsiRom, &[]),
            swap.clone(),
            snapshot.clone(),
            read_only.clone(),
            empty.clone(),
        ]
    };
    check(
        devices(),
        ALL,
        &[
            ("loop0", "a loop device"),
            ("zram0", "memory"),
            ("sr0", "optical"),
            ("sdb", "swap"),
            ("dm-0", "a snapshot"),
            ("dm-1", "a read-only snapshot"),
            ("sdc", "empty"),
        ],
    );
    check(
        devices(),
        "[[scan]]\ndevices = [\"loop0\", \"wwid-sdb\", \"dm-*\"]\n",
        &[
            ("loop0", "Read"),
            ("zram0", "no [[scan]]"),
            ("sr0", "no [[scan]]"),
            ("sdb", "Read"),
            ("dm-0", "Read"),
            ("dm-1", "Read"),
            ("sdc", "no [[scan]]"),
        ],
    );
    // A leg is read where it is asked for by name and method.
    let legs = || vec![disk("sda"), disk("sdb"), md("raid1", &["sda", "sdb"], 0, "idle")];
    check(
        legs(),
        "[[scan]]\ndevices = [\"sda\"]\nmethod = \"read\"\n",
        &[("sda", "Read"), ("sdb", "no [[scan]]"), ("md0", "no [[scan]]")],
    );
    check(legs(), "[[scan]]\ndevices = [\"sda\"]\n", &[("sda", "part of"), ("sdb", "no"), ("md0", "no")]);
    check(
        legs(),
        "[[scan]]\ndevices = [\"*\"]\nmethod = \"check\"\n",
        &[("sda", "part"), ("sdb", "part"), ("md0", "MdCheck")],
    );
}

#[test]
fn devices_in_a_ring_end_somewhere() {
    let ring = vec![device("dm-0", BlkType::Dm, &["dm-1"]), device("dm-1", BlkType::Dm, &["dm-0"])];
    check(ring, ALL, &[("dm-0", "n"), ("dm-1", "")]);
}
