mod bounds;
mod devices;
mod lost_writes;
mod slow;
mod words;

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
        Errno, Event, EventType, Extent, Io, Op, Sector, Severity,
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
                "sector" => raw.io.get_or_insert_default().sector = value.parse().ok().map(Sector),
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

/// With the rules that are shipped.
pub(super) fn engine_with_rules(live: LiveSources) -> Engine {
    Engine::new(Settings { boot_id: "0".repeat(32), hostname: "host".to_owned(), live }, RuleSet::built_in())
}

/// Takes the records as the daemon does: a tick whenever something is due before the next record.
pub(super) fn push_in_time(engine: &mut Engine, records: &[Record], out: &mut Vec<Event>) {
    let facts = Devices::usual();
    for record in records {
        let at_ns = record.time.monotonic_ns.unwrap();
        while let Some(due_ns) = engine.next_deadline_ns().filter(|due| *due < at_ns) {
            engine.tick(due_ns, &facts, out);
        }
        engine.push(record, &facts, out);
    }
}

/// The same, and then time passes until nothing is due.
pub(super) fn run_in_time(engine: &mut Engine, records: &[Record]) -> Vec<Event> {
    let mut out = Vec::new();
    push_in_time(engine, records, &mut out);
    while let Some(due_ns) = engine.next_deadline_ns() {
        engine.tick(due_ns, &Devices::usual(), &mut out);
    }
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
fn nvme_and_block_are_one_failure_on_disks_with_either_block_size() {
    for (slba, sector) in [(2048, 2048), (256, 2048)] {
        let dev = Dev::new(259, 300);
        let events = run(all_live(), &[nvme(START, dev, slba, 0x4281), rq(START + MS, dev, 0, 61, sector)]);
        let finals = finals(&events);
        assert_eq!(types(&finals), [("NVME_MEDIUM_ERROR".to_owned(), 1)]);
        assert_eq!((finals[0].kdev.as_str(), finals[0].facts.get("nvme.sc")), ("259:300", Some(0x81.into())));
    }
}

pub(super) fn wb_err(ns: u64, dev: Dev) -> Record {
    kernel(Kind::FilemapSetWbErr, ns, Payload::WbErr(WbErr::unnamed(dev.to_kernel(), 12, 5, 1)))
}

fn lost_write(ns: u64, ino: u64, count: u64) -> Record {
    kernel(Kind::FilemapSetWbErr, ns, Payload::WbErr(WbErr::unnamed(SDA.to_kernel(), ino, 5, count)))
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
fn io_of_an_event_is_that_of_its_first_failure() {
    let events = run(all_live(), &[rq(START, SDA, 1, 5, 80), rq(START + MS, SDA, 1, 5, 160)]);
    let io = Io {
        op: Op::Write,
        sector: Some(Sector(80)),
        nr_sectors: Some(8),
        errno: Some(Errno::EIO),
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
        let ranges: Vec<_> = event.sector_ranges.iter().map(|r| (r.start.0, r.end.0)).collect();
        (io.op, io.sector, io.nr_sectors, io.extent, ranges, event.count)
    };
    let whole = of_bio(0, 7, 0, 0);
    assert_eq!(
        reported(std::slice::from_ref(&whole)),
        (Op::Read, Some(Sector(10_001)), Some(7), Some(Extent::Exact), vec![(10_001, 10_007)], 1)
    );
    let cut = of_bio(9, 7, 0, 0);
    assert_eq!(
        reported(&[whole, cut]),
        (Op::Read, Some(Sector(10_001)), Some(7), Some(Extent::Within), vec![(9_992, 10_007)], 2)
    );
    const PREFLUSH: u32 = 1 << 18;
    assert_eq!(reported(&[of_bio(0, 0, PREFLUSH, 1)]), (Op::Flush, None, None, None, vec![], 1));
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
