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
    let extension = std::collections::BTreeMap::new();
    Event {
        event_id,
        event_type,
        severity,
        kdev,
        block,
        timestamp: at,
        first_timestamp,
        last_timestamp,
        extension,
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
    is(&table, &[("filesystem_shut_down", "/dev/sda1")]);
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
        event.extension.insert("path".into(), path.into());
        event.extension.insert("map".into(), "253:0".into());
        event
    };
    table.apply(&path("DM_MPATH_PATH_FAILED", 10, &sda, "8:0"));
    table.apply(&event("BLK_IO_ERROR", 10, &sda));
    is(&table, &[("path_down", "/dev/sda"), ("device_failing", "/dev/sda")]);
    let last = path("DM_MPATH_NO_PATH", 20, &map, "8:16");
    assert_eq!(table.apply(&last), Change::Opened);
    is(
        &table,
        &[
            ("no_path", "/dev/dm-0"),
            ("path_down", "/dev/sda"),
            ("path_down", "/dev/sdb"),
            ("device_failing", "/dev/sda"),
        ],
    );
    assert_eq!(table.apply(&path("DM_MPATH_PATH_REINSTATED", 30, &sda, "8:0")), Change::Closed);
    is(&table, &[("path_down", "/dev/sdb")]);
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
    failed.extension.insert("array".into(), "md0".into());
    table.apply(&failed);
    // The same without the array's name.
    assert_eq!(table.apply(&event("MD_DISK_FAILED", 11, &member)), Change::Known);
    is(&table, &[("array_degraded", "/dev/md0")]);
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
    assert_eq!(table.apply(&event("BLK_DEVICE_REMOVED", 11, &disk)), Change::Opened);
    assert_eq!(table.conditions()[0].device.mount_points, ["/mnt"]);
    // Another disk gets the name.
    table.apply(&event("BLK_IO_ERROR", 12, &block("sda", Dev::new(8, 0), 2)));
    is(&table, &[("removed_in_use", "/dev/sda"), ("device_failing", "/dev/sda")]);
    table.apply(&event("FS_UNMOUNTED", 13, &disk));
    is(&table, &[("device_failing", "/dev/sda")]);
}

#[test]
fn what_is_quiet_is_over_and_what_the_machine_says_is_over_is_over() {
    let (mut table, disk) = (Table::default(), block("sda", Dev::new(8, 0), 1));
    table.apply(&event("BLK_IO_ERROR", 1000, &disk));
    table.apply(&event("SCSI_DEVICE_OFFLINED", 1000, &disk));
    let at = |second| Timestamp::from_second(second).unwrap();
    table.settle(at(1000 + 3599), &|_, _| false);
    assert_eq!(table.conditions().len(), 2);
    table.settle(at(1000 + 3600), &|_, _| false);
    is(&table, &[("device_offline", "/dev/sda")]);
    table.settle(at(1000), &|check, _| check == Check::Running);
    is(&table, &[]);
    let mut lost = event("PERIPETY_EVENTS_LOST", 1000, &BlkInfo::default());
    lost.block = None;
    lost.extension.insert("source".into(), "journald".into());
    assert_eq!(table.apply(&lost), Change::Opened);
    lost.severity = Severity::Info;
    assert_eq!(table.apply(&lost), Change::Nothing, "counted elsewhere");
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
    is(&table, &[("filesystem_shut_down", "/dev/sd1"), ("filesystem_shut_down", "/dev/sd2")]);
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
