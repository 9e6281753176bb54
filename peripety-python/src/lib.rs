//! What the Python package `peripety` is made of; `peripety/__init__.py` is what programs see.

use std::{
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};

use peripety_block::{BlkCache, ResolveError, Roots};
use peripety_client::{
    Content, Cursor, Error, Filter, Next, Options, Request, SOCKET, Source, Start, Stream, ask,
};
use pyo3::{
    create_exception,
    exceptions::{
        PyConnectionError, PyException, PyLookupError, PyOSError, PyPermissionError, PyStopIteration,
        PyTimeoutError, PyValueError,
    },
    prelude::*,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

create_exception!(
    peripety,
    PeripetyError,
    PyException,
    "The daemon refused, or sent what cannot be understood."
);
create_exception!(peripety, UnknownDevice, PyLookupError, "Nothing has this name.");
create_exception!(peripety, AmbiguousDevice, PyLookupError, "Several block devices have this name.");
create_exception!(
    peripety,
    NotABlockDevice,
    PyLookupError,
    "The name is of something that is no block device."
);

/// How often Python may look at signals while it waits.
const SLICE: Duration = Duration::from_millis(500);

fn failed(error: &Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::NoDaemon { .. } => PyConnectionError::new_err(text),
        Error::Permission { .. } => PyPermissionError::new_err(text),
        Error::System { .. } => PyOSError::new_err(text),
        Error::Timeout { .. } => PyTimeoutError::new_err(text),
        Error::Option { .. } => PyValueError::new_err(text),
        Error::Refused(_) | Error::Nonsense { .. } => PeripetyError::new_err(text),
    }
}

fn unresolved(error: &ResolveError) -> PyErr {
    let text = error.to_string();
    match error {
        ResolveError::Empty => PyValueError::new_err(text),
        ResolveError::Unknown { .. } => UnknownDevice::new_err(text),
        ResolveError::Ambiguous { .. } => AmbiguousDevice::new_err(text),
        ResolveError::NoDevice { .. } | ResolveError::NotBlock { .. } | ResolveError::Controller { .. } => {
            NotABlockDevice::new_err(text)
        }
        ResolveError::Stat { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            PyPermissionError::new_err(text)
        }
        ResolveError::Stat { .. } => PyOSError::new_err(text),
    }
}

fn scan(root: Option<&str>) -> PyResult<BlkCache> {
    let roots = root.map_or_else(Roots::system, |root| Roots::under(Path::new(root)));
    BlkCache::scan(&roots).map_err(|error| PyOSError::new_err(error.to_string()))
}

/// The device that a name leads to, as JSON.
#[pyfunction]
#[pyo3(signature = (name, root=None))]
fn block_info(py: Python<'_>, name: &str, root: Option<&str>) -> PyResult<String> {
    py.detach(|| {
        let device = scan(root)?.resolve(name).map_err(|error| unresolved(&error))?;
        Ok(serde_json::to_value(&*device).unwrap_or_default().to_string())
    })
}

/// All devices, as JSON.
#[pyfunction]
#[pyo3(signature = (root=None))]
fn block_devices(py: Python<'_>, root: Option<&str>) -> PyResult<String> {
    py.detach(|| {
        let all = scan(root)?.all();
        let all = all.iter().map(|info| serde_json::to_value(&**info).unwrap_or_default()).collect();
        Ok(serde_json::Value::Array(all).to_string())
    })
}

/// The daemon's answer, as JSON.
#[pyfunction]
#[pyo3(signature = (request, target=None, reason=None, socket=None))]
fn request(
    py: Python<'_>,
    request: String,
    target: Option<String>,
    reason: Option<String>,
    socket: Option<String>,
) -> PyResult<String> {
    py.detach(|| {
        let socket = socket.unwrap_or_else(|| SOCKET.to_owned());
        let request = Request { request, target, reason, ..Request::default() };
        ask(Path::new(&socket), request).map(|answer| answer.to_string()).map_err(|error| failed(&error))
    })
}

/// What came: kind, JSON or reason, cursor, sequence, dropped, missed.
type Given = (&'static str, String, Option<String>, Option<u64>, u64, u64);

/// Revisions as they come.
#[pyclass(unsendable)]
struct RawStream {
    /// libsystemd wants one thread for as long as it lives.
    stream: Stream,
    /// The stream's descriptor, to wait without Python's lock.
    fd: OwnedFd,
}

#[pymethods]
impl RawStream {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "the package gives each by its name")]
    fn new(
        filter: &str,
        events: bool,
        incidents: bool,
        source: &str,
        start: &str,
        after: Option<&str>,
        follow: bool,
        socket: Option<String>,
        journal: Option<String>,
        daemons: Vec<String>,
    ) -> PyResult<Self> {
        let wrong = |what: &str, value: &str, use_: &str| {
            PyValueError::new_err(format!("{what}: '{value}' is not possible; use {use_}"))
        };
        let filter: Filter = serde_json::from_str(filter)
            .map_err(|error| PyValueError::new_err(format!("filter: {error}")))?;
        let source = match source {
            "auto" => Source::Auto,
            "socket" => Source::Socket,
            "journal" => Source::Journal,
            _ => return Err(wrong("source", source, "auto, socket or journal")),
        };
        let start = match (after, start) {
            (Some(cursor), _) => Start::After(cursor.parse::<Cursor>().map_err(|error| failed(&error))?),
            (None, "now") => Start::Now,
            (None, "stored") => Start::Stored,
            (None, _) => return Err(wrong("start", start, "now or stored")),
        };
        let options = Options {
            filter,
            events,
            incidents,
            source,
            start,
            follow,
            socket: socket.unwrap_or_else(|| SOCKET.to_owned()).into(),
            journal: journal.map(Into::into),
            daemons: daemons.into_iter().map(Into::into).collect(),
        };
        let stream = Stream::open(options).map_err(|error| failed(&error))?;
        let fd = stream.as_fd().try_clone_to_owned().map_err(PyOSError::new_err)?;
        Ok(Self { stream, fd })
    }

    /// A descriptor to poll.
    fn fileno(&self) -> i32 {
        self.stream.as_fd().as_raw_fd()
    }

    /// What came; None where nothing came within the time. Raises StopIteration when nothing more comes, ever.
    #[pyo3(signature = (timeout=None))]
    fn next(&mut self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Given>> {
        let limit = timeout.map(Duration::try_from_secs_f64).transpose();
        let limit = limit.map_err(|error| PyValueError::new_err(format!("timeout: {error}")))?;
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let slice = left.map_or(SLICE, |left| left.min(SLICE));
            match self.stream.try_next().map_err(|error| failed(&error))? {
                Next::Over => return Err(PyStopIteration::new_err(())),
                Next::Item(item) => {
                    let (kind, text) = match item.content() {
                        Content::Event(_) => ("event", item.json().to_owned()),
                        Content::Incident(_) => ("incident", item.json().to_owned()),
                        Content::Live => ("live", String::new()),
                        Content::Gap(why) => ("gap", why.clone()),
                        Content::Disconnected => ("disconnected", String::new()),
                    };
                    let cursor = item.cursor().map(ToString::to_string);
                    return Ok(Some((kind, text, cursor, item.sequence(), item.dropped(), item.missed())));
                }
                Next::Nothing if left == Some(Duration::ZERO) => return Ok(None),
                Next::Nothing => {
                    let slice = Timespec { tv_sec: 0, tv_nsec: slice.subsec_nanos().into() };
                    let fd = &self.fd;
                    // A signal ends it; then Python looks at it.
                    py.detach(|| {
                        let _signal = poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&slice));
                    });
                    py.check_signals()?;
                }
            }
        }
    }
}

#[pymodule]
fn _peripety(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("PeripetyError", py.get_type::<PeripetyError>())?;
    module.add("UnknownDevice", py.get_type::<UnknownDevice>())?;
    module.add("AmbiguousDevice", py.get_type::<AmbiguousDevice>())?;
    module.add("NotABlockDevice", py.get_type::<NotABlockDevice>())?;
    module.add_function(wrap_pyfunction!(block_info, module)?)?;
    module.add_function(wrap_pyfunction!(block_devices, module)?)?;
    module.add_function(wrap_pyfunction!(request, module)?)?;
    module.add_class::<RawStream>()
}
