//! The log of a queue: in /run, so that no disk that fails is waited for, and a copy in /var/lib for what waits over a reboot.
//!
//! Each change is a line with a checksum. A program that is killed at any moment finds all that it had decided; damage costs
//! the lines that it hits.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use peripety::internal::checked;

use crate::queue::{Queue, Record};

/// Bytes after which the log is written anew, if it is more than twice what it then has.
const COMPACT_FROM: u64 = 1 << 20;
/// Longest line that is read.
const LINE_MAX: usize = 4 << 20;

/// The log.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    copy: PathBuf,
    file: Option<File>,
    length: u64,
    compacted: u64,
    dirty: bool,
    copying: Arc<AtomicBool>,
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
            copy,
            file: None,
            length: 0,
            compacted: 0,
            dirty: true,
            copying: Arc::default(),
            trouble: None,
        };
        store.compact(&queue);
        (store, queue)
    }

    /// Writes changes down, in one write. What cannot be written counts all the same: only a kill loses it then.
    pub(crate) fn append(&mut self, records: &[Record], queue: &Queue) {
        self.dirty = true;
        let bytes = lines(records);
        if self.length > COMPACT_FROM.max(2 * self.compacted) || self.file.is_none() {
            return self.compact(queue);
        }
        let Some(file) = &mut self.file else { return };
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
        let new = self.path.with_extension("new");
        let written = create(&new).and_then(|mut file| {
            file.write_all(&bytes)?;
            fs::rename(&new, &self.path)?;
            Ok(file)
        });
        match written {
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

    /// Copies it to the disk, on a thread, if something changed and no copying is under way: the disk may be the one that fails.
    pub(crate) fn copy(&mut self, queue: &Queue) {
        if !self.dirty || self.copying.swap(true, Ordering::AcqRel) {
            return;
        }
        self.dirty = false;
        let (path, copying, bytes) = (self.copy.clone(), Arc::clone(&self.copying), lines(&queue.snapshot()));
        let work = move || {
            let new = path.with_extension("new");
            let written = create(&new)
                .and_then(|mut file| file.write_all(&bytes))
                .and_then(|()| fs::rename(&new, &path));
            if let Err(error) = written {
                tracing::debug!("{}: cannot write it: {error}", path.display());
            }
            copying.store(false, Ordering::Release);
        };
        if thread::Builder::new().name("copy".to_owned()).stack_size(64 << 10).spawn(work).is_err() {
            self.copying.store(false, Ordering::Release);
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
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
    let mut input = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = LINE_MAX as u64;
        if io::Read::take(&mut input, limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = line.strip_suffix(b"\n").and_then(checked::unseal);
        if let Some(record) = text.and_then(|text| serde_json::from_slice(text).ok()) {
            queue.apply(&record);
        }
    }
}

#[cfg(test)]
mod tests {
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
        store.copy(&queue);
        while store.copying.load(Ordering::Acquire) {
            thread::yield_now();
        }
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
