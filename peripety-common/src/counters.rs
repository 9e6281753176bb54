//! What the kernel side counts.

wire_struct! {
    /// Per hook and CPU; `seen = sent + dropped + folded`.
    Counters {
        /// Failures that passed the filter.
        seen: u64,
        /// Records put into the ring.
        sent: u64,
        /// Records for which the ring had no room.
        dropped: u64,
        /// Failures that an earlier record stands for.
        folded: u64,
    }
}

wire_struct! {
    /// Key of the map of exact counts, which stay right when the ring is full.
    CountKey {
        /// Device in the kernel's encoding.
        dev: u32,
        /// errno, positive; for SCSI the result, for NVMe the status.
        code: u32,
        /// Hook: a [`crate::Kind`].
        kind: u16,
        /// Operation, a REQ_OP_* number.
        op: u8,
        /// Padding.
        reserved: u8,
    }
}

/// A struct offset that this kernel does not have: the value of an offset that user space did not set.
pub const NO_OFFSET: u16 = u16::MAX;
