//! The socket of `prpt notify`: what waits, what failed, and a test. One request and one answer on a connection, in the form of
//! the daemon's socket (doc/socket.md).

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

use crate::{receiver::Receiver, serve::serve};

/// Its name in the runtime directory.
const SOCKET: &str = "notify.sock";
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

/// The socket.
#[derive(Debug)]
pub(crate) struct Control {
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
        let path = runtime.join(SOCKET);
        let fail = |source| ControlError::System { path: path.clone(), source };
        fs::DirBuilder::new().recursive(true).mode(0o755).create(runtime).map_err(fail)?;
        if UnixStream::connect(&path).is_ok() {
            return Err(fail(io::ErrorKind::AddrInUse.into()));
        }
        // Errors of receivers and names of hosts are for who may read the journal: the unit's group.
        let listener = listen(&path, Some(roots))?;
        Ok(Self { listener, path })
    }

    /// Answers, on a thread.
    ///
    /// # Errors
    /// There is no thread.
    pub(crate) fn start(self, receivers: Vec<Arc<Receiver>>) -> Result<(), ControlError> {
        let Self { listener, path } = self;
        let accept = move || listener.accept().map(|(stream, _)| stream);
        serve("control", accept, move |stream| answer(stream, &receivers))
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
    let wanted =
        |receiver: &&Arc<Receiver>| request.target.as_ref().is_none_or(|name| receiver.notify.name == *name);
    let chosen: Vec<&Arc<Receiver>> = receivers.iter().filter(wanted).collect();
    if let (Some(name), true) = (&request.target, chosen.is_empty()) {
        let names: Vec<&str> = receivers.iter().map(|receiver| receiver.notify.name.as_str()).collect();
        return Err(format!("there is no receiver '{name}'; there are: {}", names.join(", ")));
    }
    match request.request.as_str() {
        "list" => serde_json::to_value(chosen.iter().map(|receiver| receiver.health()).collect::<Vec<_>>())
            .map_err(|error| error.to_string()),
        "test" => {
            let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
            let try_out = |receiver: &Arc<Receiver>| match receiver.test(&host) {
                Ok(answer) => json!({ "name": receiver.notify.name, "ok": true, "answer": answer }),
                Err(error) => json!({ "name": receiver.notify.name, "ok": false, "answer": error }),
            };
            // All at once: one that hangs holds up no other.
            let tests = thread::scope(|scope| {
                let running: Vec<_> =
                    chosen.iter().map(|receiver| scope.spawn(move || try_out(receiver))).collect();
                running.into_iter().filter_map(|test| test.join().ok()).collect::<Vec<_>>()
            });
            Ok(Value::Array(tests))
        }
        other => {
            Err(format!("peripety-notify knows no request '{}'", other.chars().take(40).collect::<String>()))
        }
    }
}
