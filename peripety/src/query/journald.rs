//! Reads events from the journal, and believes only what the daemon wrote (promise 7).
//!
//! libsystemd is not called here, but by a process that may die (see [`crate::journal`]).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    path::PathBuf,
    time::Duration,
};

use jiff::Timestamp;

pub(crate) use super::believed::Foreign;
use super::believed::{Believed, Judge, PROOF, judge};
use crate::{
    event::{Event, EventId, Incident},
    journal::{
        self, Answer, Entry, FileId, From, Message, Orders, Patience, Place, Process, Request, Unread, Worker,
    },
    notifier::journald::{INCIDENT_MARK, MARK},
    roots::Roots,
};

/// How long a disk may take that does not answer, and all such disks together.
pub(crate) const PATIENCE: Patience =
    Patience { silence: Duration::from_secs(10), total: Duration::from_secs(30) };

/// Fields that are read of an entry, beside those by which it is believed.
const HEAD: [&str; 3] = ["EVENT_ID", "INCIDENT_ID", "REVISION"];
const JSON: &str = "JSON";

/// The journal could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is none.
    #[error("no journal at {}", path.display())]
    None {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It failed.
    #[error("cannot {what} the journal: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A part of it cannot be read.
    #[error("{0}")]
    Unread(Unread),
    /// The process that reads it failed.
    #[error(transparent)]
    Process(#[from] journal::AskError),
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> ReadError {
    move |source| ReadError::System { what, source }
}

pub use crate::journal::Direction;

/// Where to start. The first step goes to the entry there.
#[derive(Clone, Debug)]
pub enum Position {
    /// Before the first entry.
    Head,
    /// After the last entry.
    Tail,
    /// Before the first entry that was written at this time or later.
    Time(Timestamp),
    /// After the entry with this cursor.
    After(String),
}

/// What the index reports about an entry, without its JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The event.
    pub id: EventId,
    /// Which writing of it.
    pub revision: u32,
    /// When journald took it, microseconds since 1970.
    pub written_us: i64,
}

/// Entries that were passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Say that they are events, and were not written by the daemon.
    pub forged: u64,
    /// Written by the daemon, and cannot be read.
    pub corrupt: u64,
}

/// Events of the journal.
#[derive(Debug)]
pub struct Reader {
    source: Source,
    place: Place,
    judge: Judge,
    heads_only: bool,
    own_only: bool,
    from: From,
    buffer: VecDeque<Entry>,
    present: Option<(Entry, Option<Foreign>)>,
    readable: usize,
    denied: Option<PathBuf>,
    skipped: Skipped,
    /// Other machines that wrote something; whether that was said.
    foreign: BTreeMap<Foreign, bool>,
    unread: Vec<Unread>,
    known_unread: BTreeSet<(PathBuf, Option<FileId>)>,
}

/// Who reads the files.
#[derive(Debug)]
enum Source {
    /// A process of its own.
    Process(Box<Process>),
    /// This process, which is none of peripety's programs.
    Here(Box<Worker>),
}

impl Source {
    fn new(roots: &Roots, place: &Place, patience: Patience, mark: (&str, &str)) -> Self {
        let orders = Orders {
            place: place.clone(),
            matches: vec![(mark.0.to_owned(), mark.1.to_owned())],
            avoid: Vec::new(),
            field_max: journal::MAX_FIELD,
            parent: std::process::id(),
        };
        match &roots.journal_reader {
            Some(program) => Self::Process(Box::new(Process::new(program.clone(), orders, patience))),
            None => Self::Here(Box::new(Worker::new(orders))),
        }
    }

    fn ask(
        &mut self,
        request: &Request,
        what: &'static str,
        unread: &mut Vec<Unread>,
    ) -> Result<Answer, ReadError> {
        match self {
            Self::Process(process) => {
                let answer = process.ask(request);
                unread.extend(process.take_unread());
                Ok(answer?)
            }
            Self::Here(worker) => {
                let mut answer = None;
                let say = &mut |message| {
                    match message {
                        Message::Answer(given) => answer = Some(given),
                        Message::Unread(file) => unread.push(file),
                        Message::Touch(_) => {}
                    }
                    Ok(())
                };
                worker.answer(request, say).map_err(system(what))?;
                answer.ok_or_else(confused)
            }
        }
    }
}

impl Reader {
    /// Opens the system's journal, or the directory of journal files that `roots` names.
    ///
    /// # Errors
    ///
    /// There is no such directory, or it does not answer.
    pub fn open(roots: &Roots) -> Result<Self, ReadError> {
        Self::open_with(roots, PATIENCE)
    }

    /// The same, and waits no longer than `patience` for it.
    ///
    /// # Errors
    ///
    /// There is no such directory, or it does not answer.
    pub fn open_with(roots: &Roots, patience: Patience) -> Result<Self, ReadError> {
        Self::open_marked(roots, patience, MARK)
    }

    /// The same for revisions of incidents: [`Self::incident`] gives them.
    ///
    /// # Errors
    ///
    /// There is no such directory, or it does not answer.
    pub fn open_incidents(roots: &Roots, patience: Patience) -> Result<Self, ReadError> {
        Self::open_marked(roots, patience, INCIDENT_MARK)
    }

    fn open_marked(roots: &Roots, patience: Patience, mark: (&str, &str)) -> Result<Self, ReadError> {
        let place = Place::of(roots);
        let source = Source::new(roots, &place, patience, mark);
        let mut this = Self {
            source,
            judge: judge(roots),
            heads_only: false,
            own_only: false,
            from: From::Head,
            buffer: VecDeque::new(),
            present: None,
            readable: 0,
            denied: None,
            skipped: Skipped::default(),
            foreign: BTreeMap::new(),
            unread: Vec::new(),
            known_unread: BTreeSet::new(),
            place,
        };
        let Answer::Files { readable, denied, exists } = this.ask(&Request::List, "open")? else {
            return Err(confused());
        };
        (this.readable, this.denied) = (readable, denied);
        // The system's own may come later.
        let given = !matches!(this.place, Place::Directories { system: true, .. });
        if !exists && given && !this.is_incomplete() {
            return Err(ReadError::None { path: this.place.path() });
        }
        Ok(this)
    }

    fn ask(&mut self, request: &Request, what: &'static str) -> Result<Answer, ReadError> {
        let mut unread = Vec::new();
        let answer = self.source.ask(request, what, &mut unread);
        // Another process meets the same.
        unread.retain(|file| self.known_unread.insert((file.path.clone(), file.id)));
        self.unread.extend(unread);
        answer
    }

    /// Whether there is any journal file that this process may read.
    pub fn has_files(&self) -> bool {
        self.readable > 0
    }

    /// Whether a part of it could not be read, which nobody has asked for yet.
    pub fn is_incomplete(&self) -> bool {
        !self.unread.is_empty()
    }

    /// What the journal lets this process do.
    pub fn access(&self) -> Access {
        match &self.denied {
            _ if self.readable > 0 || !self.unread.is_empty() => Access::Readable,
            Some(denied) => Access::Denied(denied.clone()),
            None => Access::NoFiles,
        }
    }

    /// Reads what [`Self::step`] gives and nothing more: [`Self::event`] has nothing then.
    pub fn set_heads_only(&mut self, heads_only: bool) {
        self.heads_only = heads_only;
    }

    /// Passes over the events of other machines.
    pub fn set_own_only(&mut self) {
        self.own_only = true;
    }

    /// Goes to a position.
    ///
    /// # Errors
    ///
    /// A cursor that is none.
    pub fn seek(&mut self, position: &Position) -> Result<(), ReadError> {
        let from = match position {
            Position::Head => From::Head,
            Position::Tail => From::Tail,
            Position::Time(time) => From::Time(u64::try_from(time.as_microsecond()).unwrap_or(0)),
            Position::After(cursor) if journal::Key::parse(cursor).is_some() => From::Beyond(cursor.clone()),
            Position::After(_) => return Err(system("search")(io::Error::other("that is no cursor"))),
        };
        self.go(from);
        Ok(())
    }

    fn go(&mut self, from: From) {
        self.from = from;
        self.buffer.clear();
        self.present = None;
    }

    /// Goes after the last entry that is there now, so that [`Self::step`] gives what comes later.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn seek_end(&mut self) -> Result<(), ReadError> {
        let request = Request::Entries { from: From::End, direction: Direction::Forward, fields: Vec::new() };
        let Answer::Entries { stands, .. } = self.ask(&request, "search")? else { return Err(confused()) };
        // Where there is none yet, every one comes later.
        self.go(stands.map_or(From::Head, From::Beyond));
        Ok(())
    }

    /// Goes to the next entry that the daemon wrote.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn step(&mut self, direction: Direction) -> Result<Option<Head>, ReadError> {
        self.present = None;
        let mut end = false;
        loop {
            let Some(entry) = self.buffer.pop_front() else {
                if end {
                    return Ok(None);
                }
                end = self.fetch(direction)?;
                continue;
            };
            let foreign = match self.judge.of(&entry) {
                Believed::Own => None,
                Believed::Foreign(_) if self.own_only => continue,
                Believed::Foreign(machine) => Some(machine),
                Believed::No => {
                    self.skipped.forged += 1;
                    continue;
                }
                Believed::Unknown => {
                    self.skipped.corrupt += 1;
                    continue;
                }
            };
            match head(&entry) {
                Some(head) => {
                    if let Some(machine) = &foreign {
                        self.foreign.entry(machine.clone()).or_default();
                    }
                    self.present = Some((entry, foreign));
                    return Ok(Some(head));
                }
                None => self.skipped.corrupt += 1,
            }
        }
    }

    /// Gets some entries. Whether there are no more after them.
    fn fetch(&mut self, direction: Direction) -> Result<bool, ReadError> {
        let json = (!self.heads_only).then_some(JSON);
        let fields = PROOF.into_iter().chain(HEAD).chain(json).map(str::to_owned).collect();
        let request = Request::Entries { from: self.from.clone(), direction, fields };
        let Answer::Entries { entries, end, .. } = self.ask(&request, "read")? else {
            return Err(confused());
        };
        if let Some(last) = entries.last() {
            self.from = From::Beyond(last.cursor.clone());
        }
        self.buffer.extend(entries);
        Ok(end)
    }

    /// The event of the entry that the last step went to; none, and counted, when its JSON cannot be read.
    pub fn event(&mut self) -> Option<Event> {
        let (entry, foreign) = self.present.as_ref()?;
        let event = entry.get(JSON).and_then(|json| serde_json::from_str::<Event>(json).ok());
        let Some(mut event) = event else {
            self.skipped.corrupt += 1;
            return None;
        };
        if let Some(foreign) = foreign {
            // What its journald says, not what it says itself.
            event.hostname = foreign.host().to_owned();
        }
        Some(event)
    }

    /// The same for an incident.
    pub fn incident(&mut self) -> Option<Incident> {
        let (entry, foreign) = self.present.as_ref()?;
        let incident = entry.get(JSON).and_then(|json| serde_json::from_str::<Incident>(json).ok());
        let Some(mut incident) = incident else {
            self.skipped.corrupt += 1;
            return None;
        };
        if let Some(foreign) = foreign {
            incident.hostname = foreign.host().to_owned();
        }
        Some(incident)
    }

    /// What names the entry that the last step went to, for [`Position::After`].
    pub fn cursor(&self) -> Option<String> {
        self.present.as_ref().map(|(entry, _)| entry.cursor.clone())
    }

    /// Waits until the journal changes, no longer than `patience`.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn wait(&mut self, patience: Duration) -> Result<(), ReadError> {
        let ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.ask(&Request::Wait(ms), "wait for").map(drop)
    }

    /// What was passed over since the last call.
    pub fn take_skipped(&mut self) -> Skipped {
        std::mem::take(&mut self.skipped)
    }

    /// Files, or parts of them, that could not be read, since the last call.
    pub fn take_unread(&mut self) -> Vec<Unread> {
        std::mem::take(&mut self.unread)
    }

    /// Other machines whose entries were stepped on, each once.
    pub fn take_foreign(&mut self) -> Vec<Foreign> {
        let mut new = Vec::new();
        for (machine, said) in &mut self.foreign {
            if !std::mem::replace(said, true) {
                new.push(machine.clone());
            }
        }
        new
    }

    /// Ids of the boots that the journal knows, oldest first.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn boots(&mut self) -> Result<Vec<String>, ReadError> {
        match self.ask(&Request::Boots, "search")? {
            Answer::Boots(ids) => Ok(ids),
            _ => Err(confused()),
        }
    }
}

fn confused() -> ReadError {
    system("read")(io::Error::other("another question was answered"))
}

fn head(entry: &Entry) -> Option<Head> {
    Some(Head {
        id: entry.get("EVENT_ID").or_else(|| entry.get("INCIDENT_ID"))?.parse().ok()?,
        revision: entry.get("REVISION")?.parse().ok()?,
        written_us: i64::try_from(entry.realtime_us).ok()?,
    })
}

/// What the system's journal lets this process do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its files can be read.
    Readable,
    /// There are files, and this process may not read them.
    Denied(PathBuf),
    /// There are none.
    NoFiles,
}

/// Whether this process may read the system's journal files. libsystemd passes over those it may not read, in silence.
pub fn access(roots: &Roots) -> Access {
    let mut source = Source::new(roots, &Place::of(roots), PATIENCE, MARK);
    match source.ask(&Request::MayRead, "open", &mut Vec::new()) {
        Ok(Answer::MayRead { readable: false, denied: Some(denied) }) => Access::Denied(denied),
        Ok(Answer::MayRead { readable: false, denied: None }) => Access::NoFiles,
        // Of one that does not answer nothing else is known.
        _ => Access::Readable,
    }
}

#[cfg(test)]
mod tests;
