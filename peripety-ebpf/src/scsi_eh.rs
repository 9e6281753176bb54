//! `scsi_eh_wakeup`.

use aya_ebpf::{
    EbpfContext,
    programs::{RawTracePointContext, TracePointContext},
};
use peripety_common::{
    FLAG_CLASSIC, Kind,
    scsi_eh::{ScsiEh, UNKNOWN_FAILED},
};

use crate::{
    emit::{emit, seen},
    read::{field, record},
    scsi_cmd::HOST_NO,
};

offsets! {
    static TP_EH_HOST;
    static HOST_FAILED;
}

pub(crate) fn raw(ctx: &RawTracePointContext) -> Option<()> {
    let host = ctx.arg(0);
    let failed = field(host, &HOST_FAILED)?;
    // libata and libsas have their handler probe for devices: nothing failed.
    if failed == 0 {
        return None;
    }
    send(ctx, 0, field(host, &HOST_NO)?, failed)
}

pub(crate) fn classic(ctx: &TracePointContext) -> Option<()> {
    send(ctx, FLAG_CLASSIC, record(ctx, &TP_EH_HOST)?, UNKNOWN_FAILED)
}

fn send(ctx: &impl EbpfContext, flags: u8, host: u32, failed: u32) -> Option<()> {
    let seq = seen(Kind::ScsiEhWakeup)?;
    emit(ctx, Kind::ScsiEhWakeup, flags, seq, |slot| {
        slot.write(ScsiEh { host, failed });
    })
}
