//! A metadata server's side of the socket, made from the published layout: for tests, and to try a listener without BeeGFS.

#![allow(dead_code, reason = "each program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "it is for tests")]

use std::{
    collections::VecDeque,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use peripety_beegfs::{
    event::{EventType, FileEvent, Version},
    message::{CloseReason, Message},
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send,
    socket_with,
};

pub fn event<'a>(kind: &'static str, path: &'a str, target: &'a str, version: Version) -> FileEvent<'a> {
    let target_parent: &[u8] = if target.is_empty() { b"" } else { b"root" };
    FileEvent {
        kind: EventType::Known(kind),
        entry_id: b"0-5A9EB0A7-1",
        parent_entry_id: b"root",
        path: path.as_bytes(),
        target_path: target.as_bytes(),
        target_parent_id: target_parent,
        version,
    }
}

fn open(path: &Path) -> Option<OwnedFd> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    connect(&socket, &SocketAddrUnix::new(path).unwrap()).ok()?;
    Some(socket)
}

/// BeeGFS 7: sends without waiting and counts what it could not send.
pub struct One {
    path: PathBuf,
    connection: Option<OwnedFd>,
    pub dropped: u64,
    pub missed: u64,
    pub sent: u64,
}

impl One {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), connection: None, dropped: 0, missed: 0, sent: 0 }
    }

    pub fn send(&mut self, kind: &'static str, path: &str, target: &str) {
        if self.connection.is_none() {
            self.connection = open(&self.path);
        }
        let version = Version::One { minor: 0, size: 0, dropped: self.dropped, missed: self.missed };
        let packet = event(kind, path, target, version).encode();
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match self.connection.as_ref().map(|connection| send(connection, &packet, flags)) {
            Some(Ok(_all)) => self.sent += 1,
            Some(Err(rustix::io::Errno::AGAIN)) => self.dropped += 1,
            _ => {
                self.connection = None;
                self.dropped += 1;
            }
        }
    }
}

/// BeeGFS 8: keeps numbered events, and sends them from where the listener wants.
pub struct Two {
    pub path: PathBuf,
    pub meta_id: u32,
    /// The number of the first that is kept.
    pub oldest: u64,
    pub events: VecDeque<Vec<u8>>,
    /// How long the connection stays after the last event.
    pub linger: Duration,
}

impl Two {
    pub fn new(path: &Path, meta_id: u32, oldest: u64) -> Self {
        Self { path: path.to_owned(), meta_id, oldest, events: VecDeque::new(), linger: Duration::ZERO }
    }

    pub fn push(&mut self, kind: &'static str, path: &str, time_ns: i64) {
        let version = Version::Two { flags: 0, links: 1, user: 1000, time_ns };
        self.events.push_back(event(kind, path, "", version).encode());
    }

    /// Serves a listener until all is sent, and ends the connection.
    pub fn serve(&self) {
        let connection = loop {
            match open(&self.path) {
                Some(connection) => break connection,
                None => thread::sleep(Duration::from_millis(10)),
            }
        };
        let say = |message: Message<'_>| send(&connection, &message.encode(), SendFlags::NOSIGNAL).is_ok();
        say(Message::HandshakeResponse { meta_id: self.meta_id, mirror_group: 0 });
        let mut packet = vec![0; 4096];
        loop {
            let length = recv(&connection, packet.as_mut_slice(), RecvFlags::empty()).map_or(0, |(_, n)| n);
            if length == 0 {
                return;
            }
            let end = self.oldest + self.events.len() as u64;
            match Message::decode(&packet[..length]).unwrap() {
                Message::NewestRequest => drop(say(Message::Newest { next: end })),
                Message::RangeRequest => drop(say(Message::Range { next: end, oldest: self.oldest })),
                Message::Start { first } if first > end => {
                    say(Message::Close(CloseReason::StreamFailed));
                    return;
                }
                Message::Start { first } => {
                    for number in first.max(self.oldest)..end {
                        let bytes = &self.events[usize::try_from(number - self.oldest).unwrap()];
                        if !say(Message::Event { number, bytes }) {
                            return;
                        }
                    }
                    thread::sleep(self.linger);
                    return;
                }
                _ => {}
            }
        }
    }
}
