//! Events and incidents as they come.

use std::{
    ffi::c_char,
    os::fd::{AsFd as _, AsRawFd as _},
    ptr::null_mut,
    time::Duration,
};

use peripety_client::{Next, Request, SOCKET, Stream, ask};

use crate::{
    call::{self, call},
    error::{Problem, peripety_error},
    item::peripety_item,
    options::peripety_options,
    text::c_string,
};

/// Events and incidents as they come. For the thread that opened it, because libsystemd wants that of the journal; there is no thread behind it.
#[derive(Debug)]
pub struct peripety_stream {
    stream: Stream,
}

/// What came of looking for an item.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum peripety_next {
    /// It failed; `*error` says why. A later call may have an item: after a refusal the daemon is asked anew.
    PERIPETY_NEXT_ERROR = -1,
    /// Nothing now.
    PERIPETY_NEXT_NOTHING = 0,
    /// There is an item.
    PERIPETY_NEXT_ITEM = 1,
    /// Nothing more, ever.
    PERIPETY_NEXT_OVER = 2,
}

/// Begins a stream; `options` may be NULL. NULL, and `*error`, where its source cannot be read.
///
/// # Safety
///
/// `options` is NULL or not freed; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_stream_open(
    options: *const peripety_options,
    error: *mut *mut peripety_error,
) -> *mut peripety_stream {
    // SAFETY: as the caller promises.
    unsafe {
        call(error, null_mut(), || {
            let options = options.as_ref().map(|options| options.options.clone()).unwrap_or_default();
            Ok(call::give(peripety_stream { stream: Stream::open(options)? }))
        })
    }
}

/// A descriptor for poll(2) with POLLIN: it is readable when peripety_stream_next() may have an item, after that gave
/// PERIPETY_NEXT_NOTHING. It belongs to the stream and stays the same. -1 for NULL.
///
/// # Safety
///
/// `stream` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_stream_get_fd(stream: *const peripety_stream) -> i32 {
    // SAFETY: as the caller promises.
    call::plain(-1, || unsafe { stream.as_ref() }.map(|stream| stream.stream.as_fd().as_raw_fd()))
}

/// What came, without waiting: call it until it gives PERIPETY_NEXT_NOTHING, then poll. `*item` is the caller's to free.
///
/// # Safety
///
/// `stream` is NULL or not freed; `item` is NULL or a place for a pointer; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_stream_next(
    stream: *mut peripety_stream,
    item: *mut *mut peripety_item,
    error: *mut *mut peripety_error,
) -> peripety_next {
    // SAFETY: as the caller promises.
    unsafe { look(stream, item, error, Stream::try_next) }
}

/// The same, and waits for `timeout_ms` milliseconds at most, for ever when that is negative. A signal ends it with
/// PERIPETY_NEXT_NOTHING.
///
/// # Safety
///
/// As with peripety_stream_next().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_stream_wait(
    stream: *mut peripety_stream,
    timeout_ms: i32,
    item: *mut *mut peripety_item,
    error: *mut *mut peripety_error,
) -> peripety_next {
    let limit = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
    // SAFETY: as the caller promises.
    unsafe { look(stream, item, error, |stream| stream.wait(limit)) }
}

/// # Safety
///
/// As with peripety_stream_next().
unsafe fn look(
    stream: *mut peripety_stream,
    item: *mut *mut peripety_item,
    error: *mut *mut peripety_error,
    how: impl FnOnce(&mut Stream) -> Result<Next, peripety_client::Error>,
) -> peripety_next {
    // SAFETY: as the caller promises.
    unsafe {
        call(error, peripety_next::PERIPETY_NEXT_ERROR, || {
            let place = item.as_mut().ok_or_else(|| Problem::argument("item is NULL"))?;
            *place = null_mut();
            let stream = call::get_mut(stream, "stream")?;
            Ok(match how(&mut stream.stream)? {
                Next::Item(item) => {
                    *place = call::give(peripety_item::of(&item));
                    peripety_next::PERIPETY_NEXT_ITEM
                }
                Next::Nothing => peripety_next::PERIPETY_NEXT_NOTHING,
                Next::Over => peripety_next::PERIPETY_NEXT_OVER,
            })
        })
    }
}

/// Ends a stream. NULL is no harm.
///
/// # Safety
///
/// `stream` is NULL or freed for the first time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_stream_free(stream: *mut peripety_stream) {
    // SAFETY: as the caller promises.
    unsafe { call::free(stream) }
}

/// Asks the daemon: `status` (open incidents and what is wrong now), `stats`, `probes`, `config`, `metrics`; `ack` and `resolve`
/// with what it is about and why. Answers with JSON, to be freed by peripety_string_free(); NULL, and `*error`, where there is
/// no answer within 10 s. `socket`, `target` and `reason` may be NULL.
///
/// # Safety
///
/// All but `error` are NULL or texts; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_ask(
    socket: *const c_char,
    request: *const c_char,
    target: *const c_char,
    reason: *const c_char,
    error: *mut *mut peripety_error,
) -> *mut c_char {
    // SAFETY: as the caller promises.
    unsafe {
        call(error, null_mut(), || {
            let socket = call::optional(socket, "socket")?.unwrap_or(SOCKET);
            let request = Request {
                request: call::text(request, "request")?.to_owned(),
                target: call::optional(target, "target")?.map(str::to_owned),
                reason: call::optional(reason, "reason")?.map(str::to_owned),
                ..Request::default()
            };
            Ok(c_string(&ask(socket.as_ref(), request)?.to_string()).into_raw())
        })
    }
}
