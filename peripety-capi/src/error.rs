//! Errors.

use std::ffi::{CString, c_char};

use peripety_block::{BlockError, ResolveError};
use peripety_client::Error;

use crate::{call, text::c_string};

/// What kind of error it is. Later versions may add some.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum peripety_error_kind {
    /// No error.
    PERIPETY_ERROR_NONE = 0,
    /// A pointer is NULL, a text is not UTF-8, or an option has a value that it cannot have.
    PERIPETY_ERROR_ARGUMENT = 1,
    /// No peripetyd listens.
    PERIPETY_ERROR_NO_DAEMON = 2,
    /// The user may not.
    PERIPETY_ERROR_PERMISSION = 3,
    /// The system refused.
    PERIPETY_ERROR_SYSTEM = 4,
    /// The daemon refused.
    PERIPETY_ERROR_REFUSED = 5,
    /// The daemon sent what this version does not understand.
    PERIPETY_ERROR_NONSENSE = 6,
    /// The daemon did not answer in time.
    PERIPETY_ERROR_TIMEOUT = 7,
    /// Nothing has this name.
    PERIPETY_ERROR_UNKNOWN_DEVICE = 8,
    /// Several devices have this name.
    PERIPETY_ERROR_AMBIGUOUS_DEVICE = 9,
    /// The name is of something that is no block device.
    PERIPETY_ERROR_NOT_A_DEVICE = 10,
    /// A bug of this library.
    PERIPETY_ERROR_BUG = 11,
}

/// Why a function failed.
#[derive(Debug)]
pub struct peripety_error {
    kind: peripety_error_kind,
    message: CString,
}

/// The same before it goes to C.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: peripety_error_kind,
    message: String,
}

impl Problem {
    pub(crate) fn new(kind: peripety_error_kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(peripety_error_kind::PERIPETY_ERROR_ARGUMENT, message)
    }

    pub(crate) fn into_error(self) -> peripety_error {
        peripety_error { kind: self.kind, message: c_string(&self.message) }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        use peripety_error_kind as kind;
        let of = match &error {
            Error::NoDaemon { .. } => kind::PERIPETY_ERROR_NO_DAEMON,
            Error::Permission { .. } => kind::PERIPETY_ERROR_PERMISSION,
            Error::System { .. } => kind::PERIPETY_ERROR_SYSTEM,
            Error::Refused(_) => kind::PERIPETY_ERROR_REFUSED,
            Error::Nonsense { .. } => kind::PERIPETY_ERROR_NONSENSE,
            Error::Timeout { .. } => kind::PERIPETY_ERROR_TIMEOUT,
            Error::Option { .. } => kind::PERIPETY_ERROR_ARGUMENT,
        };
        Self::new(of, error.to_string())
    }
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        use peripety_error_kind as kind;
        let of = match &error {
            ResolveError::Empty => kind::PERIPETY_ERROR_ARGUMENT,
            ResolveError::Unknown { .. } => kind::PERIPETY_ERROR_UNKNOWN_DEVICE,
            ResolveError::Ambiguous { .. } => kind::PERIPETY_ERROR_AMBIGUOUS_DEVICE,
            ResolveError::NoDevice { .. }
            | ResolveError::NotBlock { .. }
            | ResolveError::Controller { .. } => kind::PERIPETY_ERROR_NOT_A_DEVICE,
            ResolveError::Stat { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                kind::PERIPETY_ERROR_PERMISSION
            }
            ResolveError::Stat { .. } => kind::PERIPETY_ERROR_SYSTEM,
        };
        Self::new(of, error.to_string())
    }
}

impl From<BlockError> for Problem {
    fn from(error: BlockError) -> Self {
        Self::new(peripety_error_kind::PERIPETY_ERROR_SYSTEM, error.to_string())
    }
}

/// What kind of error it is; PERIPETY_ERROR_NONE for NULL.
///
/// # Safety
///
/// `error` is NULL or one that this library gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_error_get_kind(error: *const peripety_error) -> peripety_error_kind {
    call::plain(peripety_error_kind::PERIPETY_ERROR_NONE, || {
        // SAFETY: as the caller promises.
        unsafe { error.as_ref() }.map(|error| error.kind)
    })
}

/// What failed, on what, why and what to do, in one line; an empty text for NULL. It lives as long as the error.
///
/// # Safety
///
/// `error` is NULL or one that this library gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_error_get_message(error: *const peripety_error) -> *const c_char {
    call::plain(c"".as_ptr(), || {
        // SAFETY: as the caller promises.
        unsafe { error.as_ref() }.map(|error| error.message.as_ptr())
    })
}

/// Frees an error. NULL is no harm.
///
/// # Safety
///
/// `error` is NULL or one that this library gave, and is freed for the first time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_error_free(error: *mut peripety_error) {
    // SAFETY: as the caller promises.
    unsafe { call::free(error) }
}
