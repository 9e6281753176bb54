//! What a host says of itself, in the table of hosts under `SITE.HOST`: that it lives, what is wrong on it, what was lost.
//! Only the host itself writes it. Who reads it sees a host that says nothing any more by the age of the entry.

use jiff::Timestamp;
use peripety_model::{EventId, IncidentId, Severity};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::shared::Thing;

/// Version of this format.
pub const SCHEMA: u32 = 1;
/// Open incidents that are listed.
pub const OPEN_MAX: usize = 256;

/// A host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Version of this format.
    pub schema: u32,
    /// The site.
    pub site: String,
    /// The host's name.
    pub host: String,
    /// Version of the forwarder.
    pub version: String,
    /// When this was written, by the host's clock: against the server's time of the entry it says how far that is off.
    pub at: Timestamp,
    /// In what time the next one comes, seconds.
    pub every_s: u64,
    /// What was forwarded since the forwarder started.
    pub sent: Sent,
    /// What is known to be lost on the way from the kernel to the stream.
    pub lost: Lost,
    /// The daemon.
    pub daemon: Daemon,
    /// What is open, the worst first.
    pub open: Vec<Open>,
    /// Open incidents beyond those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
    /// Why shared things are not reported as one: the table of the fleet cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What was forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Revisions that the stream has.
    pub stored: u64,
    /// Of them, those that it had already.
    pub again: u64,
    /// Revisions on their way now.
    pub waiting: u64,
    /// When the newest was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Whether all that the journal has was forwarded.
    pub live: bool,
}

/// What did not come through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Entries of the journal that cannot be read.
    pub unread: u64,
    /// Revisions that no server takes, for their size.
    pub too_large: u64,
    /// Records that the daemon knows to be lost before they became events (its `stats`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
}

/// The daemon, as far as it answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Daemon {
    /// Whether it does.
    pub answers: bool,
    /// Probes that the kernel refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
}

/// A probe that sees nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// `refused`.
    pub state: String,
}

/// An incident that is open on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// Its id.
    pub incident_id: IncidentId,
    /// How bad.
    pub severity: Severity,
    /// Since when.
    pub since: Timestamp,
    /// Its title.
    pub title: String,
    /// What it is about, if other hosts see that, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thing: Option<Thing>,
    /// The incident of the fleet that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<EventId>,
}

impl Daemon {
    /// From its answer to the request `metrics`, with the records that it knows to be lost; what has no known form is left out.
    pub fn of(metrics: Option<&Value>) -> (Self, Option<u64>) {
        let Some(metrics) = metrics else { return (Self::default(), None) };
        let rows = |key: &str| metrics.get(key).and_then(Value::as_array).into_iter().flatten();
        let probe = |row: &Value| {
            let text = |key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
            let (name, state) = (text("name")?, text("state")?);
            // It is no fault that a driver is not there, nor that another probe or no limit makes it needless: those are off.
            (state == "refused").then_some(Probe { name, state })
        };
        let lost = rows("losses").filter_map(|row| row.get("count")?.as_u64()).sum();
        (Self { answers: true, probes: rows("probes").filter_map(probe).collect() }, Some(lost))
    }
}

impl Host {
    /// Reads an entry: the host may be anybody.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|this: &Self| this.schema == SCHEMA)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_daemon_answers_is_its_state_and_its_losses() {
        let answer = serde_json::json!({
            "losses": [{ "source": "ring", "reason": "full", "count": 3 }, { "count": 4 }, { "count": "x" }, 1],
            "probes": [{ "name": "a", "state": "refused" }, { "name": "b", "state": "attached" }, { "name": "c", "state": "absent" }, { "name": "d", "state": "off" }, {}],
        });
        let (daemon, lost) = Daemon::of(Some(&answer));
        assert_eq!((daemon.answers, lost), (true, Some(7)));
        assert_eq!(daemon.probes, [Probe { name: "a".to_owned(), state: "refused".to_owned() }]);
        assert_eq!(Daemon::of(None), (Daemon::default(), None));
        for bytes in [&b""[..], b"{}", b"[]", b"\xff"] {
            assert_eq!(Host::read(bytes), None);
        }
    }
}
