//! HTTP for a scraper: one request on a connection, `GET /metrics`.

use std::{
    io::{self, Read, Write},
    net::TcpListener,
    os::unix::net::UnixStream,
};

use peripety::internal::files::listen;

use super::{Listen, MetricsError, Source, text::Format};
use crate::{
    http::{Request, Response},
    serve::serve,
};

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
    let Some(request) = Request::read(&mut stream)? else { return Ok(()) };
    let format = Format::accepted(request.header("accept").unwrap_or_default());
    let (status, kind, text) = match (request.method.as_str(), request.path.as_str()) {
        ("GET" | "HEAD", "/metrics") => ("200 OK", format.content_type(), source.render(format)),
        ("GET" | "HEAD", _) => ("404 Not Found", "text/plain", "metrics are at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "text/plain", "GET /metrics\n".to_owned()),
    };
    let body = request.method != "HEAD";
    Response { status, kind, headers: "", text: &text, body }.write(&mut stream)
}
