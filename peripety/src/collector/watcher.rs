//! The socket of peripety-watch: one packet, one message. Only root can open it, and only root's messages are taken.

use std::{
    collections::VecDeque,
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    time::Instant,
};

use peripety_model::Dev;

use peripety_watch::message::{Ask, MESSAGE_MAX, Message, SNAPSHOTS_APART, Watching};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind,
        listen, recv, send, socket_with, sockopt::socket_peercred,
    },
};
use tokio::io::{Interest, unix::AsyncFd};

use super::async_fd::{drained, watch};

/// Messages that are taken in a row.
const BATCH: usize = 256;

/// Snapshots that were asked for and are remembered.
const SNAPSHOTS: usize = 64;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot {call} {path}: {source}; peripety-watch cannot connect, and what takes CAP_SYS_ADMIN is not seen"
)]
pub(crate) struct ListenError {
    call: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// The socket, and the process at its other end.
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    listener: Option<(AsyncFd<OwnedFd>, (u64, u64))>,
    peer: Option<AsyncFd<OwnedFd>>,
    watching: Option<Watching>,
    /// Something was asked for that did not get through.
    asks_all: bool,
    /// Disks whose health was asked for, and when.
    snapshots: VecDeque<(Dev, Instant)>,
    /// Messages that were not understood, and connections of others.
    pub(crate) refused: u64,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Received {
    /// A message.
    Message(Message),
    /// It connected, or is gone.
    Changed,
}

impl Watcher {
    /// Sees to it that the socket is there.
    ///
    /// # Errors
    /// It cannot be.
    pub(crate) fn listen_at(&mut self, path: &Path) -> Result<(), ListenError> {
        let inode = |path: &Path| fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
        let own = self.listener.as_ref().map(|(_, inode)| *inode);
        if own.is_some() && inode(path) == own {
            return Ok(());
        }
        self.listener = None;
        let failed =
            |call: &'static str| move |source: io::Error| ListenError { call, path: path.to_owned(), source };
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove")(error)),
            _ => {}
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
        let socket = socket.map_err(|error| failed("make")(error.into()))?;
        let bound = SocketAddrUnix::new(path).and_then(|address| bind(&socket, &address));
        bound.map_err(|error| failed("bind")(error.into()))?;
        // Nobody can connect before it listens.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed("set the mode of"))?;
        listen(&socket, 4).map_err(|error| failed("listen on")(error.into()))?;
        let inode = inode(path).ok_or_else(|| failed("look at")(io::ErrorKind::NotFound.into()))?;
        self.listener = Some((watch(socket, Interest::READABLE).map_err(failed("wait for"))?, inode));
        Ok(())
    }

    /// What peripety-watch says that it watches; none while it is not there.
    pub(crate) fn watching(&self) -> Option<&Watching> {
        self.watching.as_ref().filter(|_| self.peer.is_some())
    }

    /// Asks it to look at maps and arrays. What it does not take now it is asked for by [`Watcher::go_on_asking`].
    pub(crate) fn ask(&mut self, ask: Ask) {
        let Some(peer) = &self.peer else { return };
        // A packet that does not fit now: everything is asked for once it does.
        let ask = if self.asks_all { Ask::All } else { ask };
        self.asks_all = send(peer, &ask.encode(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL).is_err();
    }

    /// Asks for the state of a disk, once in a while. One that does not get through is not asked for again.
    pub(crate) fn ask_health(&mut self, dev: Dev) {
        let Some(peer) = &self.peer else { return };
        self.snapshots.retain(|(_, at)| at.elapsed() < SNAPSHOTS_APART);
        if self.snapshots.len() >= SNAPSHOTS || self.snapshots.iter().any(|(known, _)| *known == dev) {
            return;
        }
        self.snapshots.push_back((dev, Instant::now()));
        let _not_now = send(peer, &Ask::Health(dev).encode(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    }

    /// Asks for everything where something that was asked for did not get through.
    pub(crate) fn go_on_asking(&mut self) {
        if self.asks_all {
            self.ask(Ask::All);
        }
    }

    /// Waits for what it says. May be dropped at any time.
    pub(crate) async fn recv(&mut self) -> io::Result<Vec<Received>> {
        loop {
            tokio::select! {
                biased;
                ready = readable(self.peer.as_ref()) => ready?,
                ready = readable(self.listener.as_ref().map(|(socket, _)| socket)) => ready?,
            }
            let mut received = self.take();
            if self.accept() {
                received.push(Received::Changed);
            }
            if !received.is_empty() {
                return Ok(received);
            }
        }
    }

    fn take(&mut self) -> Vec<Received> {
        let mut received = Vec::new();
        let mut buffer = vec![0; MESSAGE_MAX + 1];
        while let Some(peer) = &self.peer
            && received.len() < BATCH
        {
            match recv(peer, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((1.., length)) => match Message::decode(buffer.get(..length).unwrap_or_default()) {
                    Ok(Message::Watching(watching)) => {
                        self.watching = Some(watching);
                        received.push(Received::Changed);
                    }
                    Ok(message) => received.push(Received::Message(message)),
                    Err(error) => {
                        if self.refused == 0 {
                            tracing::warn!("{error}");
                        }
                        self.refused = self.refused.saturating_add(1);
                        let reason = "not understood".to_owned();
                        received.push(Received::Message(Message::Lost { count: 1, reason }));
                    }
                },
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    drained(peer);
                    break;
                }
                Ok((0, _)) | Err(_) => {
                    self.peer = None;
                    received.push(Received::Changed);
                }
            }
        }
        received
    }

    /// Takes the latest connection; whether there is one. Root may start another peripety-watch while one hangs.
    fn accept(&mut self) -> bool {
        let mut changed = false;
        while let Some((listener, _)) = &self.listener {
            let Ok(peer) = accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) else {
                drained(listener);
                break;
            };
            let is_root = socket_peercred(&peer).is_ok_and(|peer| peer.uid == rustix::process::geteuid());
            match watch(peer, Interest::READABLE) {
                Ok(peer) if is_root => {
                    (self.peer, self.watching, self.asks_all) = (Some(peer), None, false);
                    changed = true;
                }
                _ => self.refused = self.refused.saturating_add(1),
            }
        }
        changed
    }
}

async fn readable(fd: Option<&AsyncFd<OwnedFd>>) -> io::Result<()> {
    match fd {
        Some(fd) => std::future::poll_fn(|cx| fd.poll_read_ready(cx).map_ok(drop)).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use peripety_model::Errno;
    use peripety_watch::message::{Failure, Reporter, What};
    use rustix::net::{SendFlags, connect, send};

    use super::*;

    fn failure() -> Message {
        Message::Failure(Failure {
            reporter: Reporter::Fanotify,
            dev: "7:0".parse().unwrap(),
            fs_type: "ext4".to_owned(),
            what: What::Error,
            errno: Some(Errno::EUCLEAN),
            inode: Some(12),
            generation: None,
            offset: None,
            length: None,
            count: 1,
            detail: String::new(),
        })
    }

    #[test]
    fn messages_come_one_by_one_and_its_end_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("watch.sock");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut watcher = Watcher::default();
            watcher.listen_at(&path).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let socket =
                socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
            connect(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
            assert!(matches!(watcher.recv().await.unwrap()[..], [Received::Changed]));
            assert!(watcher.watching().is_none());
            let watching = Message::Watching(Watching { pid: 7, fanotify: 1, ..Watching::default() });
            for packet in [watching.encode().unwrap(), failure().encode().unwrap(), b"nonsense".to_vec()] {
                send(&socket, &packet, SendFlags::empty()).unwrap();
            }
            let received = watcher.recv().await.unwrap();
            assert!(
                matches!(received[0], Received::Changed) && watcher.watching().is_some_and(|w| w.pid == 7)
            );
            let messages: Vec<_> = received
                .iter()
                .filter_map(|r| match r {
                    Received::Message(message) => Some(message.clone()),
                    Received::Changed => None,
                })
                .collect();
            assert_eq!(messages[0], failure());
            assert!(matches!(messages[1], Message::Lost { count: 1, .. }));
            drop(socket);
            assert!(matches!(watcher.recv().await.unwrap()[..], [Received::Changed]));
            assert!(watcher.watching().is_none());
            // The socket that somebody removed is made again.
            fs::remove_file(&path).unwrap();
            watcher.listen_at(&path).unwrap();
            assert!(path.exists());
        });
    }
}
