//! The socket of `prpt notify`: what waits, what failed, and a test. One request and one answer on a connection, in the form of
//! the daemon's socket (doc/socket.md).

use std::{
    fs::{self, Permissions},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{
        fs::{DirBuilderExt as _, PermissionsExt as _, chown},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::receiver::Receiver;

/// Its name in the runtime directory.
const SOCKET: &str = "notify.sock";
/// Longest request.
const REQUEST_MAX: u64 = 4096;
/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Clients at a time.
const CLIENTS_MAX: usize = 8;

/// Who may read the journal may ask.
const READERS: &str = "systemd-journal";

/// The socket cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {}: {source}; another peripety-notify may run", path.display())]
pub(crate) struct ControlError {
    path: PathBuf,
    source: io::Error,
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
    pub(crate) fn bind(runtime: &Path) -> Result<Self, ControlError> {
        let path = runtime.join(SOCKET);
        let fail = |source| ControlError { path: path.clone(), source };
        fs::DirBuilder::new().recursive(true).mode(0o755).create(runtime).map_err(fail)?;
        if UnixStream::connect(&path).is_ok() {
            return Err(fail(io::ErrorKind::AddrInUse.into()));
        }
        let _none_there = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(fail)?;
        // Errors of receivers and names of hosts are for who may read the journal: the unit's group.
        if let Some(gid) = group(READERS) {
            let _not_a_member = chown(&path, None, Some(gid));
        }
        fs::set_permissions(&path, Permissions::from_mode(0o660)).map_err(fail)?;
        Ok(Self { listener, path })
    }

    /// Answers, on a thread.
    ///
    /// # Errors
    /// There is no thread.
    pub(crate) fn start(self, receivers: Vec<Arc<Receiver>>) -> Result<(), ControlError> {
        let Self { listener, path } = self;
        let busy = Arc::new(AtomicUsize::new(0));
        let serve = move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else {
                    thread::sleep(Duration::from_millis(200));
                    continue;
                };
                if busy.fetch_add(1, Ordering::AcqRel) >= CLIENTS_MAX {
                    busy.fetch_sub(1, Ordering::AcqRel);
                    continue;
                }
                let (receivers, busy) = (receivers.clone(), Arc::clone(&busy));
                let work = move || {
                    let _gone = answer(stream, &receivers);
                    busy.fetch_sub(1, Ordering::AcqRel);
                };
                let _no_thread =
                    thread::Builder::new().name("client".to_owned()).stack_size(512 << 10).spawn(work);
            }
        };
        let started = thread::Builder::new().name("control".to_owned()).stack_size(64 << 10).spawn(serve);
        started.map(drop).map_err(|source| ControlError { path, source })
    }
}

/// Id of a group.
fn group(name: &str) -> Option<u32> {
    fs::read_to_string("/etc/group").ok()?.lines().find_map(|line| {
        let mut parts = line.split(':');
        (parts.next() == Some(name)).then(|| parts.nth(1)?.parse().ok())?
    })
}

fn answer(mut stream: UnixStream, receivers: &[Arc<Receiver>]) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
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
