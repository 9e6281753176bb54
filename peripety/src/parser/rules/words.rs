//! The kernel's words for errors and operations, and its numbers.

use crate::event::Op;

/// Error words of a failed request and the errno each stands for (block/blk-core.c, `blk_errors`; `critical nexus` up to
/// Linux 6.2).
const ERRORS: &[(&str, i32)] = &[
    ("I/O", 5),
    ("operation not supported", 95),
    ("timeout", 110),
    ("critical space allocation", 28),
    ("recoverable transport", 67),
    ("critical target", 121),
    ("critical nexus", 52),
    ("reservation conflict", 52),
    ("critical medium", 61),
    ("protection", 84),
    ("kernel resource", 12),
    ("device resource", 16),
    ("nonblocking retry", 11),
    ("dm internal retry", 78),
    ("open zones exceeded", 109),
    ("active zones exceeded", 75),
    ("device offline", 19),
    ("duration limit exceeded", 62),
    ("invalid", 22),
];

/// The errno behind a word or number of the kernel: `critical medium`, `-5`, `5`.
pub(super) fn errno(text: &str) -> Option<i32> {
    let number = || text.parse::<i32>().ok().and_then(i32::checked_abs).filter(|n| (1..4096).contains(n));
    ERRORS.iter().find(|(word, _)| *word == text).map(|(_, n)| *n).or_else(number)
}

/// The errno of a `blk_status_t` (include/linux/blk_types.h), which ext4 prints raw; the numbers past 10 moved between
/// kernels.
pub(super) fn errno_of_blk_status(status: u64) -> Option<i32> {
    let n = usize::try_from(status).ok()?.checked_sub(1)?;
    [95, 110, 28, 67, 121, 52, 61, 84, 12, 5].get(n).copied()
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
        for (word, n) in ERRORS {
            assert_eq!(errno(word), Some(*n));
            assert!(crate::parser::errno::name(*n).is_some(), "{word}");
        }
    }

    #[test]
    fn numbers_are_read_as_the_kernel_writes_them() {
        assert_eq!((errno("-5"), errno("5"), errno("0"), errno("x")), (Some(5), Some(5), None, None));
        assert_eq!(errno("-2147483648"), None);
        assert_eq!(
            (errno_of_blk_status(10), errno_of_blk_status(7), errno_of_blk_status(0)),
            (Some(5), Some(61), None)
        );
    }
}
