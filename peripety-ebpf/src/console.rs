//! `printk:console`.

use aya_ebpf::{
    EbpfContext,
    helpers::bpf_ktime_get_ns,
    macros::map,
    maps::PerCpuArray,
    programs::{RawTracePointContext, TracePointContext},
};
use peripety_common::{
    FLAG_CLASSIC, Kind,
    console::{Console, TEXT_BYTES},
};

use crate::{
    emit::{emit, folded, seen},
    read::{data_loc, string},
};

/// Records of a CPU in each stretch of time. They pair two clocks, for which a few are enough; and any process that may write
/// to /dev/kmsg makes the kernel print, while failures want the room in the ring.
const RECORDS_MOST: u64 = 8;
const STRETCH_NS: u64 = 100_000_000;

/// The stretch that a CPU is in, and its records in that.
#[repr(C)]
struct Share {
    since_ns: u64,
    records: u64,
}

#[map(name = "prpt_console_share")]
static SHARES: PerCpuArray<Share> = PerCpuArray::with_max_entries(1, 0);

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
    if !has_share() {
        folded(Kind::Console);
        return None;
    }
    emit(ctx, Kind::Console, flags, seq, |slot| {
        let body = slot.write(Console { len, reserved: 0, text: [0; TEXT_BYTES] });
        string(text, &mut body.text);
    })
}

/// Whether this CPU may send one more.
fn has_share() -> bool {
    let Some(share) = SHARES.get_ptr_mut(0) else { return false };
    // SAFETY: the helper takes nothing.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: the map's value, checked by the lookup; an interrupt in between sends one more or one less.
    unsafe {
        if now.wrapping_sub((*share).since_ns) >= STRETCH_NS {
            (*share).since_ns = now;
            (*share).records = 0;
        }
        (*share).records += 1;
        (*share).records <= RECORDS_MOST
    }
}
