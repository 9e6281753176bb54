//! `xfs_force_shutdown`.

use aya_ebpf::{
    EbpfContext,
    programs::{RawTracePointContext, TracePointContext},
};
use peripety_common::{
    FLAG_CLASSIC, Kind,
    xfs::{FILE_BYTES, XfsShutdown},
};

use crate::{
    emit::{emit, seen},
    ext4::SB_DEV,
    read::{data_loc, field, record, string},
};

offsets! {
    static MP_SUPER;
}

offsets! {
    static TP_XFS_DEV;
    static TP_XFS_PTAG;
    static TP_XFS_FLAGS;
    static TP_XFS_FNAME;
    static TP_XFS_LINE;
}

pub(crate) fn raw(ctx: &RawTracePointContext) -> Option<()> {
    let dev = field(ctx.arg(0), &MP_SUPER).and_then(|sb| field(sb, &SB_DEV)).unwrap_or(0);
    let body =
        XfsShutdown { dev, ptag: ctx.arg(1), flags: ctx.arg(2), line: ctx.arg(4), file: [0; FILE_BYTES] };
    send(ctx, 0, body, ctx.arg(3))
}

pub(crate) fn classic(ctx: &TracePointContext) -> Option<()> {
    let body = XfsShutdown {
        dev: record(ctx, &TP_XFS_DEV)?,
        ptag: record(ctx, &TP_XFS_PTAG)?,
        flags: record(ctx, &TP_XFS_FLAGS)?,
        line: record(ctx, &TP_XFS_LINE)?,
        file: [0; FILE_BYTES],
    };
    let (file, _len) = data_loc(ctx, &TP_XFS_FNAME)?;
    send(ctx, FLAG_CLASSIC, body, file)
}

fn send(ctx: &impl EbpfContext, flags: u8, body: XfsShutdown, file: *const u8) -> Option<()> {
    let seq = seen(Kind::XfsForceShutdown)?;
    emit(ctx, Kind::XfsForceShutdown, flags, seq, |slot| {
        let body = slot.write(body);
        string(file, &mut body.file);
    })
}
