use std::sync::Arc;

use super::*;
use crate::{
    block::{BlkId, BlkInfo, BlkType, Dev},
    event::{EventType, Severity},
    notifier::fixture::sample,
};

fn block(name: &str, dev: Dev, diskseq: u64) -> BlkInfo {
    let blk_path = format!("/dev/{name}");
    BlkInfo { id: BlkId { blk_path, dev, diskseq: Some(diskseq), ..BlkId::default() }, ..BlkInfo::default() }
}

fn event(name: &'static str, second: i64, device: &BlkInfo) -> Event {
    let at = Timestamp::from_second(second).unwrap();
    let event_type = EventType::new(name);
    let severity = event_type.info().map_or(Severity::Warning, |info| info.severity);
    let kdev = device.id.blk_path.strip_prefix("/dev/").unwrap_or_default().to_owned();
    let block = Some(Arc::new(device.clone()));
    let event_id = crate::event::event_id("b", name, &format!("{second}{kdev}"));
    let (first_timestamp, last_timestamp) = (at, at);
    Event {
        event_id,
        event_type,
        severity,
        kdev,
        block,
        timestamp: at,
        first_timestamp,
        last_timestamp,
        facts: crate::event::Facts::default(),
        extension: std::collections::BTreeMap::new(),
        io: if name.starts_with("FS_") { None } else { sample().io },
        ..sample()
    }
}

fn open(table: &Table) -> Vec<(String, String)> {
    table.conditions().into_iter().map(|c| (c.condition, c.device.shown())).collect()
}

fn is(table: &Table, wanted: &[(&str, &str)]) {
    let wanted: Vec<_> = wanted.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(open(table), wanted);
}

#[test]
fn a_filesystem_that_shut_down_is_right_again_when_it_is_unmounted() {
    let (mut table, disk) = (Table::default(), block("sda1", Dev::new(8, 1), 1));
    assert_eq!(table.apply(&event("FS_SHUTDOWN", 10, &disk)), Change::Opened);
    assert_eq!(table.apply(&event("FS_SHUTDOWN", 11, &disk)), Change::Known);
    is(&table, &[("filesystem_shut_down", "sda1")]);
    assert_eq!(table.conditions()[0].since, Some(Timestamp::from_second(10).unwrap()));
    // Of another one, and of an earlier time.
    assert_eq!(table.apply(&event("FS_UNMOUNTED", 12, &block("sdb1", Dev::new(8, 17), 2))), Change::Nothing);
    assert_eq!(table.apply(&event("FS_UNMOUNTED", 9, &disk)), Change::Nothing);
    assert_eq!(table.apply(&event("FS_UNMOUNTED", 12, &disk)), Change::Closed);
    is(&table, &[]);
    // The last revision of the shutdown comes after it.
    assert_eq!(table.apply(&event("FS_SHUTDOWN", 11, &disk)), Change::Nothing);
    is(&table, &[]);
    assert_eq!(table.apply(&event("FS_SHUTDOWN", 13, &disk)), Change::Opened);
}

#[test]
fn paths_and_their_map() {
    let mut table = Table::default();
    let (sda, sdb) = (block("sda", Dev::new(8, 0), 1), block("sdb", Dev::new(8, 16), 2));
    let mut map = block("dm-0", Dev::new(253, 0), 3);
    map.owners = vec![sda.id.clone(), sdb.id.clone()];
    let path = |name, second, device: &BlkInfo, path: &str| {
        let mut event = event(name, second, device);
        let mpath = event.facts.mpath.get_or_insert_default();
        (mpath.path, mpath.map) = (path.parse().ok(), Some("253:0".to_owned()));
        event
    };
    table.apply(&path("DM_MPATH_PATH_FAILED", 10, &sda, "8:0"));
    table.apply(&event("BLK_IO_ERROR", 10, &sda));
    is(&table, &[("path_down", "sda"), ("device_failing", "sda")]);
    let last = path("DM_MPATH_NO_PATH", 20, &map, "8:16");
    assert_eq!(table.apply(&last), Change::Opened);
    is(&table, &[("no_path", "dm-0"), ("path_down", "sda"), ("path_down", "sdb"), ("device_failing", "sda")]);
    assert_eq!(table.apply(&path("DM_MPATH_PATH_REINSTATED", 30, &sda, "8:0")), Change::Closed);
    is(&table, &[("path_down", "sdb")]);
    assert_eq!(table.apply(&event("BLK_DEVICE_REMOVED", 40, &sdb)), Change::Closed);
    is(&table, &[]);
}

#[test]
fn a_member_fails_and_the_array_is_rebuilt() {
    let mut table = Table::default();
    let mut member = block("sda", Dev::new(8, 0), 1);
    let array = BlkInfo {
        id: BlkId { blk_type: BlkType::Md, ..block("md0", Dev::new(9, 0), 5).id },
        ..BlkInfo::default()
    };
    member.holders = vec![array.id.clone()];
    let mut failed = event("MD_DISK_FAILED", 10, &member);
    failed.facts.md.get_or_insert_default().array = Some("md0".to_owned());
    table.apply(&failed);
    // The same without the array's name.
    assert_eq!(table.apply(&event("MD_DISK_FAILED", 11, &member)), Change::Known);
    is(&table, &[("array_degraded", "md0")]);
    table.apply(&event("MD_RECOVERY_DONE", 20, &array));
    is(&table, &[]);
}

#[test]
fn a_disk_that_goes_while_it_is_mounted_stays_wrong() {
    let mut table = Table::default();
    let mut disk = block("sda", Dev::new(8, 0), 1);
    table.apply(&event("BLK_IO_ERROR", 9, &disk));
    table.apply(&event("BLK_DEVICE_REMOVED", 10, &disk));
    is(&table, &[]);
    disk.holders =
        vec![BlkId { mount_points: vec!["/mnt".into()], blk_type: BlkType::Partition, ..BlkId::default() }];
    let mut gone = event("BLK_DEVICE_REMOVED", 11, &disk);
    assert_eq!(table.apply(&gone), Change::Nothing, "a notice says that another copy takes its place");
    gone.severity = Severity::Critical;
    assert_eq!(table.apply(&gone), Change::Opened);
    assert_eq!(table.conditions()[0].device.mount_points, ["/mnt"]);
    // Another disk gets the name.
    table.apply(&event("BLK_IO_ERROR", 12, &block("sda", Dev::new(8, 0), 2)));
    is(&table, &[("removed_in_use", "sda"), ("device_failing", "sda")]);
    table.apply(&event("FS_UNMOUNTED", 13, &disk));
    is(&table, &[("device_failing", "sda")]);
}

#[test]
fn a_fault_does_not_become_well_by_silence_and_what_is_transient_says_so() {
    let (mut table, disk) = (Table::default(), block("sda", Dev::new(8, 0), 1));
    for name in ["BLK_IO_ERROR", "SCSI_MEDIUM_ERROR", "SCSI_TIMEOUT", "SCSI_DEVICE_OFFLINED"] {
        table.apply(&event(name, 1000, &disk));
    }
    let at = |second| Timestamp::from_second(second).unwrap();
    table.settle(at(1000 + 400 * 86400), &|_, _| false);
    is(
        &table,
        &[
            ("device_offline", "sda"),
            ("medium_errors", "sda"),
            ("not_answering", "sda"),
            ("device_failing", "sda"),
        ],
    );
    table.settle(at(1000), &|check, _| check == Check::Running);
    assert_eq!(table.conditions().len(), 3);
    table.settle(at(1000), &|check, _| check == Check::Answers);
    is(&table, &[("medium_errors", "sda"), ("device_failing", "sda")]);
    // Its sectors can be read again. Why requests failed of which nobody knows the reason is still not known.
    table.apply(&event("BLK_READ_BACK", 1001, &disk));
    is(&table, &[("device_failing", "sda")]);
    table.apply(&event("BLK_DEVICE_REMOVED", 1002, &disk));
    is(&table, &[]);
    let mut lost = event("PERIPETY_EVENTS_LOST", 1000, &BlkInfo::default());
    lost.block = None;
    lost.facts.loss.get_or_insert_default().source = Some("journald".to_owned());
    assert_eq!(table.apply(&lost), Change::Opened);
    table.settle(at(1000), &|_, _| false);
    assert_eq!(table.conditions()[0].expires, Some(at(1600)));
    table.settle(at(1600), &|_, _| false);
    is(&table, &[]);
    lost.severity = Severity::Info;
    assert_eq!(table.apply(&lost), Change::Nothing, "counted elsewhere");
}

#[test]
fn what_a_retry_healed_is_no_fault_that_lasts() {
    let (mut table, disk) = (Table::default(), block("sda", Dev::new(8, 0), 1));
    for name in ["SCSI_TIMEOUT", "SCSI_MEDIUM_ERROR", "BLK_IO_ERROR"] {
        let healed = Event { severity: Severity::Warning, ..event(name, 10, &disk) };
        assert_eq!(table.apply(&healed), Change::Nothing);
    }
}

#[test]
fn errors_that_come_of_requests_below_end_with_the_mount_and_those_of_the_filesystem_do_not() {
    let (mut table, disk) = (Table::default(), block("sda1", Dev::new(8, 1), 1));
    let caused =
        Event { root_cause_event_id: Some(uuid::Uuid::from_u128(1)), ..event("FS_ERROR", 10, &disk) };
    table.apply(&caused);
    is(&table, &[("filesystem_errors", "sda1")]);
    table.apply(&event("FS_CHECKSUM_ERROR", 10, &disk));
    table.apply(&event("FS_UNMOUNTED", 11, &disk));
    is(&table, &[("filesystem_corrupt", "sda1")]);
}

#[test]
fn lack_of_space_is_no_failing_device() {
    let mut table = Table::default();
    table.apply(&event("BLK_NO_SPACE", 10, &block("loop0", Dev::new(7, 0), 1)));
    let mut lost = event("BLK_LOST_WRITE", 10, &block("loop0", Dev::new(7, 0), 1));
    lost.io.as_mut().unwrap().errno = Some(crate::event::Errno::ENOSPC);
    table.apply(&lost);
    is(&table, &[("out_of_space", "loop0")]);
}

#[test]
fn a_filesystem_with_errors_is_so_until_it_is_mounted_anew() {
    let (mut table, disk) = (Table::default(), block("sda1", Dev::new(8, 1), 1));
    table.apply(&event("FS_ERROR", 10, &disk));
    table.apply(&event("FS_UNMOUNTED", 11, &disk));
    is(&table, &[("filesystem_corrupt", "sda1")]);
    assert_eq!(table.conditions()[0].mounted_again, None);
    table.apply(&event("FS_MOUNTED", 12, &block("sdb1", Dev::new(8, 17), 2)));
    assert_eq!(table.conditions()[0].mounted_again, None);
    table.apply(&event("FS_MOUNTED", 12, &disk));
    assert_eq!(table.conditions()[0].mounted_again, Some(Timestamp::from_second(12).unwrap()));
}

#[test]
fn a_look_takes_back_nothing_that_an_event_said_meanwhile() {
    let (mut table, disk) = (Table::default(), block("sda1", Dev::new(8, 1), 1));
    table.apply(&event("FS_ERROR", 10, &disk));
    let before = table.clone();
    let mut after = before.clone();
    after.revise(&mut |condition| {
        condition.device.mount_points = vec!["/now".to_owned()];
        true
    });
    table.apply(&event("FS_MOUNTED", 12, &disk));
    table.take_look(&before, after);
    let found = &table.conditions()[0];
    assert_eq!(found.mounted_again, Some(Timestamp::from_second(12).unwrap()));
    assert_eq!(found.device.mount_points, ["/now"]);
}

#[test]
fn the_medium_lasts_over_reboots_and_states_of_the_kernel_do_not() {
    let mut table = Table::default();
    let of = |boot: &str, event: Event| Event { boot_id: boot.into(), ..event };
    let mut disk = block("sda", Dev::new(8, 0), 7);
    disk.id.wwid = "naa.1".into();
    for name in ["SCSI_MEDIUM_ERROR", "SCSI_DEVICE_OFFLINED", "SCSI_TIMEOUT"] {
        table.apply(&of("one", event(name, 10, &disk)));
    }
    let started = event("PERIPETY_STARTED", 100, &BlkInfo::default());
    table.apply(&of(
        "two",
        Event { block: None, sub_system: crate::event::SubSystem::known("peripety"), ..started },
    ));
    is(&table, &[("medium_errors", "sda")]);
    // The name is another disk's now, and its own has another one.
    let mut other = block("sda", Dev::new(8, 0), 1);
    other.id.wwid = "naa.2".into();
    table.apply(&of("two", event("BLK_DEVICE_REMOVED", 110, &other)));
    is(&table, &[("medium_errors", "sda")]);
    let mut moved = block("sdb", Dev::new(8, 16), 2);
    moved.id.wwid = "naa.1".into();
    assert_eq!(table.apply(&of("two", event("SCSI_MEDIUM_ERROR", 120, &moved))), Change::Known);
    is(&table, &[("medium_errors", "sdb")]);
    assert_eq!(table.conditions()[0].since, Some(Timestamp::from_second(10).unwrap()));
    table.apply(&of("two", event("BLK_DEVICE_REMOVED", 130, &moved)));
    is(&table, &[]);
}

#[test]
fn what_a_person_resolves_is_over_until_it_fails_again() {
    let (mut table, disk) = (Table::default(), block("sda", Dev::new(8, 0), 1));
    table.apply(&event("SCSI_MEDIUM_ERROR", 10, &disk));
    table.apply(&event("FS_ERROR", 10, &disk));
    for (wanted, many) in [("sda", 2), ("/dev/sda", 2), ("8:0", 2), ("medium_errors", 1), ("sdb", 0), ("", 0)]
    {
        assert_eq!(table.select(wanted).len(), many, "{wanted}");
    }
    let of_event = table.conditions()[0].event_id.unwrap().to_string();
    let found = table.select(&of_event);
    assert_eq!(found.len(), 1);
    let mut resolved = event("PERIPETY_RESOLVED", 20, &disk);
    resolved.facts.daemon.get_or_insert_default().resolved = Some(crate::state::resolve::noted(&found));
    assert_eq!(table.apply(&resolved), Change::Closed);
    is(&table, &[("medium_errors", "sda")]);
    // What was written before it comes late, and what the journal has of the past.
    assert_eq!(table.apply(&event("FS_ERROR", 11, &disk)), Change::Nothing);
    let mut older = Table::default();
    older.apply(&event("FS_ERROR", 10, &disk));
    table.add_older(older);
    is(&table, &[("medium_errors", "sda")]);
    assert_eq!(table.apply(&event("FS_ERROR", 30, &disk)), Change::Opened);
}

#[test]
fn what_could_not_be_named_is_over_with_what_ends_its_kind_where_it_is_the_only_one() {
    let unnamed = |name, second| Event { block: None, ..event(name, second, &BlkInfo::default()) };
    let drbd = |name, second| event(name, second, &block("drbd0", Dev::new(147, 0), 1));
    let mut table = Table::default();
    let lost = unnamed("DRBD_STATE_CHANGED", 10);
    assert_eq!(table.apply(&lost), Change::Opened);
    // What ended before it, and what ends no such thing.
    assert_eq!(table.apply(&drbd("DRBD_CONNECTED", 9)), Change::Nothing);
    assert_eq!(table.apply(&drbd("BLK_READ_BACK", 12)), Change::Nothing);
    assert_eq!(table.apply(&drbd("BLK_DEVICE_REMOVED", 12)), Change::Nothing, "another device went");
    assert_eq!(table.apply(&drbd("DRBD_CONNECTED", 12)), Change::Closed);
    is(&table, &[]);
    // The last revision of what was lost comes after it.
    assert_eq!(table.apply(&lost), Change::Nothing);
    assert_eq!(table.apply(&unnamed("DRBD_STATE_CHANGED", 13)), Change::Opened);
    // What is named ends by its name, and leaves alone what is not.
    table.apply(&drbd("DRBD_STATE_CHANGED", 14));
    assert_eq!(table.apply(&drbd("DRBD_CONNECTED", 15)), Change::Closed);
    is(&table, &[("replication_broken", "")]);
    // Two that an end may be of: nobody knows which it is.
    let mut two = Table::default();
    for name in ["FS_SHUTDOWN", "FS_IO_ERROR"] {
        assert_eq!(two.apply(&unnamed(name, 10)), Change::Opened, "{name}");
    }
    let unmounted = event("FS_UNMOUNTED", 12, &block("sda1", Dev::new(8, 1), 1));
    assert_eq!(two.apply(&unmounted), Change::Nothing);
    assert_eq!(two.conditions().len(), 2);
}

#[test]
fn a_look_changes_only_what_it_has_seen() {
    let mut table = Table::default();
    let disks: Vec<BlkInfo> =
        (0..4).map(|n| block(&format!("sd{n}"), Dev::new(8, n * 16), u64::from(n))).collect();
    for disk in &disks[..3] {
        table.apply(&event("SCSI_MEDIUM_ERROR", 10, disk));
    }
    let before = table.clone();
    let mut after = before.clone();
    after.revise(&mut |c| {
        c.device.mount_points = vec!["/mnt".into()];
        c.device.name != "sd0" && c.device.name != "sd1"
    });
    // Meanwhile one fails again, and another one for the first time.
    table.apply(&event("SCSI_MEDIUM_ERROR", 20, &disks[1]));
    table.apply(&event("SCSI_MEDIUM_ERROR", 20, &disks[3]));
    table.take_look(&before, after);
    is(&table, &[("medium_errors", "sd1"), ("medium_errors", "sd2"), ("medium_errors", "sd3")]);
    let points: Vec<usize> = table.conditions().iter().map(|c| c.device.mount_points.len()).collect();
    assert_eq!(points, [0, 1, 0]);
}

#[test]
fn the_past_is_added_to_what_happened_since() {
    let (mut older, mut table) = (Table::default(), Table::default());
    let disks: Vec<BlkInfo> =
        (0..3).map(|n| block(&format!("sd{n}"), Dev::new(8, n * 16), u64::from(n))).collect();
    for disk in &disks {
        older.apply(&event("FS_SHUTDOWN", 10, disk));
    }
    table.apply(&event("FS_UNMOUNTED", 20, &disks[0]));
    table.apply(&event("FS_SHUTDOWN", 21, &disks[1]));
    table.add_older(older);
    is(&table, &[("filesystem_shut_down", "sd1"), ("filesystem_shut_down", "sd2")]);
    assert!(table.conditions().iter().all(|c| c.since == Some(Timestamp::from_second(10).unwrap())));
}

#[test]
fn its_memory_is_bounded() {
    let mut table = Table::default();
    for n in 0..2000u32 {
        table.apply(&event(
            "FS_SHUTDOWN",
            i64::from(n),
            &block(&format!("sd{n}"), Dev::new(8, n), u64::from(n)),
        ));
        table.apply(&event("FS_UNMOUNTED", i64::from(n), &block("none", Dev::new(9, n), u64::from(n))));
    }
    assert_eq!((table.conditions.len(), table.ends.len(), table.dropped()), (512, 256, 2000 - 512));
}

#[test]
fn a_loop_device_that_lost_its_file_has_nothing_wrong_and_a_disk_that_lost_its_size_has() {
    let mut table = Table::default();
    table.apply(&event("BLK_IO_ERROR", 10, &block("loop0", Dev::new(7, 0), 1)));
    table.apply(&event("BLK_IO_ERROR", 10, &block("sda", Dev::new(8, 0), 2)));
    for device in [block("loop0", Dev::new(7, 0), 1), block("sda", Dev::new(8, 0), 2)] {
        let mut emptied = event("BLK_CAPACITY_CHANGED", 20, &device);
        emptied.facts.block.get_or_insert_default().new_sectors = Some(0);
        table.apply(&emptied);
    }
    is(&table, &[("device_failing", "sda")]);
}
