//! `block:block_rq_error` (Linux 5.18) and `block:block_rq_complete`: a request that failed.

wire_struct! {
    /// A request that failed (include/trace/events/block.h, class block_rq_completion).
    BlockRq {
        /// First sector, in units of 512 bytes from the start of the whole disk.
        sector: u64,
        /// The whole disk, in the kernel's encoding.
        dev: u32,
        /// errno, positive.
        errno: i32,
        /// Sectors; 0 with a write means that a cache flush failed.
        nr_sectors: u32,
        /// REQ_* flags and operation (include/linux/blk_types.h); 0 by a classic tracepoint.
        cmd_flags: u32,
        /// The driver's tag, -1 where it is not known.
        tag: i32,
        /// Operation, a REQ_OP_* number.
        op: u8,
        /// blk_status_t, 0xff where it is not known.
        status: u8,
        /// Padding.
        reserved: u16,
    }
}

/// REQ_OP_READ.
pub const OP_READ: u8 = 0;
/// REQ_OP_WRITE.
pub const OP_WRITE: u8 = 1;
/// REQ_OP_FLUSH.
pub const OP_FLUSH: u8 = 2;
/// REQ_OP_DISCARD.
pub const OP_DISCARD: u8 = 3;
/// REQ_OP_SECURE_ERASE.
pub const OP_SECURE_ERASE: u8 = 5;
/// REQ_OP_WRITE_SAME (up to Linux 5.17).
pub const OP_WRITE_SAME: u8 = 7;
/// REQ_OP_WRITE_ZEROES.
pub const OP_WRITE_ZEROES: u8 = 9;
/// First number of the driver's own operations (REQ_OP_SCSI_IN up to 5.13, then REQ_OP_DRV_IN).
pub const OP_PASSTHROUGH_FIRST: u8 = 32;
/// Not known: a classic tracepoint prints every other operation as `N`.
pub const OP_UNKNOWN: u8 = 0xff;

/// REQ_PREFLUSH, REQ_RAHEAD and REQ_NOWAIT (include/linux/blk_types.h), where they have been since Linux 4.13.
pub const REQ_PREFLUSH: u32 = 1 << 18;
/// See [`REQ_PREFLUSH`].
pub const REQ_RAHEAD: u32 = 1 << 19;
/// See [`REQ_PREFLUSH`].
pub const REQ_NOWAIT: u32 = 1 << 21;
const EAGAIN: i32 = 11;

/// Whether a failure is how things are meant to work: a caller that asked not to wait is asked to come again.
pub const fn is_normal(errno: i32, cmd_flags: u32) -> bool {
    errno == 0 || (errno == EAGAIN && cmd_flags & REQ_NOWAIT != 0)
}

/// The operation that the letters of a classic tracepoint's `rwbs` stand for (kernel/trace/blktrace.c, blk_fill_rwbs).
///
/// A leading `F` is REQ_PREFLUSH if another operation follows it.
pub const fn op_from_rwbs(first: u8, second: u8) -> u8 {
    let letter = match (first, second) {
        (b'F', b'W' | b'R' | b'D' | b'N') => second,
        _ => first,
    };
    match letter {
        b'R' => OP_READ,
        b'W' => OP_WRITE,
        b'F' => OP_FLUSH,
        b'D' if second == b'E' => OP_SECURE_ERASE,
        b'D' => OP_DISCARD,
        _ => OP_UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rwbs_letters_give_the_operation() {
        for (text, op) in [
            ("R\0", OP_READ),
            ("RA", OP_READ),
            ("WS", OP_WRITE),
            ("FW", OP_WRITE),
            ("FF", OP_FLUSH),
            ("F\0", OP_FLUSH),
            ("FS", OP_FLUSH),
            ("D\0", OP_DISCARD),
            ("DS", OP_DISCARD),
            ("DE", OP_SECURE_ERASE),
            ("N\0", OP_UNKNOWN),
            ("\0\0", OP_UNKNOWN),
        ] {
            assert_eq!(op_from_rwbs(text.as_bytes()[0], text.as_bytes()[1]), op, "{text:?}");
        }
    }
}
