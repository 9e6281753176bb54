//! What is said of changes, with lines as kernels print them.

use peripety_block::status::{MdArray, MdMember};
use proptest::prelude::*;

use super::*;
use crate::checkpoint::assert_survives;

const TIME: Stamp = Stamp { monotonic_ns: Some(7), realtime_us: 9 };

fn status(target: &str, line: &str) -> MapStatus {
    let legs = if target == "raid" {
        vec![Some(Dev::new(254, 5)), Some(Dev::new(254, 7)), None]
    } else {
        Vec::new()
    };
    let line = TargetLine { start: 0, len: 65536, target: target.to_owned(), line: line.to_owned(), legs };
    MapStatus {
        dev: Dev::new(254, 3),
        name: "vg-lv".to_owned(),
        uuid: "LVM-x".to_owned(),
        targets: vec![line],
    }
}

/// Type and device of what each of these statuses says after those before it.
fn run(target: &str, lines: &[&str]) -> Vec<Vec<String>> {
    let mut mappings = Mappings::default();
    let mut say = |line: &&str| {
        let events = mappings.map(&status(target, line), TIME);
        events.iter().map(|raw| format!("{} {}", raw.event_type, raw.kdev.to_text())).collect()
    };
    lines.iter().map(&mut say).collect()
}

#[test]
fn each_letter_of_a_mirror_is_an_event_of_its_own_once() {
    let line = |states: &str, sync: &str| format!("2 254:0 254:1 {sync} 1 {states} 1 core");
    let lines = [
        line("AA", "128/128"),
        line("AR", "128/128"),
        line("AR", "128/128"),
        line("AD", "127/128"),
        line("RD", "127/128"),
        line("DD", "100/128"),
        line("AA", "90/128"),
        line("AA", "128/128"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(
        run("mirror", &lines),
        [
            vec![],
            vec!["DM_MIRROR_READ_FAILED 254:1"],
            vec![],
            vec!["DM_MIRROR_LEG_FAILED 254:1"],
            // The one with the data fails a read too: nothing else can serve it.
            vec!["DM_MIRROR_LEG_FAILED 254:0"],
            vec!["DM_MIRROR_LEG_FAILED 254:0", "DM_MIRROR_FAILED 254:3"],
            vec!["DM_RESYNC_STARTED 254:3"],
            vec!["DM_MIRROR_IN_SYNC 254:3"],
        ]
    );
    let events = Mappings::default().map(&status("mirror", &line("AS", "64/128")), TIME);
    let dm = events[0].facts.dm.as_ref().unwrap();
    assert_eq!(
        (events[0].event_type.as_str(), dm.leg.as_deref(), dm.percent),
        ("DM_MIRROR_LEG_OUT_OF_SYNC", Some("S"), Some(50.0))
    );
    assert_eq!((dm.position, dm.legs_left), (Some(1), Some(1)));
    assert_eq!(
        run("mirror", &["2 254:0 254:1 1/1 1 AA 3 disk 254:2 D"]),
        [["DM_DIRTY_LOG_WRITE_FAILED 254:2"]]
    );
}

#[test]
fn an_array_of_device_mapper_fails_rebuilds_and_is_whole() {
    assert_eq!(
        run(
            "raid",
            &[
                "raid1 2 AA 120000/120000 idle 0 0 -",
                "raid1 2 AD 120000/120000 idle 0 0 -",
                "raid1 2 Aa 0/120000 recover 0 0 -",
                "raid1 2 Aa 60000/120000 recover 0 0 -",
                "raid1 2 AA 120000/120000 idle 0 0 -",
                "raid1 2 AA 0/120000 check 0 0 -",
                "raid1 2 AA 120000/120000 idle 128 0 -",
                "raid1 2 AA 0/120000 check 128 0 -",
                "raid1 2 AA 120000/120000 idle 0 0 -",
                "raid1 2 AA 120000/120000 idle 256 0 -",
                "raid1 2 AA 120000/120000 idle 256 0 -",
                "raid1 2 AA 120000/120000 idle 0 0 -",
            ]
        ),
        [
            vec![],
            vec!["DM_RAID_LEG_FAILED 254:7"],
            vec!["DM_RESYNC_STARTED 254:3"],
            vec![],
            vec!["DM_RAID_IN_SYNC 254:3"],
            vec![],
            vec!["MD_MISMATCH 254:3"],
            vec![],
            vec!["MD_CHECK_DONE 254:3"],
            // A check of which nobody saw the beginning, and a repair.
            vec!["MD_MISMATCH 254:3"],
            vec![],
            vec![],
        ]
    );
    // Without its device the map stands for it; two of three are one too many.
    let events = Mappings::default().map(&status("raid", "raid5_ls 3 ADD 1/1 idle 0 0 -"), TIME);
    let left: Vec<_> =
        events.iter().map(|raw| (raw.kdev.to_text(), raw.facts.md.as_ref().unwrap().devices_left)).collect();
    assert_eq!(left, [("254:7".to_owned(), Some(0)), ("254:3".to_owned(), Some(0))]);
    assert_eq!(run("raid", &["raid5_ls 3 AAA 1/1 idle 0 0 D"]), [["DM_RAID_LEG_FAILED 254:3"]]);
}

#[test]
fn a_pool_says_80_percent_and_each_5_more_again_after_it_was_extended() {
    let line = |used: u32, total: u32| {
        format!("0 10/2048 {used}/{total} - rw discard_passdown queue_if_no_space - 512")
    };
    let steps = [
        (790, 1000),
        (800, 1000),
        (849, 1000),
        (852, 1000),
        (801, 1000),
        (1000, 1000),
        (1000, 2000),
        (1600, 2000),
    ];
    let lines: Vec<String> = steps.iter().map(|(used, total)| line(*used, *total)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let low = vec!["DM_THIN_POOL_LOW_WATER 254:3"];
    assert_eq!(
        run("thin-pool", &lines),
        [
            vec![],
            low.clone(),
            vec![],
            low.clone(),
            vec![],
            low.clone(),
            vec!["DM_SPACE_AVAILABLE 254:3"],
            low
        ]
    );
    let events = Mappings::default().map(&status("thin-pool", &line(855, 1000)), TIME);
    let dm = events[0].facts.dm.as_ref().unwrap();
    assert_eq!((dm.area.as_deref(), dm.percent), (Some("data"), Some(85.5)));
    assert_eq!(
        run("snapshot", &["1/100 1", "90/100 1", "Invalid", "Invalid"])[1..],
        [vec!["DM_SPACE_LOW 254:3"], vec!["DM_SNAPSHOT_INVALID 254:3"], vec![]]
    );
}

#[test]
fn the_modes_of_a_pool() {
    let line = |mode: &str, check: &str| {
        format!("0 10/2048 1/100 - {mode} discard_passdown queue_if_no_space {check} 512")
    };
    let lines = [
        line("rw", "-"),
        line("out_of_data_space", "-"),
        "Error".to_owned(),
        line("out_of_data_space", "-"),
        line("rw", "-"),
        line("ro", "needs_check"),
        "Fail".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(
        run("thin-pool", &lines)[1..],
        [
            vec!["DM_THIN_POOL_OUT_OF_DATA 254:3"],
            vec![],
            vec![],
            vec!["DM_THIN_POOL_WRITABLE 254:3"],
            vec!["DM_THIN_POOL_READ_ONLY 254:3", "DM_METADATA_NEEDS_CHECK 254:3"],
            vec!["DM_THIN_POOL_FAILED 254:3"],
        ]
    );
}

#[test]
fn what_raises_no_event_is_compared_with_what_was_read() {
    assert_eq!(
        run("integrity", &["2 65536 -", "2 65536 -", "5 65536 -", "0 65536 -"]),
        [
            vec!["DM_INTEGRITY_CHECKSUM_FAILED 254:3"],
            vec![],
            vec!["DM_INTEGRITY_CHECKSUM_FAILED 254:3"],
            vec![]
        ]
    );
    let mut mappings = Mappings::default();
    mappings.map(&status("integrity", "2 65536 -"), TIME);
    let more = mappings.map(&status("integrity", "5 65536 -"), TIME);
    assert_eq!((more[0].count, more[0].facts.dm.as_ref().unwrap().errors), (3, Some(5)));
    assert_eq!(run("verity", &["V", "C", "C"])[1..], [vec!["DM_VERITY_CORRUPTION 254:3"], vec![]]);
    assert_eq!(run("writecache", &["0 9 9 0", "-5 9 3 0"])[1], ["DM_WRITECACHE_FAILED 254:3"]);
    assert_eq!(run("vdo", &["/dev/a read-only - online online 1 9"]), [["DM_VDO_READ_ONLY 254:3"]]);
    let cache = |end: &str| format!("8 2/4096 128 13/32768 2 6 0 1 0 13 7 1 writeback 0 smq 0 {end}");
    let lines = [cache("rw -"), cache("ro needs_check"), cache("rw -")];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(
        run("cache", &lines)[1..],
        [
            vec!["DM_CACHE_MODE_CHANGED 254:3", "DM_METADATA_NEEDS_CHECK 254:3"],
            vec!["DM_CACHE_MODE_CHANGED 254:3"]
        ]
    );
}

#[test]
fn a_successor_says_nothing_twice_and_another_map_with_the_number_begins_anew() {
    let dead = status("mirror", "2 254:0 254:1 1/2 1 AD 1 core");
    let full = status("thin-pool", "0 10/2048 900/1000 - rw discard_passdown queue_if_no_space - 512");
    for status in [dead, full] {
        let mut mappings = Mappings::default();
        assert_eq!(mappings.map(&status, TIME).len(), 1);
        let mut successor = assert_survives(&mut mappings);
        assert!(successor.map(&status, TIME).is_empty());
        let other = MapStatus { uuid: "LVM-other".to_owned(), ..status.clone() };
        assert_eq!(successor.map(&other, TIME).len(), 1);
        successor.forget(status.dev);
        assert_eq!(successor.map(&other, TIME).len(), 1);
    }
}

fn member(name: &str, state: &str) -> MdMember {
    MdMember { name: name.to_owned(), state: vec![state.to_owned()], ..MdMember::default() }
}

fn array(degraded: u64, action: &str, members: Vec<MdMember>) -> ArrayStatus {
    let array = MdArray {
        level: "raid1".to_owned(),
        state: "clean".to_owned(),
        disks: 2,
        degraded,
        action: action.to_owned(),
        members,
        ..MdArray::default()
    };
    ArrayStatus { dev: Dev::new(9, 0), name: "md0".to_owned(), array }
}

#[test]
fn an_array_of_md_through_failure_and_rebuild_and_as_it_is_found() {
    let mut mappings = Mappings::default();
    let mut say = |status: &ArrayStatus| -> Vec<String> {
        let events = mappings.array(status, TIME);
        events.iter().map(|raw| format!("{} {}", raw.event_type, raw.kdev.to_text())).collect()
    };
    let (a, b) = (|| member("sda", "in_sync"), || member("sdb", "in_sync"));
    assert!(say(&array(0, "idle", vec![a(), b()])).is_empty());
    assert_eq!(say(&array(1, "idle", vec![a(), member("sdb", "faulty")])), ["MD_DISK_FAILED sdb"]);
    // It was taken out, and another one is rebuilt: nothing that was not known.
    assert!(say(&array(1, "recover", vec![a(), member("sdc", "spare")])).is_empty());
    assert_eq!(say(&array(0, "idle", vec![a(), member("sdc", "in_sync")])), ["MD_RECOVERY_DONE 9:0"]);
    assert!(say(&array(0, "check", vec![a(), b()])).is_empty());
    assert_eq!(say(&array(0, "idle", vec![a(), b()])), ["MD_CHECK_DONE 9:0"]);
    // One that somebody ended says nothing of the rest.
    assert!(say(&array(0, "check", vec![a(), b()])).is_empty());
    let mut ended = array(0, "idle", vec![a(), b()]);
    ended.array.check_from = 4096;
    assert!(say(&ended).is_empty());
    // Nor does the one that goes on from there.
    let mut goes_on = array(0, "check", vec![a(), b()]);
    goes_on.array.check_from = 4096;
    assert!(say(&goes_on).is_empty() && say(&array(0, "idle", vec![a(), b()])).is_empty());
    let found = Mappings::default().array(&array(1, "idle", vec![a()]), TIME);
    let md = found[0].facts.md.as_ref().unwrap();
    assert_eq!(
        (found[0].event_type.as_str(), md.devices_left, md.devices),
        ("MD_ARRAY_DEGRADED", Some(1), Some(2))
    );
}

proptest! {
    #[test]
    fn no_status_makes_it_fail(lines in prop::collection::vec((0_usize..8, ".{0,40}"), 0..12)) {
        const TARGETS: [&str; 8] = ["mirror", "raid", "thin-pool", "snapshot", "cache", "integrity", "verity", "x"];
        let mut mappings = Mappings::default();
        for (target, line) in lines {
            mappings.map(&status(TARGETS[target], &line), TIME);
        }
    }
}
