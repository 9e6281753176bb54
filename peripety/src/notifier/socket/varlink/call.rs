//! A call as it comes, and its parameters.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{CALL_MAX, Failure, PATIENCE, failure};

/// A call.
#[derive(Debug, Deserialize)]
pub(super) struct Call {
    pub(super) method: String,
    #[serde(default)]
    pub(super) parameters: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) more: bool,
    #[serde(default)]
    pub(super) oneway: bool,
    #[serde(default)]
    pub(super) upgrade: bool,
}

/// Why something is no call. Nothing more is read from a client that sends it.
#[derive(Debug)]
pub(super) enum NotCalled {
    TooLong,
    TooSlow,
    Nonsense(String),
}

impl NotCalled {
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::TooLong => failure("io.peripety.Daemon.CallTooLong", json!({ "most": CALL_MAX })),
            Self::TooSlow => {
                failure("io.peripety.Daemon.CallTooSlow", json!({ "seconds": PATIENCE.as_secs() }))
            }
            Self::Nonsense(why) => failure("io.peripety.Daemon.NotACall", json!({ "why": why })),
        }
    }
}

impl Call {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, NotCalled> {
        serde_json::from_slice(bytes).map_err(|error| NotCalled::Nonsense(error.to_string()))
    }
}

/// The parameters of a call, which are taken one by one.
pub(super) struct Parameters(Map<String, Value>);

pub(super) fn invalid(name: &str) -> Failure {
    failure("org.varlink.service.InvalidParameter", json!({ "parameter": name }))
}

impl Parameters {
    pub(super) fn of(call: &mut Call) -> Self {
        Self(call.parameters.take().unwrap_or_default())
    }

    /// One that may be absent, or null.
    pub(super) fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Failure> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(without_nulls(value)).map(Some).map_err(|_wrong| invalid(name)),
        }
    }

    /// One that must be there.
    pub(super) fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Failure> {
        self.optional(name)?.ok_or_else(|| invalid(name))
    }

    /// There are no others.
    pub(super) fn end(self) -> Result<(), Failure> {
        self.0.keys().next().map_or(Ok(()), |name| Err(invalid(name)))
    }
}

/// null is the same as nothing to Varlink.
fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(all) = &mut value {
        all.retain(|_, value| !value.is_null());
    }
    value
}
