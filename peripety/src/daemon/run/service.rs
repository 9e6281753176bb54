//! The socket's side of the loop: what is asked, what is answered at once from a snapshot, and looks at sysfs.

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::{
    super::{
        outputs::Outputs,
        socket_handler::{self, ASKED_MAX, Asked, Snapshot},
        sources::Probes,
    },
    look,
};
use crate::{
    block::BlkCache,
    notifier::socket::{Listening, Server, Serving},
};

/// Questions and answers.
pub(super) struct Service {
    server: Option<Server>,
    serving: Option<Serving>,
    pub(super) questions: (mpsc::Sender<Asked>, mpsc::Receiver<Asked>),
    pub(super) snapshot: Arc<Mutex<Snapshot>>,
    pub(super) looked: look::Looked,
    pub(super) looks: look::Looks,
    pub(super) listen_on: mpsc::UnboundedSender<Listening>,
}

impl Service {
    /// A socket that answers once [`Service::start`] was called.
    pub(super) fn new() -> Self {
        let server = Server::default();
        Self {
            listen_on: server.listen_on(),
            server: Some(server),
            serving: None,
            questions: mpsc::channel(ASKED_MAX),
            snapshot: Arc::default(),
            looked: look::looked(),
            looks: look::Looks::default(),
        }
    }

    /// Begins to answer, in a thread.
    pub(super) fn start(&mut self, outputs: &Outputs, probes: Option<&Probes>, devices: &BlkCache) {
        let Some(server) = self.server.take() else { return };
        let answers = socket_handler::Daemon {
            probes: probes.cloned(),
            snapshot: Arc::clone(&self.snapshot),
            status: outputs.status(),
            asked: self.questions.0.clone(),
            socket: server.counters(),
            devices: devices.clone(),
        };
        let serving = server.start(outputs.memory(), Arc::new(answers));
        self.serving = serving.map_err(|error| tracing::error!("cannot serve the socket: {error}")).ok();
    }
}
