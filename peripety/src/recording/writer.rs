//! The file of a recording, and the thread that writes it: a full or hanging disk holds up nobody (promise 6).
//!
//! Entries wait as text in one bounded buffer, which the thread takes as a whole. What finds no room, or could not be
//! written, is counted, and the recording says where it is missing (promise 1).

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, Read as _, Seek as _, SeekFrom, Write},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use serde::{Deserialize, Serialize};

use super::Entry;

/// Bytes of entries that may wait.
const BUFFER_MAX: usize = 4 << 20;
/// How long to wait before a disk that refused is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What became of the entries: `offered` is always the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecorderCounters {
    /// Entries given to the recorder.
    pub offered: u64,
    /// Written.
    pub written: u64,
    /// Not recorded: the buffer was full, or the file could not be written.
    pub lost: u64,
    /// Still in the buffer or in hand.
    pub waiting: u64,
}

#[derive(Debug, Default)]
struct State {
    buffer: Vec<u8>,
    /// Entries in the buffer.
    entries: u64,
    counters: RecorderCounters,
    told_lost: u64,
    /// Lost, and not yet said in the recording.
    missing: u64,
    /// Something that later entries build on was lost.
    gap: bool,
    trouble: Option<String>,
    closed: bool,
    finished: bool,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sending end.
#[derive(Clone, Debug)]
pub(crate) struct Recorder(Arc<Shared>);

impl Recorder {
    /// Starts the thread that opens and writes the file. A file that is there is continued.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn start(path: &Path) -> io::Result<Self> {
        let shared =
            Arc::new(Shared { path: path.to_owned(), state: Mutex::default(), changed: Condvar::new() });
        let worker = Arc::clone(&shared);
        thread::Builder::new().name("recorder".to_owned()).spawn(move || work(&worker))?;
        Ok(Self(shared))
    }

    /// Records an entry and never waits for the disk. False when entries before this one were lost: what it builds on must
    /// be said again.
    pub(crate) fn record(&self, entry: &Entry) -> bool {
        // No entry has a map with keys other than text, the only thing that has no JSON.
        let Ok(line) = serde_json::to_vec(entry) else { return true };
        let mut state = self.0.state();
        state.counters.offered += 1;
        if state.closed || state.buffer.len() + line.len() > BUFFER_MAX {
            state.counters.lost += 1;
            state.missing += 1;
            state.gap = true;
            return true;
        }
        say_missing(&mut state);
        state.buffer.extend_from_slice(&line);
        state.buffer.push(b'\n');
        state.entries += 1;
        state.counters.waiting += 1;
        let gap = std::mem::take(&mut state.gap);
        drop(state);
        self.0.changed.notify_all();
        !gap
    }

    /// What became of the entries so far.
    pub(crate) fn counters(&self) -> RecorderCounters {
        self.0.state().counters
    }

    /// How many entries were lost since the last call, and why.
    pub(crate) fn take_lost(&self) -> Option<(u64, String)> {
        let mut state = self.0.state();
        let total = state.counters.lost;
        let changes = total - std::mem::replace(&mut state.told_lost, total);
        let why = state.trouble.clone().unwrap_or_else(|| "it is written too slowly".to_owned());
        (changes > 0).then_some((changes, why))
    }

    /// Why nothing is written, as long as nothing is.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.0.state().trouble.clone()
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }

    /// Takes no more entries and waits until those in the buffer are written, no longer than `patience`. True when all are.
    pub(crate) fn close(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.0.state();
        state.closed = true;
        self.0.changed.notify_all();
        while !state.finished {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { break };
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.finished && state.counters.lost == 0
    }
}

fn say_missing(state: &mut State) {
    let missing = std::mem::take(&mut state.missing);
    if missing > 0 {
        state.buffer.extend_from_slice(format!("{{\"missing\":{missing}}}\n").as_bytes());
    }
}

fn work(shared: &Shared) {
    let mut out = None;
    loop {
        let mut state = shared.state();
        while state.buffer.is_empty() && !state.closed {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.buffer.is_empty() {
            break;
        }
        let (batch, entries) = (std::mem::take(&mut state.buffer), std::mem::take(&mut state.entries));
        drop(state);
        if !deliver_with_retry(shared, &mut out, &batch) {
            let mut state = shared.state();
            state.counters.waiting -= entries;
            state.counters.lost += entries;
            state.missing += entries;
            state.gap = true;
            if state.closed {
                break;
            }
            continue;
        }
        let mut state = shared.state();
        state.counters.waiting -= entries;
        state.counters.written += entries;
    }
    if let Some(out) = out
        && let Err(error) = out.finish()
    {
        note(shared, &error);
    }
    let mut state = shared.state();
    // Nothing will be written any more.
    state.counters.lost += std::mem::take(&mut state.counters.waiting);
    state.finished = true;
    drop(state);
    shared.changed.notify_all();
}

/// Writes a batch. The first is tried until it is written, for without it the others mean nothing.
fn deliver_with_retry(shared: &Shared, out: &mut Option<Out>, batch: &[u8]) -> bool {
    loop {
        let result = match out {
            Some(out) => out.write(batch),
            None => Out::open(&shared.path).and_then(|opened| out.insert(opened).write(batch)),
        };
        let is_first = match (&result, &*out) {
            (Ok(()), _) => {
                if shared.state().trouble.take().is_some() {
                    tracing::info!("the recording {} goes on", shared.path.display());
                }
                return true;
            }
            (Err(error), out) => {
                note(shared, error);
                out.as_ref().is_none_or(|out| out.written == 0)
            }
        };
        let deadline = Instant::now() + RETRY;
        let mut state = shared.state();
        while !state.closed
            && let Some(left) = deadline.checked_duration_since(Instant::now())
        {
            state = shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.closed || !is_first {
            return false;
        }
    }
}

/// Says what is wrong once.
fn note(shared: &Shared, error: &io::Error) {
    let text = format!("cannot write the recording {}: {error}", shared.path.display());
    let mut state = shared.state();
    if state.trouble.is_none() {
        tracing::error!("{text}");
    }
    state.trouble = Some(text);
}

/// The open file.
struct Out {
    sink: Sink,
    /// Bytes written by this daemon.
    written: u64,
}

enum Sink {
    /// With the length up to which all is well, if it is a file that can be cut.
    Plain(File, Option<u64>),
    Gzip(Box<GzEncoder<File>>),
    /// A gzipped file that broke off: no more can be added.
    Broken,
}

impl Out {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .or_else(|_fifo| OpenOptions::new().append(true).create(true).mode(0o600).open(path))?;
        let meta = file.metadata()?;
        let gzip = path.extension().is_some_and(|ending| ending == "gz");
        if !meta.is_file() {
            return Ok(Self { sink: Sink::new(file, None, gzip), written: 0 });
        }
        // It names devices and what is on them.
        file.set_permissions(Permissions::from_mode(0o600))?;
        let mut len = meta.len();
        if len > 0 && gzip {
            return Err(io::Error::other(
                "it is there already, and gzipped recordings cannot be continued; name another file",
            ));
        }
        if len > 0 {
            // A daemon that was killed may have left half a line.
            let mut last = [b'\n'];
            file.seek(SeekFrom::Start(len - 1))?;
            file.read_exact(&mut last)?;
            if last != [b'\n'] {
                file.write_all(b"\n")?;
                len += 1;
            }
        }
        Ok(Self { sink: Sink::new(file, Some(len), gzip), written: 0 })
    }

    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        match &mut self.sink {
            Sink::Plain(file, len) => {
                if let Err(error) = file.write_all(batch) {
                    // Half an entry would make the rest unreadable.
                    if let Some(len) = len {
                        file.set_len(*len)?;
                    }
                    return Err(error);
                }
                if let Some(len) = len {
                    *len += batch.len() as u64;
                }
            }
            Sink::Gzip(gzip) => {
                // Flushed, so that little is lost when the daemon is killed.
                if let Err(error) = gzip.write_all(batch).and_then(|()| gzip.flush()) {
                    self.sink = Sink::Broken;
                    return Err(error);
                }
            }
            Sink::Broken => {
                return Err(io::Error::other("an earlier write failed; the rest is not recorded"));
            }
        }
        self.written += batch.len() as u64;
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        match self.sink {
            Sink::Gzip(gzip) => gzip.finish().map(drop),
            Sink::Plain(..) | Sink::Broken => Ok(()),
        }
    }
}

impl Sink {
    fn new(file: File, len: Option<u64>, gzip: bool) -> Self {
        if gzip {
            Self::Gzip(Box::new(GzEncoder::new(file, Compression::fast())))
        } else {
            Self::Plain(file, len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    fn lines(path: &Path) -> Vec<String> {
        std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_file_is_continued_after_half_a_line_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.jsonl");
        std::fs::write(&path, "{\"missing\":1}\n{\"miss").unwrap();
        let recorder = Recorder::start(&path).unwrap();
        assert!(recorder.record(&Entry::Missing(2)));
        assert!(recorder.close(SOON));
        assert_eq!(lines(&path), ["{\"missing\":1}", "{\"miss", "{\"missing\":2}"]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        recorder.record(&Entry::Missing(3));
        assert_eq!(recorder.counters(), RecorderCounters { offered: 2, written: 1, lost: 1, waiting: 0 });
    }

    #[test]
    fn a_disk_that_is_away_is_waited_for_and_costs_what_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("later/r.jsonl");
        let recorder = Recorder::start(&path).unwrap();
        assert!(recorder.record(&Entry::Missing(0)));
        while recorder.trouble().is_none() {
            thread::yield_now();
        }
        // The first batch is in hand; the buffer takes 4 MiB and no more.
        let big = Entry::Rules("x".repeat(1 << 20));
        for _ in 0..6 {
            recorder.record(&big);
        }
        std::fs::create_dir(dir.path().join("later")).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while recorder.counters().written < 4 {
            assert!(Instant::now() < deadline, "{:?}, {:?}", recorder.counters(), recorder.trouble());
            thread::sleep(Duration::from_millis(10));
        }
        assert!(!recorder.record(&Entry::Missing(1)), "what it builds on is missing");
        assert!(recorder.record(&Entry::Missing(1)));
        assert!(!recorder.close(SOON), "some were lost");
        let lines = lines(&path);
        assert_eq!(lines.len(), 1 + 3 + 1 + 2);
        assert_eq!(lines[4], "{\"missing\":3}");
        assert_eq!(recorder.counters(), RecorderCounters { offered: 9, written: 6, lost: 3, waiting: 0 });
        assert_eq!(recorder.take_lost().map(|lost| lost.0), Some(3));
        assert_eq!(recorder.take_lost(), None);
    }

    #[test]
    fn a_disk_that_never_comes_does_not_keep_the_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let recorder = Recorder::start(&dir.path().join("never/r.jsonl")).unwrap();
        recorder.record(&Entry::Missing(0));
        assert!(!recorder.close(SOON));
        assert_eq!(recorder.counters(), RecorderCounters { offered: 1, written: 0, lost: 1, waiting: 0 });
    }
}
