//! `block:block_bio_complete`: a bio of a bio-based device (dm, md, zram …) that failed.

use crate::block_rq;

wire_struct! {
    /// A bio that failed (include/trace/events/block.h, block_bio_complete).
    BlockBio {
        /// First of the sectors that were left, in units of 512 bytes: drivers take off what they split off.
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
        /// Whether `advanced` is known: 0 if not.
        extent: u16,
        /// Sectors that the bio had before those that were left.
        advanced: u32,
    }
}

impl BlockBio {
    /// First sector and number of sectors that the bio was for, as far as that is known; else what was left of it.
    pub const fn sectors(&self) -> (u64, u32) {
        (self.sector.saturating_sub(self.advanced as u64), self.nr_sectors.saturating_add(self.advanced))
    }

    /// Whether all of these failed; none if that is not known at all. A bio of which pieces were split off fails for any of
    /// them.
    pub const fn is_exact(&self) -> Option<bool> {
        if self.extent == 0 { None } else { Some(self.advanced == 0) }
    }

    /// Whether it is a cache flush, of which nothing but the flag of a write without sectors reports.
    pub const fn is_flush(&self) -> bool {
        self.op == block_rq::OP_WRITE
            && self.nr_sectors == 0
            && self.advanced == 0
            && self.cmd_flags & block_rq::REQ_PREFLUSH != 0
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bio_is_what_it_was_before_pieces_were_split_off() {
        let bio = BlockBio {
            sector: 10_001,
            dev: 1,
            errno: 5,
            nr_sectors: 7,
            cmd_flags: block_rq::REQ_PREFLUSH,
            op: block_rq::OP_WRITE,
            status: 10,
            extent: 1,
            advanced: 9,
        };
        assert_eq!((bio.sectors(), bio.is_exact(), bio.is_flush()), ((9_992, 16), Some(false), false));
        let whole = BlockBio { advanced: 0, ..bio };
        assert_eq!((whole.sectors(), whole.is_exact(), whole.is_flush()), ((10_001, 7), Some(true), false));
        let flush = BlockBio { sector: 0, nr_sectors: 0, ..whole };
        assert!(flush.is_flush());
        let done = BlockBio { nr_sectors: 0, ..bio };
        assert_eq!((done.sectors(), done.is_flush()), ((9_992, 9), false));
        assert_eq!(BlockBio { extent: 0, ..bio }.is_exact(), None);
        assert_eq!(BlockBio { sector: 3, ..bio }.sectors().0, 0);
    }
}
