//! `block:block_bio_complete`: a bio of a bio-based device (dm, md, zram …) that failed.

use crate::block_rq;

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

/// Whether a failure is how things are meant to work, as [`block_rq::is_normal`] says, or a refusal to read ahead: stacked
/// devices refuse where they would have to wait, a mirror that is not in sync among them; where the device itself fails, who
/// needs the data reads again and fails too.
pub const fn is_normal(bio: &BlockBio) -> bool {
    const EIO: i32 = 5;
    block_rq::is_normal(bio.errno, bio.cmd_flags)
        || (bio.errno == EIO && bio.cmd_flags & block_rq::REQ_RAHEAD != 0)
}
