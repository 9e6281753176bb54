//! The log of a queue: in /run, so that no disk that fails is waited for, and a copy in /var/lib for what waits over a reboot.
//!
//! Each change is a line with a checksum. A program that is killed at any moment finds all that it had decided; damage costs
//! the lines that it hits.

use std::{
    fs::File,
    io::{self, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use peripety::internal::{
    checked::{self, Lines, Piece},
    files::replace,
};

use crate::queue::{Queue, Record};

/// Bytes after which the log is written anew, if it is more than twice what it then has.
const COMPACT_FROM: u64 = 1 << 20;

/// How often it is copied at most.
const COPY_EVERY: Duration = Duration::from_secs(10);

/// A copy on a disk, which may be the one that fails: written on a thread that nobody waits for.
#[derive(Debug)]
pub(crate) struct Copy {
    path: PathBuf,
    busy: Arc<AtomicBool>,
}

impl Copy {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, busy: Arc::default() }
    }

    /// Whether one is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// Writes it anew, unless that is under way already.
    pub(crate) fn write(&self, bytes: Vec<u8>) {
        if self.busy.swap(true, Ordering::AcqRel) {
            return;
        }
        let (path, busy) = (self.path.clone(), Arc::clone(&self.busy));
        let work = move || {
            if let Err(error) = replace(&path, &bytes, 0o600) {
                tracing::debug!("{}: cannot write it: {error}", path.display());
            }
            busy.store(false, Ordering::Release);
        };
        if thread::Builder::new().name("copy".to_owned()).stack_size(64 << 10).spawn(work).is_err() {
            self.busy.store(false, Ordering::Release);
        }
    }
}

/// The log.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    copy: Copy,
    file: Option<File>,
    length: u64,
    compacted: u64,
    /// Something changed since it was copied.
    dirty: bool,
    copied: Option<Instant>,
    trouble: Option<String>,
}

impl Store {
    /// Opens the log in `runtime`, or begins one with what `state` has of an earlier boot.
    pub(crate) fn open(runtime: &Path, state: &Path, name: &str) -> (Self, Queue) {
        let (path, copy) = (runtime.join(format!("{name}.queue")), state.join(format!("{name}.queue")));
        let mut queue = Queue::default();
        let source = if path.exists() { &path } else { &copy };
        if let Err(error) = read(source, &mut queue)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(
                "{}: cannot read it: {error}; what waited for {name} is not known",
                source.display()
            );
        }
        let mut store = Self {
            path,
            copy: Copy::new(copy),
            file: None,
            length: 0,
            compacted: 0,
            dirty: true,
            copied: None,
            trouble: None,
        };
        store.compact(&queue);
        (store, queue)
    }

    /// Writes changes down, in one write. What cannot be written counts all the same: only a kill loses it then.
    pub(crate) fn append(&mut self, records: &[Record], queue: &Queue) {
        self.dirty = true;
        if self.length > COMPACT_FROM.max(2 * self.compacted) || self.file.is_none() {
            return self.compact(queue);
        }
        let Some(file) = &mut self.file else { return };
        let bytes = lines(records);
        match file.write_all(&bytes) {
            Ok(()) => self.length += bytes.len() as u64,
            Err(error) => {
                self.file = None;
                self.complain(&error);
            }
        }
    }

    /// Writes the log anew.
    fn compact(&mut self, queue: &Queue) {
        let bytes = lines(&queue.snapshot());
        match replace(&self.path, &bytes, 0o600) {
            Ok(file) => {
                self.file = Some(file);
                self.length = bytes.len() as u64;
                self.compacted = self.length;
                self.trouble = None;
            }
            Err(error) => self.complain(&error),
        }
    }

    fn complain(&mut self, error: &io::Error) {
        let what = format!("{}: cannot write it: {error}", self.path.display());
        if self.trouble.is_none() {
            tracing::warn!("{what}; what waits is lost if this process is killed");
        }
        self.trouble = Some(what);
    }

    /// What keeps it from being written.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Copies it to the disk, if something changed and it was not just copied. In what time to ask again.
    pub(crate) fn copy(&mut self, queue: &Queue) -> Option<Duration> {
        if !self.dirty {
            return None;
        }
        let since = self.copied.map_or(COPY_EVERY, |at| at.elapsed());
        if since < COPY_EVERY || self.copy.is_busy() {
            return Some(COPY_EVERY.saturating_sub(since).max(Duration::from_secs(1)));
        }
        self.dirty = false;
        self.copied = Some(Instant::now());
        self.copy.write(lines(&queue.snapshot()));
        None
    }
}

fn lines(records: &[Record]) -> Vec<u8> {
    // What is written at a time stands apart from whatever an interrupted write left before it.
    let mut bytes = b"\n".to_vec();
    for record in records {
        if let Ok(json) = serde_json::to_vec(record) {
            checked::seal(&mut bytes, &json);
        }
    }
    bytes
}

fn read(path: &Path, queue: &mut Queue) -> io::Result<()> {
    let mut lines = Lines::new(BufReader::new(File::open(path)?));
    let mut damaged = 0_u64;
    while let Some((piece, _)) = lines.next_piece()? {
        let record = match piece {
            Piece::Line => serde_json::from_slice(lines.text()).ok(),
            Piece::Bad => None,
            // It was killed while it wrote: that did not count yet.
            Piece::Torn => continue,
        };
        match record {
            Some(record) => queue.apply(&record),
            None => damaged += 1,
        }
    }
    if damaged > 0 {
        tracing::warn!("{}: {damaged} damaged lines are passed over", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::Timestamp;

    use super::*;
    use crate::message::Message;

    fn put(second: i64) -> Record {
        Record::Put(Box::new(Message::test("h", Timestamp::from_second(second).unwrap())))
    }

    fn put_id(second: i64) -> String {
        match put(second) {
            Record::Put(message) => message.id,
            _ => String::new(),
        }
    }

    #[test]
    fn what_waits_survives_a_kill_and_damage_costs_its_line() {
        let (runtime, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut store, mut queue) = Store::open(runtime.path(), state.path(), "x");
        for record in [put(1), put(2), Record::Done(put_id(1)), put(3)] {
            queue.apply(&record);
            store.append(&[record], &queue);
        }
        drop(store);
        let path = runtime.path().join("x.queue");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{}\ngarbage \u{0}\n0badc0de {{}}\n", text.trim_end())).unwrap();
        let (store, queue) = Store::open(runtime.path(), state.path(), "x");
        assert_eq!(queue.len(), 2);
        assert_eq!((queue.counters.queued, queue.counters.delivered), (3, 1));
        assert_eq!(store.trouble(), None);
        // Once more, from the log that was written anew.
        let (_, again) = Store::open(runtime.path(), state.path(), "x");
        assert_eq!((again.len(), again.counters), (2, queue.counters));
    }

    #[test]
    fn what_waits_survives_a_reboot() {
        let (runtime, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut store, mut queue) = Store::open(runtime.path(), state.path(), "x");
        queue.apply(&put(1));
        store.append(&[put(1)], &queue);
        assert_eq!(store.copy(&queue), None);
        while store.copy.is_busy() {
            thread::yield_now();
        }
        assert_eq!(store.copy(&queue), None, "nothing changed");
        queue.apply(&put(2));
        store.append(&[put(2)], &queue);
        assert!(store.copy(&queue).is_some_and(|wait| wait <= COPY_EVERY), "and it is asked again");
        let runtime = tempfile::tempdir().unwrap();
        let (_, queue) = Store::open(runtime.path(), state.path(), "x");
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn a_log_does_not_grow_without_end() {
        let (runtime, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut store, mut queue) = Store::open(runtime.path(), state.path(), "x");
        for second in 0..20_000 {
            for record in [put(second), Record::Done(put_id(second))] {
                queue.apply(&record);
                store.append(&[record], &queue);
            }
        }
        assert!(fs::metadata(runtime.path().join("x.queue")).unwrap().len() < 2 * COMPACT_FROM);
        assert_eq!(queue.counters.delivered, 20_000);
    }
}
