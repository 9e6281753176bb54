//! Waiting for file descriptors in the event loop.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
    task::{Context, Poll, Waker},
};

use tokio::io::{Interest, unix::AsyncFd};

/// Registers `fd` with the event loop.
///
/// tokio's own constructors are either deprecated, because an `AsRawFd` may hand out any number, or unsafe. Here the bound
/// `AsFd` proves that `fd` has a descriptor of its own.
///
/// # Errors
/// When the descriptor cannot be polled.
pub(crate) fn watch<T: AsFd + AsRawFd>(fd: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    #[expect(deprecated, reason = "AsFd gives the guarantee that the deprecation asks for")]
    AsyncFd::with_interest(fd, interest)
}

/// Forgets that `fd` was readable: to be called when a read found nothing more. Should the event loop have ended, the next
/// wait says so.
pub(crate) fn drained<T: AsRawFd>(fd: &AsyncFd<T>) {
    if let Poll::Ready(Ok(mut guard)) = fd.poll_read_ready(&mut Context::from_waker(Waker::noop())) {
        guard.clear_ready();
    }
}
