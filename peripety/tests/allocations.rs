//! What repeats allocates nothing: a storm of a million failures is no work for the allocator of a machine in trouble
//! (promise 6).

use std::sync::Arc;

use allocation_counter::measure;
use peripety::internal::{
    block::{BlkId, BlkInfo, Dev, DeviceFacts},
    engine::{Engine, LiveSources, Settings},
    parser::rules::RuleSet,
    record::{Body, Record, Stamp},
};
use peripety_common::{
    Header, KernelRecord, Kind, Payload, VERSION,
    block_bio::BlockBio,
    block_rq::{self, BlockRq},
    ext4::Ext4Error,
    nvme_aen::NvmeAen,
    nvme_rq::NvmeRq,
    scsi_cmd::ScsiCmd,
    scsi_eh::ScsiEh,
    wb_err::WbErr,
};

/// Disks as the daemon's cache has them.
struct Disks(Vec<Arc<BlkInfo>>);

impl Disks {
    fn new() -> Self {
        let disk = |minor: u32| {
            let (dev, blk_path) = (Dev::new(8, minor), format!("/dev/sd{minor}"));
            let id = BlkId { dev, blk_path, wwid: format!("naa.{minor:016x}"), ..BlkId::default() };
            Arc::new(BlkInfo { id, ..BlkInfo::default() })
        };
        Self((0..64).map(disk).collect())
    }
}

impl DeviceFacts for Disks {
    fn by_dev(&self, dev: Dev, _at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        self.0.get(dev.minor as usize % self.0.len()).cloned()
    }

    fn by_name(&self, _name: &str, _at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        None
    }
}

fn dev(minor: u64) -> u32 {
    Dev::new(8, u32::try_from(minor).unwrap_or(0)).to_kernel()
}

fn request(device: u64, sector: u64) -> Payload {
    Payload::BlockRq(BlockRq {
        sector,
        dev: dev(device),
        errno: 5,
        nr_sectors: 8,
        cmd_flags: 0,
        tag: -1,
        op: block_rq::OP_READ,
        status: 10,
        reserved: 0,
    })
}

fn bio(sector: u64) -> Payload {
    Payload::BlockBio(BlockBio {
        sector,
        dev: dev(3),
        errno: 5,
        nr_sectors: 8,
        cmd_flags: 0,
        op: block_rq::OP_WRITE,
        status: 10,
        extent: 8,
        advanced: 8,
    })
}

/// A read of a bad sector.
fn scsi(device: u64, sector: u64) -> ScsiCmd {
    let mut cdb = [0; 32];
    cdb[0] = 0x28;
    cdb[8] = 8;
    ScsiCmd {
        lun: 0,
        sector,
        host: 2,
        channel: 0,
        target: 0,
        dev: dev(device),
        result: 2,
        tag: 7,
        data_len: 4096,
        cmd_len: 10,
        retries: 0,
        allowed: 5,
        sense_valid: 1,
        sense_key: 3,
        asc: 0x11,
        ascq: 0,
        reserved: 0,
        cdb,
        sense: [0; 32],
    }
}

fn nvme(lba: u64) -> Payload {
    let mut disk = [0; 32];
    disk[..7].copy_from_slice(b"nvme0n1");
    Payload::NvmeRq(NvmeRq {
        slba: lba,
        result: 0,
        ctrl: 0,
        dev: dev(5),
        nsid: 1,
        qid: 3,
        cid: 4,
        nlb: 8,
        status: 0x281,
        retries: 0,
        flags: 0,
        opcode: 2,
        reserved: [0; 5],
        disk,
    })
}

fn ext4() -> Payload {
    let mut function = [0; 48];
    function[..11].copy_from_slice(b"ext4_lookup");
    Payload::Ext4Error(Ext4Error { dev: dev(1), line: 1234, function })
}

fn lost(inode: u64, count: u64) -> Payload {
    Payload::WbErr(WbErr::unnamed(dev(2), inode, 5, count))
}

/// Allocations of so many records after `before` of them, and how many events were written meanwhile.
fn allocations(before: u64, records: u64, what: impl Fn(u64) -> Vec<(Kind, Payload)>) -> (u64, usize) {
    let disks = Disks::new();
    let live = LiveSources::with_probes(Kind::ALL.iter().copied(), 0).without_text();
    let settings = Settings { boot_id: "b".repeat(32), hostname: "test".to_owned(), live };
    let mut engine = Engine::new(settings, RuleSet::new(Vec::new()));
    let mut out = Vec::with_capacity(4096);
    let mut at_ns = 1_000_000_000;
    let mut seq = 0;
    let mut make = |number: u64| -> Vec<Record> {
        let record = |(kind, payload): (Kind, Payload)| {
            // Two hundred thousand a second: what is written of a storm at most once a second is none of it.
            at_ns += 5_000;
            seq += 1;
            let (kind, flags) = (kind.number(), 0);
            let header = Header { kind, len: 0, version: VERSION, flags, cpu: 0, seq, mono_ns: at_ns };
            let time = Stamp { monotonic_ns: Some(at_ns), realtime_us: 0 };
            Record { time, body: Body::Kernel(KernelRecord { header, payload }) }
        };
        what(number).into_iter().map(record).collect()
    };
    for record in (0..before).flat_map(&mut make).collect::<Vec<_>>() {
        engine.push(&record, &disks, &mut out);
    }
    let storm: Vec<Record> = (before..before + records).flat_map(&mut make).collect();
    out.clear();
    let counted = measure(|| {
        for record in &storm {
            engine.push(record, &disks, &mut out);
        }
    });
    (counted.count_total, out.len())
}

#[test]
fn what_repeats_allocates_nothing() {
    const BEFORE: u64 = 5_000;
    const STORM: u64 = 20_000;
    let sector = |number: u64| number.wrapping_mul(2_654_435_761) % 100_000 * 8;
    let one = |kind: Kind, payload: Payload| vec![(kind, payload)];
    type Storm<'a> = (&'a str, Box<dyn Fn(u64) -> Vec<(Kind, Payload)> + 'a>);
    let storms: [Storm<'_>; 11] = [
        ("requests, one after the other", Box::new(|n| one(Kind::BlockRqError, request(0, n * 8)))),
        ("requests anywhere on a disk", Box::new(|n| one(Kind::BlockRqError, request(0, sector(n))))),
        ("requests of three disks", Box::new(|n| one(Kind::BlockRqError, request(n % 3, sector(n))))),
        ("bios", Box::new(|n| one(Kind::BlockBioComplete, bio(sector(n))))),
        (
            "commands, and the requests that fail of them",
            Box::new(|n| {
                let cmd = Payload::ScsiDone(scsi(0, sector(n)));
                vec![(Kind::ScsiDone, cmd), (Kind::BlockRqError, request(0, sector(n)))]
            }),
        ),
        (
            "commands that time out",
            Box::new(|n| one(Kind::ScsiTimeout, Payload::ScsiTimeout(scsi(0, sector(n))))),
        ),
        (
            "hosts in error handling",
            Box::new(|_| one(Kind::ScsiEhWakeup, Payload::ScsiEh(ScsiEh { host: 2, failed: 1 }))),
        ),
        (
            "NVMe commands, and their requests",
            Box::new(|n| {
                vec![(Kind::NvmeCompleteRq, nvme(sector(n))), (Kind::BlockRqError, request(5, sector(n)))]
            }),
        ),
        (
            "events of an NVMe controller",
            Box::new(|_| {
                one(Kind::NvmeAsyncEvent, Payload::NvmeAen(NvmeAen { ctrl: 0, result: 0x0001_0100 }))
            }),
        ),
        ("errors of a filesystem", Box::new(|_| one(Kind::Ext4Error, ext4()))),
        ("pages of one file", Box::new(|n| one(Kind::FilemapSetWbErr, lost(12, n + 1)))),
    ];
    // Each writing of an event is a copy of it; there is none.
    let found: Vec<(&str, (u64, usize))> = storms
        .iter()
        .map(|(name, what)| (*name, allocations(BEFORE, STORM, what)))
        .filter(|(_, counts)| *counts != (0, 0))
        .collect();
    assert_eq!(found, [], "allocations in {STORM} records");
}

#[test]
fn a_failure_of_its_own_does_allocate() {
    // Or nothing would be counted above.
    let events = |n: u64| vec![(Kind::BlockRqError, request(n % 200, n * 8))];
    assert!(allocations(0, 150, events).0 > 1000);
}
