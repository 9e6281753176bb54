//! Events that wait for a notifier, in files: they outlive the daemon that made them (promise 1).
//!
//! The directory is in /run, in memory: no event waits on the disk that may be failing (promise 6). Events are appended to
//! `spool` with numbers that never come again, one line each; `spool.sent` holds the number of the last one that went out.
//! When none waits, the file is emptied. An event may go out only when what it follows from is written down as well
//! ([`Spool::commit`]): what a killed daemon had added and not committed is made again by its successor, and left out here.

use std::{
    collections::{HashMap, VecDeque},
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;

use crate::event::{Event, EventId, Severity};

/// Events that are kept in memory as well, so that they need not be read back.
const IN_MEMORY: usize = 64;
/// From so many on, a revision takes the place of an earlier one of its event.
const CROWD: usize = 1024;

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It waits.
    Waits,
    /// It waits, and an earlier revision of it need not go out any more.
    Supersedes,
    /// There is no room.
    Refused,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    offset: u64,
    len: usize,
    id: EventId,
    event: Option<Arc<Event>>,
    superseded: bool,
}

/// The spool of one notifier.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    file: File,
    sent: File,
    /// Bytes that may wait.
    bound: u64,
    /// Length of the file.
    end: u64,
    waiting: VecDeque<Entry>,
    /// How many at the end of `waiting` are not committed.
    fresh: usize,
    bytes: u64,
    next: u64,
    latest: HashMap<EventId, u64>,
    buffer: Vec<u8>,
}

#[derive(Deserialize)]
struct Head {
    event_id: EventId,
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

impl Spool {
    /// Opens the spool in `dir`. Of what is there, events up to number `committed` wait again; all of them where it is not
    /// known what was committed.
    ///
    /// # Errors
    /// The directory cannot be written to.
    pub fn open(dir: &Path, bound: u64, committed: Option<u64>) -> io::Result<Self> {
        let path = dir.join("spool");
        let mut spool = Self {
            file: open(&path)?,
            sent: open(&dir.join("spool.sent"))?,
            path,
            bound,
            end: 0,
            waiting: VecDeque::new(),
            fresh: 0,
            bytes: 0,
            next: committed.unwrap_or(0) + 1,
            latest: HashMap::new(),
            buffer: Vec::new(),
        };
        spool.read_back(committed)?;
        Ok(spool)
    }

    fn read_back(&mut self, committed: Option<u64>) -> io::Result<()> {
        let mut number = [0; 20];
        let len = self.sent.read_at(&mut number, 0)?;
        let text = std::str::from_utf8(number.get(..len).unwrap_or_default()).unwrap_or_default();
        let sent: u64 = text.trim().parse().unwrap_or(0);
        let mut lines = BufReader::new(&self.file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let offset = self.end;
            let len = lines.read_until(b'\n', &mut line)?;
            // A line without its end was being written when the daemon was killed.
            if line.pop() != Some(b'\n') {
                break;
            }
            let known = |(number, _): &(u64, _)| committed.is_none_or(|committed| *number <= committed);
            let Some((number, json)) = parts(&line).filter(known) else { break };
            let Ok(head) = serde_json::from_slice::<Head>(json) else { break };
            self.end += len as u64;
            self.next = self.next.max(number.saturating_add(1));
            if number > sent {
                let id = head.event_id;
                self.waiting.push_back(Entry { number, offset, len, id, event: None, superseded: false });
                self.bytes += len as u64;
            }
        }
        drop(lines);
        self.next = self.next.max(sent.saturating_add(1));
        self.file.set_len(self.end)?;
        self.empty_if_done()
    }

    /// How many wait, those that are not committed among them.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Number of the last event that was added.
    pub const fn last(&self) -> u64 {
        self.next - 1
    }

    /// Adds an event, which waits for [`Spool::commit`].
    ///
    /// # Errors
    /// It has no JSON.
    pub fn add(&mut self, event: &Arc<Event>) -> Result<Added, serde_json::Error> {
        // The last quarter is for what is wrong, not for news.
        let room = if event.severity <= Severity::Warning { self.bound } else { self.bound / 4 * 3 };
        if self.bytes >= room {
            return Ok(Added::Refused);
        }
        let number = self.next;
        let start = self.buffer.len();
        self.buffer.extend_from_slice(format!("{number} ").as_bytes());
        serde_json::to_writer(&mut self.buffer, event)?;
        self.buffer.push(b'\n');
        let len = self.buffer.len() - start;
        let offset = self.end + start as u64;
        self.next += 1;
        self.fresh += 1;
        self.bytes += len as u64;
        let kept = (self.waiting.len() < IN_MEMORY).then(|| Arc::clone(event));
        let id = event.event_id;
        self.waiting.push_back(Entry { number, offset, len, id, event: kept, superseded: false });
        Ok(if self.supersede(id, number) { Added::Supersedes } else { Added::Waits })
    }

    /// In a crowd, lets an earlier revision go.
    fn supersede(&mut self, id: EventId, number: u64) -> bool {
        if self.waiting.len() <= CROWD {
            self.latest.clear();
            return false;
        }
        if self.latest.is_empty() {
            self.latest = self.waiting.iter().map(|entry| (entry.id, entry.number)).collect();
            return false;
        }
        let Some(earlier) = self.latest.insert(id, number) else { return false };
        let place = self.waiting.partition_point(|entry| entry.number < earlier);
        match self.waiting.get_mut(place).filter(|entry| entry.number == earlier) {
            Some(entry) => {
                entry.superseded = true;
                entry.event = None;
                self.bytes -= entry.len as u64;
                true
            }
            None => false,
        }
    }

    /// Writes down what was added. It may go out when [`Spool::commit`] is called.
    ///
    /// # Errors
    /// There is no room in /run; nothing is written then.
    pub fn write(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.write_all_at(&self.buffer, self.end) {
            let _best_effort = self.file.set_len(self.end);
            return Err(error);
        }
        self.end += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Lets what was written go out. How many there are.
    pub fn commit(&mut self) -> usize {
        std::mem::take(&mut self.fresh)
    }

    /// The next event that may go out, with its number. It stays until [`Spool::sent`]. Events that cannot be read back
    /// are counted in `lost`, superseded ones are passed over.
    pub fn next(&mut self, lost: &mut u64) -> Option<(u64, Arc<Event>)> {
        while self.waiting.len() > self.fresh {
            let entry = self.waiting.front()?;
            let number = entry.number;
            if entry.superseded {
                self.waiting.pop_front();
                continue;
            }
            let event = entry.event.clone().or_else(|| self.read(entry.offset, entry.len));
            match event {
                Some(event) => return Some((number, event)),
                None => {
                    *lost += 1;
                    let _best_effort = self.sent(number);
                }
            }
        }
        None
    }

    fn read(&self, offset: u64, len: usize) -> Option<Arc<Event>> {
        let mut line = vec![0; len];
        self.file.read_exact_at(&mut line, offset).ok()?;
        line.pop();
        let (_, json) = parts(&line)?;
        serde_json::from_slice(json).ok().map(Arc::new)
    }

    /// An event went out, or never will.
    ///
    /// # Errors
    /// That cannot be written down: a successor would send it again.
    pub fn sent(&mut self, number: u64) -> io::Result<()> {
        while let Some(entry) = self.waiting.front()
            && entry.number <= number
        {
            if !entry.superseded {
                self.bytes -= entry.len as u64;
            }
            self.waiting.pop_front();
        }
        self.sent.write_all_at(format!("{number:<20}").as_bytes(), 0)?;
        self.empty_if_done()
    }

    fn empty_if_done(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() && self.end > 0 {
            self.file.set_len(0)?;
            self.end = 0;
        } else if self.end > self.bound.saturating_mul(2) && self.buffer.is_empty() {
            self.rewrite()?;
        }
        Ok(())
    }

    /// Writes what waits anew, without what went out before it.
    fn rewrite(&mut self) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let file = open(&new)?;
        file.set_len(0)?;
        let (mut out, mut end, mut line) = (io::BufWriter::new(&file), 0, Vec::new());
        let mut offsets = Vec::with_capacity(self.waiting.len());
        for entry in &self.waiting {
            offsets.push(end);
            if !entry.superseded {
                line.resize(entry.len, 0);
                self.file.read_exact_at(&mut line, entry.offset)?;
                out.write_all(&line)?;
                end += entry.len as u64;
            }
        }
        out.flush()?;
        drop(out);
        fs::rename(&new, &self.path)?;
        for (entry, offset) in self.waiting.iter_mut().zip(offsets) {
            entry.offset = offset;
        }
        (self.file, self.end) = (file, end);
        Ok(())
    }
}

/// Number and JSON of a line.
fn parts(line: &[u8]) -> Option<(u64, &[u8])> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (number, json) = line.split_at(space);
    Some((std::str::from_utf8(number).ok()?.parse().ok()?, json.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::fixture::sample;

    fn event(id: u128, revision: u32) -> Arc<Event> {
        let mut event = sample();
        event.event_id = uuid::Uuid::from_u128(id);
        event.revision = revision;
        Arc::new(event)
    }

    fn add(spool: &mut Spool, event: &Arc<Event>) -> Added {
        let added = spool.add(event).unwrap();
        spool.write().unwrap();
        added
    }

    fn next(spool: &mut Spool) -> Option<(u64, u128)> {
        let mut lost = 0;
        let next = spool.next(&mut lost);
        assert_eq!(lost, 0);
        next.map(|(number, event)| (number, event.event_id.as_u128()))
    }

    #[test]
    fn only_what_is_committed_goes_out_and_a_successor_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path(), 1 << 20, None).unwrap();
        for id in 1..=3 {
            assert_eq!(add(&mut spool, &event(id, 0)), Added::Waits);
        }
        assert_eq!(next(&mut spool), None, "nothing is committed");
        spool.commit();
        assert_eq!(next(&mut spool), Some((1, 1)));
        spool.sent(1).unwrap();
        let committed = spool.last();
        // The daemon is killed with one event that is not committed.
        add(&mut spool, &event(4, 0));
        drop(spool);

        let mut spool = Spool::open(dir.path(), 1 << 20, Some(committed)).unwrap();
        assert_eq!((next(&mut spool), spool.waiting()), (Some((2, 2)), 2));
        // Made again by the successor, with the same number.
        add(&mut spool, &event(4, 0));
        spool.commit();
        for number in 2..=4 {
            assert_eq!(next(&mut spool), Some((number, u128::from(number))));
            spool.sent(number).unwrap();
        }
        assert_eq!(next(&mut spool), None);
        assert_eq!(fs::metadata(dir.path().join("spool")).unwrap().len(), 0, "emptied");
        let mut spool = Spool::open(dir.path(), 1 << 20, Some(4)).unwrap();
        assert_eq!((next(&mut spool), spool.last()), (None, 4));
    }

    #[test]
    fn a_torn_or_foreign_line_ends_what_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path(), 1 << 20, None).unwrap();
        add(&mut spool, &event(1, 0));
        drop(spool);
        let path = dir.path().join("spool");
        for tail in ["2 {\"event_id\":", "2 {}\n", "nonsense\n", "\n", "\0\0\n"] {
            let mut text = fs::read(&path).unwrap();
            let whole = text.len();
            text.extend(tail.as_bytes());
            fs::write(&path, &text).unwrap();
            let mut spool = Spool::open(dir.path(), 1 << 20, Some(9)).unwrap();
            spool.commit();
            assert_eq!(next(&mut spool), Some((1, 1)), "{tail:?}");
            assert_eq!(fs::metadata(&path).unwrap().len(), whole as u64, "{tail:?}");
        }
    }

    #[test]
    fn it_is_bounded_and_keeps_room_for_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path(), 20_000, None).unwrap();
        let of = |id, severity| {
            let mut event = (*event(id, 0)).clone();
            event.severity = severity;
            Arc::new(event)
        };
        let mut id = 0;
        while add(&mut spool, &of(id, Severity::Info)) != Added::Refused {
            id += 1;
        }
        let news = id;
        while add(&mut spool, &of(id, Severity::Error)) != Added::Refused {
            id += 1;
        }
        assert!(news > 2 && id > news, "{news} {id}");
        spool.commit();
        for _ in 0..id {
            let (number, _) = next(&mut spool).unwrap();
            spool.sent(number).unwrap();
        }
        assert_eq!(add(&mut spool, &of(id, Severity::Info)), Added::Waits);
    }

    #[test]
    fn in_a_crowd_the_latest_revision_stands_for_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path(), 3 << 20, None).unwrap();
        let mut superseded = 0;
        for revision in 0..3000 {
            superseded +=
                u32::from(add(&mut spool, &event(u128::from(revision % 2), revision)) == Added::Supersedes);
        }
        spool.commit();
        let mut seen = Vec::new();
        let mut lost = 0;
        while let Some((number, event)) = spool.next(&mut lost) {
            seen.push(event.revision);
            spool.sent(number).unwrap();
        }
        assert_eq!(seen.len() as u32 + superseded, 3000);
        assert!(seen.is_sorted() && seen.len() < 1100, "{}", seen.len());
        assert_eq!(seen.last_chunk(), Some(&[2998, 2999]));
    }
}
