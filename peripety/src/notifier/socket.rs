//! The daemon's sockets: live and recent events, and answers to `prpt` and to other programs. doc/socket.md is the protocol of the
//! one, Varlink that of the other.
//!
//! Nothing here holds up the daemon: the socket has a thread of its own, readers share one bounded stream and are informed what
//! they missed, a request is one short line, and clients are few.

mod client;
mod feed;
mod place;
mod request;
mod server;
mod slots;
mod varlink;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use peripety_block::BlkCache;
pub(crate) use peripety_client::PROTOCOL_VERSION;
pub use peripety_client::Position;
use serde_json::{Value, json};
use tokio::sync::oneshot;

pub(crate) use self::place::{LET_GO, LOCK, inode, lock_directory};
use self::{place::system, slots::Slots};
pub use self::{
    place::{SocketError, listen},
    request::Request,
    server::{Server, Serving},
};
use crate::roots::Roots;

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clients that have connected and are not yet taken. More wait in connect(2), where they keep back themselves: all that are in
/// the queue are ahead of who asks next.
const WAITING_CLIENTS: i32 = 512;
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

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
