//! `block_bio_complete`.

use core::ptr;

use aya_ebpf::{
    EbpfContext,
    programs::{BtfTracePointContext, RawTracePointContext, TracePointContext},
};
use peripety_common::{
    FLAG_CLASSIC, Kind,
    block_bio::{BlockBio, is_normal},
    block_rq::{OP_PASSTHROUGH_FIRST, OP_READ, OP_WRITE, op_from_rwbs},
    counters::CountKey,
};

use crate::{
    block_rq::dev_of_disk,
    emit::{count, emit, errno_of_status, seen},
    read::{field, has, record},
};

offsets! {
    static BIO_STATUS;
    static BIO_SECTOR;
    static BIO_SIZE;
    static BIO_OPF;
    /// bio.bi_bdev, from Linux 5.12.
    static BIO_BDEV;
    /// bio.bi_disk, up to Linux 5.11.
    static BIO_DISK;
    static BDEV_DEV;
    static BIO_IDX;
    static BIO_BVEC_DONE;
    static BIO_IO_VEC;
    static BVEC_LEN;
    static BVEC_SIZE;
}

/// BIO_MAX_VECS (include/linux/bio.h).
const VECS_MAX: u32 = 256;

offsets! {
    static TP_BIO_DEV;
    static TP_BIO_SECTOR;
    static TP_BIO_NR_SECTOR;
    static TP_BIO_ERROR;
    static TP_BIO_RWBS;
}

/// The verifier knows that the argument is a bio, and lets its fields be loaded.
pub(crate) fn typed(ctx: &BtfTracePointContext) -> Option<()> {
    let bio: *const u8 = ctx.arg(1);
    // SAFETY: the verifier checks that the place lies in the bio.
    let status: u8 = unsafe { ptr::read_volatile(bio.add(usize::from(BIO_STATUS.load()))) };
    if status == 0 {
        return None;
    }
    failed(ctx, bio, status)
}

pub(crate) fn raw(ctx: &RawTracePointContext) -> Option<()> {
    let bio: *const u8 = ctx.arg(1);
    let status: u8 = field(bio, &BIO_STATUS)?;
    if status == 0 {
        return None;
    }
    failed(ctx, bio, status)
}

/// How many sectors a bio of data had before those that are left. Nothing reports for operations without data.
fn advanced(bio: *const u8, op: u8) -> Option<u32> {
    if (op != OP_READ && op != OP_WRITE) || !has(&BVEC_SIZE) {
        return None;
    }
    let vecs: *const u8 = field(bio, &BIO_IO_VEC)?;
    let passed: u32 = field(bio, &BIO_IDX)?;
    if passed > VECS_MAX {
        return None;
    }
    let mut bytes: u32 = field(bio, &BIO_BVEC_DONE)?;
    for place in 0..VECS_MAX {
        if place >= passed {
            break;
        }
        let vec = vecs.wrapping_add(place as usize * usize::from(BVEC_SIZE.load()));
        bytes = bytes.wrapping_add(field(vec, &BVEC_LEN)?);
    }
    Some(bytes >> 9)
}

fn failed(ctx: &impl EbpfContext, bio: *const u8, status: u8) -> Option<()> {
    let dev = if has(&BIO_DISK) {
        field(bio, &BIO_DISK).and_then(dev_of_disk)
    } else {
        field(bio, &BIO_BDEV).and_then(|bdev| field(bdev, &BDEV_DEV))
    };
    let cmd_flags: u32 = field(bio, &BIO_OPF)?;
    let op = (cmd_flags & 0xff) as u8;
    if op >= OP_PASSTHROUGH_FIRST {
        return None;
    }
    let size: u32 = field(bio, &BIO_SIZE)?;
    let advanced = advanced(bio, op);
    let body = BlockBio {
        sector: field(bio, &BIO_SECTOR)?,
        dev: dev.unwrap_or(0),
        errno: errno_of_status(status),
        nr_sectors: size >> 9,
        cmd_flags,
        op,
        status,
        extent: u16::from(advanced.is_some()),
        advanced: advanced.unwrap_or(0),
    };
    send(ctx, 0, body)
}

pub(crate) fn classic(ctx: &TracePointContext) -> Option<()> {
    let error: i32 = record(ctx, &TP_BIO_ERROR)?;
    if error == 0 {
        return None;
    }
    let rwbs: [u8; 2] = record(ctx, &TP_BIO_RWBS).unwrap_or([0; 2]);
    let body = BlockBio {
        sector: record(ctx, &TP_BIO_SECTOR)?,
        dev: record(ctx, &TP_BIO_DEV)?,
        errno: error.wrapping_neg(),
        nr_sectors: record(ctx, &TP_BIO_NR_SECTOR)?,
        cmd_flags: 0,
        op: op_from_rwbs(rwbs[0], rwbs[1]),
        status: 0xff,
        extent: 0,
        advanced: 0,
    };
    send(ctx, FLAG_CLASSIC, body)
}

fn send(ctx: &impl EbpfContext, flags: u8, body: BlockBio) -> Option<()> {
    if is_normal(&body) {
        return None;
    }
    let seq = seen(Kind::BlockBioComplete)?;
    count(CountKey::of_bio(&body));
    emit(ctx, Kind::BlockBioComplete, flags, seq, |slot| {
        slot.write(body);
    })
}
