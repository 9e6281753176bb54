//! From the bytes of the ring to folded events, beside a loop that only decodes them.

use std::{hint::black_box, sync::Arc};

use anyhow::Result;
use peripety::internal::{
    block::{BlkId, BlkInfo, Dev, DeviceFacts},
    engine::{Engine, LiveSources, Settings},
    event::Event,
    parser::rules::RuleSet,
    record::{Body, Record, Stamp},
};
use peripety_common::{Header, KernelRecord, Kind, Payload, VERSION, block_rq::BlockRq, wb_err::WbErr};
use serde_json::Value;

use crate::paired::{Clock, Side, figure};

/// A device under each number, kept as the daemon's cache keeps it.
pub struct Devices(Vec<Arc<BlkInfo>>);

impl DeviceFacts for Devices {
    fn by_dev(&self, dev: Dev, _at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        self.0.get(dev.minor as usize % self.0.len().max(1)).cloned()
    }

    fn by_name(&self, _name: &str, _at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        None
    }
}

pub fn devices() -> Devices {
    let one = |minor: u32| {
        let (dev, blk_path) = (Dev::new(8, minor), format!("/dev/sd{minor}"));
        let wwid = format!("naa.{minor:016x}");
        let id = BlkId { dev, blk_path, wwid, diskseq: Some(u64::from(minor)), ..BlkId::default() };
        Arc::new(BlkInfo { id, ..BlkInfo::default() })
    };
    Devices((0..64).map(one).collect())
}

pub fn ring(records: u32, device: impl Fn(u32) -> u32) -> Vec<Vec<u8>> {
    (0..records)
        .map(|n| {
            let rq = BlockRq {
                sector: u64::from(n.wrapping_mul(2_654_435_761)) * 8,
                dev: Dev::new(8, device(n)).to_kernel(),
                errno: 5,
                nr_sectors: 8,
                cmd_flags: 0,
                tag: -1,
                op: 0,
                status: 10,
                reserved: 0,
            };
            let mono_ns = 1_000_000_000 + u64::from(n) * 5_000;
            let (kind, seq) = (Kind::BlockRqError.number(), u64::from(n));
            let header = Header { kind, len: 0, version: VERSION, flags: 0, cpu: 0, seq, mono_ns };
            let mut bytes = Vec::new();
            KernelRecord { header, payload: Payload::BlockRq(rq) }
                .encode(&mut |b| bytes.extend_from_slice(b));
            bytes
        })
        .collect()
}

fn lost_writes(records: u32) -> Vec<Vec<u8>> {
    (0..records)
        .map(|n| {
            let wb = WbErr::unnamed(Dev::new(8, 0).to_kernel(), u64::from(n), 5, 1);
            let mono_ns = 1_000_000_000 + u64::from(n) * 5_000;
            let (kind, seq) = (Kind::FilemapSetWbErr.number(), u64::from(n));
            let header = Header { kind, len: 0, version: VERSION, flags: 0, cpu: 0, seq, mono_ns };
            let mut bytes = Vec::new();
            KernelRecord { header, payload: Payload::WbErr(wb) }.encode(&mut |b| bytes.extend_from_slice(b));
            bytes
        })
        .collect()
}

/// Puts a ring through an engine; gives the events as they come.
pub fn drain(ring: &[Vec<u8>], devices: &Devices, each: &mut dyn FnMut(&mut Vec<Event>)) {
    let live = LiveSources::with_probes(Kind::ALL.iter().copied(), 0).without_text();
    let settings = Settings { boot_id: "b".repeat(32), hostname: "bench".to_owned(), live };
    let (mut engine, mut out) = (Engine::new(settings, RuleSet::new(Vec::new())), Vec::new());
    for bytes in ring {
        if let Ok(kernel) = KernelRecord::decode(black_box(bytes)) {
            let time = Stamp { monotonic_ns: Some(kernel.header.mono_ns), realtime_us: 0 };
            engine.push(&Record { time, body: Body::Kernel(kernel) }, devices, &mut out);
        }
        if !out.is_empty() {
            each(&mut out);
            out.clear();
        }
    }
    engine.finish(devices, &mut out);
    each(&mut out);
    black_box(out);
}

fn compare(what: &str, ring: &[Vec<u8>]) -> Value {
    let devices = devices();
    let mut decode = || {
        for bytes in ring {
            let _record = black_box(KernelRecord::decode(black_box(bytes)));
        }
    };
    let mut fold = || drain(ring, &devices, &mut |_| {});
    figure(
        "engine",
        what,
        ring.len() as u64,
        Clock::Cpu,
        Side { name: "from ring bytes to events", run: &mut fold },
        Side { name: "only decoding", run: &mut decode },
    )
}

pub fn run() -> Result<Vec<Value>> {
    Ok(vec![
        compare("a storm on one device", &ring(400_000, |_| 0)),
        compare("a storm on three devices", &ring(400_000, |n| n % 3)),
        compare("every record another event", &ring(1_000_000, |n| n)),
        compare("every record another file that lost data", &lost_writes(1_000_000)),
    ])
}
