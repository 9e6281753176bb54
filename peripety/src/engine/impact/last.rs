//! A path, leg or member of several, and the last one.

use super::*;

#[test]
fn a_path_or_a_leg_is_a_warning_and_the_top_is_not() {
    let map = id(DM0, "dm-0", BlkType::DmMultipath);
    let raid = |level: &str| BlkId { raid_level: level.to_owned(), ..id(Dev::new(9, 0), "md0", BlkType::Md) };
    let leg = |name: &str| id(DM0, name, BlkType::DmLvmInternal);
    let failure = [rq(START, SDA, 1, 5, 8)];
    for (holder, severity) in [
        (map.clone(), Severity::Warning),
        (raid("raid1"), Severity::Warning),
        (raid("raid6"), Severity::Warning),
        (raid("raid10"), Severity::Warning),
        (raid("raid0"), Severity::Error),
        (raid("linear"), Severity::Error),
        (raid(""), Severity::Error),
        (leg("vg-lv_mimage_0"), Severity::Warning),
        (leg("vg-lv_rimage_0"), Severity::Error),
        (id(DM0, "dm-0", BlkType::DmLvm), Severity::Error),
    ] {
        let events = reported(&Machine::below(holder.clone()), &failure);
        assert_eq!(events, [("BLK_IO_ERROR".to_owned(), severity)], "{}", holder.blk_path);
    }
    let top = reported(&Machine::below(map.clone()), &[bio(START, DM0, 5, 8)]);
    assert_eq!(top, [("BLK_IO_ERROR".to_owned(), Severity::Error)]);
    // A disk of which one partition is a leg and another one is not.
    let parts = vec![id(Dev::new(8, 1), "sda1", BlkType::Partition), raid("raid1")];
    let mixed = Machine::plain().with(BlkInfo {
        id: id(SDA, "sda", BlkType::Scsi),
        owners: Vec::new(),
        holders: parts,
    });
    assert_eq!(reported(&mixed, &failure), [("BLK_IO_ERROR".to_owned(), Severity::Error)]);
    // A flush on one path of several loses nothing.
    let events = run(all_live(), &Machine::below(map), &[flush(START)]);
    let flush = finals(&events)[0].clone();
    assert_eq!((flush.severity, flush.io.unwrap().op), (Severity::Warning, Op::Flush));
    assert!(!flush.msg.contains("lost"), "{}", flush.msg);
}

#[test]
fn a_leg_that_its_mirror_did_without_before_anyone_told_is_a_warning() {
    // dmeventd says that it failed, and LVM takes it out at once.
    let said = |dev| {
        let text = format!("Primary mirror device {dev} has failed (D).");
        let identifier = Some("dmeventd".to_owned());
        let log = LogRecord { seq: 1, level: 3, text, identifier, ..Default::default() };
        Record { time: stamp(START), body: Body::Log(log) }
    };
    for (blk_type, severity) in [(BlkType::DmLvmInternal, Severity::Warning), (BlkType::Dm, Severity::Error)]
    {
        let leg = BlkInfo { id: id(DM0, "dm-0", blk_type), owners: Vec::new(), holders: Vec::new() };
        let events = reported(&Machine::plain().with(leg), &[said(DM0)]);
        assert_eq!(events, [("DM_MIRROR_LEG_FAILED".to_owned(), severity)]);
    }
}

#[test]
fn the_last_path_or_leg_that_fails_is_not_spared() {
    const SDB: Dev = Dev::new(8, 16);
    let machine = |holder: BlkId| {
        let disks = [id(SDA, "sda", BlkType::Scsi), id(SDB, "sdb", BlkType::Scsi)];
        let above = BlkInfo { id: holder.clone(), owners: disks.to_vec(), holders: Vec::new() };
        disks.iter().fold(Machine::plain().with(above), |machine, disk| {
            machine.with(BlkInfo { id: disk.clone(), owners: Vec::new(), holders: vec![holder.clone()] })
        })
    };
    let path_event = |ns: u64, action: &str, left: &str| {
        change(
            ns,
            DM0,
            &[
                ("DM_ACTION", action),
                ("DM_PATH", "8:16"),
                ("DM_NR_VALID_PATHS", left),
                ("DM_TARGET", "multipath"),
            ],
        )
    };
    let of_sda = |facts: &Machine, records: &[Record]| {
        let reported = run(all_live(), facts, records);
        finals(&reported).iter().find(|e| e.kdev == "sda").unwrap().severity
    };
    let failure = || rq(START + 2 * SECOND, SDA, 1, 5, 8);
    let map = machine(id(DM0, "dm-0", BlkType::DmMultipath));
    let failed = path_event(START, "PATH_FAILED", "1");
    assert_eq!(of_sda(&map, &[failed.clone(), failure()]), Severity::Error, "the last path");
    let two = path_event(START, "PATH_FAILED", "2");
    assert_eq!(of_sda(&map, &[two, failure()]), Severity::Warning, "one is left");
    let back = path_event(START + SECOND, "PATH_REINSTATED", "2");
    assert_eq!(of_sda(&map, &[failed, back, failure()]), Severity::Warning, "it is back");

    let md_line = |level: &str, left: u32| {
        let md = if ["raid5", "raid6"].contains(&level) { "raid" } else { level };
        let text = format!(
            "md/{md}:md0: Disk failure on sdb, disabling device.\nmd/{md}:md0: Operation continuing on {left} devices."
        );
        line(START, &text)
    };
    for (level, left, severity) in [
        ("raid1", 1, Severity::Error),
        ("raid1", 2, Severity::Warning),
        ("raid5", 2, Severity::Error),
        ("raid6", 3, Severity::Warning),
        ("raid10", 3, Severity::Error),
    ] {
        let array = BlkId { raid_level: level.to_owned(), ..id(Dev::new(9, 0), "md0", BlkType::Md) };
        let array = machine(array);
        assert_eq!(of_sda(&array, &[md_line(level, left), failure()]), severity, "{level} {left}");
        // What the member that is out already fails costs nothing.
        let of_it = run(all_live(), &array, &[md_line(level, left), rq(START + 2 * SECOND, SDB, 1, 5, 8)]);
        let of_it =
            finals(&of_it).into_iter().find(|e| e.event_type == EventType::BLK_IO_ERROR).unwrap().severity;
        assert_eq!(of_it, Severity::Warning, "{level} {left}");
    }
}

fn remove(ns: u64, dev: Dev) -> Record {
    let mut record = change(ns, dev, &[]);
    if let Body::Uevent(event) = &mut record.body {
        event.action = "remove".to_owned();
    }
    record
}

#[test]
fn the_removal_of_the_last_member_is_critical_and_that_of_any_other_is_not() {
    const SDB: Dev = Dev::new(8, 16);
    let array = BlkId { raid_level: "raid1".to_owned(), ..id(Dev::new(9, 0), "md0", BlkType::Md) };
    let disks = [id(SDA, "sda", BlkType::Scsi), id(SDB, "sdb", BlkType::Scsi)];
    let above = BlkInfo { id: array.clone(), owners: disks.to_vec(), holders: Vec::new() };
    let machine = disks.iter().fold(Machine::plain().with(above), |machine, disk| {
        machine.with(BlkInfo { id: disk.clone(), owners: Vec::new(), holders: vec![array.clone()] })
    });
    let failed = line(
        START + SECOND,
        "md/raid1:md0: Disk failure on sda, disabling device.\nmd/raid1:md0: Operation continuing on 1 devices.",
    );
    let reported = run(all_live(), &machine, &[remove(START, SDA), failed, remove(START + 2 * SECOND, SDB)]);
    let of = |name: &str| {
        let found = finals(&reported)
            .into_iter()
            .find(|e| e.kdev == name && e.event_type == EventType::BLK_DEVICE_REMOVED);
        found.unwrap_or_else(|| panic!("no removal of {name} in {reported:#?}")).clone()
    };
    assert_eq!(of("sda").severity, Severity::Notice);
    assert_eq!(of("sdb").severity, Severity::Critical);
    // Of which the kernel prints nothing, and an array that is stopped at once is not seen by a look at sysfs.
    let failed: Vec<_> =
        finals(&reported).into_iter().filter(|e| e.event_type == EventType::MD_ARRAY_FAILED).collect();
    let [failed] = failed.as_slice() else { panic!("{failed:#?}") };
    assert_eq!((failed.kdev.as_str(), failed.severity), ("md0", Severity::Critical));
    assert!(failed.root_cause_event_id.is_some());
    assert_eq!(failed.msg, "/dev/md0 cannot go on without sdb");
}

#[test]
fn a_path_that_fails_after_it_was_back_is_another_event() {
    let event = |ns: u64, action: &str, left: &str| {
        change(ns, DM0, &[("DM_ACTION", action), ("DM_PATH", "8:0"), ("DM_NR_VALID_PATHS", left)])
    };
    let reported = reported(
        &Devices::usual(),
        &[
            event(START, "PATH_FAILED", "1"),
            event(START + SECOND, "PATH_FAILED", "1"),
            event(START + 2 * SECOND, "PATH_REINSTATED", "2"),
            event(START + 3 * SECOND, "PATH_FAILED", "1"),
        ],
    );
    let failed: Vec<_> = reported.iter().filter(|(name, _)| name == "DM_MPATH_PATH_FAILED").collect();
    assert_eq!(failed.len(), 2, "{reported:?}");
}

#[test]
fn a_read_that_btrfs_served_from_the_other_copy_is_a_warning_while_all_were_mended() {
    let bad = |ns: u64, off: u64| {
        let csum = format!(
            "BTRFS warning (device sda): csum failed root 5 ino 257 off {off} csum 0x11111111 expected csum 0x22222222 mirror 1"
        );
        let errs =
            "BTRFS error (device sda): bdev /dev/sda errs: wr 0, rd 0, flush 0, corrupt 1, gen 0".to_owned();
        [line(ns, &csum), line(ns + 1000, &errs)]
    };
    let mended = |ns: u64, off: u64| {
        let text = format!(
            "BTRFS info (device sda): read error corrected: ino 257 off {off} (dev /dev/sda sector 26624)"
        );
        line(ns, &text)
    };
    let of = |records: Vec<Record>| {
        let events = run(all_live(), &Devices::usual(), &records);
        let finals = finals(&events);
        finals.iter().find(|e| e.event_type == EventType::FS_CHECKSUM_ERROR).map(|e| (*e).clone()).unwrap()
    };
    let [one, two] = bad(START, 0);
    let alone = of(vec![one.clone(), two.clone()]);
    assert!(alone.severity.at_least(Severity::Error), "{alone:#?}");
    let good = of(vec![one.clone(), two.clone(), mended(START + 20 * MS, 0)]);
    assert_eq!(good.severity, Severity::Warning, "{good:#?}");
    assert_eq!(good.facts.get("impact.repaired"), Some(true.into()));
    let [three, four] = bad(START + SECOND, 4096);
    let half = of(vec![one, two, mended(START + 20 * MS, 0), three, four]);
    assert!(half.severity.at_least(Severity::Error), "{half:#?}");
}

#[test]
fn a_lost_path_is_as_bad_as_what_is_left() {
    let path = |left: &str| {
        let text = line(START + MS, "device-mapper: multipath: 253:0: Failing path 8:0.");
        let uevent = change(
            START,
            DM0,
            &[("DM_ACTION", "PATH_FAILED"), ("DM_PATH", "8:0"), ("DM_NR_VALID_PATHS", left)],
        );
        let reported = reported(&Devices::usual(), &[uevent, text]);
        reported.into_iter().map(|(_, severity)| severity).min().unwrap()
    };
    assert_eq!([path("3"), path("1"), path("0")], [Severity::Warning, Severity::Warning, Severity::Critical]);
}

#[test]
fn a_lost_member_is_as_bad_as_what_is_left() {
    let array = |level: &str, left: u32| {
        let text = format!(
            "md/{level}:md0: Disk failure on sda, disabling device.\nmd/{level}:md0: Operation continuing on {left} devices."
        );
        reported(&Devices::usual(), &[line(START, &text)])[0].1
    };
    assert_eq!([array("raid1", 1), array("raid10", 3), array("raid", 3)], [Severity::Warning; 3]);
    assert_eq!([array("raid1", 0), array("raid10", 0)], [Severity::Critical; 2]);
}

#[test]
fn a_read_that_went_to_the_other_mirror_is_not_corrected() {
    for text in [
        "md/raid1:md0: redirecting sector 2608 to other mirror: sdb",
        "md/raid10:md0: sda: redirecting sector 2608 to another mirror",
        "md/raid1:md0: sda: rescheduling sector 2608",
    ] {
        assert_eq!(
            reported(&Devices::usual(), &[line(START, text)]),
            [("MD_READ_REDIRECTED".to_owned(), Severity::Warning)]
        );
    }
}

#[test]
fn paths_to_a_namespace_are_counted() {
    let both = Machine::plain().with(namespace("nvme0", "tcp", Some(2))).with(BlkInfo {
        id: BlkId { blk_path: "/dev/nvme1".to_owned(), ..namespace("nvme1", "tcp", Some(2)).id },
        ..BlkInfo::default()
    });
    let lost =
        |controller: u32, ns: u64| line(ns, &format!("nvme nvme{controller}: starting error recovery"));
    let one = reported(&both, &[lost(0, START)]);
    assert_eq!(one, [("NVME_PATH_FAILED".to_owned(), Severity::Warning)]);
    let two = reported(&both, &[lost(0, START), lost(1, START + 60 * SECOND)]);
    assert_eq!(two[1], ("NVME_PATH_FAILED".to_owned(), Severity::Critical), "{two:?}");
}
