//! What the daemon answers over its socket.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::{sources::Probes, status::Status};
use crate::{
    block::BlkCache,
    collector::ebpf::status::RingStatus,
    notifier::socket::{Answers, Later, Peer, Request, SocketCounters},
};

/// What the loop reports the socket, renewed whenever it changes.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    /// `stats`.
    pub(super) stats: Value,
    /// `config`.
    pub(super) config: Value,
}

/// What only the event loop can answer.
#[derive(Debug)]
pub(super) enum Asked {
    /// `status`.
    Status(Reply),
    /// `metrics`.
    Metrics(Reply),
    /// `ack`: which incident, why, and who says so.
    Acknowledge { target: String, reason: String, peer: Peer, reply: Reply },
    /// `notification_failed` and `notification_restored`: of which receiver, and why.
    Notification { failed: bool, receiver: String, reason: String, reply: Reply },
    /// `resolve`: what, why, and who says so.
    Resolve { target: String, reason: String, peer: Peer, reply: Reply },
}

/// Where the answer goes.
pub(super) type Reply = oneshot::Sender<Result<Value, String>>;

/// Questions that may wait for the loop.
pub(super) const ASKED_MAX: usize = 64;

/// The daemon's side of the socket.
pub(super) struct Daemon {
    pub(super) probes: Option<Probes>,
    pub(super) snapshot: Arc<Mutex<Snapshot>>,
    pub(super) status: Status,
    pub(super) asked: mpsc::Sender<Asked>,
    pub(super) socket: Arc<SocketCounters>,
    pub(super) devices: BlkCache,
}

impl Daemon {
    fn ask(&self, question: impl FnOnce(Reply) -> Asked) -> Later {
        let (reply, later) = oneshot::channel();
        // What is refused is dropped, and so the answer is.
        let _full = self.asked.try_send(question(reply));
        later
    }
}

impl Answers for Daemon {
    fn answer(&self, request: &str) -> Option<Value> {
        let snapshot = || self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        match request {
            "probes" => {
                let mut all = match &self.probes {
                    Some(probes) => serde_json::to_value(probes.lock().status()).unwrap_or_default(),
                    None => {
                        json!({ "probes": [], "ring": RingStatus::default(), "kernel_statistics": false, "off": "--no-ebpf" })
                    }
                };
                if let Value::Object(all) = &mut all {
                    all.insert(
                        "watch".to_owned(),
                        snapshot().stats.get("watch").cloned().unwrap_or_default(),
                    );
                }
                Some(all)
            }
            "stats" => {
                let mut stats = snapshot().stats.clone();
                if let Value::Object(all) = &mut stats {
                    all.insert("socket".to_owned(), self.socket.to_json());
                    all.insert("journal_at_start".to_owned(), self.status.journal_stats());
                }
                Some(stats)
            }
            "config" => Some(snapshot().config.clone()),
            _ => None,
        }
    }

    fn devices(&self) -> Option<BlkCache> {
        Some(self.devices.clone())
    }

    fn answer_later(&self, request: &Request, peer: Peer) -> Option<Later> {
        match request.request.as_str() {
            "status" => Some(self.ask(Asked::Status)),
            "metrics" => Some(self.ask(Asked::Metrics)),
            "notification_failed" | "notification_restored" => {
                let failed = request.request == "notification_failed";
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                let (receiver, reason) = (text(&request.target), text(&request.reason));
                Some(self.ask(|reply| Asked::Notification { failed, receiver, reason, reply }))
            }
            "resolve" | "ack" => {
                let is_ack = request.request == "ack";
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                let (target, reason) = (text(&request.target), text(&request.reason));
                Some(self.ask(|reply| {
                    if is_ack {
                        Asked::Acknowledge { target, reason, peer, reply }
                    } else {
                        Asked::Resolve { target, reason, peer, reply }
                    }
                }))
            }
            _ => None,
        }
    }
}
