//! Journal files as one: libsystemd reads each by itself, and what it gives is put in order here.
//!
//! libsystemd alone would read them together as well, but leave out in silence what it cannot read, and nobody would know
//! in which of them a process died.

use std::{cmp::Ordering, collections::BTreeMap, io, path::Path};

use systemd::journal::{Journal, OpenFilesOptions};

use super::{
    cursor::Key,
    header::Header,
    place::{FileId, Found},
    wire::{self, Direction, Entry, Unread, Why},
};

/// Fields that are asked for one by one; to get more of them, all of an entry are looked at.
const NAMED_MAX: usize = 12;

/// What is about to be touched.
#[derive(Clone, Debug)]
pub(crate) struct Touched<'a> {
    /// Its path.
    pub path: &'a Path,
    /// Which file; none for a directory.
    pub id: Option<FileId>,
    /// What its header says.
    pub header: Option<&'a Header>,
}

impl Touched<'_> {
    /// As it is said.
    pub(crate) fn to_wire(&self) -> wire::Touch {
        wire::Touch {
            path: self.path.to_owned(),
            id: self.id,
            entries: self.header.map_or(0, |header| header.entries),
            last_us: self.header.map_or(0, |header| header.last_us),
        }
    }
}

/// Where to begin.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// At the first entry, or the last when going back.
    Outermost,
    /// At the first entry of this time or later, microseconds since 1970.
    Time(u64),
    /// Beyond the entry with this cursor.
    Beyond(String),
}

/// What asks for the wanted entries.
type Select<'a> = dyn Fn(&mut Journal) -> systemd::Result<()> + 'a;

/// Called before something is touched.
pub(super) type Touch<'a> = dyn FnMut(Touched<'_>) -> io::Result<()> + 'a;

struct One {
    found: Found,
    header: Header,
    journal: Journal,
    head: Head,
    /// The entry beyond which it is to begin.
    pass: Option<Key>,
    /// It is known that its index works: it has given an entry, or was tried.
    is_sound: bool,
}

/// Where a file stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Head {
    /// Its next entry is to be read.
    Unread,
    /// At this entry.
    At(Key, String),
    /// There is no further entry, for now.
    End,
}

/// Journal files that are read together.
pub(crate) struct Files {
    all: Vec<One>,
    direction: Direction,
    /// The one whose entry is the present one.
    at: Option<usize>,
    touched: Option<usize>,
    unread: Vec<Unread>,
    /// A file that may not be read.
    denied: Option<std::path::PathBuf>,
    read_until_us: Option<u64>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("unread", &self.unread).finish_non_exhaustive()
    }
}

impl Files {
    /// Opens files. Those that cannot be are left out, see [`Self::take_unread`].
    ///
    /// # Errors
    /// Those of `touch`.
    pub(crate) fn open(found: &[Found], select: &Select<'_>, touch: &mut Touch<'_>) -> io::Result<Self> {
        let mut this = Self {
            all: Vec::new(),
            direction: Direction::Forward,
            at: None,
            touched: None,
            unread: Vec::new(),
            denied: None,
            read_until_us: None,
        };
        for found in found {
            touch(Touched { path: &found.path, id: Some(found.id), header: None })?;
            let header = match Header::read(&found.path) {
                Ok(header) => header,
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    this.denied = Some(found.path.clone());
                    continue;
                }
                // journald removed it just now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    this.give_up(found, None, &error);
                    continue;
                }
            };
            // With what is known of it now.
            touch(Touched { path: &found.path, id: Some(found.id), header: Some(&header) })?;
            match open(&found.path, select) {
                Ok(journal) => {
                    let (found, head) = (found.clone(), Head::Unread);
                    this.all.push(One { found, header, journal, head, pass: None, is_sound: false });
                }
                Err(error) => this.give_up(found, Some(&header), &error),
            }
        }
        Ok(this)
    }

    /// How many files are open.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// A file that this user may not read.
    pub(crate) fn denied(&self) -> Option<&Path> {
        self.denied.as_deref()
    }

    /// The files that could not be read, since the last call.
    pub(crate) fn take_unread(&mut self) -> Vec<Unread> {
        std::mem::take(&mut self.unread)
    }

    /// Goes to a place. A file in `behind` goes to its own.
    ///
    /// # Errors
    /// Those of `touch`.
    pub(crate) fn seek(
        &mut self,
        start: &Start,
        direction: Direction,
        behind: &BTreeMap<FileId, Start>,
        touch: &mut Touch<'_>,
    ) -> io::Result<()> {
        (self.direction, self.at, self.read_until_us) = (direction, None, None);
        let mut nth = 0;
        while nth < self.all.len() {
            self.touch(nth, touch)?;
            let Some(one) = self.all.get_mut(nth) else { break };
            match one.seek(behind.get(&one.found.id).unwrap_or(start), direction) {
                Ok(()) => nth += 1,
                Err(error) => self.drop_file(nth, &error.into_io_error()),
            }
        }
        Ok(())
    }

    /// What came since may be read now.
    pub(crate) fn again(&mut self) {
        for one in self.all.iter_mut().filter(|one| one.head == Head::End) {
            one.head = Head::Unread;
        }
    }

    /// Goes to the next entry of all files. Whether there is one.
    ///
    /// # Errors
    /// Those of `touch`.
    pub(crate) fn step(&mut self, touch: &mut Touch<'_>) -> io::Result<bool> {
        if let Some(one) = self.at.take().and_then(|at| self.all.get_mut(at)) {
            one.head = Head::Unread;
        }
        let mut nth = 0;
        while nth < self.all.len() {
            if self.all.get(nth).is_some_and(|one| one.head == Head::Unread) {
                self.touch(nth, touch)?;
                let advanced = self.all.get_mut(nth).map_or(Ok(()), |one| one.advance(self.direction));
                if let Err(error) = advanced {
                    self.drop_file(nth, &error);
                    continue;
                }
            }
            nth += 1;
        }
        let mut first: Option<(usize, Key)> = None;
        let mut copies = Vec::new();
        for (nth, one) in self.all.iter().enumerate() {
            let Head::At(key, _) = &one.head else { continue };
            let order = first.map_or(Ordering::Less, |(_, first)| match self.direction {
                Direction::Forward => key.order(&first),
                Direction::Back => first.order(key),
            });
            match order {
                Ordering::Less => first = Some((nth, *key)),
                Ordering::Equal => copies.push(nth),
                Ordering::Greater => {}
            }
        }
        // An entry that journald moved from one file to another may be in both.
        for nth in copies {
            if let Some(one) = self.all.get_mut(nth) {
                one.head = Head::Unread;
            }
        }
        self.at = first.map(|(nth, _)| nth);
        Ok(self.at.is_some())
    }

    /// Cursor of the present entry.
    pub(crate) fn cursor(&self) -> Option<&str> {
        match &self.all.get(self.at?)?.head {
            Head::At(_, cursor) => Some(cursor),
            _ => None,
        }
    }

    /// The present entry, with these fields.
    ///
    /// # Errors
    /// Those of `touch`.
    pub(crate) fn entry(&mut self, names: &[String], touch: &mut Touch<'_>) -> io::Result<Entry> {
        let Some(at) = self.at else { return Ok(Entry::default()) };
        self.touch(at, touch)?;
        let Some(one) = self.all.get_mut(at) else { return Ok(Entry::default()) };
        let entry = one.entry(names);
        self.read_until_us = Some(entry.realtime_us);
        Ok(entry)
    }

    /// The last cursor of all files; none if there is no entry.
    ///
    /// # Errors
    /// Those of `touch`.
    pub(crate) fn last(&mut self, touch: &mut Touch<'_>) -> io::Result<Option<String>> {
        self.seek(&Start::Outermost, Direction::Back, &BTreeMap::new(), touch)?;
        self.step(touch)?;
        Ok(self.cursor().map(str::to_owned))
    }

    /// What the headers of the files say now: the one that is written to has grown.
    ///
    /// # Errors
    /// Those of `touch`.
    pub(crate) fn headers(&mut self, touch: &mut Touch<'_>) -> io::Result<Vec<Header>> {
        let mut headers = Vec::with_capacity(self.all.len());
        for nth in 0..self.all.len() {
            self.touch(nth, touch)?;
            let Some(one) = self.all.get_mut(nth) else { break };
            // Another file may have its name by now.
            let header = Header::read(&one.found.path).ok().filter(|now| now.first == one.header.first);
            one.header = header.unwrap_or_else(|| one.header.clone());
            headers.push(one.header.clone());
        }
        Ok(headers)
    }

    fn touch(&mut self, nth: usize, touch: &mut Touch<'_>) -> io::Result<()> {
        if self.touched == Some(nth) {
            return Ok(());
        }
        self.touched = Some(nth);
        let Some(One { found, header, .. }) = self.all.get(nth) else { return Ok(()) };
        touch(Touched { path: &found.path, id: Some(found.id), header: Some(header) })
    }

    fn drop_file(&mut self, nth: usize, error: &io::Error) {
        let One { found, header, .. } = self.all.remove(nth);
        (self.touched, self.at) = (None, None);
        self.give_up(&found, Some(&header), error);
    }

    fn give_up(&mut self, found: &Found, header: Option<&Header>, error: &io::Error) {
        self.unread.push(Unread {
            path: found.path.clone(),
            id: Some(found.id),
            why: Why::of(error),
            read_until_us: self.read_until_us,
            entries: header.map_or(0, |h| h.entries),
            last_us: header.map_or(0, |h| h.last_us),
        });
    }
}

impl One {
    fn seek(&mut self, start: &Start, direction: Direction) -> systemd::Result<()> {
        (self.head, self.pass) = (Head::Unread, None);
        match start {
            Start::Outermost if direction == Direction::Forward => self.journal.seek_head(),
            Start::Outermost => self.journal.seek_tail(),
            Start::Time(us) => self.journal.seek_realtime_usec(*us),
            Start::Beyond(cursor) => {
                self.pass = Key::parse(cursor);
                self.journal.seek_cursor(cursor.as_str())
            }
        }
    }

    fn advance(&mut self, direction: Direction) -> io::Result<()> {
        loop {
            let moved = match direction {
                Direction::Forward => self.journal.next(),
                Direction::Back => self.journal.previous(),
            };
            if moved.map_err(systemd::Error::into_io_error)? == 0 {
                // libsystemd closes a file that it cannot read on, and says that there is no more.
                if self.journal.usage().map_err(systemd::Error::into_io_error)? == 0 {
                    return Err(io::Error::from_raw_os_error(rustix::io::Errno::BADMSG.raw_os_error()));
                }
                if !self.is_sound {
                    check_index(&self.found.path, &self.header)?;
                    self.is_sound = true;
                }
                self.head = Head::End;
                return Ok(());
            }
            self.is_sound = true;
            let cursor = self.journal.cursor().map_err(systemd::Error::into_io_error)?;
            let Some(key) = Key::parse(&cursor) else { continue };
            if self.pass.take().is_none_or(|pass| pass.order(&key).is_ne()) {
                self.head = Head::At(key, cursor);
                return Ok(());
            }
        }
    }

    fn entry(&mut self, names: &[String]) -> Entry {
        let mut entry = Entry {
            cursor: if let Head::At(_, cursor) = &self.head { cursor.clone() } else { String::new() },
            remote: remote(&self.found.path),
            realtime_us: self.journal.timestamp_usec().unwrap_or(0),
            monotonic_us: self.journal.monotonic_timestamp().ok().map(|(us, boot)| (us, boot.to_string())),
            fields: BTreeMap::new(),
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if names.len() > NAMED_MAX {
            self.journal.restart_data();
            // It ends where a field cannot be read.
            while let Ok(Some(field)) = self.journal.enumerate_data() {
                if let Some(name) = names.iter().find(|name| name.as_bytes() == field.name()) {
                    let value = text(field.value().unwrap_or_default());
                    entry.fields.entry(name.clone()).or_insert(value);
                }
            }
            return entry;
        }
        for name in names {
            if let Ok(Some(field)) = self.journal.get_data(name.as_str())
                && let Some(value) = field.value()
            {
                entry.fields.insert(name.clone(), text(value));
            }
        }
        entry
    }
}

/// Whether the index of a file finds what its first entry has: where it is broken, a file seems to have nothing that is
/// searched for.
fn check_index(path: &Path, header: &Header) -> io::Result<()> {
    let broken = || io::Error::from_raw_os_error(rustix::io::Errno::BADMSG.raw_os_error());
    let mut first = None;
    let mut read = || -> systemd::Result<bool> {
        let mut journal = OpenFilesOptions::default().open_files([path.to_string_lossy().as_ref()])?;
        if journal.next()? == 0 {
            return Ok(false);
        }
        first = journal.get_data("_BOOT_ID")?.and_then(|field| Some(field.value()?.to_vec()));
        let Some(boot) = &first else { return Ok(true) };
        journal.match_add("_BOOT_ID", boot.clone())?;
        journal.seek_head()?;
        Ok(journal.next()? > 0)
    };
    match read() {
        Ok(true) => Ok(()),
        // It has no entry yet.
        Ok(false) if first.is_none() && header.entries == 0 => Ok(()),
        Ok(false) => Err(broken()),
        Err(error) => Err(error.into_io_error()),
    }
}

/// systemd-journal-remote calls its files `remote-HOST.journal`, and `remote-HOST@….journal` when they are rotated.
fn remote(path: &Path) -> Option<String> {
    let name = path.file_stem()?.to_str()?.strip_prefix("remote-")?;
    Some(name.split('@').next().unwrap_or(name).to_owned())
}

fn open(path: &Path, select: &Select<'_>) -> io::Result<Journal> {
    let path = path.to_string_lossy();
    let mut journal =
        OpenFilesOptions::default().open_files([path.as_ref()]).map_err(systemd::Error::into_io_error)?;
    select(&mut journal).map_err(systemd::Error::into_io_error)?;
    Ok(journal)
}
