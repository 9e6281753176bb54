//! `scsi_dispatch_cmd_done` and `scsi_dispatch_cmd_timeout`.

use aya_ebpf::{
    EbpfContext, Global,
    programs::{RawTracePointContext, TracePointContext},
};
use peripety_common::{
    FLAG_CLASSIC, Kind,
    scsi_cmd::{CDB_BYTES, NO_SECTOR, SENSE_BYTES, ScsiCmd},
};

use crate::{
    block_rq::{dev_of_disk, disk, request},
    emit::{emit, seen},
    read::{bytes, data_loc, field, has, record},
};

offsets! {
    static CMD_RESULT;
    static CMD_DEVICE;
    static CMD_CMND;
}
/// Whether scsi_cmnd.cmnd is an array (from Linux 5.19) and no pointer.
#[unsafe(no_mangle)]
static CMD_CMND_ARRAY: Global<u8> = Global::new(0);
offsets! {
    static CMD_LEN;
    static CMD_RETRIES;
    static CMD_ALLOWED;
    static CMD_SENSE;
    static CMD_DATA_LEN;
    /// scsi_cmnd.request, up to Linux 5.15; later the command follows its request in memory.
    static CMD_REQUEST;
    static SDEV_HOST;
    static SDEV_CHANNEL;
    static SDEV_ID;
    static SDEV_LUN;
    pub(crate) static HOST_NO;
    /// sizeof(struct request).
    pub(crate) static RQ_SIZE;
}

offsets! {
    static TP_SCSI_HOST;
    static TP_SCSI_CHANNEL;
    static TP_SCSI_ID;
    static TP_SCSI_LUN;
    static TP_SCSI_RESULT;
    static TP_SCSI_TAG;
    static TP_SCSI_CMND;
    static TP_SCSI_SENSE_KEY;
    static TP_SCSI_ASC;
    static TP_SCSI_ASCQ;
}

/// Status byte CHECK CONDITION (SAM-5, section 5.3): the only one with sense data.
const CHECK_CONDITION: u32 = 2;

/// What both ways know before they look at command and sense.
struct Address {
    host: u32,
    channel: u32,
    target: u32,
    lun: u64,
    dev: u32,
    result: u32,
    sector: u64,
    tag: i32,
}

fn is_done(kind: Kind) -> bool {
    kind as u16 == Kind::ScsiDone as u16
}

pub(crate) fn raw(ctx: &RawTracePointContext, kind: Kind) -> Option<()> {
    let cmd: *const u8 = ctx.arg(0);
    let result: u32 = field(cmd, &CMD_RESULT)?;
    if is_done(kind) && result == 0 {
        return None;
    }
    let rq: *const u8 = if has(&CMD_REQUEST) {
        field(cmd, &CMD_REQUEST)?
    } else if has(&RQ_SIZE) {
        cmd.wrapping_sub(usize::from(RQ_SIZE.load()))
    } else {
        core::ptr::null()
    };
    let (sector, _flags, tag) = request(rq);
    let sdev: *const u8 = field(cmd, &CMD_DEVICE)?;
    let address = Address {
        host: field(sdev, &SDEV_HOST).and_then(|host| field(host, &HOST_NO)).unwrap_or(0),
        channel: field(sdev, &SDEV_CHANNEL).unwrap_or(0),
        target: field(sdev, &SDEV_ID).unwrap_or(0),
        lun: field(sdev, &SDEV_LUN).unwrap_or(0),
        dev: disk(rq).and_then(dev_of_disk).unwrap_or(0),
        result,
        sector,
        tag,
    };
    let cdb: *const u8 = if CMD_CMND_ARRAY.load() != 0 {
        cmd.wrapping_add(usize::from(CMD_CMND.load()))
    } else {
        field(cmd, &CMD_CMND)?
    };
    let sense: *const u8 = field(cmd, &CMD_SENSE).unwrap_or(core::ptr::null());
    let has_sense = result & 0xff == CHECK_CONDITION && !sense.is_null();
    send(ctx, kind, 0, &address, |body| {
        body.cmd_len = field(cmd, &CMD_LEN).unwrap_or(0);
        body.retries = field::<u32>(cmd, &CMD_RETRIES).unwrap_or(0) as u8;
        body.allowed = field::<u32>(cmd, &CMD_ALLOWED).unwrap_or(0) as u8;
        body.data_len = field(cmd, &CMD_DATA_LEN).unwrap_or(0);
        bytes(cdb, &mut body.cdb);
        if has_sense {
            body.sense_valid = 2;
            bytes(sense, &mut body.sense);
        }
    })
}

pub(crate) fn classic(ctx: &TracePointContext, kind: Kind) -> Option<()> {
    let result: u32 = record(ctx, &TP_SCSI_RESULT)?;
    if is_done(kind) && result == 0 {
        return None;
    }
    let address = Address {
        host: record(ctx, &TP_SCSI_HOST)?,
        channel: record(ctx, &TP_SCSI_CHANNEL)?,
        target: record(ctx, &TP_SCSI_ID)?,
        lun: u64::from(record::<u32>(ctx, &TP_SCSI_LUN)?),
        dev: 0,
        result,
        sector: NO_SECTOR,
        tag: record(ctx, &TP_SCSI_TAG).unwrap_or(-1),
    };
    let (cdb, cdb_len) = data_loc(ctx, &TP_SCSI_CMND)?;
    send(ctx, kind, FLAG_CLASSIC, &address, |body| {
        body.cmd_len = cdb_len as u16;
        // The record may end with the command: read no further than it is long.
        match cdb_len {
            32.. => bytes(cdb, &mut body.cdb),
            16.. => bytes(cdb, &mut body.cdb[..16]),
            12.. => bytes(cdb, &mut body.cdb[..12]),
            10.. => bytes(cdb, &mut body.cdb[..10]),
            6.. => bytes(cdb, &mut body.cdb[..6]),
            _ => {}
        }
        if result & 0xff == CHECK_CONDITION && has(&TP_SCSI_SENSE_KEY) {
            body.sense_valid = 1;
            body.sense_key = record(ctx, &TP_SCSI_SENSE_KEY).unwrap_or(0);
            body.asc = record(ctx, &TP_SCSI_ASC).unwrap_or(0);
            body.ascq = record(ctx, &TP_SCSI_ASCQ).unwrap_or(0);
        }
    })
}

fn send(
    ctx: &impl EbpfContext,
    kind: Kind,
    flags: u8,
    address: &Address,
    complete: impl FnOnce(&mut ScsiCmd),
) -> Option<()> {
    let seq = seen(kind)?;
    emit(ctx, kind, flags, seq, |slot| {
        let body = slot.write(ScsiCmd {
            lun: address.lun,
            sector: address.sector,
            host: address.host,
            channel: address.channel,
            target: address.target,
            dev: address.dev,
            result: address.result,
            tag: address.tag,
            data_len: 0,
            cmd_len: 0,
            retries: 0,
            allowed: 0,
            sense_valid: 0,
            sense_key: 0,
            asc: 0,
            ascq: 0,
            reserved: 0,
            cdb: [0; CDB_BYTES],
            sense: [0; SENSE_BYTES],
        });
        complete(body);
    })
}
