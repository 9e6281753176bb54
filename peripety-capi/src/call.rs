//! What every function does: takes pointers of C, and lets no panic out.

use std::{
    ffi::{CStr, c_char},
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::error::{Problem, peripety_error, peripety_error_kind};

/// Runs a function's body; what went wrong goes to `error`, where there is a place for it.
///
/// # Safety
///
/// `error` is NULL or a place for a pointer.
pub(crate) unsafe fn call<T>(
    error: *mut *mut peripety_error,
    failed: T,
    body: impl FnOnce() -> Result<T, Problem>,
) -> T {
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_panic| {
        Err(Problem::new(
            peripety_error_kind::PERIPETY_ERROR_BUG,
            "libperipety: a bug of this library; please report it",
        ))
    });
    let (value, problem) = match result {
        Ok(value) => (value, None),
        Err(problem) => (failed, Some(problem)),
    };
    if !error.is_null() {
        let made =
            problem.map_or(std::ptr::null_mut(), |problem| Box::into_raw(Box::new(problem.into_error())));
        // SAFETY: the caller gives NULL or a place for a pointer, and it is not NULL.
        unsafe { error.write(made) };
    }
    value
}

/// The same for what cannot fail.
pub(crate) fn plain<T>(failed: T, body: impl FnOnce() -> Option<T>) -> T {
    catch_unwind(AssertUnwindSafe(body)).ok().flatten().unwrap_or(failed)
}

/// What a pointer points to.
///
/// # Safety
///
/// It is NULL, or was made by this library, is not freed, and nobody else changes it.
pub(crate) unsafe fn get<'a, T>(pointer: *const T, what: &'static str) -> Result<&'a T, Problem> {
    // SAFETY: as the caller promises.
    unsafe { pointer.as_ref() }.ok_or_else(|| Problem::argument(format!("{what} is NULL")))
}

/// The same for what is changed.
///
/// # Safety
///
/// It is NULL, or was made by this library, is not freed, and nobody else uses it.
pub(crate) unsafe fn get_mut<'a, T>(pointer: *mut T, what: &'static str) -> Result<&'a mut T, Problem> {
    // SAFETY: as the caller promises.
    unsafe { pointer.as_mut() }.ok_or_else(|| Problem::argument(format!("{what} is NULL")))
}

/// A text of C.
///
/// # Safety
///
/// It is NULL, or ends with NUL, and stays as it is during the call.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, what: &'static str) -> Result<&'a str, Problem> {
    if pointer.is_null() {
        return Err(Problem::argument(format!("{what} is NULL")));
    }
    // SAFETY: it is not NULL, and ends with NUL, as the caller promises.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_not_utf8| Problem::argument(format!("{what} is not UTF-8")))
}

/// The same where NULL stands for nothing.
///
/// # Safety
///
/// As with [`text`].
pub(crate) unsafe fn optional<'a>(
    pointer: *const c_char,
    what: &'static str,
) -> Result<Option<&'a str>, Problem> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller promises.
    unsafe { text(pointer, what) }.map(Some)
}

/// Hands an object to C.
pub(crate) fn give<T>(object: T) -> *mut T {
    Box::into_raw(Box::new(object))
}

/// Frees an object that C had.
///
/// # Safety
///
/// It is NULL, or was made by [`give`] and is freed for the first time.
pub(crate) unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: as the caller promises.
        let object = unsafe { Box::from_raw(pointer) };
        plain((), || {
            drop(object);
            Some(())
        });
    }
}
