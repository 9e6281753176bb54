//! The client's end of the daemon's socket. doc/socket.md is the protocol.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read as _, Write as _},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
    time::Duration,
};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    event::Event,
    notifier::socket::{PROTOCOL_VERSION, Request},
    roots::Roots,
};

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest line that is taken from the daemon.
const MAX_LINE: usize = 16 << 20;

/// The daemon could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nothing listens there.
    #[error("no peripetyd listens at {}; start it with 'systemctl start peripetyd' or run 'peripetyd' as root", path.display())]
    NoDaemon {
        /// The socket.
        path: PathBuf,
    },
    /// The user may not.
    #[error("no permission to talk to peripetyd at {}: use sudo, or become a member of group systemd-journal", path.display())]
    Permission {
        /// The socket.
        path: PathBuf,
    },
    /// The system refused, or the daemon went away.
    #[error("cannot {what} peripetyd at {}: {source}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The daemon refused.
    #[error("peripetyd says: {0}")]
    Refused(String),
    /// The answer is none.
    #[error("peripetyd at {} gave no answer that this prpt understands; are both of the same version?", path.display())]
    Nonsense {
        /// The socket.
        path: PathBuf,
    },
}

/// A line of the daemon.
#[derive(Debug)]
pub(crate) enum Message {
    /// A revision of an event.
    Event(Box<Event>),
    /// A revision of an incident: nobody asks for any here.
    Incident,
    /// So many revisions were lost, because this reader was too slow.
    Lost(u64),
    /// The stored events are through: what comes now happens now.
    Live,
    /// An event that this version cannot read.
    Unreadable(String),
    /// There is no more.
    End,
}

/// Which events to send.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    /// Go on with events as they happen.
    pub follow: bool,
    /// Only events whose latest failure is not older.
    pub since: Option<Timestamp>,
    /// At most this many of the latest stored events.
    pub backlog: Option<u64>,
}

/// A connection, good for one request.
#[derive(Debug)]
pub(crate) struct Client {
    stream: UnixStream,
    path: PathBuf,
}

impl Client {
    /// Connects to the daemon.
    ///
    /// # Errors
    ///
    /// No daemon, or no permission.
    pub(crate) fn connect(roots: &Roots) -> Result<Self, ClientError> {
        let path = roots.socket();
        match UnixStream::connect(&path) {
            Ok(stream) => Ok(Self { stream, path }),
            Err(error) => Err(match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => ClientError::NoDaemon { path },
                ErrorKind::PermissionDenied => ClientError::Permission { path },
                _ => ClientError::System { what: "connect to", path, source: error },
            }),
        }
    }

    /// Process id of the daemon, as the kernel reports.
    pub(crate) fn pid(&self) -> Option<i32> {
        rustix::net::sockopt::socket_peercred(&self.stream).ok().map(|peer| peer.pid.as_raw_nonzero().get())
    }

    /// Asks for `probes`, `stats`, `status` or `config`.
    ///
    /// # Errors
    ///
    /// The daemon does not know the request, or does not answer in time.
    pub(crate) fn answer(self, request: &str) -> Result<Value, ClientError> {
        self.request(Request { request: request.to_owned(), ..Request::default() })
    }

    /// Asks for something that has an answer.
    ///
    /// # Errors
    ///
    /// The daemon refuses, does not know the request, or does not answer in time.
    pub(crate) fn request(self, request: Request) -> Result<Value, ClientError> {
        let mut lines = self.ask(request)?;
        match lines.line()? {
            Some(Reply { answer: Some(answer), .. }) => Ok(answer),
            _ => Err(ClientError::Nonsense { path: lines.path }),
        }
    }

    /// Asks for events.
    ///
    /// # Errors
    ///
    /// The daemon does not take the request.
    pub(crate) fn events(self, wanted: Wanted) -> Result<Events, ClientError> {
        self.ask(Request {
            request: "events".to_owned(),
            follow: wanted.follow,
            since_us: wanted.since.map(Timestamp::as_microsecond),
            backlog: wanted.backlog,
            ..Request::default()
        })
    }

    /// Asks for something that has many lines for an answer.
    ///
    /// # Errors
    ///
    /// The daemon does not take the request.
    pub(crate) fn ask(self, request: Request) -> Result<Events, ClientError> {
        let Self { mut stream, path } = self;
        let request = Request { version: PROTOCOL_VERSION, ..request };
        let patience = if request.follow { None } else { Some(PATIENCE) };
        let sent = serde_json::to_string(&request)
            .map_err(io::Error::from)
            .and_then(|line| stream.write_all(format!("{line}\n").as_bytes()))
            .and_then(|()| stream.set_read_timeout(patience));
        match sent {
            Ok(()) => Ok(Events { stream, path, pending: VecDeque::new(), scanned: 0 }),
            Err(source) => Err(ClientError::System { what: "ask", path, source }),
        }
    }
}

#[derive(Deserialize)]
struct Reply {
    event: Option<Value>,
    incident: Option<serde::de::IgnoredAny>,
    lost: Option<u64>,
    live: Option<bool>,
    end: Option<bool>,
    error: Option<String>,
    answer: Option<Value>,
}

/// The daemon's lines.
#[derive(Debug)]
pub(crate) struct Events {
    stream: UnixStream,
    path: PathBuf,
    pending: VecDeque<u8>,
    /// Bytes of `pending` that are known to hold no end of a line.
    scanned: usize,
}

impl Events {
    /// Waits for the next line; none when the daemon closed the connection without saying that it is the end.
    ///
    /// # Errors
    ///
    /// The daemon refused or does not answer.
    pub(crate) fn message(&mut self) -> Result<Option<Message>, ClientError> {
        loop {
            let Some(reply) = self.line()? else { return Ok(None) };
            if reply.incident.is_some() {
                return Ok(Some(Message::Incident));
            }
            if let Some(event) = reply.event {
                return Ok(Some(match serde_json::from_value(event) {
                    Ok(event) => Message::Event(Box::new(event)),
                    Err(error) => Message::Unreadable(error.to_string()),
                }));
            }
            if let Some(lost) = reply.lost {
                return Ok(Some(Message::Lost(lost)));
            }
            if reply.live == Some(true) {
                return Ok(Some(Message::Live));
            }
            if reply.end == Some(true) {
                return Ok(Some(Message::End));
            }
            // A line of a later version: not for us.
        }
    }

    /// Whether [`Self::message`] has a line without waiting for the daemon.
    pub(crate) fn has_line(&self) -> bool {
        self.pending.contains(&b'\n')
    }

    fn line(&mut self) -> Result<Option<Reply>, ClientError> {
        let Some(line) = self.raw_line()? else { return Ok(None) };
        let reply: Reply = serde_json::from_slice(&line)
            .map_err(|_not_json| ClientError::Nonsense { path: self.path.clone() })?;
        match reply.error {
            Some(error) => Err(ClientError::Refused(error)),
            None => Ok(Some(reply)),
        }
    }

    fn raw_line(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            if let Some(at) = self.pending.iter().skip(self.scanned).position(|b| *b == b'\n') {
                let end = self.scanned + at;
                self.scanned = 0;
                return Ok(Some(self.pending.drain(..=end).collect()));
            }
            self.scanned = self.pending.len();
            if self.pending.len() > MAX_LINE {
                return Err(ClientError::Nonsense { path: self.path.clone() });
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(n) => self.pending.extend(buffer.iter().take(n)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The daemon went away in the middle of it.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(source) => {
                    return Err(ClientError::System { what: "read from", path: self.path.clone(), source });
                }
            }
        }
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::notifier::{
        fixture::sample,
        memory::{Limits, Memory},
        socket::{Answers, Server, SocketError},
    };

    struct Known;

    impl Answers for Known {
        fn answer(&self, request: &str) -> Option<Value> {
            (request == "status").then(|| json!({ "version": "1.2.3" }))
        }
    }

    /// A daemon's socket on a thread of its own, until it is dropped.
    struct Daemon {
        roots: Roots,
        memory: Memory,
        stop: Option<tokio::sync::oneshot::Sender<()>>,
        thread: Option<std::thread::JoinHandle<()>>,
        _directory: tempfile::TempDir,
    }

    impl Daemon {
        fn start(limits: Limits) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let roots = Roots::under(directory.path());
            let memory = Memory::new(limits);
            let (stop, stopped) = tokio::sync::oneshot::channel();
            let (ready, is_ready) = std::sync::mpsc::channel();
            let (its_roots, its_memory) = (roots.clone(), memory.clone());
            let thread = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let server = Server::bind(&its_roots).unwrap();
                    ready.send(()).unwrap();
                    tokio::select! {
                        () = server.run(its_memory, Arc::new(Known)) => {}
                        _ = stopped => {}
                    }
                });
            });
            is_ready.recv().unwrap();
            Self { roots, memory, stop: Some(stop), thread: Some(thread), _directory: directory }
        }

        fn store(&self, id: u128, msg: &str) {
            let event = Event { event_id: uuid::Uuid::from_u128(id), msg: msg.into(), ..sample() };
            self.memory.store(Arc::new(event)).unwrap();
        }

        fn events(&self, wanted: Wanted) -> Events {
            Client::connect(&self.roots).unwrap().events(wanted).unwrap()
        }
    }

    impl Drop for Daemon {
        fn drop(&mut self) {
            drop(self.stop.take());
            self.thread.take().unwrap().join().unwrap();
        }
    }

    fn id(message: Option<Message>) -> u128 {
        match message {
            Some(Message::Event(event)) => event.event_id.as_u128(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn stored_events_come_and_then_the_end() {
        let daemon = Daemon::start(Limits::default());
        for n in 1..=3 {
            daemon.store(n, "x");
        }
        let mut events = daemon.events(Wanted::default());
        assert_eq!([1, 2, 3].map(|_| id(events.message().unwrap())), [1, 2, 3]);
        assert!(matches!(events.message().unwrap(), Some(Message::End)));
        let mut events = daemon.events(Wanted { backlog: Some(1), ..Wanted::default() });
        assert_eq!(id(events.message().unwrap()), 3);
        assert!(matches!(events.message().unwrap(), Some(Message::End)));
        let since = Some(sample().last_timestamp + jiff::Span::new().microseconds(1));
        let mut events = daemon.events(Wanted { since, ..Wanted::default() });
        assert!(matches!(events.message().unwrap(), Some(Message::End)));
    }

    #[test]
    fn a_follower_gets_what_happens_and_sees_the_daemon_go() {
        let daemon = Daemon::start(Limits::default());
        daemon.store(1, "x");
        let mut events = daemon.events(Wanted { follow: true, ..Wanted::default() });
        assert_eq!(id(events.message().unwrap()), 1);
        assert!(matches!(events.message().unwrap(), Some(Message::Live)));
        daemon.store(2, "x");
        assert_eq!(id(events.message().unwrap()), 2);
        let roots = daemon.roots.clone();
        drop(daemon);
        assert!(events.message().unwrap().is_none());
        assert!(matches!(Client::connect(&roots), Err(ClientError::NoDaemon { .. })));
    }

    #[test]
    fn a_slow_follower_reads_what_it_lost() {
        let daemon = Daemon::start(Limits { backlog: 4, ..Limits::default() });
        let mut events = daemon.events(Wanted { follow: true, ..Wanted::default() });
        // More than the socket's buffer takes, while nobody reads.
        let long = "x".repeat(100_000);
        for n in 1..=100 {
            daemon.store(n, &long);
        }
        let (mut got, mut lost) = (0, 0);
        while got + lost < 100 {
            match events.message().unwrap().unwrap() {
                Message::Event(_) => got += 1,
                Message::Lost(n) => lost += n,
                Message::Live => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(got + lost, 100);
        assert!(lost > 0);
    }

    #[test]
    fn the_daemon_answers_what_it_knows() {
        let daemon = Daemon::start(Limits::default());
        let client = Client::connect(&daemon.roots).unwrap();
        assert_eq!(client.pid(), Some(std::process::id() as i32));
        assert_eq!(client.answer("status").unwrap()["version"], "1.2.3");
        let error = Client::connect(&daemon.roots).unwrap().answer("weather").unwrap_err();
        assert_eq!(error.to_string(), "peripetyd says: peripetyd knows no request 'weather'");
    }

    #[test]
    fn garbage_is_answered_with_an_error() {
        let daemon = Daemon::start(Limits::default());
        for (garbage, says) in [
            (&b"\xff\xfe\n"[..], "not a request"),
            (b"{}\n", "not a request"),
            (b"null\n", "not a request"),
            (b"{\"version\":9,\"request\":\"events\"}\n", "speaks version 1"),
            (b"{\"version\":1,\"request\":\"events\",\"since_us\":\"x\"}\n", "not a request"),
            (&[b'['; 10_000], "not a request"),
        ] {
            let mut stream = UnixStream::connect(daemon.roots.socket()).unwrap();
            // The daemon may hang up before all of it is written.
            let _ = stream.write_all(garbage);
            let mut answer = [0; 2000];
            let n = stream.read(&mut answer).unwrap();
            let answer = String::from_utf8_lossy(&answer[..n]);
            assert!(answer.starts_with("{\"error\":") && answer.ends_with("}\n"), "{answer}");
            assert!(answer.contains(says) || answer.contains("longer than"), "{answer}");
        }
        assert!(matches!(daemon.events(Wanted::default()).message().unwrap(), Some(Message::End)));
    }

    #[test]
    fn a_live_daemons_socket_is_left_alone_and_a_stale_one_is_replaced() {
        let daemon = Daemon::start(Limits::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _guard = runtime.enter();
        let error = Server::bind(&daemon.roots).unwrap_err();
        assert!(
            matches!(error, SocketError::Running { pid: Some(pid), .. } if pid == std::process::id()),
            "{error}"
        );
        Client::connect(&daemon.roots).unwrap();

        let directory = tempfile::tempdir().unwrap();
        let roots = Roots::under(directory.path());
        std::fs::create_dir_all(&roots.runtime).unwrap();
        drop(std::os::unix::net::UnixListener::bind(roots.socket()).unwrap());
        assert!(matches!(Client::connect(&roots), Err(ClientError::NoDaemon { .. })));
        let server = Server::bind(&roots).unwrap();
        Client::connect(&roots).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(roots.socket()).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o660);
        drop(server);
        assert!(!roots.socket().exists());
    }

    #[test]
    fn clients_are_few() {
        let daemon = Daemon::start(Limits::default());
        let many: Vec<_> = (0..80).map(|_| UnixStream::connect(daemon.roots.socket()).unwrap()).collect();
        let refused = many
            .iter()
            .filter(|stream| {
                stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
                let mut answer = [0; 200];
                let mut stream = *stream;
                stream.read(&mut answer).is_ok_and(|n| answer[..n].starts_with(b"{\"error\":\"too many"))
            })
            .count();
        assert!(refused >= 80 - 48, "{refused}");
    }
}
