//! Error numbers of Linux, and their names.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A positive errno of Linux, by the numbers of asm-generic (include/uapi/asm-generic/errno.h), which x86, ARM, POWER, s390
/// and RISC-V share. In JSON it is the number.
///
/// ```
/// use peripety_model::Errno;
///
/// let errno = Errno::from_raw(5);
/// assert_eq!((errno, errno.raw(), errno.name()), (Errno::EIO, 5, Some("EIO")));
/// assert_eq!(format!("{errno} {}", Errno::from_raw(4000)), "EIO 4000");
/// assert_eq!(serde_json::to_string(&errno)?, "5");
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// A number that is none, such as 0 or a negative one, is kept as it is and has no name: records of the kernel are taken as
/// they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct Errno(i32);

impl Errno {
    /// The errno of this number. The kernel's functions return it negative, which has to be turned round before.
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn raw(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Errno {
    /// Its name, or its number where it has none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => self.0.fmt(f),
        }
    }
}

macro_rules! errnos {
    ($($name:ident $number:literal,)*) => {
        impl Errno {
            $(
                #[doc = concat!("`", stringify!($name), "`, ", $number, ".")]
                pub const $name: Self = Self($number);
            )*

            /// Its name: `EIO`; none if there is no such number.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

#[rustfmt::skip]
errnos! {
    EPERM 1, ENOENT 2, ESRCH 3, EINTR 4, EIO 5, ENXIO 6, E2BIG 7, ENOEXEC 8, EBADF 9, ECHILD 10, EAGAIN 11,
    ENOMEM 12, EACCES 13, EFAULT 14, ENOTBLK 15, EBUSY 16, EEXIST 17, EXDEV 18, ENODEV 19, ENOTDIR 20,
    EISDIR 21, EINVAL 22, ENFILE 23, EMFILE 24, ENOTTY 25, ETXTBSY 26, EFBIG 27, ENOSPC 28, ESPIPE 29,
    EROFS 30, EMLINK 31, EPIPE 32, EDOM 33, ERANGE 34, EDEADLK 35, ENAMETOOLONG 36, ENOLCK 37, ENOSYS 38,
    ENOTEMPTY 39, ELOOP 40, ENOMSG 42, EIDRM 43, ECHRNG 44, EL2NSYNC 45, EL3HLT 46, EL3RST 47, ELNRNG 48,
    EUNATCH 49, ENOCSI 50, EL2HLT 51, EBADE 52, EBADR 53, EXFULL 54, ENOANO 55, EBADRQC 56, EBADSLT 57,
    EBFONT 59, ENOSTR 60, ENODATA 61, ETIME 62, ENOSR 63, ENONET 64, ENOPKG 65, EREMOTE 66, ENOLINK 67,
    EADV 68, ESRMNT 69, ECOMM 70, EPROTO 71, EMULTIHOP 72, EDOTDOT 73, EBADMSG 74, EOVERFLOW 75, ENOTUNIQ 76,
    EBADFD 77, EREMCHG 78, ELIBACC 79, ELIBBAD 80, ELIBSCN 81, ELIBMAX 82, ELIBEXEC 83, EILSEQ 84, ERESTART 85,
    ESTRPIPE 86, EUSERS 87, ENOTSOCK 88, EDESTADDRREQ 89, EMSGSIZE 90, EPROTOTYPE 91, ENOPROTOOPT 92,
    EPROTONOSUPPORT 93, ESOCKTNOSUPPORT 94, EOPNOTSUPP 95, EPFNOSUPPORT 96, EAFNOSUPPORT 97, EADDRINUSE 98,
    EADDRNOTAVAIL 99, ENETDOWN 100, ENETUNREACH 101, ENETRESET 102, ECONNABORTED 103, ECONNRESET 104,
    ENOBUFS 105, EISCONN 106, ENOTCONN 107, ESHUTDOWN 108, ETOOMANYREFS 109, ETIMEDOUT 110, ECONNREFUSED 111,
    EHOSTDOWN 112, EHOSTUNREACH 113, EALREADY 114, EINPROGRESS 115, ESTALE 116, EUCLEAN 117, ENOTNAM 118,
    ENAVAIL 119, EISNAM 120, EREMOTEIO 121, EDQUOT 122, ENOMEDIUM 123, EMEDIUMTYPE 124, ECANCELED 125,
    ENOKEY 126, EKEYEXPIRED 127, EKEYREVOKED 128, EKEYREJECTED 129, EOWNERDEAD 130, ENOTRECOVERABLE 131,
    ERFKILL 132, EHWPOISON 133,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_errno_has_no_name() {
        for none in [i32::MIN, -5, 0, 41, 58, 134, i32::MAX] {
            assert_eq!(Errno::from_raw(none).name(), None, "{none}");
            assert_eq!(Errno::from_raw(none).to_string(), none.to_string());
        }
        assert_eq!((1..134).filter(|number| Errno::from_raw(*number).name().is_some()).count(), 131);
    }

    #[test]
    fn it_is_its_number_in_json() {
        assert_eq!(serde_json::to_string(&Errno::ENOSPC).unwrap(), "28");
        assert_eq!(serde_json::from_str::<Errno>("110").unwrap(), Errno::ETIMEDOUT);
    }
}
