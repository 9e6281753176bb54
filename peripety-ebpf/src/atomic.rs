//! Counting where an interrupt, another program or another CPU may count as well.

use core::arch::asm;

/// Adds 1 to a counter in a map.
///
/// The instruction is BPF_ATOMIC | BPF_ADD without fetch (Documentation/bpf/standardization/instruction-set.rst), which
/// every kernel with a ring buffer has. `AtomicU64::fetch_add` does not exist for this target.
///
/// # Safety
/// `counter` points into a map value and is aligned to 8 bytes.
pub(crate) unsafe fn increment(counter: *mut u64) {
    // SAFETY: the caller's promise; the verifier checks it once more.
    unsafe {
        asm!("lock *(u64 *)({counter} + 0x0) += {one}", counter = in(reg) counter, one = in(reg) 1_u64)
    };
}
