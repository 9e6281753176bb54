//! HTTP, as far as metrics, a page and the beginning of a websocket need it: one request on a connection.

use std::io::{self, Read, Write};

/// Bytes of a request.
const REQUEST_MAX: usize = 8 << 10;

/// The head of a request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without its query.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// Reads it; none where it is no request, or ends too soon.
    pub(crate) fn read(stream: &mut (impl Read + Write)) -> io::Result<Option<Self>> {
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
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(is, _)| is == name).map(|(_, value)| value.as_str())
    }
}

/// What is answered.
pub(crate) struct Response<'a> {
    pub(crate) status: &'a str,
    pub(crate) kind: &'a str,
    /// Further headers, each with its end of line.
    pub(crate) headers: &'a str,
    pub(crate) text: &'a str,
    /// Not for HEAD.
    pub(crate) body: bool,
}

impl<'a> Response<'a> {
    /// Why there is nothing else.
    pub(crate) const fn text(status: &'a str, text: &'a str) -> Self {
        Self { status, kind: "text/plain", headers: "", text, body: true }
    }

    /// Writes it.
    pub(crate) fn write(&self, stream: &mut impl Write) -> io::Result<()> {
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
