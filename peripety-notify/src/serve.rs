//! Clients of a socket: each on a thread of its own, a few at a time.

use std::{
    io,
    net::TcpStream,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// How long a client may take to send or to read.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// Clients at a time; one more is hung up on.
const CLIENTS_MAX: usize = 8;

/// What a client comes by.
pub trait Stream: Send + 'static {
    /// Bounds how long it may take.
    ///
    /// # Errors
    /// The connection is gone.
    fn be_patient(&self, patience: Duration) -> io::Result<()>;
}

impl Stream for UnixStream {
    fn be_patient(&self, patience: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(patience))?;
        self.set_write_timeout(Some(patience))
    }
}

impl Stream for TcpStream {
    fn be_patient(&self, patience: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(patience))?;
        self.set_write_timeout(Some(patience))
    }
}

/// Places for so many clients.
#[derive(Clone, Debug)]
pub struct Places {
    taken: Arc<AtomicUsize>,
    most: usize,
}

impl Places {
    pub fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    /// One of them, if any is free.
    pub fn take(&self) -> Option<Place> {
        let place = Place(Arc::clone(&self.taken));
        (self.taken.fetch_add(1, Ordering::AcqRel) < self.most).then_some(place)
    }
}

/// The place of a client, free again however its thread ends.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Serves on a thread, for ever.
///
/// # Errors
/// There is no thread.
pub fn serve<S: Stream>(
    name: &'static str,
    accept: impl Fn() -> io::Result<S> + Send + 'static,
    answer: impl Fn(S) -> io::Result<()> + Send + Sync + 'static,
) -> io::Result<()> {
    serve_most(name, CLIENTS_MAX, accept, answer, drop)
}

/// The same for so many clients at a time; one more is refused.
///
/// # Errors
/// There is no thread.
pub fn serve_most<S: Stream>(
    name: &'static str,
    most: usize,
    accept: impl Fn() -> io::Result<S> + Send + 'static,
    answer: impl Fn(S) -> io::Result<()> + Send + Sync + 'static,
    refuse: impl Fn(S) + Send + 'static,
) -> io::Result<()> {
    let (places, answer) = (Places::new(most), Arc::new(answer));
    let work = move || {
        loop {
            let Ok(stream) = accept() else {
                // No descriptor is left.
                thread::sleep(Duration::from_millis(200));
                continue;
            };
            let Some(place) = places.take() else {
                refuse(stream);
                continue;
            };
            let answer = Arc::clone(&answer);
            let work = move || {
                let _place = place;
                let _gone = stream.be_patient(PATIENCE).and_then(|()| answer(stream));
            };
            let _no_thread = thread::Builder::new().name(name.to_owned()).stack_size(512 << 10).spawn(work);
        }
    };
    thread::Builder::new().name(name.to_owned()).stack_size(128 << 10).spawn(work).map(drop)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        os::unix::net::UnixListener,
    };

    use super::*;

    #[test]
    fn clients_that_end_badly_take_no_place_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let answer = |mut stream: UnixStream| {
            let mut kind = [0];
            stream.read_exact(&mut kind)?;
            assert_eq!(kind, *b"a", "a thread that panics");
            stream.write_all(b"yes")
        };
        serve("test", move || listener.accept().map(|(stream, _)| stream), answer).unwrap();
        let ask = |kind: &[u8]| {
            let mut stream = UnixStream::connect(&path).unwrap();
            let _gone = stream.write_all(kind);
            let mut text = String::new();
            let _gone = stream.read_to_string(&mut text);
            text
        };
        for _ in 0..2 * CLIENTS_MAX {
            assert_eq!(ask(b"b"), "");
        }
        let soon = std::time::Instant::now() + PATIENCE;
        while ask(b"a") != "yes" {
            assert!(std::time::Instant::now() < soon, "no place is free");
        }
    }
}
