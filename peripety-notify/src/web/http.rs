//! HTTP, as far as a page and the beginning of a websocket need it: one request on a connection.

use std::io::{self, Read, Write};

use super::files::FILES;

/// Bytes of a request.
const REQUEST_MAX: usize = 8 << 10;

/// Nothing from elsewhere, no script but the page's own, in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The head of a request.
#[derive(Debug)]
pub(super) struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// Reads it; none where it is no request, or ends too soon.
    pub(super) fn read(stream: &mut (impl Read + Write)) -> io::Result<Option<Self>> {
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
                respond(stream, "431 Request Header Fields Too Large", "text/plain", &what, true)?;
                return Ok(None);
            }
        }
        Ok(Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.split('?').next()?.to_owned());
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        };
        Some(Self { method, path, headers: lines.filter_map(header).collect() })
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(is, _)| is == name).map(|(_, value)| value.as_str())
    }

    /// Whether it begins a websocket.
    pub(super) fn wants_websocket(&self) -> bool {
        let is = |name, value: &str| {
            self.header(name)
                .is_some_and(|is| is.split(',').any(|one| one.trim().eq_ignore_ascii_case(value)))
        };
        self.method == "GET"
            && self.path == "/stream"
            && is("upgrade", "websocket")
            && is("connection", "upgrade")
    }

    /// Why a browser that sends this may not subscribe. A page of another site could otherwise read what is served here, with
    /// the rights of who looks at it; or have its own name lead here.
    pub(super) fn foreign(&self, needs_token: bool) -> Option<&'static str> {
        let host = self.header("host").unwrap_or_default();
        let same =
            |origin: &str| origin.split_once("://").is_some_and(|(_, of)| of.eq_ignore_ascii_case(host));
        if self.header("origin").is_some_and(|origin| !same(origin)) {
            return Some("a page of another site may not subscribe");
        }
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        (!needs_token && !crate::output::is_local(name))
            .then_some("without a token it is reached as localhost only")
    }
}

/// Answers what is no websocket.
pub(super) fn answer(stream: &mut impl Write, request: &Request) -> io::Result<()> {
    let body = request.method != "HEAD";
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return respond(stream, "405 Method Not Allowed", "text/plain", "GET\n", body);
    }
    match FILES.iter().find(|file| file.path == request.path) {
        Some(file) => respond(stream, "200 OK", file.kind, file.text, body),
        None if request.path == "/stream" => {
            let what = "this is a websocket; doc/web.md says what it takes\n";
            respond(stream, "426 Upgrade Required", "text/plain", what, body)
        }
        None => {
            respond(stream, "404 Not Found", "text/plain", "the page is at /, the stream at /stream\n", body)
        }
    }
}

/// Says that there are too many clients.
pub(super) fn refuse(stream: &mut impl Write, what: &str) -> io::Result<()> {
    respond(stream, "503 Service Unavailable", "text/plain", what, true)
}

/// Says that a client may not.
pub(super) fn forbid(stream: &mut impl Write, what: &str) -> io::Result<()> {
    respond(stream, "403 Forbidden", "text/plain", what, true)
}

fn respond(stream: &mut impl Write, status: &str, kind: &str, text: &str, body: bool) -> io::Result<()> {
    let length = text.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\
         Content-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
         Cache-Control: no-store\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    if body {
        stream.write_all(text.as_bytes())?;
    }
    stream.flush()
}
