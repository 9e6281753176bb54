//! A daemon's socket that hands out incidents as a test wants them: the daemon's own code, without its sources.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use peripety::event::{EventId, Incident, Severity, incident::State};
use peripety::internal::{
    Roots,
    notifier::{
        carry,
        memory::{Limits, Memory, Numbers},
        socket::{Answers, Later, Peer, Request, Server, Serving},
    },
};
use serde_json::{Value, json};

/// Requests that were made of it, in order.
pub type Requests = Arc<Mutex<Vec<Value>>>;

/// The last revision of each incident.
type Latest = Arc<Mutex<BTreeMap<EventId, Incident>>>;

/// Ends with its scope.
pub struct FakeDaemon {
    memory: Memory,
    requests: Requests,
    latest: Latest,
    _serving: Serving,
}

struct Known(Requests, Latest);

impl Answers for Known {
    fn answer(&self, request: &str) -> Option<Value> {
        // Who follows for the first time gets what is open: it may have been said before he came.
        let open = |latest: &Latest| -> Vec<Incident> {
            let Ok(latest) = latest.lock() else { return Vec::new() };
            latest.values().filter(|incident| incident.state.is_open()).cloned().collect()
        };
        (request == "status").then(|| json!({ "incidents": open(&self.1) }))
    }

    fn answer_later(&self, request: &Request, _peer: Peer) -> Option<Later> {
        let noted = json!({ "request": request.request, "target": request.target, "reason": request.reason });
        if !request.request.starts_with("notification_") {
            return None;
        }
        if let Ok(mut all) = self.0.lock() {
            all.push(noted);
        }
        let (say, answer) = tokio::sync::oneshot::channel();
        let _gone = say.send(Ok(json!({})));
        Some(answer)
    }
}

impl FakeDaemon {
    /// Listens in the sandbox's own runtime directory; its revisions are numbered from there on.
    pub fn start(first: u64) -> Result<Self> {
        Self::holding(first, 64 << 20)
    }

    /// The same with so many bytes of incidents in its memory.
    pub fn holding(first: u64, incident_bytes: usize) -> Result<Self> {
        let memory = Memory::numbered(
            Limits { incident_bytes, ..Limits::default() },
            Numbers { boot_id: "0123456789abcdef0123456789abcdef".to_owned(), first },
        );
        let (requests, latest) = (Requests::default(), Latest::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let server =
            runtime.block_on(async { Server::bind(&Roots::system()) }).context("binding the socket")?;
        let serving =
            server.start(memory.clone(), Arc::new(Known(Arc::clone(&requests), Arc::clone(&latest))))?;
        Ok(Self { memory, requests, latest, _serving: serving })
    }

    /// Hands out a revision.
    pub fn say(&self, incident: &Incident) -> Result<()> {
        if let Ok(mut latest) = self.latest.lock() {
            latest.insert(incident.incident_id, incident.clone());
        }
        let carried = carry(incident).context("an incident without JSON")?;
        self.memory.store(Arc::new(carried))?;
        Ok(())
    }

    /// What `peripety-notify` asked it to make an event of.
    pub fn requests(&self) -> Vec<Value> {
        self.requests.lock().map(|all| all.clone()).unwrap_or_default()
    }
}

/// An incident of a disk.
pub fn incident(number: u128, revision: u32) -> Result<Incident> {
    let now = Timestamp::now();
    Ok(serde_json::from_value(json!({
        "schema": 1,
        "incident_id": EventId::from_u128(number),
        "revision": revision,
        "state": "open",
        "severity": "error",
        "title": format!("sd{number}: unreadable sectors"),
        "hostname": "db1",
        "boot_id": "0123456789abcdef0123456789abcdef",
        "opened": now,
        "updated": now,
        "episodes": 1,
        "cause": { "name": format!("sd{number}"), "part": "device", "kind": "medium", "certainty": "certain",
                   "device": { "path": format!("/dev/sd{number}"), "wwid": format!("naa.{number}"), "serial": "ZA1234" } },
        "impact": { "kinds": ["data_at_risk"], "mount_points": ["/srv/data"] },
        "events": [],
        "event_count": 1,
        "failures": 3,
    }))?)
}

/// The same, worse.
pub fn worse(number: u128, revision: u32) -> Result<Incident> {
    Ok(Incident { severity: Severity::Critical, ..incident(number, revision)? })
}

/// The same, over.
pub fn over(number: u128, revision: u32) -> Result<Incident> {
    let now = Some(Timestamp::now());
    let by = Some("BLK_READ_BACK".to_owned());
    Ok(Incident { state: State::Resolved, resolved: now, resolved_by: by, ..incident(number, revision)? })
}
