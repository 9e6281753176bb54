//! One client of the lines of JSON: a request, and the revisions or the answer that it asks for.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use peripety_model::{FILTER_NAMES_MAX, Filter};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::broadcast::{Receiver, error::RecvError},
    time::timeout,
};

use super::{
    Answers, PATIENCE, Peer, Position, SocketCounters, ask,
    feed::{self, Feed, Wanted},
    request::{Request, read_request, shorten},
    slots::Doing,
};
use crate::{
    event::EventId,
    notifier::memory::{Memory, Stored},
};

/// How long a client may take to read one line.
const READING: Duration = Duration::from_secs(30);
/// How long a client may take to read the last line, and what it may still send meanwhile.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 64 << 10;

pub(super) struct Client<'a> {
    pub(super) from: BufReader<OwnedReadHalf>,
    pub(super) to: OwnedWriteHalf,
    pub(super) counters: &'a SocketCounters,
    pub(super) number: u64,
}

impl<'a> Client<'a> {
    pub(super) fn new(stream: UnixStream, counters: &'a SocketCounters, number: u64) -> Self {
        let (from, to) = stream.into_split();
        Self { from: BufReader::with_capacity(512, from), to, counters, number }
    }

    /// Writes, no longer than a client that reads can take.
    pub(super) async fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.counters.slots.does(self.number, Doing::Reading);
        timeout(READING, self.to.write_all(line)).await?
    }

    pub(super) async fn serve(
        mut self,
        memory: &Memory,
        answers: &dyn Answers,
        peer: Peer,
    ) -> io::Result<()> {
        self.reply(memory, answers, peer).await?;
        linger(&mut self.from, &mut self.to).await;
        Ok(())
    }

    async fn reply(&mut self, memory: &Memory, answers: &dyn Answers, peer: Peer) -> io::Result<()> {
        let request = match timeout(PATIENCE, read_request(&mut self.from)).await {
            Ok(Ok(request)) => request,
            Ok(Err(wrong)) => return self.complain(&wrong).await,
            Err(_) => return self.complain("no request came within 10 s").await,
        };
        if request.request == "events" {
            return self.events(&request, memory).await;
        }
        match ask(answers, &request, peer).await {
            Some(Ok(answer)) => {
                self.say(&json!({ "answer": answer })).await?;
                self.end().await
            }
            Some(Err(why)) => self.complain(&why).await,
            None => {
                self.complain(&format!("peripetyd knows no request '{}'", shorten(&request.request))).await
            }
        }
    }

    /// Revisions of events and incidents for who keeps where it is.
    async fn revisions(&mut self, request: &Request, memory: &Memory) -> io::Result<()> {
        let kinds = request.kinds.as_deref().unwrap_or_default();
        let wants = |kind: &str| kinds.iter().any(|k| k == kind);
        let (events, incidents) = (request.kinds.is_none() || wants("events"), wants("incidents"));
        let after = request.after.as_ref().map(|place| feed::number(memory, place));
        if let Some(filter) = &request.filter {
            let filter = filter.clone();
            let wanted = Wanted { filter, events, incidents, after };
            return self.channel(request.follow, memory, wanted).await;
        }
        let held = memory.follow_after(after, events, incidents);
        let complete = after.is_some_and(|after| after >= held.since);
        let position = Position { boot_id: memory.boot_id().to_owned(), sequence: held.since };
        self.say(&json!({ "position": position, "complete": complete })).await?;
        for stored in held.stored {
            self.write(&stored.line).await?;
        }
        if !request.follow {
            return self.end().await;
        }
        self.follow(held.live, |s| if s.is_incident() { incidents } else { events }).await
    }

    /// The same by a filter, with counts of what does not come.
    async fn channel(&mut self, follow: bool, memory: &Memory, wanted: Wanted) -> io::Result<()> {
        let (mut feed, begin) = Feed::open(memory, wanted);
        self.say(&feed.first(begin)).await?;
        while let Some(stored) = feed.next_stored() {
            self.write(&counted(&stored, &feed)).await?;
        }
        if !follow {
            return self.end().await;
        }
        self.say(&json!({ "live": true })).await?;
        let mut ignored = [0; 64];
        loop {
            self.counters.slots.does(self.number, Doing::Following);
            tokio::select! {
                next = feed.next() => match next {
                    Some(stored) => {
                        self.counters.lost.fetch_add(feed.newly_dropped(), Ordering::Relaxed);
                        self.write(&counted(&stored, &feed)).await?;
                    }
                    None => return self.end().await,
                },
                got = self.from.read(&mut ignored) => if got? == 0 { return Ok(()) },
            }
        }
    }

    async fn events(&mut self, request: &Request, memory: &Memory) -> io::Result<()> {
        if let Some(list) = request.filter.as_ref().and_then(Filter::too_long) {
            let why =
                format!("{list} of the filter has more than {FILTER_NAMES_MAX} names; use '*' in names");
            return self.complain(&why).await;
        }
        if request.kinds.is_some() || request.after.is_some() || request.filter.is_some() {
            return self.revisions(request, memory).await;
        }
        let (stored, live) = if request.follow {
            let (stored, live) = memory.follow();
            (stored, Some(live))
        } else {
            (memory.events(), None)
        };
        let wanted = |s: &&Arc<Stored>| {
            request.since_us.is_none_or(|us| s.event.last_timestamp.as_microsecond() >= us)
        };
        let most = request.backlog.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let wanted: Vec<(EventId, u32)> =
            stored.iter().filter(wanted).map(|s| (s.event.event_id, s.event.revision)).collect();
        // A client that reads slowly must not keep events in memory that had to make room.
        drop(stored);
        for (id, revision) in wanted.iter().skip(wanted.len().saturating_sub(most)) {
            let Some(stored) = memory.latest(*id) else { continue };
            // A later revision comes with those that follow.
            if live.is_none() || stored.event.revision == *revision {
                self.write(&stored.line).await?;
            }
        }
        drop(wanted);
        let Some(live) = live else { return self.end().await };
        self.follow(live, |s| !s.is_incident()).await
    }

    /// What happens from now on, until the client or the daemon ends.
    async fn follow(
        &mut self,
        mut live: Receiver<Arc<Stored>>,
        wanted: impl Fn(&Stored) -> bool,
    ) -> io::Result<()> {
        self.say(&json!({ "live": true })).await?;
        let mut ignored = [0; 64];
        loop {
            self.counters.slots.does(self.number, Doing::Following);
            tokio::select! {
                next = live.recv() => match next {
                    Ok(stored) if !wanted(&stored) => {}
                    Ok(stored) => self.write(&stored.line).await?,
                    Err(RecvError::Lagged(lost)) => {
                        self.counters.lost.fetch_add(lost, Ordering::Relaxed);
                        self.say(&json!({ "lost": lost })).await?;
                    }
                    Err(RecvError::Closed) => return self.end().await,
                },
                // Whatever else a client says is not read; when it says no more, it has gone.
                got = self.from.read(&mut ignored) => if got? == 0 { return Ok(()) },
            }
        }
    }

    async fn complain(&mut self, wrong: &str) -> io::Result<()> {
        self.counters.count_bad_request();
        self.say(&json!({ "error": wrong })).await
    }

    async fn end(&mut self) -> io::Result<()> {
        self.say(&json!({ "end": true })).await
    }

    async fn say(&mut self, value: &Value) -> io::Result<()> {
        self.write(format!("{value}\n").as_bytes()).await
    }
}

/// The line of a revision, with what this client did not get.
fn counted(stored: &Stored, feed: &Feed) -> Vec<u8> {
    let mut line = stored.line.strip_suffix(b"}\n").unwrap_or(&stored.line).to_vec();
    line.extend_from_slice(feed.counts().as_bytes());
    line.extend_from_slice(b"}\n");
    line
}

/// Ends a connection so that what was written is read. A Unix socket that is closed while something that the client sent
/// is unread gives the client ECONNRESET, or EPIPE for a request that it is still sending, in place of the last line.
pub(super) async fn linger(from: &mut (impl AsyncRead + Unpin), to: &mut OwnedWriteHalf) {
    let drain = async {
        to.shutdown().await?;
        tokio::io::copy(&mut from.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    let _late_or_gone = timeout(LINGER, drain).await;
}
