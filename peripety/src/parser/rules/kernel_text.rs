//! The kernel's words for errors and operations, and its numbers.

use crate::{
    event::{Errno, Op},
    parser::errno::BLOCK_ERRORS,
};

/// What kernels up to Linux 6.2 called a reservation conflict.
const OLD_CONFLICT: &str = "critical nexus";

/// The errno behind a word or number of the kernel: `critical medium`, `-5`, `5`.
pub(super) fn errno(text: &str) -> Option<Errno> {
    if text == OLD_CONFLICT {
        return errno("reservation conflict");
    }
    let number = || text.parse::<i32>().ok().and_then(i32::checked_abs).filter(|n| (1..4096).contains(n));
    BLOCK_ERRORS
        .iter()
        .find(|row| row.kernel_words() == text)
        .map(|row| row.errno)
        .or_else(|| number().map(Errno::from_raw))
}

/// The operation by the name that `blk_op_str` gives it (block/blk-core.c).
pub(super) fn op(text: &str) -> Op {
    match text {
        "READ" => Op::Read,
        "WRITE" => Op::Write,
        "FLUSH" => Op::Flush,
        "DISCARD" => Op::Discard,
        "SECURE_ERASE" => Op::SecureErase,
        "WRITE_SAME" => Op::WriteSame,
        "WRITE_ZEROES" => Op::WriteZeroes,
        "DRV_IN" | "DRV_OUT" | "SCSI_IN" | "SCSI_OUT" => Op::Passthrough,
        zone if zone.starts_with("ZONE_") => Op::Zone,
        _ => Op::Unknown,
    }
}

pub(super) use crate::event::facts::number;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_word_has_a_named_errno() {
        for row in BLOCK_ERRORS {
            assert_eq!(errno(row.kernel_words()), Some(row.errno));
            assert!(row.errno.name().is_some(), "{}", row.words);
        }
        let known =
            ["I/O", "critical medium", "timeout", "device offline", "invalid", "critical nexus"].map(errno);
        assert_eq!(known, [5, 61, 110, 19, 22, 52].map(|number| Some(Errno::from_raw(number))));
    }

    #[test]
    fn numbers_are_read_as_the_kernel_writes_them() {
        assert_eq!(
            (errno("-5"), errno("5"), errno("0"), errno("x")),
            (Some(Errno::EIO), Some(Errno::EIO), None, None)
        );
        assert_eq!(errno("-2147483648"), None);
    }
}
