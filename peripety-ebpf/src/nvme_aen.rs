//! `nvme_async_event`.

use aya_ebpf::{
    EbpfContext,
    programs::{RawTracePointContext, TracePointContext},
};
use peripety_common::{FLAG_CLASSIC, Kind, nvme_aen::NvmeAen};

use crate::{
    emit::{emit, seen},
    nvme_rq::CTRL_INSTANCE,
    read::{field, record},
};

offsets! {
    static TP_AEN_CTRL;
    static TP_AEN_RESULT;
}

pub(crate) fn raw(ctx: &RawTracePointContext) -> Option<()> {
    send(ctx, 0, NvmeAen { ctrl: field(ctx.arg(0), &CTRL_INSTANCE)?, result: ctx.arg(1) })
}

pub(crate) fn classic(ctx: &TracePointContext) -> Option<()> {
    send(
        ctx,
        FLAG_CLASSIC,
        NvmeAen { ctrl: record(ctx, &TP_AEN_CTRL)?, result: record(ctx, &TP_AEN_RESULT)? },
    )
}

fn send(ctx: &impl EbpfContext, flags: u8, body: NvmeAen) -> Option<()> {
    let seq = seen(Kind::NvmeAsyncEvent)?;
    emit(ctx, Kind::NvmeAsyncEvent, flags, seq, |slot| {
        slot.write(body);
    })
}
