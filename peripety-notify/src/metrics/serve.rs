//! HTTP for a scraper: one request on a connection, `GET /metrics`.

use std::{
    io::{self, Read, Write},
    net::TcpListener,
    os::unix::net::UnixStream,
};

use peripety::internal::files::listen;

use super::{Listen, MetricsError, Source, text::Format};
use crate::serve::serve;

/// Bytes of a request.
const REQUEST_MAX: usize = 8 << 10;

/// Serves on a thread, for ever.
pub(super) fn start(place: &Listen, source: Source) -> Result<(), MetricsError> {
    let shown = match place {
        Listen::Unix(path) => path.display().to_string(),
        Listen::Port(address) => address.to_string(),
    };
    let fail = |source| MetricsError::Listen { place: shown.clone(), source };
    let started = match place {
        Listen::Unix(path) => {
            if UnixStream::connect(path).is_ok() {
                return Err(fail(io::ErrorKind::AddrInUse.into()));
            }
            let listener = listen(path, None)?;
            let accept = move || listener.accept().map(|(stream, _)| stream);
            serve("metrics", accept, move |stream| answer(stream, &source))
        }
        Listen::Port(address) => {
            let listener = TcpListener::bind(address).map_err(fail)?;
            let accept = move || listener.accept().map(|(stream, _)| stream);
            serve("metrics", accept, move |stream| answer(stream, &source))
        }
    };
    started.map_err(fail)
}

fn answer(mut stream: impl Read + Write, source: &Source) -> io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let n = stream.read(&mut buffer)?;
        request.extend_from_slice(buffer.get(..n).unwrap_or_default());
        if n == 0 || request.len() > REQUEST_MAX {
            return Ok(());
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let mut lines = request.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let accept = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("accept").then(|| value.to_owned())
    });
    let format = Format::accepted(accept.as_deref().unwrap_or_default());
    let (status, kind, body) = match (method, path.split('?').next().unwrap_or_default()) {
        ("GET" | "HEAD", "/metrics") => ("200 OK", format.content_type(), source.render(format)),
        ("GET" | "HEAD", _) => ("404 Not Found", "text/plain", "metrics are at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "text/plain", "GET /metrics\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    if method != "HEAD" {
        stream.write_all(body.as_bytes())?;
    }
    stream.flush()
}
