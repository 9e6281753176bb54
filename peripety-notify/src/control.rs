//! The sockets of this program: what waits, what failed, and a test. One is of `prpt notify`, with one request and one answer on a
//! connection in the form of the daemon's socket; the other speaks Varlink (doc/socket.md).

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{
        fs::DirBuilderExt as _,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use peripety::internal::{
    Roots,
    files::{SocketError, listen},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{receiver::Receiver, serve::serve, varlink};

/// Their names in the runtime directory.
const SOCKET: &str = "notify.sock";
const VARLINK: &str = "io.peripety.Notify";
/// Longest request.
const REQUEST_MAX: u64 = 4096;

/// The socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// Another process has it, or there is no thread.
    #[error("cannot listen on {}: {source}; another peripety-notify may run", path.display())]
    System {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be made.
    #[error(transparent)]
    Listen(#[from] SocketError),
}

/// The sockets.
#[derive(Debug)]
pub(crate) struct Control {
    lines: Bound,
    varlink: Bound,
}

#[derive(Debug)]
struct Bound {
    listener: UnixListener,
    path: PathBuf,
}

#[derive(Deserialize)]
struct Request {
    request: String,
    #[serde(default)]
    target: Option<String>,
}

impl Control {
    /// Listens, unless another process does.
    ///
    /// # Errors
    /// Another process does, or the system refuses.
    pub(crate) fn bind(runtime: &Path, roots: &Roots) -> Result<Self, ControlError> {
        let fail = |source| ControlError::System { path: runtime.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o755).create(runtime).map_err(fail)?;
        Ok(Self {
            lines: Bound::bind(runtime.join(SOCKET), roots)?,
            varlink: Bound::bind(runtime.join(VARLINK), roots)?,
        })
    }

    /// Answers, on threads.
    ///
    /// # Errors
    /// There is no thread.
    pub(crate) fn start(self, receivers: Vec<Arc<Receiver>>) -> Result<(), ControlError> {
        let receivers: Arc<[_]> = receivers.into();
        let of_varlink = Arc::clone(&receivers);
        self.varlink.start("varlink", move |stream| varlink::answer(stream, &of_varlink))?;
        self.lines.start("control", move |stream| answer(stream, &receivers))
    }
}

impl Bound {
    fn bind(path: PathBuf, roots: &Roots) -> Result<Self, ControlError> {
        if UnixStream::connect(&path).is_ok() {
            return Err(ControlError::System { path, source: io::ErrorKind::AddrInUse.into() });
        }
        // Errors of receivers and names of hosts are for who may read the journal: the unit's group.
        let listener = listen(&path, Some(roots))?;
        Ok(Self { listener, path })
    }

    fn start(
        self,
        thread: &'static str,
        answer: impl Fn(UnixStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Result<(), ControlError> {
        let Self { listener, path } = self;
        serve(thread, move || listener.accept().map(|(stream, _)| stream), answer)
            .map_err(|source| ControlError::System { path, source })
    }
}

fn answer(mut stream: UnixStream, receivers: &[Arc<Receiver>]) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(&stream).take(REQUEST_MAX).read_line(&mut line)?;
    let reply = match serde_json::from_str::<Request>(&line) {
        Err(error) => json!({ "error": format!("not a request: {error}") }),
        Ok(request) => match reply(&request, receivers) {
            Ok(answer) => json!({ "answer": answer }),
            Err(error) => json!({ "error": error }),
        },
    };
    writeln!(stream, "{reply}")?;
    writeln!(stream, "{}", json!({ "end": true }))
}

fn reply(request: &Request, receivers: &[Arc<Receiver>]) -> Result<Value, String> {
    let chosen = chosen(receivers, request.target.as_deref()).map_err(|none| none.to_string())?;
    match request.request.as_str() {
        "list" => Ok(list(&chosen)),
        "test" => Ok(test(&chosen)),
        other => {
            Err(format!("peripety-notify knows no request '{}'", other.chars().take(40).collect::<String>()))
        }
    }
}

/// Nobody has this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no receiver '{wanted}'; there are: {}", names.join(", "))]
pub(crate) struct NoSuchReceiver {
    pub(crate) wanted: String,
    pub(crate) names: Vec<String>,
}

/// The receiver of this name, else all.
pub(crate) fn chosen<'a>(
    receivers: &'a [Arc<Receiver>],
    wanted: Option<&str>,
) -> Result<Vec<&'a Arc<Receiver>>, NoSuchReceiver> {
    let name = |receiver: &&Arc<Receiver>| wanted.is_none_or(|wanted| receiver.notify.name == wanted);
    let chosen: Vec<_> = receivers.iter().filter(name).collect();
    match wanted {
        Some(wanted) if chosen.is_empty() => Err(NoSuchReceiver {
            wanted: wanted.to_owned(),
            names: receivers.iter().map(|receiver| receiver.notify.name.clone()).collect(),
        }),
        _ => Ok(chosen),
    }
}

/// How each is.
pub(crate) fn list(chosen: &[&Arc<Receiver>]) -> Value {
    json!(chosen.iter().map(|receiver| receiver.health()).collect::<Vec<_>>())
}

/// Sends each a test, and says what it answered.
pub(crate) fn test(chosen: &[&Arc<Receiver>]) -> Value {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let try_out = |receiver: &Arc<Receiver>| match receiver.test(&host) {
        Ok(answer) => json!({ "name": receiver.notify.name, "ok": true, "answer": answer }),
        Err(error) => json!({ "name": receiver.notify.name, "ok": false, "answer": error }),
    };
    // All at once: one that hangs holds up no other.
    thread::scope(|scope| {
        let running: Vec<_> = chosen.iter().map(|receiver| scope.spawn(move || try_out(receiver))).collect();
        Value::Array(running.into_iter().filter_map(|test| test.join().ok()).collect())
    })
}
