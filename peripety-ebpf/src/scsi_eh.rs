//! `scsi_eh_wakeup`.

use aya_ebpf::{
    EbpfContext,
    programs::{RawTracePointContext, TracePointContext},
};
use peripety_common::{FLAG_CLASSIC, Kind, scsi_eh::ScsiEh};

use crate::{
    emit::{emit, seen},
    read::{field, record},
    scsi_cmd::HOST_NO,
};

offsets! {
    static TP_EH_HOST;
}

pub(crate) fn raw(ctx: &RawTracePointContext) -> Option<()> {
    send(ctx, 0, field(ctx.arg(0), &HOST_NO)?)
}

pub(crate) fn classic(ctx: &TracePointContext) -> Option<()> {
    send(ctx, FLAG_CLASSIC, record(ctx, &TP_EH_HOST)?)
}

fn send(ctx: &impl EbpfContext, flags: u8, host: u32) -> Option<()> {
    let seq = seen(Kind::ScsiEhWakeup)?;
    emit(ctx, Kind::ScsiEhWakeup, flags, seq, |slot| {
        slot.write(ScsiEh { host, reserved: 0 });
    })
}
