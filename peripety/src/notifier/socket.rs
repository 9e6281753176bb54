//! The daemon's sockets: live and recent events, and answers to `prpt` and to other programs. doc/socket.md is the protocol of the
//! one, Varlink that of the other.
//!
//! Nothing here holds up the daemon: the socket has a thread of its own, readers share one bounded stream and are informed what
//! they missed, a request is one short line, and clients are few.

mod feed;
mod place;
mod slots;
mod varlink;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use peripety_block::BlkCache;
pub(crate) use peripety_client::PROTOCOL_VERSION;
pub use peripety_client::Position;
use peripety_model::{FILTER_NAMES_MAX, Filter};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{
        Semaphore,
        broadcast::{Receiver, error::RecvError},
        mpsc, oneshot,
    },
    task::JoinSet,
    time::{sleep, timeout},
};

pub(crate) use self::place::{LET_GO, LOCK, inode, lock_directory};
pub use self::place::{SocketError, listen};
use self::{
    feed::{Feed, Wanted},
    place::system,
    slots::{Doing, Slots},
};
use super::memory::{Memory, Stored};
use crate::{event::EventId, roots::Roots};

/// Longest request, bytes.
const MAX_REQUEST: u64 = 4096;
/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may take to read one line.
const READING: Duration = Duration::from_secs(30);

/// How long a client may take to read the last line, and what it may still send meanwhile.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 64 << 10;
/// Clients that have connected and are not yet taken. More wait in connect(2), where they keep back themselves: all that are in
/// the queue are ahead of who asks next.
const WAITING_CLIENTS: i32 = 512;
/// Clients that are taken in a row, before those who have asked are answered.
const TAKEN_IN_A_ROW: u32 = 16;
/// Clients that are being refused at the same time; more are closed without a word.
const REFUSED_CLIENTS: usize = 64;
const REFUSAL: &[u8] = b"{\"error\":\"too many clients; end some of those that follow\"}\n";

/// Who asks, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// User.
    pub uid: u32,
    /// Process, where it could be reported.
    pub pid: Option<i32>,
}

/// An answer that is still to come; or why the daemon refuses.
pub type Later = oneshot::Receiver<Result<Value, String>>;

/// What the daemon answers to requests other than `events`.
pub trait Answers: Send + Sync {
    /// The answer to `probes`, `stats`, `config`; none when the daemon does not know the request. Called on the socket's
    /// thread: it must not block for long.
    fn answer(&self, request: &str) -> Option<Value>;

    /// The same for what takes a while, or depends on who asks: `resolve`. None for what [`Self::answer`] knows.
    fn answer_later(&self, _request: &Request, _peer: Peer) -> Option<Later> {
        None
    }

    /// The block devices as they are now.
    fn devices(&self) -> Option<BlkCache> {
        None
    }
}

/// The answer to a request other than `events`; none when the daemon does not know the request.
async fn ask(answers: &dyn Answers, request: &Request, peer: Peer) -> Option<Result<Value, String>> {
    let Some(later) = answers.answer_later(request, peer) else {
        return answers.answer(&request.request).map(Ok);
    };
    Some(later.await.unwrap_or_else(|_| Err("peripetyd is busy, or ending; ask again".to_owned())))
}

/// What the socket did so far.
#[derive(Debug, Default)]
pub struct SocketCounters {
    slots: Slots,
    accepted: AtomicU64,
    refused: AtomicU64,
    bad_requests: AtomicU64,
    lost: AtomicU64,
}

impl SocketCounters {
    fn count_bad_request(&self) {
        self.bad_requests.fetch_add(1, Ordering::Relaxed);
    }

    /// The figures as they are shown.
    pub fn to_json(&self) -> Value {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        json!({
            "connected": self.slots.len(), "accepted": get(&self.accepted), "refused": get(&self.refused),
            "bad_requests": get(&self.bad_requests), "lost": get(&self.lost),
        })
    }
}

/// What is spoken on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Lines of JSON, as doc/socket.md has it.
    Lines,
    /// Varlink.
    Varlink,
}

impl Protocol {
    /// The socket's place.
    pub(crate) fn path(self, roots: &Roots) -> PathBuf {
        match self {
            Self::Lines => roots.socket(),
            Self::Varlink => roots.varlink(),
        }
    }

    /// What a client reads for which there is no room.
    fn refusal(self, is_root: bool) -> Vec<u8> {
        match self {
            Self::Lines => REFUSAL.to_vec(),
            Self::Varlink => {
                varlink::refusal(if is_root { slots::ROOT_CLIENTS } else { slots::OTHER_CLIENTS })
            }
        }
    }
}

/// A socket that listens. Dropping it removes the file, if it still is this one's.
#[derive(Debug)]
pub struct Listening {
    listener: std::os::unix::net::UnixListener,
    protocol: Protocol,
    path: PathBuf,
    inode: Option<(u64, u64)>,
}

impl Listening {
    /// Makes the socket, in a directory that is locked.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn bind(roots: &Roots, protocol: Protocol) -> Result<Self, SocketError> {
        let path = protocol.path(roots);
        let listener = listen(&path, Some(roots))?;
        listener.set_nonblocking(true).map_err(system("listen on", &path))?;
        rustix::net::listen(&listener, WAITING_CLIENTS)
            .map_err(io::Error::from)
            .map_err(system("listen on", &path))?;
        let inode = inode(&path);
        Ok(Self { listener, protocol, path, inode })
    }

    /// A socket that the service manager made, and keeps.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn given(listener: std::os::unix::net::UnixListener, protocol: Protocol) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let path = address.as_pathname().map(Path::to_owned).unwrap_or_default();
        Ok(Self { listener, protocol, path, inode: None })
    }

    /// Device and inode of its file.
    pub const fn inode(&self) -> Option<(u64, u64)> {
        self.inode
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if self.inode.is_some() && inode(&self.path) == self.inode {
            let _gone = fs::remove_file(&self.path);
        }
    }
}

/// Serves the clients of a socket, which may be made later, or anew.
#[derive(Debug)]
pub struct Server {
    /// What is to be listened on, and is not yet.
    listening: Option<Listening>,
    others: (mpsc::UnboundedSender<Listening>, mpsc::UnboundedReceiver<Listening>),
    counters: Arc<SocketCounters>,
    /// Held as long as the server lives, so that a socket file without it is known to be stale.
    _lock: Option<File>,
}

impl Default for Server {
    fn default() -> Self {
        Self { listening: None, others: mpsc::unbounded_channel(), counters: Arc::default(), _lock: None }
    }
}

impl Server {
    /// Locks the directory, and makes the socket. Needs a running tokio runtime.
    ///
    /// # Errors
    ///
    /// Another daemon runs, or the system refuses.
    pub fn bind(roots: &Roots) -> Result<Self, SocketError> {
        let lock = lock_directory(&roots.runtime, LET_GO)?;
        Ok(Self {
            listening: Some(Listening::bind(roots, Protocol::Lines)?),
            _lock: Some(lock),
            ..Self::default()
        })
    }

    /// Where to send a socket that is to take the place of the one before of its protocol.
    pub fn listen_on(&self) -> mpsc::UnboundedSender<Listening> {
        self.others.0.clone()
    }

    /// Figures for `prpt stats`.
    pub fn counters(&self) -> Arc<SocketCounters> {
        Arc::clone(&self.counters)
    }

    /// Serves in a thread of its own, until what it gives is dropped.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub fn start(self, memory: Memory, answers: Arc<dyn Answers>) -> io::Result<Serving> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("socket".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! { () = self.run(memory, answers) => {}, _ = stopped => {} }
            });
        })?;
        Ok(Serving { stop: Some(stop), thread: Some(thread) })
    }

    /// Serves until the future is dropped.
    pub async fn run(mut self, memory: Memory, answers: Arc<dyn Answers>) {
        let (mut lines, mut varlink): (Option<Bound>, Option<Bound>) = (None, None);
        let refusals = Arc::new(Semaphore::new(REFUSED_CLIENTS));
        let mut clients = JoinSet::new();
        let mut complained = false;
        let mut in_a_row = 0;
        loop {
            while clients.try_join_next().is_some() {}
            if let Some(next) = self.listening.take() {
                match next.listener.try_clone().and_then(UnixListener::from_std) {
                    Ok(listener) if next.protocol == Protocol::Varlink => varlink = Some((listener, next)),
                    Ok(listener) => lines = Some((listener, next)),
                    Err(error) => tracing::error!("cannot serve {}: {error}", next.path.display()),
                }
            }
            let (protocol, accepted) = tokio::select! {
                next = self.others.1.recv() => {
                    self.listening = next;
                    continue;
                }
                accepted = accept(&lines) => (Protocol::Lines, accepted),
                accepted = accept(&varlink) => (Protocol::Varlink, accepted),
            };
            let stream = match accepted {
                Ok((stream, _)) => {
                    complained = false;
                    stream
                }
                Err(error) => {
                    if !std::mem::replace(&mut complained, true) {
                        tracing::warn!("cannot take a client at the socket: {error}");
                    }
                    sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            let peer = match stream.peer_cred() {
                Ok(peer) => Peer { uid: peer.uid(), pid: peer.pid() },
                Err(error) => {
                    tracing::warn!("cannot know who asks at the socket: {error}");
                    continue;
                }
            };
            let is_root = peer.uid == 0;
            let (memory, answers, counters) = (memory.clone(), Arc::clone(&answers), self.counters());
            match counters.slots.enter(is_root, peer.pid) {
                Some(number) => {
                    counters.accepted.fetch_add(1, Ordering::Relaxed);
                    let served = Arc::clone(&counters);
                    let task = clients.spawn(async move {
                        let client = Client::new(stream, &counters, number);
                        // A client that went away is no error.
                        let _gone = match protocol {
                            Protocol::Lines => client.serve(&memory, answers.as_ref(), peer).await,
                            Protocol::Varlink => {
                                varlink::serve(client, &memory, answers.as_ref(), peer).await
                            }
                        };
                        counters.slots.leave(number);
                    });
                    served.slots.is_served_by(number, task);
                }
                None => {
                    counters.refused.fetch_add(1, Ordering::Relaxed);
                    if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
                        clients.spawn(async move {
                            let (mut from, mut to) = stream.into_split();
                            if to.write_all(&protocol.refusal(is_root)).await.is_ok() {
                                linger(&mut from, &mut to).await;
                            }
                            drop(permit);
                        });
                    }
                }
            }
            in_a_row += 1;
            if in_a_row >= TAKEN_IN_A_ROW {
                in_a_row = 0;
                tokio::task::yield_now().await;
            }
        }
    }
}

/// A socket that is served.
type Bound = (UnixListener, Listening);

async fn accept(bound: &Option<Bound>) -> io::Result<(UnixStream, tokio::net::unix::SocketAddr)> {
    match bound {
        Some((listener, _)) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// The thread of a socket that is served; dropping it ends that.
#[derive(Debug)]
pub struct Serving {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _panicked = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// What a client asks for. Keys that this version does not know are ignored.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Request {
    /// Version of the protocol.
    pub version: u32,
    /// `events`, or what [`Answers`] knows.
    pub request: String,
    /// Go on with events as they happen.
    #[serde(default)]
    pub follow: bool,
    /// Only events whose latest failure is not older; microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_us: Option<i64>,
    /// At most this many of the latest stored events; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog: Option<u64>,
    /// `events` only: with those of events, or of incidents, or both (`["events","incidents"]`); events alone when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<String>>,
    /// `events` only: which of them; with what was dropped and missed in each line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// `events` only: no stored revision up to this one, which the client has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Position>,
    /// What it is about: an incident, an event, a condition, a device or a mount point, as the request allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// `resolve` and `ack` only: why; it stands in the journal with the name of who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Request {
    /// What a person does about a fault: `resolve` or `ack`, with a reason.
    pub(crate) fn of_person(request: &str, target: String, reason: String) -> Self {
        Self { request: request.to_owned(), target: Some(target), reason: Some(reason), ..Self::default() }
    }
}

struct Client<'a> {
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
    counters: &'a SocketCounters,
    number: u64,
}

impl<'a> Client<'a> {
    fn new(stream: UnixStream, counters: &'a SocketCounters, number: u64) -> Self {
        let (from, to) = stream.into_split();
        Self { from: BufReader::with_capacity(512, from), to, counters, number }
    }

    /// Writes, no longer than a client that reads can take.
    async fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.counters.slots.does(self.number, Doing::Reading);
        timeout(READING, self.to.write_all(line)).await?
    }

    async fn serve(mut self, memory: &Memory, answers: &dyn Answers, peer: Peer) -> io::Result<()> {
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
        let after = request.after.as_ref().filter(|p| p.boot_id == memory.boot_id()).map(|p| p.sequence);
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
async fn linger(from: &mut (impl AsyncRead + Unpin), to: &mut OwnedWriteHalf) {
    let drain = async {
        to.shutdown().await?;
        tokio::io::copy(&mut from.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    let _late_or_gone = timeout(LINGER, drain).await;
}

async fn read_request(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Request, String> {
    let mut line = Vec::new();
    from.take(MAX_REQUEST).read_until(b'\n', &mut line).await.map_err(|error| error.to_string())?;
    if !line.ends_with(b"\n") && line.len() as u64 >= MAX_REQUEST {
        return Err(format!("the request is longer than {MAX_REQUEST} bytes"));
    }
    let request: Request = serde_json::from_slice(&line).map_err(|error| {
        format!("not a request: {error}; send one line like {{\"version\":1,\"request\":\"events\"}}")
    })?;
    if request.version == PROTOCOL_VERSION {
        Ok(request)
    } else {
        Err(format!("peripetyd {} speaks version {PROTOCOL_VERSION}", env!("CARGO_PKG_VERSION")))
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
