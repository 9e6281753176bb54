//! Events that wait for a notifier, in files: they outlive the daemon that made them (promise 1).
//!
//! The directory is in /run, in memory: no event waits on the disk that may be failing (promise 6). Events are appended to
//! `spool` with numbers that never come again, one line each; `spool.sent` holds the number of the last one that went out.
//! When none waits, the file is emptied. An event may go out only when what it follows from is written down as well
//! ([`Spool::commit`]): what a killed daemon had added and not committed is made again by its successor, and left out here.
//!
//! While the files cannot be written, events wait in memory, with a bound of their own, and go out from there; the files are
//! left alone until [`Spool::repair`], which writes down what still waits then.

mod files;
mod lines;
mod rewrite;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use files::Files;
pub(crate) use files::{MARK, SPOOL};
pub(crate) use lines::Waiting;
pub use lines::{Found, Line, Mark};

use crate::{
    checked::LINE_MAX,
    event::{Event, EventId, Severity},
};

/// Events that are kept in memory as well, so that they need not be read back.
const KEPT: usize = 64;
/// From so many on, a revision takes the place of an earlier one of its event.
const CROWD: usize = 1024;
/// Bytes of events (their JSON) that wait in memory while the files cannot be written.
pub(crate) const MEMORY_BYTES: u64 = 16 << 20;
/// Bytes that are written at a time.
const CHUNK: usize = 256 << 10;

/// Why an event was not taken.
pub(crate) const FULL: &str = "as much waits for journald as spool_mib allows";
/// Why an event was not taken.
pub(crate) const MEMORY_FULL: &str = "the spool cannot be written, and as much waits in memory as may";
/// Why an event was not taken.
pub(crate) const TOO_LONG: &str = "the event is longer than 4 MiB";
/// Why an event that had been taken does not go out.
pub(crate) const UNREADABLE: &str = "lines of the spool are damaged or missing";

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It waits.
    Waits,
    /// It waits, and an earlier revision of it need not go out any more.
    Supersedes,
    /// It does not wait, for this reason.
    Refused(&'static str),
}

#[derive(Debug)]
enum Place {
    File { offset: u64 },
    Memory(Box<[u8]>),
}

#[derive(Debug)]
struct Entry {
    number: u64,
    id: EventId,
    place: Place,
    /// Bytes that it counts for.
    len: usize,
    event: Option<Arc<Event>>,
    superseded: bool,
}

/// The spool of one notifier.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: PathBuf,
    files: Option<Files>,
    /// The files could not be written, and are left alone until [`Spool::repair`].
    failing: bool,
    /// Bytes that may wait.
    bound: u64,
    waiting: VecDeque<Entry>,
    superseded: usize,
    /// Bytes that wait, and those of them that are in no file.
    bytes: u64,
    memory: u64,
    next: u64,
    /// Up to these numbers events are written down, may go out, went out.
    written: u64,
    committed: u64,
    mark: Mark,
    in_hand: Option<u64>,
    latest: HashMap<EventId, u64>,
    /// What cannot be read back, and was not given to a caller yet.
    lost: u64,
    /// What an earlier daemon is known to have committed, and whether its events were taken over.
    before: Option<u64>,
    adopted: bool,
    /// From this length on the file is written anew.
    long: u64,
}

impl Spool {
    /// The spool in `dir`. Of what is there, events up to number `committed` wait again; all of them where it is not known
    /// what was committed. Without files it works in memory, and says why.
    pub(crate) fn open(dir: &Path, bound: u64, committed: Option<u64>) -> (Self, io::Result<()>) {
        let mut spool = Self::in_memory(dir, bound, committed);
        let opened = Files::open(dir).map(|files| spool.files = Some(files));
        if opened.is_err() {
            // What waits can be read at least.
            spool.files = Files::open_to_read(dir).ok();
        }
        if let Some(files) = &mut spool.files {
            let (found, mark) = files.read_back(committed);
            spool.take_back(&found, mark);
        }
        let result = opened.and_then(|()| spool.start());
        spool.failing = result.is_err();
        (spool, result)
    }

    /// A spool whose directory is not this daemon's, or not yet: [`Spool::repair`] begins to use it.
    pub(crate) fn in_memory(dir: &Path, bound: u64, committed: Option<u64>) -> Self {
        Self {
            dir: dir.to_owned(),
            files: None,
            failing: true,
            bound,
            waiting: VecDeque::new(),
            superseded: 0,
            bytes: 0,
            memory: 0,
            next: committed.unwrap_or(0).saturating_add(1),
            written: committed.unwrap_or(0),
            committed: committed.unwrap_or(0),
            mark: Mark::default(),
            in_hand: None,
            latest: HashMap::new(),
            lost: 0,
            before: committed,
            adopted: false,
            long: 0,
        }
    }

    fn take_back(&mut self, found: &Found, mark: Option<Mark>) {
        self.lost += found.lost;
        self.mark.sent = mark.map_or(0, |mark| mark.sent);
        self.next = self.next.max(found.last.saturating_add(1));
        self.written = self.last();
        self.committed = self.last();
        for Waiting { number, id, offset, len } in found.waiting.iter().copied() {
            let place = Place::File { offset };
            self.waiting.push_back(Entry { number, id, place, len, event: None, superseded: false });
            self.bytes += len as u64;
        }
    }

    fn start(&mut self) -> io::Result<()> {
        let Some(files) = &self.files else { return Ok(()) };
        files.cut()?;
        files.write_mark(self.mark)?;
        self.empty_if_done()
    }

    /// How many wait, those that are not committed among them.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len() - self.superseded
    }

    /// Bytes that wait, and those of them that are in memory only.
    pub(crate) const fn bytes(&self) -> (u64, u64) {
        (self.bytes, self.memory)
    }

    /// Number of the last event that was added.
    pub(crate) const fn last(&self) -> u64 {
        self.next - 1
    }

    /// Whether the files are left alone because they could not be written.
    pub(crate) const fn is_failing(&self) -> bool {
        self.failing
    }

    /// How many events that had been written down cannot be read back, since the last call.
    pub(crate) const fn take_lost(&mut self) -> u64 {
        std::mem::replace(&mut self.lost, 0)
    }

    /// Adds an event, which waits for [`Spool::commit`].
    ///
    /// # Errors
    /// It has no JSON.
    pub(crate) fn add(&mut self, event: &Arc<Event>) -> Result<Added, serde_json::Error> {
        let json = serde_json::to_vec(event)?;
        if json.len() > LINE_MAX - 64 {
            return Ok(Added::Refused(TOO_LONG));
        }
        let (id, number) = (event.event_id, self.next);
        let refused = self.refuses(event.severity);
        let crowded = self.waiting() >= CROWD || refused.is_some();
        let earlier = if crowded { self.earlier(id) } else { None };
        match refused {
            Some(reason) if earlier.is_none() => return Ok(Added::Refused(reason)),
            _ => {}
        }
        if let Some(place) = earlier {
            self.let_go(place);
        }
        if crowded {
            self.latest.insert(id, number);
        } else {
            self.latest.clear();
        }
        let len = json.len();
        self.next = self.next.saturating_add(1);
        self.bytes += len as u64;
        self.memory += len as u64;
        let kept = (self.waiting.len() < KEPT).then(|| Arc::clone(event));
        let place = Place::Memory(json.into());
        self.waiting.push_back(Entry { number, id, place, len, event: kept, superseded: false });
        Ok(if earlier.is_some() { Added::Supersedes } else { Added::Waits })
    }

    /// Why there is no room; the last quarter is for faults, not for notices.
    fn refuses(&self, severity: Severity) -> Option<&'static str> {
        let share = |bound: u64| if severity <= Severity::Warning { bound } else { bound / 4 * 3 };
        if self.bytes >= share(self.bound) {
            return Some(FULL);
        }
        (self.failing && self.memory >= share(self.bound.min(MEMORY_BYTES))).then_some(MEMORY_FULL)
    }

    /// Where the latest revision of an event waits, unless it is just going out.
    fn earlier(&mut self, id: EventId) -> Option<usize> {
        if self.latest.is_empty() || self.latest.len() > 2 * self.waiting.len() + CROWD {
            let live = self.waiting.iter().filter(|entry| !entry.superseded);
            self.latest = live.map(|entry| (entry.id, entry.number)).collect();
        }
        let number = *self.latest.get(&id)?;
        let place = self.waiting.partition_point(|entry| entry.number < number);
        let entry = self.waiting.get(place)?;
        let waits = entry.number == number && !entry.superseded && self.in_hand != Some(number);
        waits.then_some(place)
    }

    /// Lets an event go that a later revision stands for.
    fn let_go(&mut self, place: usize) {
        let Some(entry) = self.waiting.get_mut(place) else { return };
        entry.superseded = true;
        entry.event = None;
        self.bytes -= entry.len as u64;
        if let Place::Memory(json) = &mut entry.place {
            self.memory -= entry.len as u64;
            *json = Box::default();
        }
        self.superseded += 1;
        if self.superseded > self.waiting.len() / 2 + CROWD {
            self.waiting.retain(|entry| !entry.superseded);
            self.superseded = 0;
        }
    }

    /// Writes down what was added. It may go out when [`Spool::commit`] is called.
    ///
    /// # Errors
    /// The files cannot be written. What was added waits in memory; the files are left alone until [`Spool::repair`].
    pub(crate) fn write(&mut self) -> io::Result<()> {
        if self.failing || self.written == self.last() {
            return Ok(());
        }
        let result = self.write_waiting();
        self.failing = result.is_err();
        result
    }

    /// Tries to use the files again.
    ///
    /// # Errors
    /// They still cannot be written.
    pub(crate) fn repair(&mut self) -> io::Result<()> {
        let in_use = self.files.as_ref().is_some_and(|files| files.writable && files.are_in_place());
        let result = if in_use { Ok(()) } else { self.reopen() }
            .and_then(|()| self.write_waiting())
            .and_then(|()| self.write_mark())
            .and_then(|()| self.empty_if_done());
        self.failing = result.is_err();
        result
    }

    /// The logbook cannot say which events are meant: the spool says so itself.
    ///
    /// # Errors
    /// That cannot be written down: a successor leaves out what it does not know to be meant.
    pub(crate) fn commit_here(&mut self) -> io::Result<()> {
        self.mark.committed = self.last();
        self.write_mark()
    }

    fn write_mark(&self) -> io::Result<()> {
        self.files.as_ref().map_or(Ok(()), |files| files.write_mark(self.mark))
    }

    fn write_waiting(&mut self) -> io::Result<()> {
        let Some(files) = &mut self.files else { return Err(io::ErrorKind::NotFound.into()) };
        if !files.writable {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        if self.written < self.next - 1 {
            files.in_place_or_why_not()?;
        }
        while self.written < self.next - 1 {
            let from = self.waiting.partition_point(|entry| entry.number <= self.written);
            // An empty line, so that it stands apart from what an interrupted write may have left.
            let (mut text, mut places) = (b"\n".to_vec(), Vec::new());
            for (place, entry) in self.waiting.iter().enumerate().skip(from) {
                if text.len() >= CHUNK {
                    break;
                }
                if let Place::Memory(json) = &entry.place
                    && !entry.superseded
                {
                    let start = text.len();
                    let line = Line { number: entry.number, place: files.place + places.len() as u64, json };
                    line.write(&mut text);
                    places.push((place, start, text.len() - start));
                }
            }
            if places.is_empty() {
                self.written = self.next - 1;
                break;
            }
            let offset = files.append(&text, places.len() as u64)?;
            for (place, start, len) in places {
                let Some(entry) = self.waiting.get_mut(place) else { continue };
                self.memory -= entry.len as u64;
                self.bytes = self.bytes - entry.len as u64 + len as u64;
                (entry.place, entry.len) = (Place::File { offset: offset + start as u64 }, len);
                self.written = entry.number;
            }
        }
        self.compact();
        Ok(())
    }

    /// Lets what was added go out. How many there are.
    pub(crate) fn commit(&mut self) -> u64 {
        let last = self.last();
        last - std::mem::replace(&mut self.committed, last)
    }

    /// The next event that may go out, with its number. It stays until [`Spool::sent`]. Superseded ones are passed over,
    /// and those that cannot be read back are counted.
    pub(crate) fn next_event(&mut self) -> Option<(u64, Arc<Event>)> {
        loop {
            let entry = self.waiting.front().filter(|entry| entry.number <= self.committed)?;
            let number = entry.number;
            if entry.superseded {
                self.waiting.pop_front();
                self.superseded -= 1;
                continue;
            }
            let event = entry.event.clone().or_else(|| {
                let read;
                let json: &[u8] = match &entry.place {
                    Place::Memory(json) => json,
                    Place::File { offset } => {
                        read = self.files.as_ref()?.read(number, *offset, entry.len)?;
                        &read
                    }
                };
                serde_json::from_slice(json).ok().map(Arc::new)
            });
            match event {
                Some(event) => {
                    self.in_hand = Some(number);
                    return Some((number, event));
                }
                None => {
                    self.lost += 1;
                    let _best_effort = self.sent(number);
                }
            }
        }
    }

    /// An event went out, or never will.
    ///
    /// # Errors
    /// That cannot be written down: a successor would send it again.
    pub(crate) fn sent(&mut self, number: u64) -> io::Result<()> {
        self.in_hand = None;
        while let Some(entry) = self.waiting.front()
            && entry.number <= number
        {
            if entry.superseded {
                self.superseded -= 1;
            } else {
                self.bytes -= entry.len as u64;
                if let Place::Memory(_) = entry.place {
                    self.memory -= entry.len as u64;
                }
            }
            self.waiting.pop_front();
        }
        self.mark.sent = number;
        self.written = self.written.max(number);
        // In place: that needs no room, and is done also while events cannot be written.
        let result = self.write_mark().and_then(|()| self.empty_if_done());
        self.failing |= result.is_err();
        result
    }

    fn empty_if_done(&mut self) -> io::Result<()> {
        if let Some(files) = self.files.as_mut().filter(|files| self.waiting.is_empty() && files.end > 0) {
            files.empty()?;
            self.long = 0;
        }
        Ok(())
    }
}
