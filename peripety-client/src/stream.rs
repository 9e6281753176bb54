//! Events and incidents as they come, from wherever they are to be had.

mod fill;

use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant, SystemTime},
};

use peripety_model::{Event, Incident};
use rustix::{
    event::{PollFd, PollFlags, Timespec, epoll, poll},
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime},
};

use self::fill::Fill;
#[cfg(feature = "journal")]
use crate::journal::{Entry, From, Place, Reader};
use crate::{
    Content, Cursor, Error, Item, Options, Position, ReadJournal, Request, Source, Start,
    seen::Seen,
    socket::{Connection, Line},
};

/// Ids that are remembered. An event of before may come again from the journal's last minutes only.
const SEEN_MAX: usize = 20_000;
/// How long after the daemon's end it is looked for again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// What a stream has.
#[derive(Debug)]
pub enum Next {
    /// Something came.
    Item(Box<Item>),
    /// Nothing now.
    Nothing,
    /// Nothing more.
    Over,
}

#[derive(Debug)]
enum Origin {
    Daemon(Connection),
    #[cfg(feature = "journal")]
    Journal(Box<Reader>),
    /// The daemon ended; it is looked for at the timer.
    Away,
}

/// Events and incidents as they come.
///
/// It is one thread's at a time. Nothing happens between calls: there is no thread behind it.
#[derive(Debug)]
pub struct Stream {
    options: Options,
    epoll: OwnedFd,
    timer: OwnedFd,
    origin: Origin,
    /// What the journal has and the daemon no longer, before the daemon's.
    fill: Option<Fill>,
    /// Who reads the journal, if not this process.
    reader: Option<Box<dyn ReadJournal>>,
    /// Where the stream stood before what the journal has; who ends meanwhile begins there again.
    before_fill: Option<Cursor>,
    queue: VecDeque<Item>,
    seen: Seen,
    position: Option<Position>,
    at_us: i64,
    started_us: i64,
    dropped: u64,
    /// What was dropped on earlier connections.
    dropped_before: u64,
    missed: u64,
    live: bool,
    /// What comes before [`Content::Live`] is not wanted.
    skips_stored: bool,
    over: bool,
    retry: Duration,
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn system(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> Error {
    move |errno| Error::System { what, path: "a descriptor to poll".into(), source: errno.into() }
}

impl Stream {
    /// Begins a stream.
    ///
    /// # Errors
    ///
    /// Its source does not answer, the user may not read it, or an option has a value that it cannot have.
    pub fn open(options: Options) -> Result<Self, Error> {
        Self::begin(options, None)
    }

    /// The same with another process that reads the journal, for what the daemon no longer has: with [`Source::Auto`], and a
    /// start that is no place in the journal.
    ///
    /// # Errors
    ///
    /// As [`Stream::open`].
    pub fn open_with(options: Options, reader: Box<dyn ReadJournal>) -> Result<Self, Error> {
        Self::begin(options, Some(reader))
    }

    fn begin(options: Options, reader: Option<Box<dyn ReadJournal>>) -> Result<Self, Error> {
        if let Some(list) = options.filter.too_long() {
            let most = peripety_model::FILTER_NAMES_MAX;
            let why = format!("{list} has more than {most} names; use '*' in names, or several streams");
            return Err(Error::Option { option: "filter", why });
        }
        if !options.events && !options.incidents {
            let why = "neither events nor incidents are wanted".to_owned();
            return Err(Error::Option { option: "kinds", why });
        }
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(system("make"))?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)
            .map_err(system("make"))?;
        epoll::add(&epoll, &timer, epoll::EventData::new_u64(0), epoll::EventFlags::IN)
            .map_err(system("make"))?;
        let mut this = Self {
            epoll,
            timer,
            origin: Origin::Away,
            fill: None,
            reader,
            before_fill: None,
            queue: VecDeque::new(),
            seen: Seen::new(SEEN_MAX),
            position: None,
            at_us: now_us(),
            started_us: match options.start {
                Start::Now => now_us(),
                Start::Stored | Start::After(_) => i64::MIN,
            },
            dropped: 0,
            dropped_before: 0,
            missed: 0,
            live: false,
            skips_stored: options.start == Start::Now,
            over: false,
            retry: RETRY.0,
            options,
        };
        match &this.options.start {
            Start::After(Cursor::Journal(_)) => this.open_journal()?,
            Start::After(Cursor::Daemon(position, at_us)) if this.options.source != Source::Journal => {
                (this.position, this.at_us) = (Some(position.clone()), *at_us);
                this.connect()?;
            }
            _ if this.options.source == Source::Journal => this.open_journal()?,
            _ => this.connect()?,
        }
        Ok(this)
    }

    /// What came, without waiting. After [`Next::Nothing`] the stream's descriptor becomes readable when there may be more.
    ///
    /// # Errors
    ///
    /// The source cannot be read any more.
    pub fn try_next(&mut self) -> Result<Next, Error> {
        loop {
            if let Some(item) = self.queue.pop_front() {
                return Ok(Next::Item(Box::new(item)));
            }
            if self.over {
                return Ok(Next::Over);
            }
            if !self.step()? {
                return Ok(Next::Nothing);
            }
        }
    }

    /// The same, and waits until something came; for so long at most.
    ///
    /// # Errors
    ///
    /// The source cannot be read any more.
    pub fn wait(&mut self, limit: Option<Duration>) -> Result<Next, Error> {
        // What is too long for a clock is for ever.
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            match self.try_next()? {
                Next::Nothing => {}
                other => return Ok(other),
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(Next::Nothing);
            }
            let left = left.map(|left| Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            });
            let mut polled = [PollFd::new(&self.epoll, PollFlags::IN)];
            match poll(&mut polled, left.as_ref()) {
                // A signal is for the caller: Python wants to look at it.
                Err(rustix::io::Errno::INTR) => return Ok(Next::Nothing),
                result => result.map_err(system("wait for"))?,
            };
        }
    }

    /// Reads a little; false when there is nothing now.
    fn step(&mut self) -> Result<bool, Error> {
        if let Some(fill) = self.fill.take() {
            self.fill = self.filled(fill);
            if self.fill.is_none() {
                self.before_fill = None;
            }
            return Ok(true);
        }
        match &mut self.origin {
            Origin::Daemon(connection) => match connection.line(false)? {
                Line::Text(line) => self.line(&line).map(|()| true),
                Line::Nothing => Ok(false),
                Line::Closed if !self.options.follow => {
                    let source = std::io::ErrorKind::UnexpectedEof.into();
                    Err(Error::System { what: "read from", path: self.options.socket.clone(), source })
                }
                Line::Closed => self.away().map(|()| true),
            },
            #[cfg(feature = "journal")]
            Origin::Journal(reader) => match reader.next()? {
                Some(entry) => {
                    self.entry(entry, true);
                    Ok(true)
                }
                None => {
                    let (corrupt, changed) = (reader.take_corrupt(), reader.has_changed()?);
                    self.unread(corrupt);
                    if !std::mem::replace(&mut self.live, true) && self.options.follow {
                        self.push(Content::Live);
                    }
                    self.over = !self.options.follow && !changed;
                    Ok(changed || self.over || !self.queue.is_empty())
                }
            },
            Origin::Away => self.look_again(),
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Error> {
        let Origin::Daemon(connection) = &self.origin else { return Ok(()) };
        let reply = connection.reply(line)?;
        if let Some(position) = reply.position {
            self.stands_at(position, reply.complete == Some(true), reply.missed);
        } else if let Some(json) = reply.event.or(reply.incident) {
            self.at_us = now_us();
            if let Some(dropped) = reply.dropped {
                self.dropped = self.dropped_before + dropped;
            }
            if let (Some(sequence), Some(position)) = (reply.sequence, &mut self.position) {
                position.sequence = position.sequence.max(sequence);
            }
            if self.live || !self.skips_stored {
                self.revision(json.get(), reply.incident.is_some(), reply.sequence, None);
            }
        } else if let Some(lost) = reply.lost {
            // A daemon that knows no filter. What is still held comes once more, in its last revision.
            self.dropped += lost;
            self.connect()?;
        } else if reply.live == Some(true) {
            self.live = true;
            // Of the next daemon what is stored is new.
            self.skips_stored = false;
            self.push(Content::Live);
        } else if reply.end == Some(true) {
            if self.options.follow {
                self.away()?;
            } else {
                self.over = true;
            }
        }
        Ok(())
    }

    /// The daemon says from where on it has everything.
    fn stands_at(&mut self, held: Position, complete: bool, missed: Option<u64>) {
        let Some(asked) = self.position.clone() else {
            self.position = Some(held);
            return;
        };
        if complete {
            return;
        }
        self.position = Some(held);
        let before = Cursor::Daemon(asked.clone(), self.at_us);
        if let Err(why) = self.fill_from_journal() {
            self.missed += missed.unwrap_or(0);
            // What an earlier daemon gave is in no count.
            let known = missed.filter(|n| *n > 0);
            let count = known.map_or_else(|| "revisions".to_owned(), |n| format!("{n} revisions"));
            self.gap(format!(
                "{count} after number {} are no longer in the daemon's memory{why}",
                asked.sequence
            ));
        } else {
            self.before_fill = Some(before);
        }
    }

    #[cfg(feature = "journal")]
    fn place(&self) -> Place {
        Place { directory: self.options.journal.clone(), daemons: self.options.daemons.clone() }
    }

    #[cfg(feature = "journal")]
    fn open_journal(&mut self) -> Result<(), Error> {
        let from = match &self.options.start {
            Start::Now => From::Tail,
            Start::Stored => From::Head,
            Start::After(Cursor::Journal(cursor)) => From::After(cursor.clone()),
            Start::After(Cursor::Daemon(_, at_us)) => From::Time(at_us.saturating_sub(fill::MARGIN_US)),
        };
        let reader = Reader::open(&self.place(), self.options.events, self.options.incidents, &from)?;
        self.watch(reader.as_fd())?;
        self.origin = Origin::Journal(Box::new(reader));
        Ok(())
    }

    #[cfg(not(feature = "journal"))]
    #[expect(clippy::unused_self, reason = "as where the journal can be read")]
    fn open_journal(&mut self) -> Result<(), Error> {
        let why = "this program was built without the journal".to_owned();
        Err(Error::Option { option: "source", why })
    }

    fn watch(&self, fd: BorrowedFd<'_>) -> Result<(), Error> {
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(1), epoll::EventFlags::IN)
            .map_err(system("watch"))
    }

    fn connect(&mut self) -> Result<(), Error> {
        let Options { follow, events, incidents, .. } = self.options;
        let kinds = [(events, "events"), (incidents, "incidents")];
        let request = Request {
            request: "events".to_owned(),
            follow,
            kinds: Some(kinds.iter().filter(|(is, _)| *is).map(|(_, kind)| (*kind).to_owned()).collect()),
            after: self.position.clone(),
            filter: Some(self.options.filter.clone()),
            ..Request::default()
        };
        let connection = Connection::open(&self.options.socket, request)?;
        connection.set_nonblocking()?;
        self.watch(connection.as_fd())?;
        // Closing the one before takes it out of what is watched.
        self.origin = Origin::Daemon(connection);
        self.live = false;
        self.dropped_before = self.dropped;
        self.retry = RETRY.0;
        Ok(())
    }

    fn away(&mut self) -> Result<(), Error> {
        self.origin = Origin::Away;
        self.live = false;
        self.push(Content::Disconnected);
        self.set_timer()
    }

    fn set_timer(&self) -> Result<(), Error> {
        let it_value = Timespec {
            tv_sec: i64::try_from(self.retry.as_secs()).unwrap_or(1),
            tv_nsec: self.retry.subsec_nanos().into(),
        };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })
            .map(drop)
            .map_err(system("set"))
    }

    fn look_again(&mut self) -> Result<bool, Error> {
        let mut count = [0; 8];
        match rustix::io::read(&self.timer, &mut count) {
            Err(rustix::io::Errno::AGAIN) => return Ok(false),
            result => result.map(drop).map_err(system("read"))?,
        }
        match self.connect() {
            Ok(()) => Ok(true),
            Err(_not_yet) => {
                self.retry = (self.retry * 2).min(RETRY.1);
                self.set_timer().map(|()| false)
            }
        }
    }

    #[cfg(feature = "journal")]
    fn entry(&mut self, entry: Entry, is_place: bool) {
        let cursor = is_place.then_some(Cursor::Journal(entry.cursor));
        self.revision(&entry.json, entry.is_incident, None, cursor);
    }

    #[cfg(feature = "journal")]
    fn unread(&mut self, corrupt: u64) {
        if corrupt > 0 {
            self.missed += corrupt;
            self.gap(format!("{corrupt} entries of peripetyd in the journal cannot be read"));
        }
    }

    fn gap(&mut self, why: String) {
        self.push(Content::Gap(why));
    }

    fn revision(&mut self, json: &str, is_incident: bool, sequence: Option<u64>, cursor: Option<Cursor>) {
        let filter = &self.options.filter;
        let (content, id, revision, wanted) = if is_incident {
            match serde_json::from_str::<Incident>(json) {
                Ok(incident) => {
                    let wanted = filter.takes_incident(&incident);
                    let (id, revision) = (incident.incident_id, incident.revision);
                    (Content::Incident(Box::new(incident)), id, revision, wanted)
                }
                Err(error) => return self.gap(format!("an incident cannot be read: {error}")),
            }
        } else {
            match serde_json::from_str::<Event>(json) {
                Ok(event) => {
                    let wanted = filter.takes_event(&event);
                    let (id, revision) = (event.event_id, event.revision);
                    (Content::Event(Box::new(event)), id, revision, wanted)
                }
                Err(error) => return self.gap(format!("an event cannot be read: {error}")),
            }
        };
        if !wanted {
            return;
        }
        if self.seen.is_new(id, revision) {
            self.push_from(content, json.to_owned(), sequence, cursor);
        }
    }

    fn push(&mut self, content: Content) {
        self.push_from(content, String::new(), None, None);
    }

    fn push_from(&mut self, content: Content, json: String, sequence: Option<u64>, cursor: Option<Cursor>) {
        let here = || match &self.origin {
            _ if self.before_fill.is_some() => self.before_fill.clone(),
            Origin::Daemon(_) | Origin::Away => {
                self.position.clone().map(|position| Cursor::Daemon(position, self.at_us))
            }
            #[cfg(feature = "journal")]
            Origin::Journal(_) => None,
        };
        let cursor = cursor.or_else(here);
        let (dropped, missed) = (self.dropped, self.missed);
        self.queue.push_back(Item { content, json, sequence, dropped, missed, cursor });
    }
}

impl AsFd for Stream {
    /// A descriptor that is readable when [`Stream::try_next`] may have something; it stays the same for as long as the stream
    /// lives.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
