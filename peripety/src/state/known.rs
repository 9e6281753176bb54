//! What the conditions are known from, and what of the machine cannot be known.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// From what, and since when, the state of the machine is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// `peripetyd`, `journal`, `sysfs`.
    pub by: Vec<String>,
    /// The time of the oldest event that is known.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// The time of the latest event, where nobody watches any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What is not known.
    #[serde(default)]
    pub limits: Vec<Limit>,
}

/// Something that is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limit {
    /// What, in a few words: `probes`, `kernel text`, `journal`.
    pub what: String,
    /// Why, and what it means.
    pub why: String,
    /// Whether a fault of now may go unseen for it.
    pub unseen: bool,
}

impl Limit {
    /// A fault of now may go unseen.
    pub(crate) fn unseen(what: &str, why: impl Into<String>) -> Self {
        Self { what: what.to_owned(), why: why.into(), unseen: true }
    }

    /// What happened before is not known, or not all of it.
    pub(crate) fn past(what: &str, why: impl Into<String>) -> Self {
        Self { what: what.to_owned(), why: why.into(), unseen: false }
    }
}

impl Known {
    /// Whether there is anything that reports events: sysfs alone has few of them.
    pub(crate) fn is_nothing(&self) -> bool {
        self.by.iter().all(|by| by == "sysfs")
    }
}
