//! Texts for C.

use std::{
    collections::HashMap,
    ffi::{CString, c_char},
    sync::{Mutex, PoisonError},
};

use crate::call;

/// A text for C; NUL within it becomes U+FFFD.
pub(crate) fn c_string(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_nul| CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default())
}

/// Texts that were asked for, which live as long as their object.
#[derive(Debug, Default)]
pub(crate) struct Given(Mutex<HashMap<String, CString>>);

impl Given {
    /// The text by this name, which is made when it is asked for first.
    pub(crate) fn get(&self, name: &str, make: impl FnOnce() -> Option<String>) -> Option<*const c_char> {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = given.get(name) {
            return Some(known.as_ptr());
        }
        // The text itself does not move when the map grows.
        let text = c_string(&make()?);
        let pointer = text.as_ptr();
        given.insert(name.to_owned(), text);
        Some(pointer)
    }
}

/// Version of this library: `"0.1.0"`.
#[unsafe(no_mangle)]
pub extern "C" fn peripety_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Frees a text that was given for keeping, by peripety_ask().
///
/// # Safety
///
/// `text` is NULL, or was given by such a function and is freed for the first time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: as the caller promises, CString::into_raw made it.
        let text = unsafe { CString::from_raw(text) };
        call::plain((), || {
            drop(text);
            Some(())
        });
    }
}
