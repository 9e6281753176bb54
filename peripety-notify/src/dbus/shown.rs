//! What an object shows.

use std::sync::{Mutex, PoisonError};

/// What an object shows. Changing it waits for no method of the object, of which one may wait for a person's password.
#[derive(Debug, Default)]
pub(super) struct Shown<T>(Mutex<T>);

impl<T> Shown<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(super) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
