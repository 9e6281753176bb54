//! The daemon's socket protocol as its clients see it; doc/socket.md describes it.

use peripety_model::Filter;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

/// Version of the protocol.
pub const PROTOCOL_VERSION: u32 = 1;

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Request {
    /// Version of the protocol: [`PROTOCOL_VERSION`] is filled in where it is 0.
    pub version: u32,
    /// `events`, `status`, `stats`, `probes` …
    pub request: String,
    /// Go on with events as they happen.
    pub follow: bool,
    /// `events` only: `events`, `incidents`, or both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<String>>,
    /// `events` only: no stored revision up to this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Position>,
    /// `events` only: which of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// What it is about, for requests that are about something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Why, for requests that want a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A revision, by its boot and number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The boot.
    pub boot_id: String,
    /// The number, which grows over all daemons of the boot.
    pub sequence: u64,
}

/// A line of the daemon.
#[derive(Debug, Deserialize)]
pub(crate) struct Reply<'a> {
    #[serde(borrow)]
    pub event: Option<&'a RawValue>,
    #[serde(borrow)]
    pub incident: Option<&'a RawValue>,
    pub sequence: Option<u64>,
    pub position: Option<Position>,
    pub complete: Option<bool>,
    pub missed: Option<u64>,
    pub dropped: Option<u64>,
    pub lost: Option<u64>,
    pub live: Option<bool>,
    pub end: Option<bool>,
    pub error: Option<String>,
    pub answer: Option<Value>,
}
