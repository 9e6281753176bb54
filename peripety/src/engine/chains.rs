//! Failures that several layers report one after the other: attempts, error handling, the request that failed in the end.

mod log_alone;

use std::sync::Arc;

use peripety_common::{Kind, Payload, scsi_cmd::ScsiCmd, scsi_eh::ScsiEh};

use super::{
    tests::{
        DM0, Devices, LOOP0, MS, SDA, START, Words, all_live, bio, finals, kernel, line, rq, scsi, stamp,
        types,
    },
    *,
};
use crate::{
    block::{BlkInfo, BlkType, Dev},
    event::{EventType, Severity},
    parser::rules::RuleSet,
    record::Uevent,
};

const SECOND: u64 = 1000 * MS;
const ABORTED: [u8; 3] = [0xb, 0x4b, 3];

/// sda is the one disk of ata3, and of host4.
struct Sata(Devices);

impl DeviceFacts for Sata {
    fn by_dev(&self, dev: Dev, at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        let mut info = (*self.0.by_dev(dev, at_ns)?).clone();
        if dev == SDA {
            let (port, speed) = ("ata3".to_owned(), "6.0 Gbps".to_owned());
            info.id.transport = Some(crate::block::Transport::Sata { port, speed });
        }
        Some(Arc::new(info))
    }

    fn by_name(&self, name: &str, at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        let name = if ["ata3.00", "ata3", "host4", "0:0:0:0"].contains(&name) { "sda" } else { name };
        self.by_dev(self.0.by_name(name, at_ns)?.id.dev, at_ns)
    }
}

fn run_with(
    rules: impl TextParser + 'static,
    facts: &dyn DeviceFacts,
    live: LiveSources,
    records: &[Record],
) -> Vec<Event> {
    let settings = Settings { boot_id: "0".repeat(32), hostname: "host".to_owned(), live };
    let (mut engine, mut out) = (Engine::new(settings, rules), Vec::new());
    for record in records {
        engine.push(record, facts, &mut out);
    }
    engine.finish(facts, &mut out);
    out
}

fn run(live: LiveSources, records: &[Record]) -> Vec<Event> {
    run_with(Words, &Devices::usual(), live, records)
}

fn timeout(ns: u64, sector: u64) -> Record {
    let record = scsi(ns, SDA, sector, 0, [0; 3]);
    let Body::Kernel(peripety_common::KernelRecord { payload: Payload::ScsiDone(cmd), .. }) = record.body
    else {
        unreachable!()
    };
    kernel(Kind::ScsiTimeout, ns, Payload::ScsiTimeout(ScsiCmd { host: 4, ..cmd }))
}

fn brief(event: &Event) -> (&str, u64, Severity) {
    (event.event_type.as_str(), event.count, event.severity)
}

#[test]
fn attempts_that_took_long_and_the_request_that_failed_of_them_are_one_failure() {
    let attempt = |ms: u64| scsi(START + ms * MS, SDA, 0x1230, 2, ABORTED);
    let events = run(
        all_live(),
        &[
            attempt(0),
            attempt(30),
            attempt(60),
            attempt(150),
            attempt(200),
            rq(START + 201 * MS, SDA, 0, 5, 0x1230),
        ],
    );
    assert!(
        events.iter().any(|e| e.facts.get("impact.tried_again").is_some()),
        "it was reported before the request failed"
    );
    let finals = finals(&events);
    assert_eq!(
        finals.iter().map(|e| brief(e)).collect::<Vec<_>>(),
        [("SCSI_ABORTED_COMMAND", 1, Severity::Error)]
    );
    assert_eq!(finals[0].facts.get("counts.retried_commands"), Some(4.into()));
    assert!(finals[0].facts.get("impact.tried_again").is_none());
    assert_eq!(finals[0].io.as_ref().unwrap().errno, Some(crate::event::Errno::EIO));
}

#[test]
fn lines_about_the_last_attempt_are_about_the_request_whatever_tag_the_first_had() {
    let result = 7 << 16;
    let mut first = scsi(START, SDA, 200, result, [0; 3]);
    let Body::Kernel(peripety_common::KernelRecord { payload: Payload::ScsiDone(cmd), .. }) = &mut first.body
    else {
        unreachable!()
    };
    cmd.tag = 33;
    let events = run(
        all_live(),
        &[
            first,
            scsi(START + 199 * MS, SDA, 200, result, [0; 3]),
            rq(START + 200 * MS, SDA, 0, 5, 200),
            line(START + 201 * MS, "SCSI_TRANSPORT_ERROR scsi sda scsi.tag=117 scsi.host_byte=DID_ERROR"),
            line(START + 201 * MS, "SCSI_SENSE_OTHER scsi sda scsi.tag=117 scsi.sense_key=0"),
        ],
    );
    assert_eq!(types(&finals(&events)), [("SCSI_TRANSPORT_ERROR".to_owned(), 1)]);
}

#[test]
fn attempts_at_one_place_have_nothing_to_do_with_a_request_at_another() {
    let events =
        run(all_live(), &[scsi(START, SDA, 0x1230, 2, ABORTED), rq(START + 200 * MS, SDA, 0, 5, 0x9990)]);
    assert_eq!(
        types(&finals(&events)),
        [("SCSI_ABORTED_COMMAND".to_owned(), 1), ("BLK_IO_ERROR".to_owned(), 1)]
    );
}

#[test]
fn a_command_that_timed_out_and_its_request_are_one_failure() {
    let events = run(
        all_live(),
        &[timeout(START, 300), timeout(START + 2 * SECOND, 300), rq(START + 4 * SECOND, SDA, 0, 110, 300)],
    );
    let finals = finals(&events);
    assert_eq!(finals.iter().map(|e| brief(e)).collect::<Vec<_>>(), [("SCSI_TIMEOUT", 1, Severity::Error)]);
    assert_eq!(finals[0].facts.get("counts.retried_commands"), Some(2.into()));
}

#[test]
fn a_sense_line_that_tells_less_than_the_request_is_still_about_it() {
    for live in [all_live(), LiveSources::text_only()] {
        let events = run(
            live,
            &[
                scsi(START, SDA, 60000, 2, [7, 0x27, 7]),
                rq(START + MS, SDA, 1, 28, 60000),
                line(START + 2 * MS, "SCSI_SENSE_OTHER scsi sda scsi.tag=117 scsi.host_byte=DID_OK"),
                line(START + 2 * MS, "SCSI_DATA_PROTECT scsi sda scsi.tag=117 scsi.sense_key=7"),
                line(START + 3 * MS, "BLK_NO_SPACE block sda op=write sector=60000"),
            ][if live == all_live() { 0 } else { 2 }..],
        );
        let finals = finals(&events);
        assert_eq!(types(&finals), [("BLK_NO_SPACE".to_owned(), 1)], "{live:?}");
        assert_eq!(finals[0].raw_msgs.len(), 3);
    }
}

#[test]
fn what_libata_says_of_a_failed_command_is_one_failure() {
    let text = "ata3.00: cmd 60/08:f0:08:00:00/00:00:00:00:00/40 tag 30 ncq dma 4096 in\n         res 41/40:08:08:00:00/00:00:00:00:00/00 Emask 0x409 (media error) <F>";
    let eh = kernel(Kind::ScsiEhWakeup, START + 2 * MS, Payload::ScsiEh(ScsiEh { host: 4, failed: 1 }));
    let events = run_with(
        RuleSet::built_in(),
        &Sata(Devices::usual()),
        all_live(),
        &[timeout(START, 300), eh, line(START + 3 * MS, text), rq(START + 50 * MS, SDA, 0, 5, 300)],
    );
    let finals = finals(&events);
    assert_eq!(
        finals.iter().map(|e| brief(e)).collect::<Vec<_>>(),
        [("ATA_COMMAND_ERROR", 1, Severity::Error)]
    );
    assert_eq!(finals[0].raw_msgs, [text]);
    assert_eq!(finals[0].block.as_ref().unwrap().id.blk_path, "/dev/sda");
    let sources = ["ebpf:scsi_dispatch_cmd_timeout", "ebpf:scsi_eh_wakeup", "kmsg", "ebpf:block_rq_error"];
    assert_eq!(finals[0].sources, sources);
}

#[test]
fn a_bad_copy_in_btrfs_is_one_failure_of_the_device_that_has_it() {
    let csum = |ms: u64, inode: u64| {
        let at = START + ms * MS;
        line(
            at,
            &format!(
                "BTRFS warning (device sda): csum failed root 5 ino {inode} off 0 csum 0x1 expected csum 0x2 mirror 2"
            ),
        )
    };
    let member = |ms: u64, n: u64| {
        let at = START + ms * MS;
        line(
            at,
            &format!(
                "BTRFS error (device sda): bdev /dev/loop0 errs: wr 0, rd 0, flush 0, corrupt {n}, gen 0"
            ),
        )
    };
    let run = |records: &[Record]| run_with(RuleSet::built_in(), &Devices::usual(), all_live(), records);
    let events = run(&[csum(0, 257), member(1, 1), csum(2, 258), member(3, 2)]);
    let finals_of_both = finals(&events);
    assert_eq!(
        finals_of_both.iter().map(|e| brief(e)).collect::<Vec<_>>(),
        [("FS_CHECKSUM_ERROR", 2, Severity::Error)]
    );
    assert_eq!(finals_of_both[0].block.as_ref().unwrap().id.blk_path, "/dev/loop0");
    assert_eq!(finals_of_both[0].raw_msgs.len(), 4);
    assert!(finals_of_both[0].raw_msgs[0].contains("ino 257"));
    // A line without the other reports the failure alone.
    assert_eq!(types(&finals(&run(&[member(0, 1)]))), [("FS_CHECKSUM_ERROR".to_owned(), 1)]);
    let events = run(&[csum(0, 257)]);
    assert_eq!(finals(&events)[0].kdev, "sda");
}

#[test]
fn a_write_and_the_flush_before_it_are_one_failure() {
    let mut flush = rq(START, SDA, 1, 5, 2056);
    let Body::Kernel(peripety_common::KernelRecord { payload: Payload::BlockRq(of_flush), .. }) =
        &mut flush.body
    else {
        unreachable!()
    };
    of_flush.nr_sectors = 0;
    let events = run(all_live(), &[flush.clone(), rq(START + MS, SDA, 1, 5, 2056)]);
    let one = finals(&events);
    assert_eq!(types(&one), [("BLK_IO_ERROR".to_owned(), 1)]);
    let io = one[0].io.as_ref().unwrap();
    assert_eq!((io.op, io.nr_sectors), (crate::event::Op::Write, Some(8)));
    // Another write is another failure.
    let events = run(all_live(), &[flush, rq(START + MS, SDA, 1, 5, 4096)]);
    assert_eq!(finals(&events).len(), 2);
}

#[test]
fn what_md_says_of_a_superblock_is_about_the_member_that_it_names_next() {
    let first = line(START, "md: super_written gets error=-5");
    let next = line(
        START + MS,
        "md/raid1:md0: Disk failure on sda, disabling device.\nmd/raid1:md0: Operation continuing on 1 devices.",
    );
    let run = |records: &[Record]| run_with(RuleSet::built_in(), &Devices::usual(), all_live(), records);
    for records in [[first.clone(), next.clone()], [next, first.clone()]] {
        let events = run(&records);
        let one = finals(&events);
        assert_eq!(
            one.iter().map(|e| brief(e)).collect::<Vec<_>>(),
            [("MD_DISK_FAILED", 1, Severity::Warning)],
            "the other one serves"
        );
        assert_eq!((one[0].kdev.as_str(), one[0].raw_msgs.len()), ("sda", 2));
    }
    let events = run(&[first]);
    assert_eq!(
        finals(&events).iter().map(|e| brief(e)).collect::<Vec<_>>(),
        [("MD_DISK_FAILED", 1, Severity::Warning)]
    );
}

#[test]
fn a_line_waits_for_the_next_one_however_far_the_ring_is_ahead() {
    let first = line(START, "md: super_written gets error=-5");
    let failed = "md/raid1:md0: Disk failure on sda, disabling device.\nmd/raid1:md0: Operation continuing on 1 devices.";
    let ahead = START + 250 * MS;
    let uevent = Uevent {
        seq: 1,
        action: "change".to_owned(),
        subsystem: "block".to_owned(),
        devpath: "/devices/virtual/block/loop0".to_owned(),
        dev: Some(LOOP0),
        ..Uevent::default()
    };
    // The ring is read up to some time beyond that of the next line, and uevents before it.
    for other in [rq(ahead, LOOP0, 0, 5, 8), Record { time: stamp(ahead), body: Body::Uevent(uevent) }] {
        let devices = Devices::usual().holding(SDA, &[(Dev::new(9, 0), "md0", BlkType::Md)]);
        let records = [bio(START, SDA, 5, 8), first.clone(), other, line(START + MS, failed)];
        let events = run_with(RuleSet::built_in(), &devices, all_live(), &records);
        let members: Vec<_> = finals(&events)
            .iter()
            .filter(|e| e.event_type == EventType::MD_DISK_FAILED)
            .map(|e| e.kdev.clone())
            .collect();
        assert_eq!(members, ["sda"]);
    }
}

#[test]
fn what_names_no_array_is_about_the_one_whose_member_has_just_failed() {
    let written = line(START + 2 * MS, "md: super_written gets error=-5");
    let failed = bio(START, SDA, 5, 8);
    let run = |devices: Devices| {
        let records = [failed.clone(), written.clone()];
        let events = run_with(RuleSet::built_in(), &devices, all_live(), &records);
        let all = finals(&events);
        let md: Vec<&&Event> = all.iter().filter(|e| e.event_type == EventType::MD_DISK_FAILED).collect();
        assert_eq!(md.len(), 1, "{all:?}");
        (*md[0]).clone()
    };
    let (md7, md8) = ((Dev::new(9, 7), "md7", BlkType::Md), (Dev::new(9, 8), "md8", BlkType::DmRaid));
    let named = run(Devices::usual().holding(SDA, &[md7]));
    assert_eq!((named.kdev.as_str(), named.facts.get("md.array")), ("md7", Some("md7".into())));
    assert_eq!(named.block.unwrap().id.dev, md7.0);
    let unsure = run(Devices::usual().holding(SDA, &[md7, md8]));
    assert_eq!((unsure.kdev.as_str(), unsure.facts.md.unwrap().candidates.unwrap().len()), ("", 2));
}

#[test]
fn reading_ahead_in_vain_is_no_failure() {
    let mut ahead = bio(START, DM0, 5, 65408);
    let Body::Kernel(peripety_common::KernelRecord { payload: Payload::BlockBio(of_ahead), .. }) =
        &mut ahead.body
    else {
        unreachable!()
    };
    of_ahead.cmd_flags = 1 << 19;
    assert!(run(all_live(), &[ahead]).is_empty());
    assert_eq!(run(all_live(), &[bio(START, DM0, 5, 65408)]).len(), 1);
}

#[test]
fn what_became_of_a_device_is_no_cause_of_its_successors_failures() {
    let uevent = |ms: u64, action: &str| {
        let event = Uevent {
            action: action.to_owned(),
            subsystem: "block".to_owned(),
            devpath: "/devices/virtual/block/loop0".to_owned(),
            dev: Some(LOOP0),
            seq: ms,
            ..Uevent::default()
        };
        Record { time: stamp(START + ms * MS), body: Body::Uevent(event) }
    };
    let failure = rq(START + 50 * MS, LOOP0, 0, 5, 8);
    let cause = |records: &[Record]| {
        let events = run(all_live(), records);
        finals(&events).iter().find(|e| e.event_type == EventType::BLK_IO_ERROR).unwrap().root_cause_event_id
    };
    assert!(cause(&[uevent(1, "remove"), failure.clone()]).is_some());
    assert!(cause(&[uevent(1, "remove"), uevent(2, "add"), failure]).is_none());
    // Device mapper and the block layer both say that a map went.
    let events =
        run(all_live(), &[uevent(1, "remove"), uevent(2, "remove"), uevent(3, "add"), uevent(4, "remove")]);
    let gone = finals(&events).iter().filter(|e| e.event_type == EventType::BLK_DEVICE_REMOVED).count();
    assert_eq!(gone, 2);
}

#[test]
fn what_guards_a_devices_data_is_the_cause_of_its_failed_requests() {
    let said = line(START, "device-mapper: integrity: dm-0: Checksum failed at sector 0x808");
    let events =
        run_with(RuleSet::built_in(), &Devices::usual(), all_live(), &[said, bio(START + MS, DM0, 84, 2056)]);
    let both = finals(&events);
    let id = |kind: EventType| both.iter().find(|e| e.event_type == kind).unwrap();
    assert_eq!(
        id(EventType::BLK_PROTECTION_ERROR).root_cause_event_id,
        Some(id(EventType::DM_INTEGRITY_CHECKSUM_FAILED).event_id)
    );
}

#[test]
fn a_disk_that_no_longer_answers_is_one_incident_and_two_bad_requests_are_two() {
    let events = run(
        all_live(),
        &[
            timeout(START, 300),
            line(START + 20 * SECOND, "SCSI_DEVICE_OFFLINED scsi sda"),
            scsi(START + 20 * SECOND + MS, SDA, 300, 3 << 16, [0; 3]),
            rq(START + 20 * SECOND + 2 * MS, SDA, 0, 5, 300),
        ],
    );
    let reported = finals(&events);
    assert_eq!(types(&reported).len(), 3);
    assert!(
        reported[1..].iter().all(|e| e.root_cause_event_id == Some(reported[0].event_id)),
        "{reported:#?}"
    );

    let medium = [scsi(START, SDA, 8, 2, [3, 0x11, 0]), rq(START + MS, SDA, 0, 61, 8)];
    let events = run(all_live(), &[&medium[..], &[rq(START + 9 * MS, SDA, 1, 28, 4096)]].concat());
    assert!(finals(&events).iter().all(|e| e.root_cause_event_id.is_none()));
}
