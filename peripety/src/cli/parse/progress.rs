//! How far a long file is read, on a terminal.

use std::{
    io::{IsTerminal as _, Read, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::offline::Totals;

/// Records between two looks at the clock.
const EVERY: u64 = 4096;
/// Time between two writings.
const PERIOD: Duration = Duration::from_millis(250);

/// Progress on stderr, where that is a terminal.
#[derive(Debug)]
pub(super) struct Progress {
    on: bool,
    shown: bool,
    last: Instant,
    name: String,
    read: Arc<AtomicU64>,
    whole: Option<u64>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            on: std::io::stderr().is_terminal(),
            shown: false,
            last: Instant::now(),
            name: String::new(),
            read: Arc::default(),
            whole: None,
        }
    }

    /// A file is read from now on, of this size where it is known; gives the reader that counts.
    pub(super) fn file<R: Read>(&mut self, name: &str, whole: Option<u64>, from: R) -> Counted<R> {
        self.read = Arc::default();
        self.name = name.to_owned();
        self.whole = whole;
        Counted { from, read: Arc::clone(&self.read) }
    }

    /// A record was read.
    pub(super) fn step(&mut self, totals: Totals) {
        if !self.on || !totals.entries.is_multiple_of(EVERY) || self.last.elapsed() < PERIOD {
            return;
        }
        self.last = Instant::now();
        self.shown = true;
        let read = self.read.load(Ordering::Relaxed);
        let of_whole = match self.whole {
            Some(whole) if whole > 0 => {
                format!(" of {} ({} %)", bytes(whole), u128::from(read.min(whole)) * 100 / u128::from(whole))
            }
            _ => String::new(),
        };
        let name = crate::text::printable(&self.name);
        let text = format!(
            "\r{name}: {}{of_whole}, {} records, {} events\x1b[K",
            bytes(read),
            totals.entries,
            totals.events
        );
        // Nobody is left to see it when stderr is closed.
        let _closed = std::io::stderr().write_all(text.as_bytes());
    }

    /// Makes room for other words.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _closed = std::io::stderr().write_all(b"\r\x1b[K");
        }
    }
}

fn bytes(count: u64) -> String {
    match count {
        0..=1_048_575 => format!("{} KiB", count >> 10),
        1_048_576..=1_073_741_823 => format!("{} MiB", count >> 20),
        _ => format!("{}.{} GiB", count >> 30, (count >> 20 & 1023) * 10 / 1024),
    }
}

/// Counts what is read.
#[derive(Debug)]
pub(super) struct Counted<R> {
    from: R,
    read: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    /// The bytes that were read.
    pub(super) fn count(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let length = self.from.read(to)?;
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}
