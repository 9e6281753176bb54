//! The sockets: binds them, lets the servers connect again and again, and writes what comes.

use std::{
    fs, io,
    os::fd::{AsFd as _, OwnedFd},
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect,
    listen, recv, send, socket_with,
};

use crate::{
    event::Version,
    filter::Filter,
    line,
    merge::Merge,
    places::{Places, PlacesError},
    queue::{Output, Queue},
    session::{Begin, Loss, Received, Session},
};

/// Longest packet: version 2 has 16 bits for the size of an event, and paths of version 1 have 4096 bytes.
const PACKET_MAX: usize = 128 << 10;
/// Bytes that wait for the output.
const QUEUE_MAX: usize = 32 << 20;
/// How often places are saved, at most.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// After an error that may last.
const PAUSE: Duration = Duration::from_millis(200);

/// Nobody can be listened to.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The system refuses.
    #[error("cannot {what} {}: {source}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something else is there.
    #[error("{} is no socket; remove it, or give another path", .0.display())]
    NoSocket(PathBuf),
    /// Another listener has it.
    #[error("another program listens on {}; end it, or give another path", .0.display())]
    Taken(PathBuf),
    /// The places.
    #[error(transparent)]
    Places(#[from] PlacesError),
    /// The output.
    #[error("cannot write the events: {0}")]
    Output(#[source] io::Error),
}

/// What is wanted.
#[derive(Debug, Default)]
pub struct Options {
    /// A socket for each metadata server.
    pub sockets: Vec<PathBuf>,
    /// Where to begin with a server that is not known.
    pub begin: Begin,
    /// Remembers the places over a restart.
    pub state: Option<PathBuf>,
    /// Which events.
    pub filter: Filter,
    /// How long an event waits for earlier ones of other servers.
    pub window: Duration,
}

/// What a person should know.
#[derive(Debug)]
pub enum Notice {
    /// Events of this socket are lost.
    Lost(PathBuf, Loss),
    /// A connection was ended, or a packet could not be read.
    Trouble(PathBuf, String),
}

/// Listens until the output fails.
///
/// # Errors
/// A socket or the file of places cannot be used, or the output fails.
pub fn run(
    options: Options,
    output: &mut dyn io::Write,
    notice: impl Fn(&Notice) + Send + Sync + 'static,
) -> Result<(), ListenError> {
    let Options { sockets, begin, state, filter, window } = options;
    let mut places = state.as_deref().map_or_else(|| Ok(Places::default()), Places::load)?;
    let queue = Arc::new(Queue::new(QUEUE_MAX));
    let (filter, notice) = (Arc::new(filter), Arc::new(notice));
    let several = sockets.len() > 1;
    let bound: Vec<_> = sockets.iter().map(|path| Bound::new(path)).collect::<Result<_, _>>()?;
    for socket in bound {
        let name = several.then(|| socket.path.to_string_lossy().into_owned());
        let path = socket.path.clone();
        let mut server = Server {
            session: Session::new(begin, places.clone()),
            name,
            socket,
            filter: Arc::clone(&filter),
            queue: Arc::clone(&queue),
            notice: Arc::clone(&notice) as Arc<dyn Fn(&Notice) + Send + Sync>,
        };
        let work = move || server.serve();
        thread::Builder::new()
            .name("server".to_owned())
            .spawn(work)
            .map_err(|source| ListenError::System { what: "start a thread for", path, source })?;
    }
    let mut merge = Merge::new(if several { window } else { Duration::ZERO });
    let (mut saved, mut unsaved) = (Instant::now(), false);
    loop {
        let now = Instant::now();
        let save_in = unsaved.then(|| (saved + SAVE_EVERY).saturating_duration_since(now));
        let wait = [merge.due(now), save_in].into_iter().flatten().min();
        let came = queue.take(wait);
        let now = Instant::now();
        for output in came {
            merge.push(output, now);
        }
        let mut wrote = false;
        while let Some(Output { line, next, .. }) = merge.pop(now) {
            if let Err(error) = output.write_all(&line) {
                queue.close();
                return Err(ListenError::Output(error));
            }
            wrote |= !line.is_empty();
            if let Some((meta_id, next)) = next {
                places.set(meta_id, next);
                unsaved = state.is_some();
            }
        }
        if wrote && let Err(error) = output.flush() {
            queue.close();
            return Err(ListenError::Output(error));
        }
        if unsaved
            && now.saturating_duration_since(saved) >= SAVE_EVERY
            && let Some(path) = &state
        {
            (saved, unsaved) = (now, false);
            if let Err(error) = places.save(path) {
                notice(&Notice::Trouble(path.clone(), error.to_string()));
            }
        }
    }
}

/// A socket that a server connects to; goes with its file.
struct Bound {
    path: PathBuf,
    listener: OwnedFd,
}

impl Bound {
    fn new(path: &Path) -> Result<Self, ListenError> {
        let fail = |what| {
            let path = path.to_owned();
            move |source: rustix::io::Errno| ListenError::System { what, path, source: source.into() }
        };
        let address = SocketAddrUnix::new(path).map_err(fail("use the name"))?;
        let socket = || socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        if let Ok(there) = fs::symlink_metadata(path) {
            if !there.file_type().is_socket() {
                return Err(ListenError::NoSocket(path.to_owned()));
            }
            let probe = socket().map_err(fail("make a socket for"))?;
            if connect(&probe, &address).is_ok() {
                return Err(ListenError::Taken(path.to_owned()));
            }
            // Nobody is behind it any more.
            let _gone_since = fs::remove_file(path);
        }
        let listener = socket().map_err(fail("make a socket for"))?;
        bind(&listener, &address).map_err(fail("bind"))?;
        let system = |source| ListenError::System { what: "set the mode of", path: path.to_owned(), source };
        fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(system)?;
        listen(&listener, 4).map_err(fail("listen on"))?;
        Ok(Self { path: path.to_owned(), listener })
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.path);
    }
}

struct Server {
    session: Session,
    name: Option<String>,
    socket: Bound,
    filter: Arc<Filter>,
    queue: Arc<Queue>,
    notice: Arc<dyn Fn(&Notice) + Send + Sync>,
}

impl Server {
    /// One connection after the other; ends when nobody takes the events any more.
    fn serve(&mut self) {
        let mut packet = vec![0; PACKET_MAX];
        loop {
            let connection = match accept_with(&self.socket.listener, SocketFlags::CLOEXEC) {
                Ok(connection) => connection,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => {
                    self.trouble(format!("cannot accept a connection: {error}"));
                    thread::sleep(PAUSE);
                    continue;
                }
            };
            self.session.connected();
            match self.connection(&connection, &mut packet) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => self.trouble(format!("the connection failed: {error}")),
            }
        }
    }

    /// False: nobody takes the events any more.
    fn connection(&mut self, connection: &OwnedFd, packet: &mut [u8]) -> io::Result<bool> {
        loop {
            let length = match recv(connection.as_fd(), &mut *packet, RecvFlags::TRUNC) {
                Ok((_bytes, 0)) => return Ok(true),
                Ok((_bytes, length)) => length,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            // What is longer than the buffer says a size that it does not have.
            let bytes = packet.get(..length.min(packet.len())).unwrap_or_default();
            let mut received = self.session.packet(bytes);
            let (answers, hang_up) = (std::mem::take(&mut received.send), received.hang_up);
            if !self.output(received) {
                return Ok(false);
            }
            for answer in answers {
                send(connection, &answer, SendFlags::NOSIGNAL)?;
            }
            if hang_up {
                return Ok(true);
            }
        }
    }

    /// False: nobody takes the events any more.
    fn output(&self, received: Received<'_>) -> bool {
        let Received { lost, event, next, closed, error, .. } = received;
        if let Some(reason) = closed {
            self.trouble(format!("the server ended the stream: {reason:?}"));
        }
        if let Some(error) = error {
            self.trouble(format!("a packet cannot be read: {error}"));
        }
        let arrived = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let mut time_ns = i64::try_from(arrived).unwrap_or(i64::MAX);
        if let Some(Version::Two { time_ns: own, .. }) = event.as_ref().map(|event| event.version) {
            time_ns = own;
        }
        let mut line = Vec::new();
        for loss in lost.into_iter().flatten() {
            (self.notice)(&Notice::Lost(self.socket.path.clone(), loss));
            line::loss(&mut line, loss, next.map(|(meta_id, _next)| meta_id), self.name.as_deref());
        }
        if let Some(event) = event.filter(|event| self.filter.wants(event)) {
            line.reserve_exact(320 + event.path.len() + event.target_path.len());
            line::event(&mut line, &event, next, self.name.as_deref());
        }
        (line.is_empty() && next.is_none()) || self.queue.push(Output { time_ns, line, next })
    }

    fn trouble(&self, what: String) {
        (self.notice)(&Notice::Trouble(self.socket.path.clone(), what));
    }
}
