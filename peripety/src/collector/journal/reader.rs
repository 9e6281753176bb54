//! Reads the journal, in a process of its own.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::inotify;
use serde::{Deserialize, Serialize};
use systemd::journal::{Journal, JournalWaitResult, OpenOptions};

use super::{Fields, Item, Speaker};

/// Bytes of a line that are read.
const TEXT_MAX: usize = 8192;
/// Said by journald when it drops what a service sends too fast.
const SUPPRESSED: &str = "a596d6fe7bfa4994828e72309e95d61e";
/// Bytes of inotify's answers that are read at a time.
const NOTICE_BYTES: usize = 4096;

/// What the reader is told to read, as it stands on its command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// The programs that are heard.
    pub programs: Vec<String>,
    /// Boot whose entries are wanted, 32 hexadecimal digits.
    pub boot_id: String,
    /// Where to go on: after the entry with this cursor. Without one, at the start of the boot.
    pub after: Option<String>,
    /// The daemon's process id: the reader ends with it.
    pub parent: u32,
}

/// The reader ends.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// libsystemd failed.
    #[error("cannot {what} the journal: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Nobody listens any more.
    #[error("cannot hand over what was read: {0}")]
    Pipe(#[from] io::Error),
}

fn system(what: &'static str) -> impl FnOnce(systemd::Error) -> ReadError {
    move |error| ReadError::System { what, source: error.into_io_error() }
}

/// Reads until nobody listens: writes [`Item`]s to `out` as the journal gets entries, and sleeps in between (promise 5).
///
/// # Errors
/// libsystemd fails, or `out` is closed.
pub fn read(orders: &Orders, out: &mut impl Write) -> Result<(), ReadError> {
    let mut reader = Reader { journal: open()?, speakers: speakers(orders), looked_us: None };
    if !has_files(&reader.journal) {
        tell(out, &Item::NoJournal)?;
        while !has_files(&reader.journal) {
            wait_for_directory()?;
            reader.journal = open()?;
        }
        tell(out, &Item::Journal)?;
    }
    reader.select(orders)?;
    reader.seek(orders.after.as_deref(), out)?;
    loop {
        reader.take(out)?;
        // The first call begins to watch and says so at once, and nothing is missed.
        if let JournalWaitResult::Invalidate = reader.journal.wait(None).map_err(system("wait for"))? {
            reader.look_for_losses(out)?;
        }
    }
}

struct Reader {
    journal: Journal,
    speakers: Vec<Speaker>,
    /// When all that was there had been looked at, CLOCK_MONOTONIC in microseconds.
    looked_us: Option<u64>,
}

/// The number of an entry, within the numbering of one journald.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seq {
    numbering: String,
    number: u64,
}

impl Seq {
    /// Of a cursor: `s=NUMBERING;i=HEX;b=…`.
    fn of(cursor: &str) -> Option<Self> {
        let part = |key: &str| cursor.split(';').find_map(|part| part.strip_prefix(key));
        Some(Self { numbering: part("s=")?.to_owned(), number: u64::from_str_radix(part("i=")?, 16).ok()? })
    }

    /// How many entries lie between this one and a later one.
    fn until(&self, later: &Self) -> u64 {
        if self.numbering == later.numbering { later.number.saturating_sub(self.number + 1) } else { 0 }
    }
}

impl Reader {
    /// Root's entries of this boot by the programs, and journald's own about what it dropped.
    fn select(&mut self, orders: &Orders) -> Result<(), ReadError> {
        let journal = &mut self.journal;
        let mut select = || {
            journal.match_add("_BOOT_ID", orders.boot_id.as_str())?.match_add("_UID", "0")?.match_and()?;
            for speaker in &self.speakers {
                journal.match_add("_COMM", speaker.comm.as_str())?;
            }
            journal.match_or()?;
            for unit in self.speakers.iter().flat_map(|speaker| &speaker.units) {
                journal.match_add("_SYSTEMD_UNIT", unit.as_str())?;
            }
            journal.match_or()?.match_add("MESSAGE_ID", SUPPRESSED)?;
            journal.set_data_threshold(TEXT_MAX)
        };
        select().map_err(system("search"))
    }

    /// Goes after the entry with the cursor; to the start if there is none.
    fn seek(&mut self, after: Option<&str>, out: &mut impl Write) -> Result<(), ReadError> {
        let Some((cursor, seq)) = after.and_then(|cursor| Some((cursor, Seq::of(cursor)?))) else {
            return self.journal.seek_head().map_err(system("search"));
        };
        if let Some((first, _)) = first() {
            lost_before(&first, seq.until(&first), out)?;
        }
        let mut seek = || -> systemd::Result<()> {
            self.journal.seek_cursor(cursor)?;
            // The entry may be gone; then this one is already the next, and is sought once more.
            if self.journal.next()? > 0 && !self.journal.test_cursor(cursor)? {
                self.journal.seek_cursor(cursor)?;
            }
            Ok(())
        };
        match seek() {
            Ok(()) => Ok(()),
            // A cursor that is none.
            Err(_) => self.journal.seek_head().map_err(system("search")),
        }
    }

    /// Hands over all that is there.
    fn take(&mut self, out: &mut impl Write) -> Result<(), ReadError> {
        loop {
            match self.journal.next() {
                Ok(0) => break,
                Ok(_) => {
                    if let Some(item) = self.item() {
                        out.write_all(item.to_line().as_bytes())?;
                    }
                }
                Err(error) => {
                    self.skip(&error.into_io_error(), out)?;
                    break;
                }
            }
        }
        out.flush()?;
        self.looked_us = Some(now_us());
        Ok(())
    }

    /// A part of the journal cannot be read: goes on after all that is there now.
    fn skip(&mut self, error: &io::Error, out: &mut impl Write) -> Result<(), ReadError> {
        let reason = format!("the journal cannot be read: {error}");
        tell(out, &Item::Lost { count: 1, reason, sequence: format!("read/{}", now_us()) })?;
        self.journal.seek_tail().and_then(|()| self.journal.previous()).map(drop).map_err(system("search"))
    }

    /// Files went away: were there entries in them that nobody has looked at?
    fn look_for_losses(&mut self, out: &mut impl Write) -> Result<(), ReadError> {
        let (Some(looked_us), Some((first, first_us))) = (self.looked_us, first()) else { return Ok(()) };
        // How many went in between nobody knows.
        lost_before(&first, u64::from(first_us > looked_us), out)
    }

    /// The entry as an item; none if nobody that is heard said it.
    fn item(&mut self) -> Option<Item> {
        let fields = Fields {
            uid: self.field("_UID"),
            transport: self.field("_TRANSPORT"),
            exe: self.field("_EXE"),
            unit: self.field("_SYSTEMD_UNIT"),
        };
        let cursor = self.journal.cursor().ok()?;
        let seq = Seq::of(&cursor)?;
        if fields.transport.as_deref() == Some("driver") {
            return self.suppressed(&fields, &seq);
        }
        let program = self.speakers.iter().find(|speaker| speaker.said(&fields))?.name.clone();
        let (monotonic_us, _) = self.journal.monotonic_timestamp().ok()?;
        let realtime_us = i64::try_from(self.journal.timestamp_usec().ok()?).ok()?;
        Some(Item::Line {
            program,
            priority: self.field("PRIORITY").and_then(|p| p.parse().ok()).filter(|p| *p < 8).unwrap_or(6),
            text: self.field("MESSAGE")?,
            seq: seq.number,
            monotonic_us,
            realtime_us,
            cursor,
        })
    }

    /// journald dropped what one of the programs sent: `Suppressed 7 messages from multipathd.service`.
    fn suppressed(&mut self, fields: &Fields, seq: &Seq) -> Option<Item> {
        let by_journald = fields.exe.as_deref().is_some_and(|exe| exe.ends_with("/systemd-journald"));
        if !by_journald || self.field("MESSAGE_ID").as_deref() != Some(SUPPRESSED) {
            return None;
        }
        let message = self.field("MESSAGE")?;
        let (_, unit) = message.rsplit_once(" from ")?;
        let unit = unit.rsplit('/').next().unwrap_or(unit);
        let heard = self.speakers.iter().any(|speaker| speaker.units.iter().any(|of| of == unit));
        let dropped = self.field("N_DROPPED").or_else(|| message.split(' ').nth(1).map(str::to_owned));
        heard.then(|| Item::Lost {
            count: dropped.and_then(|n| n.parse().ok()).unwrap_or(1),
            reason: format!("journald's rate limit for {unit}"),
            sequence: format!("{}/{}", seq.numbering, seq.number),
        })
    }

    fn field(&mut self, name: &str) -> Option<String> {
        let value = self.journal.get_data(name).ok()??.value()?.to_vec();
        Some(String::from_utf8_lossy(&value).into_owned())
    }
}

fn speakers(orders: &Orders) -> Vec<Speaker> {
    orders.programs.iter().map(|name| Speaker::new(name)).collect()
}

fn open() -> Result<Journal, ReadError> {
    // Daemons speak into the system's journal; the files of users hold nothing of theirs.
    OpenOptions::default().system(true).local_only(true).open().map_err(system("open"))
}

fn has_files(journal: &Journal) -> bool {
    journal.has_persistent_files().unwrap_or(false) || journal.has_runtime_files().unwrap_or(false)
}

/// The first entry that is there, of any program, and its time in microseconds by CLOCK_MONOTONIC; 0 if it is of another
/// boot.
fn first() -> Option<(Seq, u64)> {
    let mut journal = open().ok()?;
    journal.seek_head().ok()?;
    (journal.next().ok()? > 0).then_some(())?;
    let time = journal.monotonic_timestamp_current_boot().unwrap_or(0);
    Some((Seq::of(&journal.cursor().ok()?)?, time))
}

/// Tells that entries before the first one went before they were looked at.
fn lost_before(first: &Seq, count: u64, out: &mut impl Write) -> Result<(), ReadError> {
    if count > 0 {
        let reason = "rotated away before it was read, entries of all programs".to_owned();
        tell(out, &Item::Lost { count, reason, sequence: format!("{}/{}", first.numbering, first.number) })?;
    }
    Ok(())
}

fn now_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1000
}

fn tell(out: &mut impl Write, item: &Item) -> io::Result<()> {
    out.write_all(item.to_line().as_bytes())?;
    out.flush()
}

/// Sleeps until something appears where journald puts its files, or the directories for them.
fn wait_for_directory() -> Result<(), ReadError> {
    let failed = |source: rustix::io::Errno| ReadError::System { what: "wait for", source: source.into() };
    let watch: OwnedFd = inotify::init(inotify::CreateFlags::CLOEXEC).map_err(failed)?;
    let news = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::ONLYDIR;
    for leaf in ["/run/log/journal", "/var/log/journal"] {
        for directory in [leaf.to_owned()].into_iter().chain(children(Path::new(leaf))) {
            let _not_there = inotify::add_watch(&watch, directory, news);
        }
    }
    for parent in ["/run", "/run/log", "/var/log"] {
        let _not_there = inotify::add_watch(&watch, parent, news);
    }
    // A file that came in between is there already.
    if !has_files(&open()?) {
        let mut notices = [0; NOTICE_BYTES];
        io::Read::read(&mut File::from(watch), &mut notices)?;
    }
    Ok(())
}

fn children(directory: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path: &PathBuf| path.is_dir())
        .map(|path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_what_lies_between() {
        let cursor = "s=0639ebd0d1b04eec8a4f9b3ad5a0a40d;i=4b2;b=77;m=5;t=6;x=7";
        let seen = Seq::of(cursor).unwrap();
        assert_eq!(seen.number, 0x4b2);
        let at = |number| Seq { number, ..seen.clone() };
        assert_eq!((seen.until(&at(0x4b3)), seen.until(&at(0x4b9)), seen.until(&at(1))), (0, 6, 0));
        assert_eq!(seen.until(&Seq { numbering: "other".into(), number: 9999 }), 0, "another numbering");
        for nonsense in ["", "s=1", "i=zz;s=1", "s=;i="] {
            assert_eq!(Seq::of(nonsense), None, "{nonsense}");
        }
    }
}
