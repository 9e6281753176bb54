//! A request as a line of JSON.

use peripety_model::Filter;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use super::{PROTOCOL_VERSION, Position};

/// Longest request, bytes.
pub(super) const MAX_REQUEST: u64 = 4096;

/// What a client asks for. Keys that this version does not know are ignored.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Request {
    /// Version of the protocol.
    pub version: u32,
    /// `events`, or what [`super::Answers`] knows.
    pub request: String,
    /// Go on with events as they happen.
    #[serde(default)]
    pub follow: bool,
    /// Only events whose latest failure is not older; microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_us: Option<i64>,
    /// At most this many of the latest stored events; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog: Option<u64>,
    /// `events` only: with those of events, or of incidents, or both (`["events","incidents"]`); events alone when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<String>>,
    /// `events` only: which of them; with what was dropped and missed in each line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// `events` only: no stored revision up to this one, which the client has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Position>,
    /// What it is about: an incident, an event, a condition, a device or a mount point, as the request allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// `resolve` and `ack` only: why; it stands in the journal with the name of who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Request {
    /// What a person does about a fault: `resolve` or `ack`, with a reason.
    pub(crate) fn of_person(request: &str, target: String, reason: String) -> Self {
        Self { request: request.to_owned(), target: Some(target), reason: Some(reason), ..Self::default() }
    }
}

pub(super) async fn read_request(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Request, String> {
    let mut line = Vec::new();
    from.take(MAX_REQUEST).read_until(b'\n', &mut line).await.map_err(|error| error.to_string())?;
    if !line.ends_with(b"\n") && line.len() as u64 >= MAX_REQUEST {
        return Err(format!("the request is longer than {MAX_REQUEST} bytes"));
    }
    let request: Request = serde_json::from_slice(&line).map_err(|error| {
        format!("not a request: {error}; send one line like {{\"version\":1,\"request\":\"events\"}}")
    })?;
    if request.version == PROTOCOL_VERSION {
        Ok(request)
    } else {
        Err(format!("peripetyd {} speaks version {PROTOCOL_VERSION}", env!("CARGO_PKG_VERSION")))
    }
}

pub(super) fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}
