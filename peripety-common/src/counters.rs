//! What the kernel side counts.

use crate::{
    KernelRecord, Kind, Payload,
    block_bio::BlockBio,
    block_rq::{self, BlockRq},
};

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
        /// How often the program ran; only hooks that fire for nothing but failures keep it.
        runs: u64,
    }
}

wire_struct! {
    /// Key of the map of exact counts, which stay right when the ring is full.
    CountKey {
        /// Device in the kernel's encoding.
        dev: u32,
        /// errno, positive.
        code: u32,
        /// Hook: a [`crate::Kind`].
        kind: u16,
        /// Operation, a REQ_OP_* number.
        op: u8,
        /// Padding.
        reserved: u8,
    }
}

impl CountKey {
    /// What a failed request counts as. A cache flush is a write of no sectors.
    pub const fn of_request(kind: Kind, rq: &BlockRq) -> Self {
        let op = if rq.op == block_rq::OP_WRITE && rq.nr_sectors == 0 { block_rq::OP_FLUSH } else { rq.op };
        Self { dev: rq.dev, code: rq.errno as u32, kind: kind as u16, op, reserved: 0 }
    }

    /// What a failed bio counts as.
    pub const fn of_bio(bio: &BlockBio) -> Self {
        let op = if bio.is_flush() { block_rq::OP_FLUSH } else { bio.op };
        Self { dev: bio.dev, code: bio.errno as u32, kind: Kind::BlockBioComplete as u16, op, reserved: 0 }
    }

    /// What the kernel side counted a record as; none if it counts records of its kind in no map.
    pub fn of(record: &KernelRecord) -> Option<Self> {
        match &record.payload {
            Payload::BlockRq(rq) => Some(Self::of_request(record.kind()?, rq)),
            Payload::BlockBio(bio) => Some(Self::of_bio(bio)),
            _ => None,
        }
    }
}

/// A struct offset that this kernel does not have: the value of an offset that user space did not set.
pub const NO_OFFSET: u16 = u16::MAX;
