use std::{collections::HashMap, sync::Arc};

use peripety_common::{
    Header, KernelRecord, Kind, Payload, VERSION,
    block_bio::BlockBio,
    block_rq::BlockRq,
    ext4::Ext4Shutdown,
    nvme_rq::NvmeRq,
    scsi_cmd::{CDB_BYTES, NO_SECTOR, SENSE_BYTES, ScsiCmd},
    wb_err::WbErr,
};
use proptest::prelude::*;

use super::*;
use crate::{
    block::{BlkId, BlkInfo, BlkType, Dev, Identity, NoFacts},
    event::{
        Event, EventType, Extent, Io, Op, Severity,
        facts::{GroupFacts, HostByte},
    },
    parser::Kdev,
    record::{Lost, Uevent},
};

pub(super) const MS: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1000 * MS;
pub(super) const START: u64 = 100 * SECOND;
/// 2026-01-01 00:00:00 UTC less [`START`].
const BOOT_US: i64 = 1_767_225_600_000_000 - 100_000_000;

pub(super) const SDA: Dev = Dev::new(8, 0);
pub(super) const LOOP0: Dev = Dev::new(7, 0);
pub(super) const DM0: Dev = Dev::new(253, 0);

pub(super) fn stamp(ns: u64) -> Stamp {
    Stamp { monotonic_ns: Some(ns), realtime_us: BOOT_US + (ns / 1000) as i64 }
}

pub(super) fn kernel(kind: Kind, ns: u64, payload: Payload) -> Record {
    let header =
        Header { kind: kind.number(), len: 0, version: VERSION, flags: 0, cpu: 1, seq: ns, mono_ns: ns };
    Record { time: stamp(ns), body: Body::Kernel(KernelRecord { header, payload }) }
}

pub(super) fn rq(ns: u64, dev: Dev, op: u8, errno: i32, sector: u64) -> Record {
    let rq = BlockRq {
        sector,
        dev: dev.to_kernel(),
        errno,
        nr_sectors: 8,
        cmd_flags: 0,
        tag: -1,
        op,
        status: 10,
        reserved: 0,
    };
    kernel(Kind::BlockRqError, ns, Payload::BlockRq(rq))
}

pub(super) fn bio(ns: u64, dev: Dev, errno: i32, sector: u64) -> Record {
    let bio = BlockBio {
        sector,
        dev: dev.to_kernel(),
        errno,
        nr_sectors: 8,
        cmd_flags: 0,
        op: 0,
        status: 10,
        extent: 0,
        advanced: 0,
    };
    kernel(Kind::BlockBioComplete, ns, Payload::BlockBio(bio))
}

pub(super) fn scsi(ns: u64, dev: Dev, sector: u64, result: u32, sense: [u8; 3]) -> Record {
    let mut cmd = ScsiCmd {
        lun: 1,
        sector,
        host: 4,
        channel: 0,
        target: 0,
        dev: dev.to_kernel(),
        result,
        tag: 117,
        data_len: 4096,
        cmd_len: 10,
        retries: 0,
        allowed: 5,
        sense_valid: u8::from(sense != [0; 3]),
        sense_key: sense[0],
        asc: sense[1],
        ascq: sense[2],
        reserved: 0,
        cdb: [0; CDB_BYTES],
        sense: [0; SENSE_BYTES],
    };
    cmd.cdb[0] = 0x28;
    cmd.cdb[2..6].copy_from_slice(&(sector as u32).to_be_bytes());
    cmd.cdb[8] = 8;
    kernel(Kind::ScsiDone, ns, Payload::ScsiDone(cmd))
}

pub(super) fn nvme(ns: u64, dev: Dev, slba: u64, status: u16) -> Record {
    let mut disk = [0; 32];
    disk[..7].copy_from_slice(b"nvme0n1");
    let rq = NvmeRq {
        slba,
        result: 0,
        ctrl: 0,
        dev: dev.to_kernel(),
        nsid: 1,
        qid: 1,
        cid: 5,
        nlb: 7,
        status,
        retries: 0,
        flags: 0,
        opcode: 2,
        reserved: [0; 5],
        disk,
    };
    kernel(Kind::NvmeCompleteRq, ns, Payload::NvmeRq(rq))
}

pub(super) fn line(ns: u64, text: &str) -> Record {
    let log = LogRecord { seq: ns, level: 3, text: text.to_owned(), ..LogRecord::default() };
    Record { time: stamp(ns), body: Body::Log(log) }
}

/// Stands for the rules: `TYPE sub_system device [key=value …]`.
pub(super) struct Words;

impl TextParser for Words {
    fn parse(&self, record: &LogRecord, time: Stamp) -> Option<RawEvent> {
        let mut words = record.text.split(' ');
        let mut raw =
            RawEvent::new(time, "kmsg", record.seq.to_string(), EventType::new(words.next()?.to_owned()));
        raw.sub_system = crate::event::SubSystem::new(words.next()?);
        raw.kdev = Kdev::Name(words.next()?.to_owned());
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            match key {
                "op" => {
                    raw.io.get_or_insert_default().op = if value == "write" { Op::Write } else { Op::Read }
                }
                "sector" => raw.io.get_or_insert_default().sector = value.parse().ok(),
                "n" => {}
                path => raw.facts.set_text(path, value).unwrap(),
            }
        }
        raw.raw_msg = Some(record.text.clone());
        Some(raw)
    }
}

fn inode(event: &Event) -> Option<u64> {
    event.facts.fs.as_ref().and_then(|fs| fs.inode)
}

fn group(event: &Event) -> GroupFacts {
    event.facts.group.as_deref().cloned().unwrap_or_default()
}

#[derive(Default)]
pub(super) struct Devices(HashMap<Dev, Arc<BlkInfo>>);

impl Devices {
    pub(super) fn with(mut self, dev: Dev, name: &str, owners: &[Dev]) -> Self {
        let id = |dev: Dev, name: &str| BlkId {
            dev,
            wwid: format!("wwid-{dev}"),
            blk_path: format!("/dev/{name}"),
            preferred_blk_path: if name == "dm-0" {
                "/dev/mapper/mpatha".to_owned()
            } else {
                format!("/dev/{name}")
            },
            blk_type: BlkType::Other,
            identity: Identity::Live,
            ..BlkId::default()
        };
        let owners = owners.iter().map(|owner| self.0[owner].id.clone()).collect();
        self.0.insert(dev, Arc::new(BlkInfo { id: id(dev, name), owners, holders: Vec::new() }));
        self
    }

    /// Known to lie at a SCSI address, by which it is not found.
    pub(super) fn at(mut self, dev: Dev, place: &str) -> Self {
        place.clone_into(&mut Arc::make_mut(self.0.get_mut(&dev).unwrap()).id.transport_id);
        self
    }

    /// Made into these.
    pub(super) fn holding(mut self, dev: Dev, holders: &[(Dev, &str, BlkType)]) -> Self {
        for (holder, name, kind) in holders {
            self = self.with(*holder, name, &[dev]);
            Arc::make_mut(self.0.get_mut(holder).unwrap()).id.blk_type = *kind;
        }
        let ids = holders.iter().map(|(holder, ..)| self.0[holder].id.clone()).collect();
        Arc::make_mut(self.0.get_mut(&dev).unwrap()).holders = ids;
        self
    }

    pub(super) fn usual() -> Self {
        Self::default().with(SDA, "sda", &[]).with(LOOP0, "loop0", &[]).with(DM0, "dm-0", &[SDA])
    }
}

impl DeviceFacts for Devices {
    fn by_dev(&self, dev: Dev, _at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        self.0.get(&dev).cloned()
    }

    fn by_name(&self, name: &str, _at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        let name = if name == "4:0:0:1" { "sda" } else { name };
        self.0.values().find(|info| info.id.blk_path == format!("/dev/{name}")).cloned()
    }
}

pub(super) fn all_live() -> LiveSources {
    LiveSources::with_probes(Kind::ALL.iter().copied(), 0)
}

pub(super) fn engine(live: LiveSources) -> Engine {
    Engine::new(Settings { boot_id: "0".repeat(32), hostname: "host".to_owned(), live }, Words)
}

/// All events of the records, closed at the end.
pub(super) fn run(live: LiveSources, records: &[Record]) -> Vec<Event> {
    let (mut engine, facts, mut out) = (engine(live), Devices::usual(), Vec::new());
    for record in records {
        engine.push(record, &facts, &mut out);
    }
    engine.finish(&facts, &mut out);
    assert_eq!(engine.next_deadline_ns().filter(|_| engine.open_events() != 0), None);
    out
}

/// The last revision of each event.
pub(super) fn finals(events: &[Event]) -> Vec<&Event> {
    let finals: Vec<&Event> = events.iter().filter(|e| e.is_final).collect();
    for event in &finals {
        let revisions: Vec<u32> =
            events.iter().filter(|e| e.event_id == event.event_id).map(|e| e.revision).collect();
        assert_eq!(revisions, (0..revisions.len() as u32).collect::<Vec<_>>(), "{event:?}");
    }
    finals
}

pub(super) fn types(events: &[&Event]) -> Vec<(String, u64)> {
    events.iter().map(|e| (e.event_type.to_string(), e.count)).collect()
}

#[test]
fn one_failure_is_out_within_100_ms_and_closed_after_5_s() {
    let (mut engine, facts, mut out) = (engine(all_live()), Devices::usual(), Vec::new());
    assert_eq!(engine.next_deadline_ns(), None);
    engine.push(&rq(START, LOOP0, 0, 5, 2048), &facts, &mut out);
    let first = engine.next_deadline_ns().unwrap();
    assert!(first <= START + 100 * MS, "{first}");
    engine.tick(first, &facts, &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!((out[0].revision, out[0].count, out[0].is_final), (0, 1, false));
    assert_eq!(out[0].msg, "read of 8 sectors at 2048 failed on /dev/loop0: I/O error (EIO)");
    let last = engine.next_deadline_ns().unwrap();
    assert_eq!(last, START + 5 * SECOND);
    engine.tick(last, &facts, &mut out);
    assert_eq!((out.len(), out[1].revision, out[1].is_final), (2, 1, true));
    assert_eq!(out[1].event_id, out[0].event_id);
    // And then it sleeps.
    assert_eq!((engine.next_deadline_ns(), engine.open_events()), (None, 0));
}

#[test]
fn a_failure_of_which_no_driver_speaks_is_out_at_once_and_its_text_comes_with_it_or_later() {
    for text_ns in [2 * MS, 30 * MS] {
        let (mut engine, mut facts, mut out) = (engine(all_live()), Devices::usual(), Vec::new());
        Arc::make_mut(facts.0.get_mut(&LOOP0).unwrap()).id.blk_type = BlkType::Loop;
        engine.push(&rq(START, LOOP0, 0, 5, 2048), &facts, &mut out);
        let text = line(START + text_ns, "BLK_IO_ERROR block loop0 op=read sector=2048");
        let (mut pushed, mut ns) = (false, 0);
        while ns < 7 * SECOND {
            if !pushed && ns >= text_ns {
                engine.push(&text, &facts, &mut out);
                pushed = true;
            }
            engine.tick(START + ns, &facts, &mut out);
            if out.is_empty() {
                assert!(ns < 15 * MS, "nothing is out after {ns} ns");
            }
            ns += MS;
        }
        assert_eq!(types(&finals(&out)), [("BLK_IO_ERROR".to_owned(), 1)]);
        let first_with_text = out.iter().position(|event| !event.raw_msgs.is_empty());
        assert_eq!(first_with_text, Some(usize::from(text_ns > 15 * MS)));
        let written = out[usize::from(text_ns > 15 * MS)].is_final;
        assert!(!written, "its text waits for its end");
        assert!(out.iter().all(|event| event.event_id == out[0].event_id));
    }
    // What a driver may have to say is waited for.
    let (mut engine, facts, mut out) = (engine(all_live()), Devices::usual(), Vec::new());
    engine.push(&rq(START, SDA, 0, 5, 2048), &facts, &mut out);
    engine.tick(START + 40 * MS, &facts, &mut out);
    assert!(out.is_empty());
}

#[test]
fn text_of_a_counted_failure_is_its_line_whichever_comes_first() {
    let text = |ns| line(ns, "BLK_IO_ERROR block loop0 op=read sector=2048");
    let ring = |ns| rq(ns, LOOP0, 0, 5, 2048);
    for records in [
        [text(START), ring(START + 10 * MS)],
        [ring(START), text(START + 10 * MS)],
        // The clock of text lags.
        [ring(START), text(START - 200 * MS)],
        [ring(START), text(START + 3 * SECOND)],
    ] {
        let events = run(all_live(), &records);
        let finals = finals(&events);
        assert_eq!(types(&finals), [("BLK_IO_ERROR".to_owned(), 1)]);
        assert_eq!(finals[0].sources, ["ebpf:block_rq_error", "kmsg"]);
        assert_eq!(finals[0].raw_msgs, ["BLK_IO_ERROR block loop0 op=read sector=2048"]);
    }
}

#[test]
fn text_without_its_record_is_an_event_all_the_same() {
    let text = line(START, "BLK_IO_ERROR block loop0 op=read sector=2048");
    for live in
        [all_live(), LiveSources::text_only(), LiveSources::with_probes([Kind::BlockRqError], START + SECOND)]
    {
        let events = run(live, &[text.clone(), text.clone()]);
        assert_eq!(types(&finals(&events)), [("BLK_IO_ERROR".to_owned(), 2)], "{live:?}");
    }
}

#[test]
fn the_words_of_scsi_make_the_blocks_failure_precise() {
    let events = run(
        all_live(),
        &[
            scsi(START, SDA, 0x1230, 2, [3, 0x11, 0]),
            rq(START + MS, SDA, 0, 61, 0x1230),
            line(START + 2 * MS, "SCSI_MEDIUM_ERROR scsi sda scsi.tag=117 scsi.host_byte=DID_OK"),
            line(START + 2 * MS, "SCSI_MEDIUM_ERROR scsi sda scsi.tag=117 scsi.sense_key=3"),
            line(START + 2 * MS, "BLK_MEDIUM_ERROR block sda op=read sector=4656"),
        ],
    );
    let finals = finals(&events);
    assert_eq!(types(&finals), [("SCSI_MEDIUM_ERROR".to_owned(), 1)]);
    let event = finals[0];
    assert_eq!(event.sub_system.as_str(), "scsi");
    assert_eq!(event.raw_msgs.len(), 3);
    assert_eq!(event.sources, ["ebpf:block_rq_error", "ebpf:scsi_dispatch_cmd_done", "kmsg"]);
    assert_eq!(event.io.as_ref().unwrap().errno, Some(61));
    let scsi = event.facts.scsi.as_deref().unwrap();
    assert_eq!((scsi.asc, scsi.tag, scsi.host_byte), (Some(0x11), Some(117), Some(HostByte(0))));
    assert_eq!(
        event.msg,
        "read of 8 sectors at 4656 failed on /dev/sda: Medium Error, Unrecovered read error (ENODATA)"
    );
}

#[test]
fn a_chain_of_scsi_text_alone_is_one_event() {
    let events = run(
        LiveSources::text_only(),
        &[
            line(START, "SCSI_MEDIUM_ERROR scsi sda scsi.tag=1 scsi.host_byte=DID_OK"),
            line(START + 1, "SCSI_MEDIUM_ERROR scsi sda scsi.tag=1 scsi.sense_key=3"),
            line(START + 2, "SCSI_MEDIUM_ERROR scsi sda scsi.tag=1 scsi.cdb=28"),
            line(START + 3, "BLK_MEDIUM_ERROR block sda op=read sector=4656"),
        ],
    );
    let finals = finals(&events);
    assert_eq!(types(&finals), [("SCSI_MEDIUM_ERROR".to_owned(), 1)]);
    assert_eq!(finals[0].raw_msgs.len(), 4);
    assert!(finals[0].raw_msgs[3].starts_with("BLK_"));
    assert_eq!(finals[0].io.as_ref().unwrap().sector, Some(4656));
}

#[test]
fn a_command_that_was_sent_again_is_told_by_itself() {
    let events = run(
        all_live(),
        &[
            scsi(START, SDA, 0x1230, 0xe << 16, [0; 3]),
            scsi(START + MS, SDA, 0x1230, 0xe << 16, [0; 3]),
            scsi(START + SECOND, SDA, 8, 2, [1, 0x17, 1]),
        ],
    );
    let finals = finals(&events);
    assert_eq!(
        types(&finals),
        [("SCSI_TRANSPORT_ERROR".to_owned(), 2), ("SCSI_RECOVERED_ERROR".to_owned(), 1)]
    );
    assert_eq!(finals[0].severity, Severity::Warning);
}

#[test]
fn commands_that_were_sent_again_in_vain_are_no_failures_of_their_own() {
    let events = run(
        all_live(),
        &[
            scsi(START, SDA, 0x1230, 0xe << 16, [0; 3]),
            scsi(START + MS, SDA, 0x1230, 0xe << 16, [0; 3]),
            rq(START + 2 * MS, SDA, 0, 67, 0x1230),
        ],
    );
    let finals = finals(&events);
    assert_eq!(types(&finals), [("SCSI_TRANSPORT_ERROR".to_owned(), 1)]);
    assert_eq!(finals[0].facts.get("counts.retried_commands"), Some(1.into()));
    assert_eq!(finals[0].severity, Severity::Error);
}

#[test]
fn nvme_and_block_are_one_failure_on_disks_with_either_block_size() {
    for (slba, sector) in [(2048, 2048), (256, 2048)] {
        let dev = Dev::new(259, 300);
        let events = run(all_live(), &[nvme(START, dev, slba, 0x4281), rq(START + MS, dev, 0, 61, sector)]);
        let finals = finals(&events);
        assert_eq!(types(&finals), [("NVME_MEDIUM_ERROR".to_owned(), 1)]);
        assert_eq!((finals[0].kdev.as_str(), finals[0].facts.get("nvme.sc")), ("259:300", Some(0x81.into())));
    }
}

#[test]
fn a_filesystem_points_at_the_disk_below() {
    let events = run(
        all_live(),
        &[
            line(START, "FS_IO_ERROR xfs dm-0"),
            rq(START + MS, SDA, 0, 5, 2048),
            bio(START + 2 * MS, DM0, 5, 2048),
        ],
    );
    let finals = finals(&events);
    let by_type = |name: &str| finals.iter().find(|e| e.event_type.as_str() == name).unwrap();
    let (fs, dm) =
        (by_type("FS_IO_ERROR"), finals.iter().find(|e| e.kdev == "dm-0" && e.io.is_some()).unwrap());
    let disk = finals.iter().find(|e| e.kdev == "sda").unwrap();
    assert_eq!(disk.root_cause_event_id, None);
    assert_eq!(fs.root_cause_event_id, Some(disk.event_id));
    assert_eq!(dm.root_cause_event_id, Some(disk.event_id));
    assert_eq!((fs.incident_id, dm.incident_id), (Some(disk.event_id), Some(disk.event_id)));
    assert_eq!(disk.incident_id, Some(disk.event_id));
    // Named in the first writing already, though the text came first.
    assert!(events.iter().filter(|e| e.event_id == fs.event_id).all(|e| e.root_cause_event_id.is_some()));
    assert_eq!(dm.msg, "read of 8 sectors at 2048 failed on /dev/mapper/mpatha (dm-0): I/O error (EIO)");
}

pub(super) fn wb_err(ns: u64, dev: Dev) -> Record {
    kernel(
        Kind::FilemapSetWbErr,
        ns,
        Payload::WbErr(WbErr { ino: 12, count: 1, dev: dev.to_kernel(), errno: 5 }),
    )
}

#[test]
fn a_shutdown_below_is_the_cause_and_not_what_follows_from_it() {
    let shutdown = Ext4Shutdown { dev: SDA.to_kernel(), flags: 2 };
    let events = run(
        all_live(),
        &[
            kernel(Kind::Ext4Shutdown, START, Payload::Ext4Shutdown(shutdown)),
            wb_err(START + MS, SDA),
            bio(START + 2 * MS, DM0, 5, 2048),
        ],
    );
    let finals = finals(&events);
    let shutdown = finals.iter().find(|e| e.event_type == EventType::FS_SHUTDOWN).unwrap();
    assert_eq!(shutdown.root_cause_event_id, None);
    for event in finals.iter().filter(|e| e.event_type != EventType::FS_SHUTDOWN) {
        assert_eq!(event.root_cause_event_id, Some(shutdown.event_id), "{}", event.msg);
    }
}

#[test]
fn a_cause_comes_first_and_not_long_before() {
    let root = |failure: u64, lost: u64| {
        let events = run(all_live(), &[rq(failure, SDA, 1, 5, 8), wb_err(lost, SDA)]);
        finals(&events)
            .iter()
            .find(|e| e.event_type == EventType::BLK_LOST_WRITE)
            .unwrap()
            .root_cause_event_id
    };
    assert!(root(START, START + 4 * SECOND).is_some());
    assert_eq!(root(START, START + 6 * SECOND), None);
    // Read in this order, happened in the other.
    assert_eq!(root(START + MS, START), None);
}

#[test]
fn lost_writes_count_on_and_keep_to_their_inode() {
    let wb = |ns, ino, count| {
        kernel(
            Kind::FilemapSetWbErr,
            ns,
            Payload::WbErr(WbErr { ino, count, dev: LOOP0.to_kernel(), errno: 5 }),
        )
    };
    let events = run(
        all_live(),
        &[
            wb(START, 12, 1),
            wb(START + 1, 13, 1),
            line(START, "BLK_LOST_WRITE block loop0"),
            wb(START + SECOND, 12, 494),
            // After it was closed.
            wb(START + 20 * SECOND, 12, 500),
        ],
    );
    let finals = finals(&events);
    let pages = |e: &Event| e.io.as_ref().and_then(|io| io.lost_pages).unwrap();
    let mut counts: Vec<(u64, u64, u64)> =
        finals.iter().map(|e| (inode(e).unwrap(), e.count, pages(e))).collect();
    counts.sort_unstable();
    // Pages that were lost are no failures.
    assert_eq!(counts, [(12, 1, 6), (12, 1, 494), (13, 1, 1)]);
}

#[test]
fn what_is_lost_is_told_and_counted() {
    let lost = |ns, count| Record {
        time: stamp(ns),
        body: Body::Lost(Lost {
            source: "kmsg".to_owned(),
            reason: "overwritten".to_owned(),
            count,
            sequence: format!("{ns}"),
        }),
    };
    let events = run(all_live(), &[lost(START, 3), lost(START + MS, 4), rq(START + 2 * MS, SDA, 0, 5, 8)]);
    let finals = finals(&events);
    assert_eq!(types(&finals), [("PERIPETY_EVENTS_LOST".to_owned(), 7), ("BLK_IO_ERROR".to_owned(), 1)]);
    assert_eq!(finals[0].msg, "records were lost at kmsg: overwritten");
    assert_eq!(finals[1].lost_before, 7);
}

#[test]
fn a_uevent_tells_once_and_is_final() {
    let event = Uevent {
        seq: 9,
        action: "remove".to_owned(),
        subsystem: "block".to_owned(),
        devpath: "/devices/virtual/block/loop0".to_owned(),
        dev: Some(LOOP0),
        udev: false,
        properties: vec![("DEVNAME".to_owned(), "loop0".to_owned())],
    };
    let events = run(all_live(), &[Record { time: stamp(START), body: Body::Uevent(event) }]);
    assert_eq!(events.len(), 1);
    assert!(events[0].is_final);
    assert_eq!(events[0].msg, "/dev/loop0 went away");
}

#[test]
fn a_mount_is_told_with_its_mount_point_which_is_known_later() {
    let mounted = |points: &[&str]| {
        let mut devices = Devices::usual();
        Arc::make_mut(devices.0.get_mut(&LOOP0).unwrap()).id.mount_points =
            points.iter().map(|point| (*point).to_owned()).collect();
        devices
    };
    let (mut engine, mut out) = (engine(all_live()), Vec::new());
    let said = |ns| line(ns, "FS_MOUNTED xfs loop0");
    engine.push(&said(START), &mounted(&[]), &mut out);
    engine.push(&said(START + MS), &mounted(&[]), &mut out);
    assert_eq!(out.len(), 0);
    engine.tick(START + 400 * MS, &mounted(&["/mnt"]), &mut out);
    engine.push(&said(START + 500 * MS), &mounted(&["/mnt"]), &mut out);
    let reported: Vec<_> = out.iter().map(|e| (e.revision, e.count, e.is_final, block_points(e))).collect();
    assert_eq!(reported, vec![(0, 1, true, "/mnt".to_owned()); 3]);
    engine.finish(&mounted(&[]), &mut out);
    assert_eq!((out.len(), engine.open_events()), (3, 0));
}

fn block_points(event: &Event) -> String {
    event.block.as_ref().unwrap().id.mount_points.join(" ")
}

#[test]
fn a_storm_of_a_million_is_one_event_with_every_failure_counted() {
    let (mut engine, facts, mut out) = (engine(all_live()), Devices::usual(), Vec::new());
    let total = 1_000_000u64;
    for i in 0..total {
        // Ten seconds of it.
        engine.push(&rq(START + i * 10_000, SDA, 0, 5, (i % 4096) * 8), &facts, &mut out);
    }
    engine.finish(&facts, &mut out);
    let finals = finals(&out);
    assert_eq!(types(&finals), [("BLK_IO_ERROR".to_owned(), total)]);
    assert!(out.len() <= 12, "at most once a second: {}", out.len());
    let ranges = &finals[0].sector_ranges;
    assert_eq!((ranges.len(), ranges[0].start, ranges[0].end), (1, 0, 4096 * 8 - 1));
}

#[test]
fn many_different_failures_stay_in_bounds_and_are_all_counted() {
    let (mut engine, mut out) = (engine(all_live()), Vec::new());
    let total = 20_000u64;
    for i in 0..total {
        engine.push(&rq(START + i, Dev::new(8, i as u32), 0, 5, 8), &NoFacts, &mut out);
        assert!(engine.open_events() <= 512, "memory is bounded, whatever fails");
    }
    engine.finish(&NoFacts, &mut out);
    assert_eq!(finals(&out).iter().map(|e| e.count).sum::<u64>(), total);
    assert!(out.len() < 1000, "{} revisions of one cause", out.len());
    // Those for which there was no room are in one event, which counts devices too.
    let finals = finals(&out);
    let rest: Vec<_> = finals.iter().filter(|e| group(e).devices_total.is_some()).collect();
    assert_eq!((rest.len(), group(rest[0]).devices_total), (1, Some(rest[0].count)));
    assert_eq!(group(rest[0]).devices.unwrap().len(), 32);
    assert_eq!(finals.len() as u64 - 1 + rest[0].count, total);
}

#[test]
fn devices_that_fail_one_after_the_other_are_events_of_their_own() {
    let (mut engine, mut out) = (engine(all_live()), Vec::new());
    let total = 2_000u64;
    for i in 0..total {
        engine.push(&rq(START + i * 3 * MS, Dev::new(8, i as u32), 0, 5, 8), &NoFacts, &mut out);
    }
    engine.finish(&NoFacts, &mut out);
    assert_eq!(finals(&out).len() as u64, total);
}

fn lost_write(ns: u64, ino: u64, count: u64) -> Record {
    kernel(Kind::FilemapSetWbErr, ns, Payload::WbErr(WbErr { ino, count, dev: SDA.to_kernel(), errno: 5 }))
}

#[test]
fn files_that_one_shutdown_cost_are_one_event_that_grows() {
    let (mut engine, facts, mut out) = (engine(all_live()), Devices::usual(), Vec::new());
    let (files, again) = (30_000u64, 8_000);
    // Some of them lose more while others begin to.
    for ino in 1..=again {
        engine.push(&lost_write(START + ino * 50_000, ino, 1), &facts, &mut out);
    }
    for ino in 1..=again {
        engine.push(&lost_write(START + SECOND + ino * 50_000, ino, 3), &facts, &mut out);
    }
    for ino in again + 1..=files {
        engine.push(&lost_write(START + 2 * SECOND + ino * 50_000, ino, 1), &facts, &mut out);
    }
    engine.finish(&facts, &mut out);
    assert!(out.len() < 100, "{} revisions of one cause", out.len());
    let finals = finals(&out);
    let rest = finals.iter().find(|e| group(e).files_total.is_some()).unwrap();
    assert_eq!(group(rest).files_total, Some(files - 16));
    let named = group(rest).files.unwrap();
    assert_eq!((named.len(), named[0].inode, named[0].pages), (32, Some(17), Some(3)));
    assert_eq!(inode(rest), None);
    // A file with an event of its own distinguishes its pages from its failures.
    let pages = |e: &Event| {
        let own = e.io.as_ref().and_then(|io| io.lost_pages).filter(|_| inode(e).is_some());
        own.unwrap_or(e.count)
    };
    assert_eq!(finals.iter().map(|e| pages(e)).sum::<u64>(), files + 2 * again);
    assert_eq!(rest.msg, format!("written data of {} more files on /dev/sda was lost (EIO)", files - 16));
}

#[test]
fn a_storm_of_ten_minutes_is_written_a_few_times_and_at_once_when_it_gets_worse() {
    let (mut engine, facts, mut out) = (engine(all_live()), Devices::usual(), Vec::new());
    for i in 0..6_000 {
        engine.push(&rq(START + i * 100 * MS, SDA, 0, 5, 8), &facts, &mut out);
    }
    let apart: Vec<u64> =
        out.windows(2).map(|e| (e[1].monotonic_ns.unwrap() - e[0].monotonic_ns.unwrap()) / SECOND).collect();
    assert_eq!(apart.get(..7), Some([1, 2, 4, 8, 16, 32, 60].as_slice()), "{apart:?}");
    let before = out.len();
    engine.push(
        &line(START + 600 * SECOND, "SCSI_MEDIUM_ERROR scsi sda scsi.tag=117 scsi.sense_key=3"),
        &facts,
        &mut out,
    );
    engine.push(&rq(START + 600 * SECOND + 100 * MS, SDA, 0, 5, 8), &facts, &mut out);
    engine.push(&rq(START + 602 * SECOND, SDA, 0, 5, 8), &facts, &mut out);
    assert!(out.len() > before, "what is new waits for a minute");
    engine.finish(&facts, &mut out);
    assert_eq!(finals(&out).iter().map(|e| e.count).max(), Some(6_002));
}

#[test]
fn what_waits_in_vain_stays_in_bounds_and_is_counted() {
    let (mut engine, facts, mut out) = (engine(all_live()), Devices::usual(), Vec::new());
    let total = 5000u64;
    // No time goes by: nothing but the lack of room makes them give up.
    for i in 0..total {
        engine.push(&scsi(START, SDA, i * 8, 0xe << 16, [0; 3]), &facts, &mut out);
        engine.push(&line(START, &format!("BLK_IO_ERROR block disk{i} op=read sector=8")), &facts, &mut out);
        let waiting = engine.waiting();
        assert!(waiting <= 1024 + 256, "{waiting}");
        assert!(engine.open_events() <= 512);
    }
    engine.finish(&facts, &mut out);
    assert_eq!(engine.waiting(), 0);
    let count = |name: &str| {
        out.iter().filter(|e| e.is_final && e.event_type.as_str() == name).map(|e| e.count).sum::<u64>()
    };
    assert_eq!((count("SCSI_TRANSPORT_ERROR"), count("BLK_IO_ERROR")), (total, total));
}

#[test]
fn device_numbers_stand_in_events_as_people_write_them() {
    for (dev, text) in
        [(Dev::new(8, 300), "8:300"), (Dev::new(253, 1), "253:1"), (Dev::new(259, 70_000), "259:70000")]
    {
        assert_eq!(run(all_live(), &[rq(START, dev, 0, 5, 8)])[0].kdev, text);
    }
}

#[test]
fn failures_far_apart_are_two_events() {
    let events = run(all_live(), &[rq(START, SDA, 0, 5, 8), rq(START + 6 * SECOND, SDA, 0, 5, 8)]);
    assert_eq!(types(&finals(&events)), [("BLK_IO_ERROR".to_owned(), 1), ("BLK_IO_ERROR".to_owned(), 1)]);
}

#[test]
fn failures_of_two_devices_that_had_the_same_number_are_two_events() {
    let nth = |diskseq| {
        let mut devices = Devices::usual();
        Arc::make_mut(devices.0.get_mut(&LOOP0).unwrap()).id.diskseq = Some(diskseq);
        devices
    };
    let (mut engine, mut out) = (engine(all_live()), Vec::new());
    for (ns, diskseq) in [(0, 7), (MS, 7), (2 * MS, 8), (3 * MS, 8), (4 * MS, 8)] {
        engine.push(&rq(START + ns, LOOP0, 0, 5, 2048), &nth(diskseq), &mut out);
    }
    engine.finish(&nth(8), &mut out);
    let reported: Vec<_> =
        finals(&out).iter().map(|e| (e.block.as_ref().unwrap().id.diskseq, e.count)).collect();
    assert_eq!(reported, [(Some(7), 2), (Some(8), 3)]);
}

#[test]
fn a_line_about_a_lost_write_is_about_its_inode_or_the_latest() {
    let wb = |ns, ino| {
        let lost = WbErr { ino, count: 1, dev: LOOP0.to_kernel(), errno: 5 };
        kernel(Kind::FilemapSetWbErr, ns, Payload::WbErr(lost))
    };
    let events = run(
        all_live(),
        &[
            line(START, "BLK_LOST_WRITE block loop0 fs.inode=12 n=1"),
            wb(START, 12),
            wb(START + 1, 13),
            line(START + 1, "BLK_LOST_WRITE block loop0 fs.inode=13 n=2"),
            line(START + 2, "BLK_LOST_WRITE block loop0 fs.inode=12 n=3"),
            line(START + 3, "BLK_LOST_WRITE block loop0 n=4"),
            // Of which no probe reported.
            line(START + 4, "BLK_LOST_WRITE block loop0 fs.inode=14 n=5"),
        ],
    );
    let reported = |event: &&Event| {
        let lines = event.raw_msgs.iter().map(|line| line.rsplit('=').next().unwrap().to_owned());
        (inode(event).unwrap(), event.count, lines.collect::<Vec<_>>().join(" "))
    };
    let mut reported: Vec<_> = finals(&events).iter().map(reported).collect();
    reported.sort();
    assert_eq!(reported, [(12, 1, "1 3".to_owned()), (13, 1, "2 4".to_owned()), (14, 1, "5".to_owned())]);
}

/// A record of a failing request, with its time.
pub(super) fn any_failure() -> impl Strategy<Value = Record> {
    let dev = prop_oneof![Just(SDA), Just(LOOP0), Just(DM0), Just(Dev::new(259, 300))];
    let errno = prop_oneof![Just(5), Just(61), Just(110), Just(28)];
    (dev, errno, 0u8..4, 0u64..64, 0u64..20 * SECOND, any::<bool>()).prop_map(
        |(dev, errno, op, sector, ns, is_bio)| {
            if is_bio {
                bio(START + ns, dev, errno, sector * 8)
            } else {
                rq(START + ns, dev, op, errno, sector * 8)
            }
        },
    )
}

/// Whatever else comes in between and changes no count of failed requests.
pub(super) fn any_company() -> impl Strategy<Value = Record> {
    let text = prop_oneof![
        Just("BLK_IO_ERROR block sda op=read sector=8"),
        Just("BLK_MEDIUM_ERROR block loop0 op=write sector=8"),
        Just("SCSI_MEDIUM_ERROR scsi sda scsi.tag=1 scsi.sense_key=3"),
    ];
    prop_oneof![
        (0u64..64, 0u64..20 * SECOND).prop_map(|(sector, ns)| scsi(
            START + ns,
            SDA,
            sector * 8,
            2,
            [3, 0x11, 0]
        )),
        (text, 0u64..20 * SECOND).prop_map(|(text, ns)| line(START + ns, text)),
    ]
}

fn failed_requests(events: &[Event]) -> u64 {
    let probe = |e: &&Event| e.sources.iter().any(|s| s.starts_with("ebpf:block"));
    finals(events).into_iter().filter(probe).map(|e| e.count).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn totals_do_not_depend_on_order_or_company(
        failures in prop::collection::vec(any_failure(), 1..200),
        company in prop::collection::vec(any_company(), 0..100),
        in_order: bool,
        seed: prop::sample::Selector,
    ) {
        let mut all: Vec<Record> = failures.iter().chain(&company).cloned().collect();
        if in_order {
            all.sort_by_key(|record| record.time.monotonic_ns);
        } else {
            let mut rest = all;
            all = Vec::new();
            while !rest.is_empty() {
                let place = seed.select(0..rest.len());
                all.push(rest.swap_remove(place));
            }
        }
        let events = run(all_live(), &all);
        prop_assert_eq!(failed_requests(&events), failures.len() as u64);
    }

    #[test]
    fn no_record_makes_it_panic(
        records in prop::collection::vec((0u16..13, any::<u64>(), prop::collection::vec(any::<u8>(), 280)), 1..60)
    ) {
        let (mut engine, facts, mut out) = (engine(all_live()), Devices::usual(), Vec::new());
        for (kind, ns, payload) in records {
            let mut bytes = Vec::new();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(((Header::SIZE + payload.len()) as u16).to_ne_bytes());
            bytes.extend([VERSION, (ns & 1) as u8]);
            bytes.extend(3u16.to_ne_bytes());
            bytes.extend(7u64.to_ne_bytes());
            bytes.extend(ns.to_ne_bytes());
            bytes.extend(payload);
            let record = KernelRecord::decode(&bytes).unwrap();
            let time = Stamp { monotonic_ns: (ns % 3 != 0).then_some(ns), realtime_us: ns as i64 };
            engine.push(&Record { time, body: Body::Kernel(record) }, &facts, &mut out);
        }
        engine.finish(&facts, &mut out);
        prop_assert_eq!(engine.open_events(), 0);
    }
}

#[test]
fn io_of_an_event_is_that_of_its_first_failure() {
    let events = run(all_live(), &[rq(START, SDA, 1, 5, 80), rq(START + MS, SDA, 1, 5, 160)]);
    let io = Io {
        op: Op::Write,
        sector: Some(80),
        nr_sectors: Some(8),
        errno: Some(5),
        errno_name: Some("EIO".to_owned()),
        bad_lba: None,
        extent: None,
        lost_pages: None,
    };
    assert_eq!(finals(&events)[0].io.as_ref(), Some(&io));
    assert_eq!(finals(&events)[0].sector_ranges.len(), 2);
    assert_eq!(NO_SECTOR, u64::MAX);
}

#[test]
fn sectors_of_a_bio_are_what_it_was_for_and_a_flush_has_none() {
    let of_bio = |advanced, nr_sectors, cmd_flags, op| {
        let mut record = bio(START, LOOP0, 5, 10_001);
        if let Body::Kernel(kernel) = &mut record.body
            && let Payload::BlockBio(bio) = &mut kernel.payload
        {
            (bio.extent, bio.advanced, bio.nr_sectors) = (1, advanced, nr_sectors);
            (bio.cmd_flags, bio.op) = (cmd_flags, op);
        }
        record
    };
    let reported = |records: &[Record]| {
        let events = run(all_live(), records);
        let event = finals(&events).remove(0);
        let io = event.io.clone().unwrap();
        let ranges: Vec<_> = event.sector_ranges.iter().map(|r| (r.start, r.end)).collect();
        (io.op, io.sector, io.nr_sectors, io.extent, ranges, event.count)
    };
    let whole = of_bio(0, 7, 0, 0);
    assert_eq!(
        reported(std::slice::from_ref(&whole)),
        (Op::Read, Some(10_001), Some(7), Some(Extent::Exact), vec![(10_001, 10_007)], 1)
    );
    let cut = of_bio(9, 7, 0, 0);
    assert_eq!(
        reported(&[whole, cut]),
        (Op::Read, Some(10_001), Some(7), Some(Extent::Within), vec![(9_992, 10_007)], 2)
    );
    const PREFLUSH: u32 = 1 << 18;
    assert_eq!(reported(&[of_bio(0, 0, PREFLUSH, 1)]), (Op::Flush, None, None, None, vec![], 1));
}
