//! Requests and bios that failed.
//!
//! Records of the kernel side have bare numbers, for eBPF shares their layout. They become types where a record becomes a raw
//! event, which is here, or counts for one that is open (`correlate/correlator/kernel.rs`), which allocates nothing.

use peripety_common::{
    Header, Kind, VERSION,
    block_bio::{self, BlockBio},
    block_rq::{self, BlockRq},
    slow::SlowRq,
};

use super::{Kdev, RawEvent, errno, kernel::draft};
use crate::{
    block::Dev,
    event::{Errno, EventType, Extent, Io, Op, Sector},
    record::{Missed, Stamp},
};

/// The operation that a REQ_OP_* number stands for.
pub(crate) const fn op(number: u8) -> Op {
    match number {
        block_rq::OP_READ => Op::Read,
        block_rq::OP_WRITE => Op::Write,
        block_rq::OP_FLUSH => Op::Flush,
        block_rq::OP_DISCARD => Op::Discard,
        block_rq::OP_SECURE_ERASE => Op::SecureErase,
        block_rq::OP_WRITE_SAME => Op::WriteSame,
        block_rq::OP_WRITE_ZEROES => Op::WriteZeroes,
        // The zone operations; their order changed, the set did not.
        6 | 8 | 10..=17 => Op::Zone,
        block_rq::OP_UNKNOWN => Op::Unknown,
        block_rq::OP_PASSTHROUGH_FIRST.. => Op::Passthrough,
        _ => Op::Unknown,
    }
}

/// The operation of a request. A cache flush reaches this hook as the write that asked for it, with no sectors left.
pub(crate) const fn request_op(rq: &BlockRq) -> Op {
    match op(rq.op) {
        Op::Write if rq.nr_sectors == 0 => Op::Flush,
        other => other,
    }
}

/// The operation of a bio. Its sectors may have been counted down before it is seen, so that only the flag reports a flush.
pub(crate) const fn bio_op(bio: &BlockBio) -> Op {
    match op(bio.op) {
        Op::Write if bio.is_flush() => Op::Flush,
        other => other,
    }
}

/// Whether all of a bio's sectors failed, as far as that is known.
pub(crate) const fn bio_extent(bio: &BlockBio) -> Option<Extent> {
    match bio.is_exact() {
        Some(true) => Some(Extent::Exact),
        Some(false) => Some(Extent::Within),
        None => None,
    }
}

/// A request that failed.
pub(super) fn request(h: &Header, rq: &BlockRq, time: Stamp) -> Option<RawEvent> {
    if block_rq::is_normal(rq.errno, rq.cmd_flags) {
        return None;
    }
    let mut raw =
        failed(h, rq.dev, Errno::from_raw(rq.errno), request_op(rq), rq.sector, rq.nr_sectors, time);
    if let Ok(tag) = u32::try_from(rq.tag) {
        raw.facts.block.get_or_insert_default().tag = Some(tag);
    }
    Some(raw)
}

/// Requests or bios of which the kernel side reported no more than that they failed. It counts for no failure by itself.
pub(crate) fn missed(missed: &Missed, kind: Kind, time: Stamp) -> RawEvent {
    let mono_ns = time.monotonic_ns.unwrap_or_default();
    let header = Header { kind: kind.number(), len: 0, version: VERSION, flags: 0, cpu: 0, seq: 0, mono_ns };
    let mut raw =
        failed(&header, missed.dev, Errno::from_raw(missed.errno), op(missed.op), u64::MAX, 0, time);
    raw.sequence = format!("missed/{}/{}/{}/{mono_ns}", missed.dev, missed.op, missed.errno);
    if let Some(io) = &mut raw.io {
        io.nr_sectors = None;
    }
    raw.count = 0;
    raw
}

/// A bio that failed.
pub(super) fn bio(h: &Header, bio: &BlockBio, time: Stamp) -> Option<RawEvent> {
    if block_bio::is_normal(bio) {
        return None;
    }
    let (sector, nr_sectors) = bio.sectors();
    let mut raw = failed(h, bio.dev, Errno::from_raw(bio.errno), bio_op(bio), sector, nr_sectors, time);
    if let Some(io) = &mut raw.io {
        io.extent = bio_extent(bio);
    }
    Some(raw)
}

/// Requests that took long, and succeeded or not.
pub(super) fn slow(h: &Header, slow: &SlowRq, time: Stamp) -> Option<RawEvent> {
    let mut raw = draft(h, time, EventType::BLK_SLOW_IO, Kdev::Dev(Dev::from_kernel(slow.dev)));
    raw.count = slow.count.max(1);
    raw.io = Some(Io {
        op: slow_op(slow),
        sector: place(slow.sector),
        nr_sectors: Some(slow.nr_sectors),
        ..Io::default()
    });
    let facts = raw.facts.block.get_or_insert_default();
    facts.took_ms = Some(slow.longest_ns / 1_000_000);
    facts.limit_ms = Some(slow.limit_ns / 1_000_000);
    Some(raw)
}

/// The operation of the longest of them.
pub(crate) const fn slow_op(slow: &SlowRq) -> Op {
    match op(slow.op) {
        Op::Write if slow.nr_sectors == 0 => Op::Flush,
        other => other,
    }
}

/// Where a request begins; the kernel side says `u64::MAX` where it is nowhere.
pub(crate) fn place(sector: u64) -> Option<Sector> {
    (sector != u64::MAX).then_some(Sector(sector))
}

fn failed(h: &Header, dev: u32, errno: Errno, op: Op, sector: u64, nr_sectors: u32, time: Stamp) -> RawEvent {
    let (event_type, severity) = errno::event_of_request(errno, op);
    let mut raw = draft(h, time, event_type.clone(), Kdev::Dev(Dev::from_kernel(dev)));
    if let Some(severity) = severity {
        raw.severity = severity;
    }
    raw.io = Some(Io {
        op,
        sector: place(sector),
        nr_sectors: Some(nr_sectors),
        errno: Some(errno),
        errno_name: errno.name().map(str::to_owned),
        ..Io::default()
    });
    raw
}

#[cfg(test)]
pub(crate) mod tests {
    use peripety_common::{Kind, VERSION};

    use super::*;
    use crate::event::{EventType, Severity};

    pub(crate) const TIME: Stamp = Stamp { monotonic_ns: Some(1_000), realtime_us: 2_000_000 };

    pub(crate) fn header(kind: Kind) -> Header {
        Header { kind: kind.number(), len: 0, version: VERSION, flags: 0, cpu: 3, seq: 7, mono_ns: 1_000 }
    }

    pub(crate) fn rq(dev: Dev, errno: i32, op: u8, sector: u64, nr_sectors: u32) -> BlockRq {
        BlockRq {
            sector,
            dev: dev.to_kernel(),
            errno,
            nr_sectors,
            cmd_flags: 0,
            tag: -1,
            op,
            status: 0xff,
            reserved: 0,
        }
    }

    #[test]
    fn an_errno_becomes_its_type_for_every_kind_of_device_number() {
        for (dev, text) in [
            (Dev::new(8, 16), "8:16"),
            (Dev::new(253, 3), "253:3"),
            (Dev::new(259, 1), "259:1"),
            (Dev::new(259, 300), "259:300"),
            (Dev::new(8, 0xf_ff10), "8:1048336"),
        ] {
            let raw = request(&header(Kind::BlockRqError), &rq(dev, 61, 0, 2048, 8), TIME).unwrap();
            assert_eq!(raw.event_type, EventType::BLK_MEDIUM_ERROR);
            assert_eq!(raw.kdev.to_text(), text);
            assert_eq!(raw.source, "ebpf:block_rq_error");
            assert_eq!(raw.sequence, "3/7/1000");
            let io = raw.io.unwrap();
            assert_eq!((io.op, io.sector, io.nr_sectors), (Op::Read, Some(Sector(2048)), Some(8)));
            assert_eq!((io.errno, io.errno_name.as_deref()), (Some(Errno::ENODATA), Some("ENODATA")));
        }
    }

    #[test]
    fn both_hooks_say_the_same_of_a_request() {
        let rq = rq(Dev::new(8, 0), 5, 1, 16, 8);
        let error = request(&header(Kind::BlockRqError), &rq, TIME).unwrap();
        let complete = request(&header(Kind::BlockRqComplete), &rq, TIME).unwrap();
        assert_eq!(complete.source, "ebpf:block_rq_complete");
        assert_eq!(RawEvent { source: error.source.clone(), ..complete }, error);
    }

    #[test]
    fn a_write_of_nothing_is_a_failed_flush() {
        let raw = request(&header(Kind::BlockRqError), &rq(Dev::new(8, 0), 5, 1, 0, 0), TIME).unwrap();
        assert_eq!(raw.io.unwrap().op, Op::Flush);
    }

    #[test]
    fn a_bio_whose_sectors_were_counted_down_is_still_a_write() {
        let mut bio = BlockBio {
            sector: 8,
            dev: Dev::new(253, 0).to_kernel(),
            errno: 5,
            nr_sectors: 0,
            cmd_flags: 0,
            op: 1,
            status: 10,
            extent: 0,
            advanced: 0,
        };
        assert_eq!(bio_op(&bio), Op::Write);
        bio.cmd_flags = block_rq::REQ_PREFLUSH;
        assert_eq!(bio_op(&bio), Op::Flush);
    }

    #[test]
    fn what_is_meant_to_happen_is_no_event_and_a_feature_probe_no_fault() {
        let mut again = rq(Dev::new(253, 0), 11, 0, 8, 8);
        assert_eq!(request(&header(Kind::BlockRqError), &again, TIME).unwrap().severity, Severity::Info);
        again.cmd_flags = block_rq::REQ_NOWAIT;
        assert_eq!(request(&header(Kind::BlockRqError), &again, TIME), None);
        let probe = request(&header(Kind::BlockRqError), &rq(Dev::new(7, 0), 95, 9, 0, 8), TIME).unwrap();
        assert_eq!((probe.event_type, probe.severity), (EventType::BLK_NOT_SUPPORTED, Severity::Info));
        assert_eq!(probe.io.unwrap().op, Op::WriteZeroes);
        // A SCSI target refuses them so.
        let type_of = |op| {
            request(&header(Kind::BlockRqError), &rq(Dev::new(8, 0), 121, op, 0, 8), TIME).unwrap().event_type
        };
        assert_eq!([3, 5, 9].map(type_of), [EventType::BLK_NOT_SUPPORTED; 3]);
        assert_eq!([0, 1].map(type_of), [EventType::BLK_TARGET_ERROR; 2]);
    }
}
