//! `ext4_error` and `ext4_shutdown`.

use aya_ebpf::{
    EbpfContext,
    programs::{RawTracePointContext, TracePointContext},
};
use peripety_common::{
    FLAG_CLASSIC, Kind,
    ext4::{Ext4Error, Ext4Shutdown, FUNCTION_BYTES},
};

use crate::{
    emit::{emit, seen},
    read::{field, record, string},
};

offsets! {
    pub(crate) static SB_DEV;
}

offsets! {
    static TP_EXT4E_DEV;
    static TP_EXT4E_FUNCTION;
    static TP_EXT4E_LINE;
    static TP_EXT4S_DEV;
    static TP_EXT4S_FLAGS;
}

pub(crate) fn error_raw(ctx: &RawTracePointContext) -> Option<()> {
    let dev = field(ctx.arg(0), &SB_DEV)?;
    error(ctx, 0, dev, ctx.arg(1), ctx.arg(2))
}

pub(crate) fn error_classic(ctx: &TracePointContext) -> Option<()> {
    let function: *const u8 = record(ctx, &TP_EXT4E_FUNCTION)?;
    error(ctx, FLAG_CLASSIC, record(ctx, &TP_EXT4E_DEV)?, function, record(ctx, &TP_EXT4E_LINE)?)
}

fn error(ctx: &impl EbpfContext, flags: u8, dev: u32, function: *const u8, line: u32) -> Option<()> {
    let seq = seen(Kind::Ext4Error)?;
    emit(ctx, Kind::Ext4Error, flags, seq, |slot| {
        let body = slot.write(Ext4Error { dev, line, function: [0; FUNCTION_BYTES] });
        string(function, &mut body.function);
    })
}

pub(crate) fn shutdown_raw(ctx: &RawTracePointContext) -> Option<()> {
    shutdown(ctx, 0, Ext4Shutdown { dev: field(ctx.arg(0), &SB_DEV)?, flags: ctx.arg(1) })
}

pub(crate) fn shutdown_classic(ctx: &TracePointContext) -> Option<()> {
    let body = Ext4Shutdown { dev: record(ctx, &TP_EXT4S_DEV)?, flags: record(ctx, &TP_EXT4S_FLAGS)? };
    shutdown(ctx, FLAG_CLASSIC, body)
}

fn shutdown(ctx: &impl EbpfContext, flags: u8, body: Ext4Shutdown) -> Option<()> {
    let seq = seen(Kind::Ext4Shutdown)?;
    emit(ctx, Kind::Ext4Shutdown, flags, seq, |slot| {
        slot.write(body);
    })
}
