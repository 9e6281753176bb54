//! HTTP for a scraper: one request on a connection, `GET /metrics`.

use std::{
    fs::{self, Permissions},
    io::{self, Read, Write},
    net::TcpListener,
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::{Listen, MetricsError, Source, text::Format};

/// Bytes of a request, how long it may take, and clients at a time.
const REQUEST_MAX: usize = 8 << 10;
const PATIENCE: Duration = Duration::from_secs(5);
const CLIENTS_MAX: usize = 8;

/// Serves on a thread, for ever.
pub(super) fn start(listen: &Listen, source: Source) -> Result<(), MetricsError> {
    let place = match listen {
        Listen::Unix(path) => path.display().to_string(),
        Listen::Port(address) => address.to_string(),
    };
    let fail = |source| MetricsError::Listen { place: place.clone(), source };
    let started = match listen {
        Listen::Unix(path) => {
            if UnixStream::connect(path).is_ok() {
                return Err(fail(io::ErrorKind::AddrInUse.into()));
            }
            let _none_there = fs::remove_file(path);
            let listener = UnixListener::bind(path).map_err(fail)?;
            fs::set_permissions(path, Permissions::from_mode(0o660)).map_err(fail)?;
            spawn(move || listener.accept().map(|(s, _)| (s.set_read_timeout(Some(PATIENCE)), s).1), source)
        }
        Listen::Port(address) => {
            let listener = TcpListener::bind(address).map_err(fail)?;
            spawn(move || listener.accept().map(|(s, _)| (s.set_read_timeout(Some(PATIENCE)), s).1), source)
        }
    };
    started.map_err(fail)
}

fn spawn<S: Read + Write + Send + 'static>(
    accept: impl Fn() -> io::Result<S> + Send + 'static,
    source: Source,
) -> io::Result<()> {
    let busy = Arc::new(AtomicUsize::new(0));
    let serve = move || {
        loop {
            let Ok(stream) = accept() else {
                thread::sleep(Duration::from_millis(200));
                continue;
            };
            if busy.fetch_add(1, Ordering::AcqRel) >= CLIENTS_MAX {
                busy.fetch_sub(1, Ordering::AcqRel);
                continue;
            }
            let (source, busy) = (source.clone(), Arc::clone(&busy));
            let work = move || {
                let _gone = answer(stream, &source);
                busy.fetch_sub(1, Ordering::AcqRel);
            };
            let _no_thread =
                thread::Builder::new().name("scrape".to_owned()).stack_size(512 << 10).spawn(work);
        }
    };
    thread::Builder::new().name("metrics".to_owned()).stack_size(64 << 10).spawn(serve).map(drop)
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
