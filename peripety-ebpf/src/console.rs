//! `printk:console`.

use aya_ebpf::{
    EbpfContext,
    programs::{RawTracePointContext, TracePointContext},
};
use peripety_common::{
    FLAG_CLASSIC, Kind,
    console::{Console, TEXT_BYTES},
};

use crate::{
    emit::{emit, seen},
    read::{data_loc, string},
};

offsets! {
    static TP_CONSOLE_MSG;
}

pub(crate) fn raw(ctx: &RawTracePointContext) -> Option<()> {
    let len: u32 = ctx.arg(1);
    send(ctx, 0, ctx.arg(0), len)
}

pub(crate) fn classic(ctx: &TracePointContext) -> Option<()> {
    let (text, len) = data_loc(ctx, &TP_CONSOLE_MSG)?;
    send(ctx, FLAG_CLASSIC, text, len)
}

fn send(ctx: &impl EbpfContext, flags: u8, text: *const u8, len: u32) -> Option<()> {
    if len == 0 {
        return None;
    }
    let seq = seen(Kind::Console)?;
    emit(ctx, Kind::Console, flags, seq, |slot| {
        let body = slot.write(Console { len, reserved: 0, text: [0; TEXT_BYTES] });
        string(text, &mut body.text);
    })
}
