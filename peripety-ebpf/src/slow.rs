//! `block_rq_complete`, for requests that took long: folded here by device and operation.
//!
//! There is no classic way: the tracepoint's record does not say when a request was made. A good request costs one load, one
//! look at the clock and a comparison with the shortest limit of all devices.

use core::ptr;

use aya_ebpf::{
    EbpfContext, Global,
    bindings::BPF_NOEXIST,
    helpers::bpf_ktime_get_ns,
    macros::map,
    maps::{HashMap, LruHashMap},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use peripety_common::{
    Kind,
    block_rq::OP_PASSTHROUGH_FIRST,
    slow::{EVERY_DEVICE, SlowKey, SlowRq, SlowState},
};

use crate::{
    atomic::increment,
    block_rq::{dev_of_disk, disk, request},
    emit::{emit, folded, seen},
    read::field,
};

/// From how many nanoseconds on requests are slow, by device; 0: those of this device never are.
#[map(name = "prpt_slow_limit")]
static LIMITS: HashMap<u32, u64> = HashMap::with_max_entries(4096, 0);
#[map(name = "prpt_slow_state")]
static STATES: LruHashMap<SlowKey, SlowState> = LruHashMap::with_max_entries(8192, 0);

offsets! {
    /// request.start_time_ns: 0 where nobody wants the time of requests (queue/iostats is 0).
    static RQ_START;
}
/// The shortest limit of all devices.
#[unsafe(no_mangle)]
static SLOW_LEAST_NS: Global<u64> = Global::new(u64::MAX);

const SECOND_NS: u64 = 1_000_000_000;

/// How long a request took, if that is long for any device.
fn long(started: u64) -> Option<(u64, u64)> {
    // SAFETY: the helper takes nothing.
    let now = unsafe { bpf_ktime_get_ns() };
    let took = now.wrapping_sub(started);
    // A clock that a block plug read once for many requests may be ahead by nothing that counts.
    (started != 0 && started < now && took >= SLOW_LEAST_NS.load()).then_some((now, took))
}

/// The verifier knows that the argument is a request, and lets its fields be loaded.
pub(crate) fn typed(ctx: &BtfTracePointContext) -> Option<()> {
    let rq: *const u8 = ctx.arg(0);
    // SAFETY: the verifier checks that the place lies in the request.
    let started: u64 = unsafe { ptr::read_volatile(rq.add(usize::from(RQ_START.load())).cast::<u64>()) };
    let (now, took) = long(started)?;
    let bytes: u32 = ctx.arg(2);
    slow(ctx, rq, bytes, now, took)
}

pub(crate) fn raw(ctx: &RawTracePointContext) -> Option<()> {
    let rq: *const u8 = ctx.arg(0);
    let (now, took) = long(field(rq, &RQ_START)?)?;
    slow(ctx, rq, ctx.arg(2), now, took)
}

fn slow(ctx: &impl EbpfContext, rq: *const u8, bytes: u32, now: u64, took: u64) -> Option<()> {
    let dev = disk(rq).and_then(dev_of_disk)?;
    let limit_ns = LIMITS.get_ptr(dev).or_else(|| LIMITS.get_ptr(EVERY_DEVICE))?;
    // SAFETY: the map's value, checked by the lookup.
    let limit_ns = unsafe { *limit_ns };
    if limit_ns == 0 || took < limit_ns {
        return None;
    }
    let (sector, cmd_flags, _tag) = request(rq);
    let op = (cmd_flags & 0xff) as u8;
    if op >= OP_PASSTHROUGH_FIRST {
        return None;
    }
    let seq = seen(Kind::BlockRqSlow)?;
    let key = SlowKey { dev, op: u32::from(op) };
    if STATES.get_ptr_mut(key).is_none() {
        let new =
            SlowState { count: 0, reported: 0, longest_ns: 0, sector, sent_ns: 0, nr_sectors: 0, cmd_flags };
        // Another CPU may have been faster; then its entry counts.
        let _ = STATES.insert(key, new, u64::from(BPF_NOEXIST));
    }
    let state = STATES.get_ptr_mut(key)?;
    // SAFETY: the map's value, checked by the lookup. Two CPUs may both write what is the longest, and the entry may be handed
    // to another key meanwhile (LRU): then a time or a count goes astray, and no memory is harmed.
    let body = unsafe {
        increment(&raw mut (*state).count);
        if took > (*state).longest_ns {
            (*state).longest_ns = took;
            (*state).sector = sector;
            (*state).nr_sectors = bytes >> 9;
            (*state).cmd_flags = cmd_flags;
        }
        if now.wrapping_sub((*state).sent_ns) < SECOND_NS {
            folded(Kind::BlockRqSlow);
            return None;
        }
        (*state).sent_ns = now;
        let count = (*state).count;
        let body = SlowRq {
            sector: (*state).sector,
            longest_ns: (*state).longest_ns,
            count: count.wrapping_sub((*state).reported),
            limit_ns,
            dev,
            nr_sectors: (*state).nr_sectors,
            cmd_flags: (*state).cmd_flags,
            op,
            reserved: [0; 3],
        };
        (*state).reported = count;
        (*state).longest_ns = 0;
        body
    };
    emit(ctx, Kind::BlockRqSlow, 0, seq, |slot| {
        slot.write(body);
    })
}
