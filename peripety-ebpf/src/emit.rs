//! How a record gets out: counted, numbered, put into the ring.

use core::{mem::MaybeUninit, ptr};

use aya_ebpf::{
    EbpfContext,
    bindings::{BPF_NOEXIST, BPF_RB_AVAIL_DATA},
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray, RingBuf},
};
use aya_log_ebpf::debug;
use peripety_common::{
    Header, Kind, VERSION,
    counters::{CountKey, Counters},
};

use crate::atomic::increment;

// Sizes are what user space sets at load; these are for a load without it.
#[map(name = "prpt_ring")]
static RING: RingBuf = RingBuf::with_byte_size(4 << 20, 0);
#[map(name = "prpt_counters")]
static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(Kind::ALL.len() as u32, 0);
#[map(name = "prpt_counts")]
static COUNTS: LruHashMap<CountKey, u64> = LruHashMap::with_max_entries(8192, 0);
#[map(name = "prpt_ring_fill")]
static RING_FILL: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);
/// errno of each blk_status_t, filled by user space: the numbers moved between versions.
#[map(name = "prpt_errno")]
static ERRNO: Array<i32> = Array::with_max_entries(256, 0);

#[repr(C)]
struct Slot<T> {
    header: Header,
    body: T,
}

/// The errno, positive, that the block layer gives to a blk_status_t.
pub(crate) fn errno_of_status(status: u8) -> i32 {
    const EIO: i32 = 5;
    ERRNO.get(u32::from(status)).copied().filter(|errno| *errno > 0).unwrap_or(EIO)
}

fn counters(kind: Kind) -> Option<*mut Counters> {
    COUNTERS.get_ptr_mut(u32::from(kind.number()))
}

/// Counts a run, for a failure or not.
pub(crate) fn ran(kind: Kind) {
    if let Some(counters) = counters(kind) {
        // SAFETY: the map's value, checked by the lookup.
        unsafe { increment(&raw mut (*counters).runs) };
    }
}

/// Counts a failure that passed the filter, and gives its number on this CPU.
pub(crate) fn seen(kind: Kind) -> Option<u64> {
    let counters = counters(kind)?;
    // SAFETY: the map's value, checked by the lookup.
    unsafe {
        increment(&raw mut (*counters).seen);
        Some((*counters).seen)
    }
}

/// Counts a failure that an earlier record stands for.
pub(crate) fn folded(kind: Kind) {
    if let Some(counters) = counters(kind) {
        // SAFETY: the map's value, checked by the lookup.
        unsafe { increment(&raw mut (*counters).folded) };
    }
}

/// Counts a failure in the map that stays right when the ring is full.
pub(crate) fn count(key: CountKey) {
    if COUNTS.get_ptr_mut(key).is_none() {
        // Another CPU may have been faster; then its entry counts.
        let _ = COUNTS.insert(key, 0, u64::from(BPF_NOEXIST));
    }
    if let Some(count) = COUNTS.get_ptr_mut(key) {
        // SAFETY: the map's value, checked by the lookup. Should the entry be handed to another key meanwhile (LRU), one
        // count goes astray and no memory is harmed.
        unsafe { increment(count) };
    }
}

/// Puts a record into the ring; `fill` writes every byte of the body.
pub(crate) fn emit<T: 'static>(
    ctx: &impl EbpfContext,
    kind: Kind,
    flags: u8,
    seq: u64,
    fill: impl FnOnce(&mut MaybeUninit<T>),
) -> Option<()> {
    let counters = counters(kind)?;
    let Some(mut slot) = RING.reserve::<Slot<T>>(0) else {
        // SAFETY: the map's value, checked by the lookup.
        unsafe { increment(&raw mut (*counters).dropped) };
        debug!(ctx, "ring full, record of kind {} dropped", kind.number());
        return None;
    };
    let place: *mut Slot<T> = slot.as_mut_ptr();
    // SAFETY: the reserved memory is ours until it is submitted; both fields are written whole.
    unsafe {
        ptr::addr_of_mut!((*place).header).write(Header {
            kind: kind.number(),
            len: size_of::<Slot<T>>() as u16,
            version: VERSION,
            flags,
            cpu: bpf_get_smp_processor_id() as u16,
            seq,
            mono_ns: bpf_ktime_get_ns(),
        });
        fill(&mut *ptr::addr_of_mut!((*place).body).cast::<MaybeUninit<T>>());
    }
    slot.submit(0);
    // SAFETY: the map's value, checked by the lookup.
    unsafe { increment(&raw mut (*counters).sent) };

    let fill = RING.query(u64::from(BPF_RB_AVAIL_DATA));
    if let Some(highest) = RING_FILL.get_ptr_mut(0) {
        // SAFETY: the map's value, checked by the lookup; losing a race only makes the high water mark a bit low.
        unsafe {
            if fill > *highest {
                *highest = fill;
            }
        }
    }
    debug!(ctx, "record of kind {} sent, number {}", kind.number(), seq);
    Some(())
}
