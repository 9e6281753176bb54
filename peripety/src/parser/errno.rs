//! Names of errno, and what the block layer means by them.
//!
//! Numbers are those of asm-generic, which x86, ARM, POWER, s390 and RISC-V share.

use crate::event::{EventType, Op, Severity};

const EOPNOTSUPP: i32 = 95;

/// What the block layer means by an errno (block/blk-core.c, blk_errors).
#[derive(Debug)]
pub(crate) struct BlockError {
    /// errno, positive.
    pub errno: i32,
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
    ($($errno:literal $words:literal $type:ident $($severity:ident)?;)*) => {
        /// The errors that a request or bio can end with.
        pub(crate) static BLOCK_ERRORS: &[BlockError] = &[$(BlockError {
            errno: $errno,
            words: $words,
            event_type: EventType::$type,
            severity: block_errors!(@severity $($severity)?),
        }),*];
    };
}

block_errors! {
    5 "I/O error" BLK_IO_ERROR;
    61 "critical medium error" BLK_MEDIUM_ERROR;
    110 "timeout error" BLK_TIMEOUT;
    62 "duration limit exceeded" BLK_TIMEOUT;
    121 "critical target error" BLK_TARGET_ERROR;
    67 "recoverable transport error" BLK_TRANSPORT_ERROR;
    52 "reservation conflict" BLK_RESERVATION_CONFLICT;
    84 "protection error" BLK_PROTECTION_ERROR;
    28 "critical space allocation error" BLK_NO_SPACE;
    12 "kernel resource error" BLK_RESOURCE_ERROR;
    16 "device resource error" BLK_RESOURCE_ERROR;
    // A caller that asked not to wait (io_uring, RWF_NOWAIT) is asked to come again: that is how it works.
    11 "nonblocking retry" BLK_RESOURCE_ERROR Info;
    78 "dm internal retry" BLK_RESOURCE_ERROR;
    109 "open zones exceeded" BLK_RESOURCE_ERROR;
    75 "active zones exceeded" BLK_RESOURCE_ERROR;
    95 "operation not supported" BLK_NOT_SUPPORTED;
    19 "device offline" BLK_DEVICE_OFFLINE;
    // The request itself was wrong, mostly by its alignment: the caller's fault rather than the device's.
    22 "invalid request" BLK_IO_ERROR Warning;
}

/// What the block layer means by `errno`; EIO's row for one that it does not use.
pub(crate) fn block_error(errno: i32) -> &'static BlockError {
    static UNKNOWN: BlockError =
        BlockError { errno: 5, words: "I/O error", event_type: EventType::BLK_IO_ERROR, severity: None };
    BLOCK_ERRORS.iter().find(|e| e.errno == errno).unwrap_or(&UNKNOWN)
}

/// What a request that failed with `errno` is as an event.
///
/// A target that refuses what it need not know is no fault: sd and dm take that for "not supported", send no more of it, and the
/// kernel does without (drivers/scsi/sd.c, `sd_done`; drivers/md/dm-rq.c, `dm_done`).
pub(crate) fn event_of_request(errno: i32, op: Op) -> (&'static EventType, Option<Severity>) {
    let error = block_error(errno);
    let optional = matches!(op, Op::Discard | Op::SecureErase | Op::WriteZeroes | Op::WriteSame);
    if error.event_type == EventType::BLK_TARGET_ERROR && optional {
        return (&block_error(EOPNOTSUPP).event_type, None);
    }
    (&error.event_type, error.severity)
}

/// The errno that a line of block text stands for, by the type that it was given.
pub(crate) fn of_block_type(event_type: &EventType) -> Option<i32> {
    BLOCK_ERRORS.iter().find(|e| e.event_type == *event_type).map(|e| e.errno)
}

/// The name of an errno: `EIO`; none if there is no such number.
pub(crate) fn name(errno: i32) -> Option<&'static str> {
    let place = usize::try_from(errno).ok()?;
    NAMES.get(place).copied().filter(|name| !name.is_empty())
}

#[rustfmt::skip]
static NAMES: &[&str] = &[
    "", "EPERM", "ENOENT", "ESRCH", "EINTR", "EIO", "ENXIO", "E2BIG", "ENOEXEC", "EBADF",
    "ECHILD", "EAGAIN", "ENOMEM", "EACCES", "EFAULT", "ENOTBLK", "EBUSY", "EEXIST", "EXDEV", "ENODEV",
    "ENOTDIR", "EISDIR", "EINVAL", "ENFILE", "EMFILE", "ENOTTY", "ETXTBSY", "EFBIG", "ENOSPC", "ESPIPE",
    "EROFS", "EMLINK", "EPIPE", "EDOM", "ERANGE", "EDEADLK", "ENAMETOOLONG", "ENOLCK", "ENOSYS", "ENOTEMPTY",
    "ELOOP", "", "ENOMSG", "EIDRM", "ECHRNG", "EL2NSYNC", "EL3HLT", "EL3RST", "ELNRNG", "EUNATCH",
    "ENOCSI", "EL2HLT", "EBADE", "EBADR", "EXFULL", "ENOANO", "EBADRQC", "EBADSLT", "", "EBFONT",
    "ENOSTR", "ENODATA", "ETIME", "ENOSR", "ENONET", "ENOPKG", "EREMOTE", "ENOLINK", "EADV", "ESRMNT",
    "ECOMM", "EPROTO", "EMULTIHOP", "EDOTDOT", "EBADMSG", "EOVERFLOW", "ENOTUNIQ", "EBADFD", "EREMCHG", "ELIBACC",
    "ELIBBAD", "ELIBSCN", "ELIBMAX", "ELIBEXEC", "EILSEQ", "ERESTART", "ESTRPIPE", "EUSERS", "ENOTSOCK", "EDESTADDRREQ",
    "EMSGSIZE", "EPROTOTYPE", "ENOPROTOOPT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EOPNOTSUPP", "EPFNOSUPPORT",
    "EAFNOSUPPORT", "EADDRINUSE", "EADDRNOTAVAIL",
    "ENETDOWN", "ENETUNREACH", "ENETRESET", "ECONNABORTED", "ECONNRESET", "ENOBUFS", "EISCONN", "ENOTCONN",
    "ESHUTDOWN", "ETOOMANYREFS",
    "ETIMEDOUT", "ECONNREFUSED", "EHOSTDOWN", "EHOSTUNREACH", "EALREADY", "EINPROGRESS", "ESTALE", "EUCLEAN",
    "ENOTNAM", "ENAVAIL",
    "EISNAM", "EREMOTEIO", "EDQUOT", "ENOMEDIUM", "EMEDIUMTYPE", "ECANCELED", "ENOKEY", "EKEYEXPIRED", "EKEYREVOKED",
    "EKEYREJECTED",
    "EOWNERDEAD", "ENOTRECOVERABLE", "ERFKILL", "EHWPOISON",
];

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn names_stand_at_their_numbers() {
        for (errno, text) in [
            (Errno::IO, "EIO"),
            (Errno::AGAIN, "EAGAIN"),
            (Errno::NOSPC, "ENOSPC"),
            (Errno::NODATA, "ENODATA"),
            (Errno::TIME, "ETIME"),
            (Errno::NOLINK, "ENOLINK"),
            (Errno::BADE, "EBADE"),
            (Errno::ILSEQ, "EILSEQ"),
            (Errno::OPNOTSUPP, "EOPNOTSUPP"),
            (Errno::TOOMANYREFS, "ETOOMANYREFS"),
            (Errno::TIMEDOUT, "ETIMEDOUT"),
            (Errno::REMOTEIO, "EREMOTEIO"),
            (Errno::UCLEAN, "EUCLEAN"),
            (Errno::HWPOISON, "EHWPOISON"),
        ] {
            assert_eq!(name(errno.raw_os_error()), Some(text));
        }
        for none in [i32::MIN, -5, 0, 41, 58, 134, i32::MAX] {
            assert_eq!(name(none), None, "{none}");
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
            assert_eq!(block_error(errno).event_type, event_type, "{errno}");
        }
        assert_eq!(of_block_type(&EventType::BLK_TIMEOUT), Some(110));
        assert_eq!(of_block_type(&EventType::FS_ERROR), None);
    }
}
