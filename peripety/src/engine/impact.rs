//! How bad a failure is asked to be: by what it means for those who use the data, and not by what the kernel printed.

mod asked;
mod last;
mod mounts;

use std::sync::Arc;

use super::{
    tests::{
        DM0, Devices, MS, SDA, SECOND, START, all_live, bio, finals, kernel, line, nvme, rq, scsi, stamp,
    },
    *,
};
use crate::{
    block::{BlkId, BlkInfo, BlkType, Dev, Transport},
    event::{EventType, Op, Sector, Severity},
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
    // The page cache was to read the partition table.
    let sense = [2, 4, 0x0b];
    let page = |ns: u64| line(ns, "Buffer I/O error on dev sda, logical block 0, async page read");
    let mut scan = Vec::new();
    for n in 0..3 {
        let ns = START + n * 4 * MS;
        scan.extend([scsi(ns, SDA, 0, 2, sense), rq(ns + MS, SDA, 0, 5, 0), page(ns + 2 * MS)]);
    }
    let events = run(all_live(), &Devices::usual(), &scan);
    assert!(events.is_empty(), "{:#?}", events[0]);
    scan.extend([rq(START + SECOND, SDA, 0, 5, 0), page(START + SECOND + MS)]);
    assert!(!run(all_live(), &Devices::usual(), &scan).is_empty());
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
    for event in
        finals(&events).iter().filter(|e| e.io.as_ref().is_some_and(|io| io.sector == Some(Sector(130_560))))
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
    assert_eq!(event.io.as_ref().unwrap().sector, Some(Sector(130_560)));
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
            (
                e.io.as_ref().unwrap().op,
                e.count,
                e.sector_ranges.iter().map(|r| r.start.0).collect::<Vec<_>>(),
            )
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
