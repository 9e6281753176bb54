//! A client's connection, with TLS or without, and how long it may take.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use rustls::{ServerConnection, StreamOwned};

use super::config::Tls;

/// How long a client that reads nothing is waited for, as long as the daemon waits.
const WRITE: Duration = Duration::from_secs(30);

/// TCP, with a time until which all that is read has to be there.
pub struct Sock {
    tcp: TcpStream,
    until: Option<Instant>,
}

impl Read for Sock {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(until) = self.until {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it took too long to ask"));
            }
            self.tcp.set_read_timeout(Some(left))?;
        }
        self.tcp.read(buffer)
    }
}

impl Write for Sock {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// A connection.
pub enum Conn {
    Plain(Sock),
    Tls(Box<StreamOwned<ServerConnection, Sock>>),
}

impl Conn {
    /// Over TCP; with TLS if there is some. What is read has to be there within `patience`, until it is told to be patient.
    pub fn new(tcp: TcpStream, tls: Option<Tls>, patience: Duration) -> io::Result<Self> {
        tcp.set_write_timeout(Some(WRITE))?;
        tcp.set_nodelay(true)?;
        // Who is gone without a word is found out in the end.
        rustix::net::sockopt::set_socket_keepalive(&tcp, true)?;
        let sock = Sock { tcp, until: Instant::now().checked_add(patience) };
        Ok(match tls {
            None => Self::Plain(sock),
            Some(tls) => {
                let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
                Self::Tls(Box::new(StreamOwned::new(connection, sock)))
            }
        })
    }

    fn sock(&mut self) -> &mut Sock {
        match self {
            Self::Plain(sock) => sock,
            Self::Tls(tls) => &mut tls.sock,
        }
    }

    /// From now on nothing has to come by a certain time.
    pub(super) fn is_patient(&mut self) -> io::Result<()> {
        self.sock().until = None;
        self.sock().tcp.set_read_timeout(None)
    }

    /// Whether reading and writing wait.
    pub(super) fn set_nonblocking(&mut self, nonblocking: bool) -> io::Result<()> {
        self.sock().tcp.set_nonblocking(nonblocking)
    }

    /// Says that nothing more follows.
    pub fn close(&mut self) {
        if let Self::Tls(tls) = self {
            tls.conn.send_close_notify();
            let _gone = tls.flush();
        }
        let _gone = self.sock().tcp.shutdown(Shutdown::Write);
    }
}

impl AsFd for Conn {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain(sock) => sock.tcp.as_fd(),
            Self::Tls(tls) => tls.sock.tcp.as_fd(),
        }
    }
}

impl Read for Conn {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(sock) => sock.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Conn {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(sock) => sock.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(sock) => sock.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}
