//! `block:block_bio_complete`: a bio of a bio-based device (dm, md, zram …) that failed.

wire_struct! {
    /// A bio that failed (include/trace/events/block.h, block_bio_complete).
    BlockBio {
        /// Sector as the driver left it, in units of 512 bytes.
        sector: u64,
        /// The device the bio was for, in the kernel's encoding.
        dev: u32,
        /// errno, positive.
        errno: i32,
        /// Sectors that were left; can be 0.
        nr_sectors: u32,
        /// REQ_* flags and operation; 0 by a classic tracepoint.
        cmd_flags: u32,
        /// Operation, a REQ_OP_* number.
        op: u8,
        /// blk_status_t, 0xff where it is not known.
        status: u8,
        /// Padding.
        reserved: [u8; 6],
    }
}
