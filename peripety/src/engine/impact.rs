//! How bad a failure is asked to be: by what it means for those who use the data, and not by what the kernel printed.

use std::sync::Arc;

use super::{
    tests::{
        DM0, Devices, MS, SDA, SECOND, START, all_live, bio, finals, kernel, line, nvme, rq, scsi, stamp,
    },
    *,
};
use crate::{
    block::{BlkId, BlkInfo, BlkType, Dev, Transport},
    event::{EventType, Op, Severity},
    parser::rules::RuleSet,
    record::Uevent,
};
use peripety_common::{
    KernelRecord, Kind, Payload,
    ext4::{Ext4Error, FUNCTION_BYTES},
};

/// `sda` with what is made of it, and some others.
struct Machine(Devices, Vec<BlkInfo>);

impl Machine {
    fn plain() -> Self {
        Self(Devices::usual(), Vec::new())
    }

    fn with(mut self, info: BlkInfo) -> Self {
        self.1.push(info);
        self
    }

    /// `sda` below another device.
    fn below(holder: BlkId) -> Self {
        let disk = id(SDA, "sda", BlkType::Scsi);
        let above = BlkInfo { id: holder.clone(), owners: vec![disk.clone()], holders: Vec::new() };
        Self::plain().with(BlkInfo { id: disk, owners: Vec::new(), holders: vec![holder] }).with(above)
    }
}

impl DeviceFacts for Machine {
    fn by_dev(&self, dev: Dev, at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        let own = self.1.iter().find(|info| info.id.dev == dev).cloned().map(Arc::new);
        own.or_else(|| self.0.by_dev(dev, at_ns))
    }

    fn by_name(&self, name: &str, at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        let own = self.1.iter().find(|info| {
            let controller =
                matches!(&info.id.transport, Some(Transport::Nvme { controller, .. }) if controller == name);
            info.id.blk_path == format!("/dev/{name}") || controller
        });
        own.cloned().map(Arc::new).or_else(|| self.0.by_name(name, at_ns))
    }
}

fn id(dev: Dev, name: &str, blk_type: BlkType) -> BlkId {
    let path = format!("/dev/{name}");
    BlkId { dev, blk_type, blk_path: path.clone(), preferred_blk_path: path, ..BlkId::default() }
}

fn run(live: LiveSources, facts: &dyn DeviceFacts, records: &[Record]) -> Vec<Event> {
    let settings = Settings { boot_id: "0".repeat(32), hostname: "host".to_owned(), live };
    let (mut engine, mut out) = (Engine::new(settings, RuleSet::built_in()), Vec::new());
    for record in records {
        engine.push(record, facts, &mut out);
    }
    engine.finish(facts, &mut out);
    out
}

fn reported(facts: &dyn DeviceFacts, records: &[Record]) -> Vec<(String, Severity)> {
    let events = run(all_live(), facts, records);
    finals(&events).iter().map(|e| (e.event_type.to_string(), e.severity)).collect()
}

fn flush(ns: u64) -> Record {
    let mut record = rq(ns, SDA, 1, 5, 0);
    if let Body::Kernel(KernelRecord { payload: Payload::BlockRq(rq), .. }) = &mut record.body {
        rq.nr_sectors = 0;
    }
    record
}

/// SYNCHRONIZE CACHE that came back with sense data.
fn flush_done(ns: u64, sense: [u8; 3]) -> Record {
    let mut record = scsi(ns, SDA, 0, 2, sense);
    if let Body::Kernel(KernelRecord { payload: Payload::ScsiDone(cmd), .. }) = &mut record.body {
        cmd.cdb = [0; 32];
        cmd.cdb[0] = 0x35;
        cmd.data_len = 0;
    }
    record
}

/// What the SCSI layer prints of a flush on a path in standby, as Linux 6.1 did.
fn standby_lines(ns: u64, words: &str) -> Vec<Record> {
    [
        "sd 4:0:0:1: [sda] tag#117 FAILED Result: hostbyte=DID_OK driverbyte=DRIVER_OK cmd_age=0s".to_owned(),
        "sd 4:0:0:1: [sda] tag#117 Sense Key : Not Ready [current] ".to_owned(),
        format!("sd 4:0:0:1: [sda] tag#117 Add. Sense: {words}"),
        "sd 4:0:0:1: [sda] tag#117 CDB: Synchronize Cache(10) 35 00 00 00 00 00 00 00 00 00".to_owned(),
        "I/O error, dev sda, sector 0 op 0x1:(WRITE) flags 0x800 phys_seg 0 prio class 2".to_owned(),
    ]
    .iter()
    .enumerate()
    .map(|(i, text)| line(ns + i as u64 * 1000, text))
    .collect()
}

const STANDBY: &str = "Logical unit not accessible, target port in standby state";

#[test]
fn a_path_that_is_not_the_active_one_did_not_fail() {
    for (ascq, words) in [
        (0x0a, "Logical unit not accessible, asymmetric access state transition"),
        (0x0b, STANDBY),
        (0x0c, "Logical unit not accessible, target port in unavailable state"),
    ] {
        let probes = [flush_done(START, [2, 4, ascq]), flush(START + MS)];
        let text = standby_lines(START + 2 * MS, words);
        let both: Vec<Record> = probes.iter().chain(&text).cloned().collect();
        let first: Vec<Record> =
            standby_lines(START, words).into_iter().chain(probes.iter().cloned()).collect();
        for records in [&probes[..], &both, &first] {
            let events = run(all_live(), &Devices::usual(), records);
            assert!(events.is_empty(), "{ascq:#x}: {:#?}", events[0]);
        }
        let events = run(LiveSources::text_only(), &Devices::usual(), &text);
        assert!(events.is_empty(), "text alone, {words}: {:#?}", events[0]);
        // A path checker's read, and a read that is sent again once the port is ready.
        let read = [scsi(START, SDA, 0, 2, [2, 4, ascq]), rq(START + MS, SDA, 0, 5, 0)];
        assert!(run(all_live(), &Devices::usual(), &read).is_empty());
        assert!(run(all_live(), &Devices::usual(), &read[..1]).is_empty());
    }
    // Of controllers that own their units.
    for sense in [[5, 0x94, 1], [5, 0x25, 1]] {
        let read = [scsi(START, SDA, 8, 2, sense), rq(START + MS, SDA, 0, 121, 8)];
        assert!(run(all_live(), &Devices::usual(), &read).is_empty(), "{sense:?}");
    }
}

#[test]
fn what_fails_on_a_standby_path_for_another_reason_is_told() {
    let records = [
        flush_done(START, [2, 4, 0x0b]),
        flush(START + MS),
        // Another answer, and a flush that the device never saw.
        flush_done(START + 10 * MS, [4, 0x44, 0]),
        flush(START + 11 * MS),
        flush(START + 200 * MS),
    ];
    let events = run(all_live(), &Devices::usual(), &records);
    let counts: Vec<_> = finals(&events).iter().map(|e| (e.event_type.to_string(), e.count)).collect();
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 2, "{counts:?}");
    let not_ready =
        reported(&Devices::usual(), &[scsi(START, SDA, 8, 2, [2, 4, 2]), rq(START + MS, SDA, 0, 5, 8)]);
    assert_eq!(not_ready, [("SCSI_NOT_READY".to_owned(), Severity::Error)]);
}

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
fn what_failed_before_an_array_was_stopped_was_not_asked_for() {
    let array = BlkId { raid_level: "raid1".to_owned(), ..id(Dev::new(9, 0), "md0", BlkType::Md) };
    let machine = Machine::plain().with(BlkInfo { id: array, owners: Vec::new(), holders: Vec::new() });
    let stopped = |ns: u64| line(ns, "md: md0 stopped.");
    let of = |records: &[Record]| {
        let reported = reported(&machine, records);
        reported.iter().find(|(name, _)| name == "BLK_IO_ERROR").unwrap().1
    };
    let failure = |ns: u64| bio(ns, Dev::new(9, 0), 5, 64);
    assert_eq!(of(&[failure(START), stopped(START + SECOND)]), Severity::Error);
    assert_eq!(of(&[stopped(START), failure(START + 100 * MS)]), Severity::Notice);
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

fn change(ns: u64, dev: Dev, properties: &[(&str, &str)]) -> Record {
    let properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let event = Uevent {
        action: "change".to_owned(),
        subsystem: "block".to_owned(),
        devpath: "/devices/virtual/block/dm-0".to_owned(),
        dev: Some(dev),
        seq: ns,
        properties,
        ..Uevent::default()
    };
    Record { time: stamp(ns), body: Body::Uevent(event) }
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
fn a_command_that_was_sent_again_and_succeeded_is_a_warning_that_says_so() {
    let other = |ns| line(ns, "XFS (loop9): Ending clean mount");
    let records = [scsi(START, SDA, 8, 2, [3, 0x11, 0]), other(START + SECOND), other(START + 10 * SECOND)];
    let events = run(all_live(), &Devices::usual(), &records);
    let last = *finals(&events).iter().find(|e| e.sub_system.as_str() == "scsi").unwrap();
    assert_eq!((last.event_type.as_str(), last.severity), ("SCSI_MEDIUM_ERROR", Severity::Warning));
    assert!(last.msg.ends_with("it was retried and succeeded"), "{}", last.msg);
    assert!(!last.msg.starts_with("read"), "the read did not fail: {}", last.msg);
    let stopped = run(all_live(), &Devices::usual(), &[scsi(START, SDA, 8, 2, [3, 0x11, 0])]);
    assert!(!stopped[0].msg.contains("succeeded"), "not known yet: {}", stopped[0].msg);
}

fn timeout(ns: u64, sector: u64) -> Record {
    let Body::Kernel(KernelRecord { payload: Payload::ScsiDone(cmd), .. }) =
        scsi(ns, SDA, sector, 0, [0; 3]).body
    else {
        unreachable!()
    };
    kernel(Kind::ScsiTimeout, ns, Payload::ScsiTimeout(cmd))
}

#[test]
fn a_timeout_is_an_error_once_its_request_fails() {
    assert_eq!(
        reported(&Devices::usual(), &[timeout(START, 8)]),
        [("SCSI_TIMEOUT".to_owned(), Severity::Warning)]
    );
    let failed = [timeout(START, 8), rq(START + SECOND, SDA, 0, 110, 8)];
    assert_eq!(reported(&Devices::usual(), &failed), [("SCSI_TIMEOUT".to_owned(), Severity::Error)]);
    let nvme = "nvme nvme0: I/O 23 QID 4 timeout, aborting";
    assert_eq!(
        reported(&Devices::usual(), &[line(START, nvme)]),
        [("NVME_TIMEOUT".to_owned(), Severity::Warning)]
    );
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
fn a_filesystem_that_fails_before_its_mount_is_read_has_its_mount_point_after() {
    let error = Ext4Error { dev: SDA.to_kernel(), line: 1785, function: [0; FUNCTION_BYTES] };
    let error = kernel(Kind::Ext4Error, START, Payload::Ext4Error(error));
    let machine = |points: &[&str]| {
        let mut sda = id(SDA, "sda", BlkType::Scsi);
        sda.mount_points = points.iter().map(|point| (*point).to_owned()).collect();
        Machine::plain().with(BlkInfo { id: sda, ..BlkInfo::default() })
    };
    let settings = Settings { live: all_live(), ..Settings::default() };
    let (mut engine, mut out) = (Engine::new(settings, RuleSet::built_in()), Vec::new());
    engine.push(&error, &machine(&[]), &mut out);
    engine.tick(START + 2 * SECOND, &machine(&["/mnt"]), &mut out);
    let events: Vec<_> = out.iter().filter(|event| event.event_type == EventType::FS_ERROR).collect();
    assert!(!events.is_empty());
    assert!(
        events.iter().all(|event| event.block.as_ref().unwrap().id.mount_points == ["/mnt"]),
        "{events:?}"
    );
}

#[test]
fn a_mount_that_only_began_is_told_when_it_is_seen() {
    let first = "BTRFS info (device loop0): first mount of filesystem d162314f-bcff-4c1e-860e-4accb3ef7ae3";
    let norecovery =
        "XFS (loop0): Mounting V5 filesystem in no-recovery mode. Filesystem will be inconsistent.";
    let mounted = |points: &[&str]| {
        let mut loop0 = id(Dev::new(7, 0), "loop0", BlkType::Loop);
        loop0.mount_points = points.iter().map(|point| (*point).to_owned()).collect();
        Machine::plain().with(BlkInfo { id: loop0, ..BlkInfo::default() })
    };
    for text in [first, norecovery] {
        let settings = Settings { live: all_live(), ..Settings::default() };
        let (mut engine, mut out) = (Engine::new(settings, RuleSet::built_in()), Vec::new());
        engine.push(&line(START, text), &mounted(&[]), &mut out);
        engine.tick(START + 2 * SECOND, &mounted(&[]), &mut out);
        assert!(out.is_empty());
        engine.tick(START + 4 * SECOND, &mounted(&["/mnt"]), &mut out);
        assert_eq!(out.iter().map(|e| e.event_type.as_str()).collect::<Vec<_>>(), ["FS_MOUNTED"], "{text}");
        assert_eq!(out[0].facts.get("fs.stage"), None);
        let failed = line(START + MS, "BTRFS error (device loop0): open_ctree failed: -5");
        let events = run(all_live(), &mounted(&[]), &[line(START, text), failed]);
        assert!(events.iter().all(|e| e.event_type != EventType::FS_MOUNTED), "{text}");
    }
}

#[test]
fn a_mount_that_nobody_saw_is_proven_by_the_unmount() {
    let loop0 = id(Dev::new(7, 0), "loop0", BlkType::Loop);
    let machine = Machine::plain().with(BlkInfo { id: loop0, ..BlkInfo::default() });
    let first = "BTRFS info (device loop0): first mount of filesystem d162314f-bcff-4c1e-860e-4accb3ef7ae3";
    let last = "BTRFS info (device loop0): last unmount of filesystem d162314f-bcff-4c1e-860e-4accb3ef7ae3";
    let events = run(all_live(), &machine, &[line(START, first), line(START + 20 * MS, last)]);
    let types: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types, ["FS_MOUNTED", "FS_UNMOUNTED"]);
}

fn namespace(controller: &str, transport: &str, paths: Option<u32>) -> BlkInfo {
    let way = Transport::Nvme {
        controller: controller.to_owned(),
        subsystem_nqn: "nqn.test:one".to_owned(),
        transport: transport.to_owned(),
        traddr: String::new(),
    };
    let id = id(Dev::new(259, 0), "nvme0n1", BlkType::Nvme);
    BlkInfo { id: BlkId { transport: Some(way), paths, ..id }, ..BlkInfo::default() }
}

fn connected(ns: u64, controller: &str) -> Record {
    let event = Uevent {
        action: "change".to_owned(),
        subsystem: "nvme".to_owned(),
        devpath: format!("/devices/pci0000:00/0000:00:04.0/nvme/{controller}"),
        seq: ns,
        properties: vec![("NVME_EVENT".to_owned(), "connected".to_owned())],
        ..Uevent::default()
    };
    Record { time: stamp(ns), body: Body::Uevent(event) }
}

#[test]
fn a_reset_of_a_controller_is_told_as_such_and_its_end_too() {
    let machine = Machine::plain().with(namespace("nvme0", "pcie", None));
    let records = [
        line(START, "nvme nvme0: I/O 23 QID 4 timeout, aborting"),
        line(START + SECOND, "nvme nvme0: I/O 23 QID 4 timeout, reset controller"),
        connected(START + 2 * SECOND, "nvme0"),
    ];
    let types: Vec<String> = reported(&machine, &records).into_iter().map(|(t, _)| t).collect();
    assert_eq!(types, ["NVME_TIMEOUT", "NVME_CONTROLLER_RESET", "NVME_CONTROLLER_RECOVERED"]);
    let path = [line(START, "nvme nvme0: starting error recovery"), connected(START + SECOND, "nvme0")];
    let types: Vec<String> = reported(&machine, &path).into_iter().map(|(t, _)| t).collect();
    assert_eq!(types, ["NVME_PATH_FAILED", "NVME_PATH_RECOVERED"]);
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

#[test]
fn a_controller_that_somebody_disconnects_fails_nothing() {
    let machine = Machine::plain().with(namespace("nvme0", "tcp", None));
    let asked = line(START, "nvme nvme0: Removing ctrl: NQN \"nqn.test:one\"");
    let taken_back = nvme(START + MS, Dev::new(259, 0), 8, 0x371);
    let no_path = line(START + 2 * MS, "block nvme0n1: no available path - failing I/O");
    let failed = rq(START + 3 * MS, Dev::new(259, 0), 0, 5, 8);
    let early = [taken_back.clone(), no_path.clone(), asked.clone(), failed.clone()];
    for records in [[asked.clone(), taken_back, no_path, failed], early] {
        let events = reported(&machine, &records);
        assert!(!events.is_empty());
        assert!(events.iter().all(|(_, severity)| *severity == Severity::Notice), "{events:?}");
    }
    // A controller that the driver gave up is removed by the same words.
    let given_up = [
        line(START, "nvme nvme0: starting error recovery"),
        line(START + 60 * SECOND, "nvme nvme0: Removing controller (16770)..."),
        line(START + 60 * SECOND + MS, "nvme nvme0: Removing ctrl: NQN \"nqn.test:one\""),
        line(START + 60 * SECOND + 2 * MS, "block nvme0n1: no available path - failing I/O"),
    ];
    let events = reported(&machine, &given_up);
    assert!(events.contains(&("NVME_PATH_FAILED".to_owned(), Severity::Critical)), "{events:?}");
}

#[test]
fn a_connection_that_somebody_closes_is_not_lost() {
    let lines = |text: &[&str]| {
        let numbered = text.iter().enumerate();
        numbered.map(|(i, text)| line(START + i as u64 * MS, text)).collect::<Vec<_>>()
    };
    let asked = lines(&[
        "block nbd0: NBD_DISCONNECT",
        "block nbd0: Disconnected due to user request.",
        "block nbd0: shutting down sockets",
    ]);
    assert_eq!(reported(&Devices::usual(), &asked), [("NBD_CONNECTION_LOST".to_owned(), Severity::Notice)]);
    let lost =
        lines(&["block nbd0: Receive control failed (result -32)", "block nbd0: shutting down sockets"]);
    assert_eq!(reported(&Devices::usual(), &lost), [("NBD_CONNECTION_LOST".to_owned(), Severity::Error)]);
}

fn gone(ns: u64, dev: Dev, name: &str) -> Record {
    let event = Uevent {
        action: "remove".to_owned(),
        subsystem: "block".to_owned(),
        devpath: format!("/devices/pseudo_0/adapter0/host4/target4:0:0/4:0:0:0/block/{name}"),
        dev: Some(dev),
        seq: ns,
        properties: vec![("DEVNAME".to_owned(), name.to_owned())],
        ..Uevent::default()
    };
    Record { time: stamp(ns), body: Body::Uevent(event) }
}

#[test]
fn a_disk_that_is_deleted_fails_the_requests_under_way_and_nothing_else() {
    let records = [
        rq(START, SDA, 0, 5, 8),
        line(START + MS, "sd 4:0:0:1: rejecting I/O to dead device"),
        gone(START + 20 * MS, SDA, "sda"),
    ];
    let events = reported(&Devices::usual(), &records);
    assert!(events.iter().all(|(_, severity)| *severity >= Severity::Warning), "{events:?}");
    // One that failed before it went.
    let failing = [rq(START, SDA, 0, 5, 8), gone(START + 4 * SECOND, SDA, "sda")];
    let error = |records: &[Record]| {
        reported(&Devices::usual(), records).iter().any(|(_, severity)| *severity == Severity::Error)
    };
    assert!(error(&failing));
    // What the device itself said is true whatever becomes of it.
    let medium = [rq(START, SDA, 0, 61, 8), gone(START + 20 * MS, SDA, "sda")];
    assert!(error(&medium));
}

#[test]
fn a_host_that_goes_with_all_its_disks_is_one_event() {
    let mut machine = Machine::plain();
    let mut records = Vec::new();
    for n in 0..20u32 {
        let (dev, name) = (Dev::new(8, n * 16), format!("sd{}", char::from(b'a' + n as u8)));
        let mut disk = id(dev, &name, BlkType::Scsi);
        disk.transport_id = format!("4:0:{n}:0");
        machine = machine.with(BlkInfo { id: disk, ..BlkInfo::default() });
        records.push(gone(START + u64::from(n) * 40 * MS, dev, &name));
    }
    let events = run(all_live(), &machine, &records);
    let removals = finals(&events);
    assert_eq!(removals.len(), 1, "{:?}", removals.iter().map(|e| &e.msg).collect::<Vec<_>>());
    let event = removals[0];
    assert_eq!((event.event_type.as_str(), event.count), ("BLK_DEVICE_REMOVED", 20));
    let names = event.facts.removal.as_deref().unwrap().devices.as_deref().unwrap();
    assert!(names.len() == 20 && names.contains(&"sdt".to_owned()), "{names:?}");
    assert!(event.msg.starts_with("20 devices went away: sda, sdb"), "{}", event.msg);
    // Another host, or much later, is another event.
    let mut later = records.clone();
    later.push(gone(START + 10 * SECOND, Dev::new(8, 0), "sda"));
    later.push(gone(START + 800 * MS, Dev::new(7, 0), "loop0"));
    assert!(finals(&run(all_live(), &machine, &later)).len() >= 2);
}

#[test]
fn losses_at_one_place_are_one_event_that_grows() {
    let records: Vec<Record> = (0..11)
        .map(|i| {
            line(START + i * 6 * SECOND, &format!("blk_print_req_error: {} callbacks suppressed", i + 1))
        })
        .collect();
    let events = run(LiveSources::text_only(), &Devices::usual(), &records);
    let finals = finals(&events);
    assert_eq!(finals.iter().map(|e| e.count).collect::<Vec<_>>(), [66]);
}

#[test]
fn a_disk_that_lost_its_size_is_no_news() {
    let of = |text: &str| reported(&Devices::usual(), &[line(START, text)]);
    let sda = line(START, "sda: detected capacity change from 131072 to 0");
    assert_eq!(reported(&Devices::usual(), std::slice::from_ref(&sda))[0].1, Severity::Error);
    assert_eq!(of("md0: detected capacity change from 131072 to 0")[0].1, Severity::Info);
    assert_eq!(of("loop0: detected capacity change from 131072 to 0")[0].1, Severity::Info);
    let removed = reported(&Devices::usual(), &[sda, gone(START + MS, SDA, "sda")]);
    assert!(removed.iter().all(|(_, severity)| *severity >= Severity::Notice), "{removed:?}");
}

#[test]
fn what_is_said_of_one_request_is_not_told_of_another() {
    let dev = Dev::new(259, 0);
    let machine = Machine::plain().with(namespace("nvme0", "pcie", None));
    let records = [
        rq(START, dev, 0, 5, 130_560),
        line(START + MS, "nvme0n1: Read(0x2) @ LBA 4352, 8 blocks, Internal Error (sct 0x0 / sc 0x6) "),
        line(
            START + MS,
            "I/O error, dev nvme0n1, sector 4352 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
        ),
    ];
    let events = run(all_live(), &machine, &records);
    for event in finals(&events).iter().filter(|e| e.io.as_ref().is_some_and(|io| io.sector == Some(130_560)))
    {
        assert_eq!(event.facts.get("nvme.lba"), None, "{event:#?}");
    }
    // A driver's word that is too late for its own request, and names another place.
    let late = [
        rq(START, SDA, 0, 5, 130_560),
        scsi(START + MS, SDA, 4352, 7 << 16, [0; 3]),
        rq(START + 2 * MS, SDA, 0, 5, 4352),
    ];
    let events = run(all_live(), &Devices::usual(), &late);
    let event = finals(&events)[0];
    assert_eq!(event.io.as_ref().unwrap().sector, Some(130_560));
    assert!(event.facts.get("scsi.cdb").is_none(), "{event:#?}");
}

#[test]
fn attempts_at_writes_are_not_of_a_read() {
    let write = |ns: u64, sector: u64| {
        let mut record = scsi(ns, SDA, sector, 7 << 16, [0; 3]);
        if let Body::Kernel(KernelRecord { payload: Payload::ScsiDone(cmd), .. }) = &mut record.body {
            cmd.cdb[0] = 0x2a;
        }
        record
    };
    let read = |ns: u64, sector: u64| scsi(ns, SDA, sector, 7 << 16, [0; 3]);
    let records =
        [read(START, 8), write(START + MS, 800), read(START + 2 * MS, 16), write(START + 3 * MS, 808)];
    let events = run(all_live(), &Devices::usual(), &records);
    let reported: Vec<_> = finals(&events)
        .iter()
        .map(|e| {
            (e.io.as_ref().unwrap().op, e.count, e.sector_ranges.iter().map(|r| r.start).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(reported, [(Op::Read, 2, vec![8]), (Op::Write, 2, vec![800])]);
}

#[test]
fn libata_says_why_a_command_failed() {
    let cmd = "ata3.00: cmd 60/08:b0:88:8e:2d/00:00:0f:00:00/40 tag 22 ncq dma 4096 in\n         res 41/40:00:88:8e:2d/00:00:0f:00:00/40 Emask 0x409 (media error) <F>";
    let records = [
        line(START, cmd),
        line(
            START + MS,
            "sd 2:0:0:0: [sda] tag#22 FAILED Result: hostbyte=DID_OK driverbyte=DRIVER_OK cmd_age=3s",
        ),
        line(START + MS, "sd 2:0:0:0: [sda] tag#22 Sense Key : Aborted Command [current] "),
        line(START + MS, "sd 2:0:0:0: [sda] tag#22 Add. Sense: No additional sense information"),
        line(START + MS, "sd 2:0:0:0: [sda] tag#22 CDB: Read(10) 28 00 0f 2d 8e 88 00 00 08 00"),
        line(
            START + MS,
            "I/O error, dev sda, sector 254643848 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2",
        ),
    ];
    let events = run(LiveSources::text_only(), &Devices::usual(), &records);
    for event in finals(&events) {
        assert!(!event.msg.contains("No additional sense"), "{}", event.msg);
    }
    assert!(finals(&events).iter().any(|e| e.msg.contains("media error")), "{:?}", events[0].msg);
}

#[test]
fn no_effect_is_before_its_cause() {
    let first = |events: &[Event], name: &str| {
        finals(events).iter().find(|e| e.event_type.as_str() == name).unwrap().first_timestamp
    };
    // The clock of text is behind.
    let records = [
        rq(START, SDA, 1, 5, 8),
        line(START - 50 * MS, "JBD2: Detected IO errors while flushing file data on sda-8"),
    ];
    let events = run(all_live(), &Devices::usual(), &records);
    let effect = finals(&events).into_iter().find(|e| e.sub_system.as_str() == "jbd2").unwrap();
    assert!(effect.root_cause_event_id.is_some());
    assert!(effect.first_timestamp >= first(&events, "BLK_IO_ERROR"), "{effect:#?}");
    assert!(effect.last_timestamp >= effect.first_timestamp);
}
