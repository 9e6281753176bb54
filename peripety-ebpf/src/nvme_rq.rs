//! `nvme_complete_rq`.

use aya_ebpf::{
    EbpfContext,
    programs::{RawTracePointContext, TracePointContext},
};
use peripety_common::{FLAG_CLASSIC, Kind, nvme_rq::NvmeRq};

use crate::{
    block_rq::{RQ_Q, dev_of_disk, disk, request},
    emit::{emit, seen},
    read::{bytes, field, fixed, has, record},
    scsi_cmd::RQ_SIZE,
};

offsets! {
    static NREQ_STATUS;
    static NREQ_RESULT;
    static NREQ_RETRIES;
    static NREQ_FLAGS;
    static NREQ_CTRL;
    static NREQ_CMD;
    pub(crate) static CTRL_INSTANCE;
    static Q_QUEUEDATA;
    static RQ_HCTX;
    static HCTX_QUEUE_NUM;
    static DISK_NAME;
}

offsets! {
    static TP_NVME_DISK;
    static TP_NVME_CTRL;
    static TP_NVME_QID;
    static TP_NVME_CID;
    static TP_NVME_RESULT;
    static TP_NVME_RETRIES;
    static TP_NVME_FLAGS;
    static TP_NVME_STATUS;
}

const UNKNOWN_OPCODE: u8 = 0xff;

const EMPTY: NvmeRq = NvmeRq {
    slba: u64::MAX,
    result: 0,
    ctrl: -1,
    dev: 0,
    nsid: 0,
    qid: 0,
    cid: 0,
    nlb: 0,
    status: 0,
    retries: 0,
    flags: 0,
    opcode: UNKNOWN_OPCODE,
    reserved: [0; 5],
    disk: [0; 32],
};

pub(crate) fn raw(ctx: &RawTracePointContext) -> Option<()> {
    if !has(&RQ_SIZE) {
        return None;
    }
    let rq: *const u8 = ctx.arg(0);
    // blk_mq_rq_to_pdu: the driver's part follows the request.
    let nreq = rq.wrapping_add(usize::from(RQ_SIZE.load()));
    let status: u16 = field(nreq, &NREQ_STATUS)?;
    if status == 0 {
        return None;
    }
    let disk = disk(rq).unwrap_or_default();
    let dev = dev_of_disk(disk).unwrap_or(0);
    let (_sector, _flags, tag) = request(rq);
    let queuedata: *const u8 =
        field::<*const u8>(rq, &RQ_Q).and_then(|q| field(q, &Q_QUEUEDATA)).unwrap_or_default();
    let qid = if queuedata.is_null() {
        0
    } else {
        field(rq, &RQ_HCTX)
            .and_then(|hctx| field::<u32>(hctx, &HCTX_QUEUE_NUM))
            .map_or(0, |n| n.wrapping_add(1))
    };
    let ctrl: i32 = field(nreq, &NREQ_CTRL).and_then(|ctrl| field(ctrl, &CTRL_INSTANCE)).unwrap_or(-1);
    let cmd: *const u8 = field(nreq, &NREQ_CMD).unwrap_or_default();

    let seq = seen(Kind::NvmeCompleteRq)?;
    emit(ctx, Kind::NvmeCompleteRq, 0, seq, |slot| {
        let body = slot.write(EMPTY);
        body.status = status;
        body.dev = dev;
        body.ctrl = ctrl;
        body.qid = qid;
        body.cid = tag as u32;
        body.result = field(nreq, &NREQ_RESULT).unwrap_or(0);
        body.retries = field(nreq, &NREQ_RETRIES).unwrap_or(0);
        body.flags = field(nreq, &NREQ_FLAGS).unwrap_or(0);
        // Common command format, then read and write: NVMe base specification, figure "Common Command Format", and NVM
        // command set specification, section 3.2.
        body.opcode = fixed(cmd, 0).unwrap_or(UNKNOWN_OPCODE);
        body.nsid = fixed(cmd, 4).unwrap_or(0);
        if qid != 0 {
            body.slba = fixed(cmd, 40).unwrap_or(u64::MAX);
            body.nlb = fixed(cmd, 48).unwrap_or(0);
        }
        if !disk.is_null() && has(&DISK_NAME) {
            bytes(disk.wrapping_add(usize::from(DISK_NAME.load())), &mut body.disk);
        }
    })
}

pub(crate) fn classic(ctx: &TracePointContext) -> Option<()> {
    let status: u16 = record(ctx, &TP_NVME_STATUS)?;
    if status == 0 {
        return None;
    }
    let seq = seen(Kind::NvmeCompleteRq)?;
    emit(ctx, Kind::NvmeCompleteRq, FLAG_CLASSIC, seq, |slot| {
        let body = slot.write(EMPTY);
        body.status = status;
        body.ctrl = record(ctx, &TP_NVME_CTRL).unwrap_or(-1);
        body.qid = record(ctx, &TP_NVME_QID).unwrap_or(0);
        body.cid = record(ctx, &TP_NVME_CID).unwrap_or(0);
        body.result = record(ctx, &TP_NVME_RESULT).unwrap_or(0);
        body.retries = record(ctx, &TP_NVME_RETRIES).unwrap_or(0);
        body.flags = record(ctx, &TP_NVME_FLAGS).unwrap_or(0);
        if has(&TP_NVME_DISK) {
            let start = EbpfContext::as_ptr(ctx).cast::<u8>().cast_const();
            bytes(start.wrapping_add(usize::from(TP_NVME_DISK.load())), &mut body.disk);
        }
    })
}
