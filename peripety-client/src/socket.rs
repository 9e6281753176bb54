//! A connection to the daemon: one request, and its lines.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;

use crate::{Error, PROTOCOL_VERSION, Request, protocol::Reply};

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest line that is taken from the daemon.
const LINE_MAX: usize = 16 << 20;

/// Asks the daemon that listens at `socket` for an answer: `status`, `stats`, `probes`, `config`, `metrics`, or what a
/// person does (`resolve`, `ack`).
///
/// # Errors
///
/// It does not listen, refuses, or does not answer within 10 s.
pub fn ask(socket: &Path, request: Request) -> Result<Value, Error> {
    let mut connection = Connection::open(socket, request)?;
    match connection.line(true)? {
        Line::Text(line) => match connection.reply(&line)?.answer {
            Some(answer) => Ok(answer),
            None => Err(connection.nonsense()),
        },
        Line::Nothing | Line::Closed => Err(connection.nonsense()),
    }
}

/// What was read.
pub(crate) enum Line {
    /// A line, without its end.
    Text(Vec<u8>),
    /// Nothing now.
    Nothing,
    /// The daemon closed the connection.
    Closed,
}

/// A connection, good for one request.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    path: PathBuf,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were given out.
    taken: usize,
    /// Bytes of `buffer` that are known to hold no end of a line.
    scanned: usize,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Connection {
    pub(crate) fn open(path: &Path, request: Request) -> Result<Self, Error> {
        let path = path.to_owned();
        let system = |what| {
            let path = path.clone();
            move |source: io::Error| Error::System { what, path, source }
        };
        let mut stream = UnixStream::connect(&path).map_err(|source| match source.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Error::NoDaemon { path: path.clone() },
            ErrorKind::PermissionDenied => Error::Permission { path: path.clone() },
            _ => Error::System { what: "connect to", path: path.clone(), source },
        })?;
        let request = Request { version: PROTOCOL_VERSION, ..request };
        let mut line = serde_json::to_vec(&request).map_err(io::Error::from).map_err(system("ask"))?;
        line.push(b'\n');
        stream.set_read_timeout(Some(PATIENCE)).map_err(system("ask"))?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(system("ask"))?;
        stream.write_all(&line).map_err(system("ask"))?;
        Ok(Self { stream, path, buffer: Vec::new(), taken: 0, scanned: 0 })
    }

    /// From now on nothing waits.
    pub(crate) fn set_nonblocking(&self) -> Result<(), Error> {
        let system = |source| Error::System { what: "read from", path: self.path.clone(), source };
        self.stream.set_nonblocking(true).map_err(system)
    }

    /// The next line, for which a blocking connection waits.
    pub(crate) fn line(&mut self, blocks: bool) -> Result<Line, Error> {
        loop {
            let unread = self.buffer.get(self.scanned..).unwrap_or_default();
            if let Some(at) = unread.iter().position(|b| *b == b'\n') {
                let end = self.scanned + at;
                let line = self.buffer.get(self.taken..end).unwrap_or_default().to_vec();
                (self.taken, self.scanned) = (end + 1, end + 1);
                return Ok(Line::Text(line));
            }
            self.buffer.drain(..self.taken.min(self.buffer.len()));
            (self.taken, self.scanned) = (0, self.buffer.len());
            if self.buffer.len() > LINE_MAX {
                return Err(self.nonsense());
            }
            let mut piece = [0; 32 << 10];
            match self.stream.read(&mut piece) {
                Ok(0) => return Ok(Line::Closed),
                Ok(length) => self.buffer.extend_from_slice(piece.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && !blocks => return Ok(Line::Nothing),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(Error::Timeout { path: self.path.clone(), seconds: PATIENCE.as_secs() });
                }
                // The daemon was killed with something unread.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Line::Closed),
                Err(source) => {
                    return Err(Error::System { what: "read from", path: self.path.clone(), source });
                }
            }
        }
    }

    pub(crate) fn reply<'a>(&self, line: &'a [u8]) -> Result<Reply<'a>, Error> {
        let mut reply: Reply<'a> = serde_json::from_slice(line).map_err(|_not_json| self.nonsense())?;
        match reply.error.take() {
            Some(error) => Err(Error::Refused(error)),
            None => Ok(reply),
        }
    }

    pub(crate) fn nonsense(&self) -> Error {
        Error::Nonsense { path: self.path.clone() }
    }
}
