//! `block:block_rq_complete` of a request that took long.

wire_struct! {
    /// Requests that took long. Folded in the kernel by device and operation: at most one record in a second for each, with
    /// the longest and the number of those since the record before.
    SlowRq {
        /// First sector of the longest of them, in units of 512 bytes from the start of the whole disk.
        sector: u64,
        /// How long that took, from when the request was made until it was complete, in nanoseconds.
        longest_ns: u64,
        /// How many there were since the record before, this one among them.
        count: u64,
        /// From how many nanoseconds on a request of the device is slow.
        limit_ns: u64,
        /// The whole disk, in the kernel's encoding.
        dev: u32,
        /// Its sectors.
        nr_sectors: u32,
        /// REQ_* flags and operation (include/linux/blk_types.h).
        cmd_flags: u32,
        /// Operation, a REQ_OP_* number.
        op: u8,
        /// Padding.
        reserved: [u8; 3],
    }
}

wire_struct! {
    /// What the folding goes by: key of a kernel map.
    SlowKey {
        /// Device.
        dev: u32,
        /// Operation.
        op: u32,
    }
}

wire_struct! {
    /// Value of the same map.
    SlowState {
        /// How many there were in all.
        count: u64,
        /// How many of them records stand for.
        reported: u64,
        /// The longest since the last record, in nanoseconds.
        longest_ns: u64,
        /// First sector of that.
        sector: u64,
        /// CLOCK_MONOTONIC of the last record in nanoseconds.
        sent_ns: u64,
        /// Sectors of the longest.
        nr_sectors: u32,
        /// Flags of the longest.
        cmd_flags: u32,
    }
}

/// Key in the map of limits for devices that have none of their own: no disk has this number.
pub const EVERY_DEVICE: u32 = 0;
