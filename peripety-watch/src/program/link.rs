//! The connection to the daemon: tried again for as long as there is none, with what happens meanwhile kept in bounds.

use std::{
    collections::VecDeque,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::{
    event::PollFlags,
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send,
        socket_with, sockopt::socket_peercred,
    },
};

use super::say;
use crate::message::{Ask, Message, Watching};

/// Messages that wait for the daemon.
const WAITING_MAX: usize = 1024;
/// Pauses between two tries.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The connection, and what waits for it.
pub(super) struct Link {
    path: PathBuf,
    socket: Option<OwnedFd>,
    waiting: VecDeque<Vec<u8>>,
    /// What is watched, until it is sent: before all that waits, and only the latest.
    first: Option<Vec<u8>>,
    lost: u64,
    watching: Watching,
    retry_at: Option<Instant>,
    pause: Duration,
    was_said: bool,
}

impl Link {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            socket: None,
            waiting: VecDeque::new(),
            first: None,
            lost: 0,
            watching: Watching::default(),
            retry_at: Some(Instant::now()),
            pause: FIRST_PAUSE,
            was_said: false,
        }
    }

    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(OwnedFd::as_fd)
    }

    /// What is waited for: that the daemon ends or asks, and room for what waits.
    pub(super) fn waits_for(&self) -> PollFlags {
        let nothing_waits = self.first.is_none() && self.waiting.is_empty() && self.lost == 0;
        if nothing_waits { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT }
    }

    /// When to try again; none while there is a connection.
    pub(super) fn retry_in(&self) -> Option<Duration> {
        self.retry_at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// What is watched now: it is sent when it changed, and first on each connection.
    pub(super) fn watching(&mut self, watching: Watching) {
        if self.watching == watching {
            return;
        }
        self.watching = watching;
        if self.socket.is_some() {
            self.announce();
            self.flush();
        }
    }

    fn announce(&mut self) {
        self.first = Message::Watching(self.watching.clone()).encode().ok();
        if self.first.is_none() {
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// Connects, where it is time to, and sends what waits. Whether the connection is a new one.
    pub(super) fn go_on(&mut self) -> bool {
        let mut is_new = false;
        if self.retry_at.is_some_and(|at| at <= Instant::now()) {
            match self.connect() {
                Ok(socket) => {
                    (self.socket, self.retry_at, self.pause) = (Some(socket), None, FIRST_PAUSE);
                    self.was_said = false;
                    is_new = true;
                    self.announce();
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.was_said, true) {
                        say(&format!(
                            "cannot connect to {}: {error}; it is tried again",
                            self.path.display()
                        ));
                    }
                    self.retry_at = Some(Instant::now() + self.pause);
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        self.flush();
        is_new
    }

    fn connect(&self) -> Result<OwnedFd, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(&self.path)?)?;
        // The messages name files of root: only root's daemon may read them.
        if socket_peercred(&socket)?.uid != rustix::process::geteuid() {
            return Err(Errno::PERM);
        }
        Ok(socket)
    }

    /// The daemon ended, or asks for something.
    pub(super) fn read(&mut self) -> Option<Ask> {
        let socket = self.socket.as_ref()?;
        let mut buffer = [0_u8; 64];
        match recv(socket, &mut buffer, RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok((length @ 1.., _)) => return Some(Ask::decode(buffer.get(..length).unwrap_or_default())),
            Ok((0, _)) | Err(_) => self.disconnect(),
        }
        None
    }

    fn disconnect(&mut self) {
        self.socket = None;
        self.retry_at = Some(Instant::now() + self.pause);
    }

    pub(super) fn send(&mut self, message: &Message) {
        self.push(message);
        self.flush();
    }

    fn push(&mut self, message: &Message) {
        match message.encode() {
            Ok(packet) if self.waiting.len() < WAITING_MAX => self.waiting.push_back(packet),
            _ => self.lost = self.lost.saturating_add(1),
        }
    }

    fn flush(&mut self) {
        loop {
            if self.socket.is_some() && self.waiting.is_empty() && self.lost > 0 {
                let lost = Message::Lost { count: self.lost, reason: "the daemon was away".to_owned() };
                self.lost = 0;
                self.push(&lost);
            }
            let next = self.first.as_ref().or(self.waiting.front());
            let (Some(socket), Some(packet)) = (&self.socket, next) else { return };
            match send(socket, packet, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => {
                    if self.first.take().is_none() {
                        self.waiting.pop_front();
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => return self.disconnect(),
            }
        }
    }
}
