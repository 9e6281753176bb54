//! What the daemon answers over its socket.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::{sources::Probes, status::Status};
use crate::{
    collector::ebpf::status::RingStatus,
    notifier::socket::{Answers, SocketCounters},
};

/// What the loop tells the socket, renewed whenever it changes.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    /// `stats`.
    pub(super) stats: Value,
    /// `config`.
    pub(super) config: Value,
}

/// The daemon's side of the socket.
pub(super) struct Daemon {
    pub(super) probes: Option<Probes>,
    pub(super) snapshot: Arc<Mutex<Snapshot>>,
    pub(super) status: Status,
    pub(super) socket: Arc<SocketCounters>,
}

impl Answers for Daemon {
    fn answer(&self, request: &str) -> Option<Value> {
        let snapshot = || self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        match request {
            "probes" => Some(match &self.probes {
                Some(probes) => serde_json::to_value(probes.lock().status()).unwrap_or_default(),
                None => {
                    json!({ "probes": [], "ring": RingStatus::default(), "kernel_statistics": false, "off": "--no-ebpf" })
                }
            }),
            "stats" => {
                let mut stats = snapshot().stats.clone();
                if let Value::Object(all) = &mut stats {
                    all.insert("socket".to_owned(), self.socket.to_json());
                    all.insert("journal_at_start".to_owned(), self.status.journal_stats());
                }
                Some(stats)
            }
            "status" => Some(self.status.to_json()),
            "config" => Some(snapshot().config.clone()),
            _ => None,
        }
    }
}
