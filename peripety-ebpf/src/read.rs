//! Following pointers and offsets that user space resolved.

use aya_ebpf::{
    Global,
    helpers::{bpf_probe_read_kernel, bpf_probe_read_kernel_buf, bpf_probe_read_kernel_str_bytes},
    programs::TracePointContext,
};
use peripety_common::counters::NO_OFFSET;

/// A place in a kernel struct or a tracepoint's record, in bytes; [`NO_OFFSET`] where this kernel has none.
pub(crate) type Offset = Global<u16>;

/// Declares offsets that user space has yet to set, by the name that it sets them by.
macro_rules! offsets {
    ($($(#[$doc:meta])* $visibility:vis static $name:ident;)*) => {$(
        $(#[$doc])*
        #[unsafe(no_mangle)]
        $visibility static $name: $crate::read::Offset =
            aya_ebpf::Global::new(peripety_common::counters::NO_OFFSET);
    )*};
}

/// Whether this kernel has the field.
pub(crate) fn has(offset: &Offset) -> bool {
    offset.load() != NO_OFFSET
}

/// The field at `offset` of the struct at `base`.
pub(crate) fn field<T>(base: *const u8, offset: &Offset) -> Option<T> {
    if base.is_null() || !has(offset) {
        return None;
    }
    // SAFETY: the helper checks the address; T is a number or a pointer, for which any bits are valid.
    unsafe { bpf_probe_read_kernel(base.add(usize::from(offset.load())).cast::<T>()) }.ok()
}

/// The field at a fixed place, for layouts that a specification fixes.
pub(crate) fn fixed<T>(base: *const u8, offset: usize) -> Option<T> {
    if base.is_null() {
        return None;
    }
    // SAFETY: as in `field`.
    unsafe { bpf_probe_read_kernel(base.add(offset).cast::<T>()) }.ok()
}

/// The field of a classic tracepoint's record.
pub(crate) fn record<T>(ctx: &TracePointContext, offset: &Offset) -> Option<T> {
    if !has(offset) {
        return None;
    }
    // SAFETY: the helper checks the address; T is a number or a byte array.
    unsafe { ctx.read_at(usize::from(offset.load())) }.ok()
}

/// Where a `__data_loc` field of a classic tracepoint's record points to, and its length.
pub(crate) fn data_loc(ctx: &TracePointContext, offset: &Offset) -> Option<(*const u8, u32)> {
    let location: u32 = record(ctx, offset)?;
    let base = aya_ebpf::EbpfContext::as_ptr(ctx).cast::<u8>().cast_const();
    // SAFETY: stays a plain address; the helpers that read it check it.
    Some((unsafe { base.add((location & 0xffff) as usize) }, location >> 16))
}

/// Fills `to` from kernel memory, or with zeros.
pub(crate) fn bytes(from: *const u8, to: &mut [u8]) {
    // SAFETY: the helper checks the address, and writes zeros when it fails.
    let _ = unsafe { bpf_probe_read_kernel_buf(from, to) };
}

/// Copies a string up to its zero; what follows in `to` keeps its value.
pub(crate) fn string(from: *const u8, to: &mut [u8]) {
    // SAFETY: the helper checks the address and stays within `to`.
    let _ = unsafe { bpf_probe_read_kernel_str_bytes(from, to) };
}
