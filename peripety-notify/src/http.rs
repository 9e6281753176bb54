//! HTTP, as far as metrics, a page and the beginning of a websocket need it: one request on a connection.

use std::io::{self, Read, Write};

/// Bytes of a request.
const REQUEST_MAX: usize = 8 << 10;

/// The head of a request.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    /// Without its query.
    pub path: String,
    /// What stands behind the question mark.
    pub query: String,
    /// What of the body came with the head.
    rest: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl Request {
    /// Reads it; none where it is no request, or ends too soon.
    pub fn read(stream: &mut (impl Read + Write)) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 1024];
        while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
            let n = stream.read(&mut buffer)?;
            bytes.extend_from_slice(buffer.get(..n).unwrap_or_default());
            if n == 0 {
                return Ok(None);
            }
            if bytes.len() > REQUEST_MAX {
                let what = format!("a request has at most {REQUEST_MAX} bytes");
                Response::text("431 Request Header Fields Too Large", &what).write(stream)?;
                return Ok(None);
            }
        }
        let end = bytes.windows(4).position(|end| end == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
        let rest = bytes.split_off(end);
        Ok(Self::parse(&String::from_utf8_lossy(&bytes)).map(|request| Self { rest, ..request }))
    }

    /// Its body, of at most `most` bytes; none where it is longer, or its length is not given.
    pub fn body(&self, stream: &mut impl Read, most: usize) -> io::Result<Option<Vec<u8>>> {
        let length = self.header("content-length").and_then(|length| length.parse().ok());
        let Some(length) = length.filter(|length| *length <= most) else { return Ok(None) };
        let mut body = self.rest.clone();
        body.truncate(length);
        let left = length - body.len();
        stream.take(left as u64).read_to_end(&mut body)?;
        Ok((body.len() == length).then_some(body))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.filter_map(header).collect();
        Some(Self { method, path: path.to_owned(), query: query.to_owned(), rest: Vec::new(), headers })
    }

    /// Why a browser that sends this may not ask. A page of another site could otherwise read what is served here, with the rights
    /// of who looks at it; or have its own name lead here.
    pub fn foreign(&self, needs_token: bool) -> Option<Foreign> {
        let host = self.header("host").unwrap_or_default();
        let same =
            |origin: &str| origin.split_once("://").is_some_and(|(_, of)| of.eq_ignore_ascii_case(host));
        if self.header("origin").is_some_and(|origin| !same(origin)) {
            return Some(Foreign::Page);
        }
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        (!needs_token && !crate::output::is_local(name)).then_some(Foreign::Name)
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(is, _)| is == name).map(|(_, value)| value.as_str())
    }
}

/// What is foreign of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A page of another site sends it.
    Page,
    /// It came by a name that is not this machine's own, and nothing else says who asks.
    Name,
}

/// What is answered.
pub struct Response<'a> {
    pub status: &'a str,
    pub kind: &'a str,
    /// Further headers, each with its end of line.
    pub headers: &'a str,
    pub text: &'a str,
    /// Not for HEAD.
    pub body: bool,
}

impl<'a> Response<'a> {
    /// Why there is nothing else.
    pub const fn text(status: &'a str, text: &'a str) -> Self {
        Self { status, kind: "text/plain", headers: "", text, body: true }
    }

    /// Writes it.
    pub fn write(&self, stream: &mut impl Write) -> io::Result<()> {
        let Self { status, kind, headers, text, body } = self;
        let length = text.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes())?;
        if *body {
            stream.write_all(text.as_bytes())?;
        }
        stream.flush()
    }
}
