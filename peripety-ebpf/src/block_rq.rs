//! `block_rq_error` and `block_rq_complete`.

use aya_ebpf::{
    Global,
    programs::{RawTracePointContext, TracePointContext},
};
use peripety_common::{
    FLAG_CLASSIC, Kind,
    block_rq::{BlockRq, OP_PASSTHROUGH_FIRST, is_normal, op_from_rwbs},
    counters::CountKey,
};

use crate::{
    emit::{count, emit, errno_of_status, ran, seen},
    read::{field, has, record},
};

offsets! {
    static RQ_SECTOR;
    static RQ_CMD_FLAGS;
    static RQ_TAG;
    pub(crate) static RQ_Q;
    /// request.rq_disk, up to Linux 5.16.
    static RQ_DISK;
    /// request_queue.disk, from Linux 5.15.
    static Q_DISK;
    static DISK_MAJOR;
    static DISK_MINOR;
}
/// Whether block_rq_complete's second argument is an errno (up to Linux 5.16) and no blk_status_t.
#[unsafe(no_mangle)]
static RQ_COMPLETE_ERRNO: Global<u8> = Global::new(0);

offsets! {
    static TP_RQ_DEV;
    static TP_RQ_SECTOR;
    static TP_RQ_NR_SECTOR;
    static TP_RQ_ERROR;
    static TP_RQ_RWBS;
}

/// `sector` of passthrough requests and of internal flushes.
const NO_SECTOR: u64 = u64::MAX;

/// The disk of a request.
pub(crate) fn disk(rq: *const u8) -> Option<*const u8> {
    if has(&RQ_DISK) {
        return field(rq, &RQ_DISK);
    }
    let queue: *const u8 = field(rq, &RQ_Q)?;
    field(queue, &Q_DISK)
}

/// A disk's number in the kernel's encoding.
pub(crate) fn dev_of_disk(disk: *const u8) -> Option<u32> {
    let major: u32 = field(disk, &DISK_MAJOR)?;
    let minor: u32 = field(disk, &DISK_MINOR)?;
    Some(major << 20 | minor & 0xf_ffff)
}

/// First sector of a request, operation and flags, tag.
pub(crate) fn request(rq: *const u8) -> (u64, u32, i32) {
    (
        field(rq, &RQ_SECTOR).unwrap_or(NO_SECTOR),
        field(rq, &RQ_CMD_FLAGS).unwrap_or(0),
        field(rq, &RQ_TAG).unwrap_or(-1),
    )
}

/// `block_rq_error` fires for nothing but failures, and what it fires is counted by perf as well: see the collector's
/// `unseen.rs`.
const fn counts_runs(kind: Kind) -> bool {
    kind as u16 == Kind::BlockRqError as u16
}

pub(crate) fn raw(ctx: &RawTracePointContext, kind: Kind) -> Option<()> {
    if counts_runs(kind) {
        ran(kind);
    }
    let error: u32 = ctx.arg(1);
    if error == 0 {
        return None;
    }
    let as_errno = kind as u16 == Kind::BlockRqComplete as u16 && RQ_COMPLETE_ERRNO.load() != 0;
    let (status, errno) = if as_errno {
        (0xff, (error as i32).wrapping_neg())
    } else {
        (error as u8, errno_of_status(error as u8))
    };
    let rq: *const u8 = ctx.arg(0);
    let (sector, cmd_flags, tag) = request(rq);
    let op = (cmd_flags & 0xff) as u8;
    if op >= OP_PASSTHROUGH_FIRST || sector == NO_SECTOR {
        return None;
    }
    let bytes: u32 = ctx.arg(2);
    let dev = disk(rq).and_then(dev_of_disk).unwrap_or(0);
    send(
        ctx,
        kind,
        0,
        BlockRq { sector, dev, errno, nr_sectors: bytes >> 9, cmd_flags, tag, op, status, reserved: 0 },
    )
}

/// Some reports perf to go on and count the hit.
pub(crate) fn classic(ctx: &TracePointContext, kind: Kind) -> Option<()> {
    if counts_runs(kind) {
        ran(kind);
        let _sent = classic_request(ctx, kind);
        return Some(());
    }
    classic_request(ctx, kind)
}

fn classic_request(ctx: &TracePointContext, kind: Kind) -> Option<()> {
    let error: i32 = record(ctx, &TP_RQ_ERROR)?;
    if error == 0 {
        return None;
    }
    let sector: u64 = record(ctx, &TP_RQ_SECTOR)?;
    if sector == NO_SECTOR {
        return None;
    }
    let rwbs: [u8; 2] = record(ctx, &TP_RQ_RWBS).unwrap_or([0; 2]);
    let body = BlockRq {
        sector,
        dev: record(ctx, &TP_RQ_DEV)?,
        errno: error.wrapping_neg(),
        nr_sectors: record(ctx, &TP_RQ_NR_SECTOR)?,
        cmd_flags: 0,
        tag: -1,
        op: op_from_rwbs(rwbs[0], rwbs[1]),
        status: 0xff,
        reserved: 0,
    };
    send(ctx, kind, FLAG_CLASSIC, body)
}

fn send(ctx: &impl aya_ebpf::EbpfContext, kind: Kind, flags: u8, body: BlockRq) -> Option<()> {
    if is_normal(body.errno, body.cmd_flags) {
        return None;
    }
    let seq = seen(kind)?;
    count(CountKey::of_request(kind, &body));
    emit(ctx, kind, flags, seq, |slot| {
        slot.write(body);
    })
}
