//! What the block layer means by an errno.

use crate::event::{Errno, EventType, Op, Severity};

/// What the block layer means by an errno (block/blk-core.c, blk_errors).
#[derive(Debug)]
pub(crate) struct BlockError {
    /// Its errno.
    pub errno: Errno,
    /// The kernel's words for it.
    pub words: &'static str,
    /// The event type.
    pub event_type: EventType,
    /// How bad, where the type's own severity does not fit.
    pub severity: Option<Severity>,
}

impl BlockError {
    /// The words by which the kernel's line names it: `critical medium` of `critical medium error, dev sda …`.
    pub(crate) fn kernel_words(&self) -> &'static str {
        let short = self.words.strip_suffix(" error").or_else(|| self.words.strip_suffix(" request"));
        short.unwrap_or(self.words)
    }
}

macro_rules! block_errors {
    (@severity) => { None };
    (@severity $severity:ident) => { Some(Severity::$severity) };
    ($($errno:ident $words:literal $type:ident $($severity:ident)?;)*) => {
        /// The errors that a request or bio can end with.
        pub(crate) static BLOCK_ERRORS: &[BlockError] = &[$(BlockError {
            errno: Errno::$errno,
            words: $words,
            event_type: EventType::$type,
            severity: block_errors!(@severity $($severity)?),
        }),*];
    };
}

block_errors! {
    EIO "I/O error" BLK_IO_ERROR;
    ENODATA "critical medium error" BLK_MEDIUM_ERROR;
    ETIMEDOUT "timeout error" BLK_TIMEOUT;
    ETIME "duration limit exceeded" BLK_TIMEOUT;
    EREMOTEIO "critical target error" BLK_TARGET_ERROR;
    ENOLINK "recoverable transport error" BLK_TRANSPORT_ERROR;
    EBADE "reservation conflict" BLK_RESERVATION_CONFLICT;
    EILSEQ "protection error" BLK_PROTECTION_ERROR;
    ENOSPC "critical space allocation error" BLK_NO_SPACE;
    ENOMEM "kernel resource error" BLK_RESOURCE_ERROR;
    EBUSY "device resource error" BLK_RESOURCE_ERROR;
    // A caller that asked not to wait (io_uring, RWF_NOWAIT) is asked to come again: that is how it works.
    EAGAIN "nonblocking retry" BLK_RESOURCE_ERROR Info;
    EREMCHG "dm internal retry" BLK_RESOURCE_ERROR;
    ETOOMANYREFS "open zones exceeded" BLK_RESOURCE_ERROR;
    EOVERFLOW "active zones exceeded" BLK_RESOURCE_ERROR;
    EOPNOTSUPP "operation not supported" BLK_NOT_SUPPORTED;
    ENODEV "device offline" BLK_DEVICE_OFFLINE;
    // The request itself was wrong, mostly by its alignment: the caller's fault rather than the device's.
    EINVAL "invalid request" BLK_IO_ERROR Warning;
}

/// What the block layer means by `errno`; EIO's row for one that it does not use.
pub(crate) fn block_error(errno: Errno) -> &'static BlockError {
    static UNKNOWN: BlockError = BlockError {
        errno: Errno::EIO,
        words: "I/O error",
        event_type: EventType::BLK_IO_ERROR,
        severity: None,
    };
    BLOCK_ERRORS.iter().find(|e| e.errno == errno).unwrap_or(&UNKNOWN)
}

/// What a request that failed with `errno` is as an event.
///
/// A target that refuses what it need not know is no fault: sd and dm take that for "not supported", send no more of it, and the
/// kernel does without (drivers/scsi/sd.c, `sd_done`; drivers/md/dm-rq.c, `dm_done`).
pub(crate) fn event_of_request(errno: Errno, op: Op) -> (&'static EventType, Option<Severity>) {
    let error = block_error(errno);
    let optional = matches!(op, Op::Discard | Op::SecureErase | Op::WriteZeroes | Op::WriteSame);
    if error.event_type == EventType::BLK_TARGET_ERROR && optional {
        return (&block_error(Errno::EOPNOTSUPP).event_type, None);
    }
    (&error.event_type, error.severity)
}

/// The errno that a line of block text stands for, by the type that it was given.
pub(crate) fn of_block_type(event_type: &EventType) -> Option<Errno> {
    BLOCK_ERRORS.iter().find(|e| e.event_type == *event_type).map(|e| e.errno)
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno as Os;

    use super::*;

    #[test]
    fn names_stand_at_their_numbers() {
        for (errno, text) in [
            (Os::IO, "EIO"),
            (Os::AGAIN, "EAGAIN"),
            (Os::NOSPC, "ENOSPC"),
            (Os::NODATA, "ENODATA"),
            (Os::TIME, "ETIME"),
            (Os::NOLINK, "ENOLINK"),
            (Os::BADE, "EBADE"),
            (Os::ILSEQ, "EILSEQ"),
            (Os::OPNOTSUPP, "EOPNOTSUPP"),
            (Os::TOOMANYREFS, "ETOOMANYREFS"),
            (Os::TIMEDOUT, "ETIMEDOUT"),
            (Os::REMOTEIO, "EREMOTEIO"),
            (Os::UCLEAN, "EUCLEAN"),
            (Os::HWPOISON, "EHWPOISON"),
        ] {
            assert_eq!(Errno::from_raw(errno.raw_os_error()).name(), Some(text));
        }
    }

    #[test]
    fn every_errno_of_the_block_layer_has_its_type() {
        for (errno, event_type) in [
            (5, EventType::BLK_IO_ERROR),
            (61, EventType::BLK_MEDIUM_ERROR),
            (62, EventType::BLK_TIMEOUT),
            (110, EventType::BLK_TIMEOUT),
            (95, EventType::BLK_NOT_SUPPORTED),
            (11, EventType::BLK_RESOURCE_ERROR),
            (19, EventType::BLK_DEVICE_OFFLINE),
            (117, EventType::BLK_IO_ERROR),
            (-1, EventType::BLK_IO_ERROR),
        ] {
            assert_eq!(block_error(Errno::from_raw(errno)).event_type, event_type, "{errno}");
        }
        assert_eq!(of_block_type(&EventType::BLK_TIMEOUT), Some(Errno::ETIMEDOUT));
        assert_eq!(of_block_type(&EventType::FS_ERROR), None);
    }
}
