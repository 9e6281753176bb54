//! That the host lives, and how it is: said in the table of hosts.

use std::{path::PathBuf, time::Duration};

use async_nats::jetstream::{Context, kv::Store};
use jiff::Timestamp;
use peripety_client::{Request, ask};
use serde_json::Value;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    host::{Daemon, Host},
    stream::{HOSTS, table},
};

/// How long the daemon may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says it beside all else; one at a time.
#[derive(Debug)]
pub(super) struct Beat {
    context: Context,
    socket: PathBuf,
    key: String,
    running: Option<JoinHandle<Result<Store, String>>>,
    table: Option<Store>,
    said: String,
}

impl Beat {
    pub(super) const fn new(context: Context, socket: PathBuf, key: String) -> Self {
        Self { context, socket, key, running: None, table: None, said: String::new() }
    }

    /// Says how the host is, unless the last time is still under way. `host` lacks what only the daemon knows.
    pub(super) async fn say(&mut self, mut host: Host) {
        if let Some(running) = &mut self.running {
            if !running.is_finished() {
                return;
            }
            let ended = running.await.unwrap_or_else(|error| Err(error.to_string()));
            self.running = None;
            match ended {
                Ok(table) => (self.table, self.said) = (Some(table), String::new()),
                Err(why) => {
                    if why != self.said {
                        tracing::warn!("cannot say in the table {HOSTS} that this host lives: {why}");
                    }
                    (self.table, self.said) = (None, why);
                }
            }
        }
        let (context, socket, key) = (self.context.clone(), self.socket.clone(), self.key.clone());
        let known = self.table.take();
        self.running = Some(tokio::spawn(async move {
            let metrics = tokio::time::timeout(PATIENCE, spawn_blocking(move || metrics(&socket))).await;
            let metrics = metrics.ok().and_then(Result::ok).flatten();
            (host.daemon, host.lost.records) = Daemon::of(metrics.as_ref());
            host.at = Timestamp::now();
            let store = match known {
                Some(store) => store,
                None => table(&context, HOSTS).await.map_err(|error| error.to_string())?,
            };
            let bytes = serde_json::to_vec(&host).map_err(|error| error.to_string())?;
            store.put(key, bytes.into()).await.map_err(|error| error.to_string())?;
            Ok(store)
        }));
    }
}

fn metrics(socket: &std::path::Path) -> Option<Value> {
    let request = Request { request: "metrics".to_owned(), ..Request::default() };
    ask(socket, request).map_err(|error| tracing::debug!("the daemon does not answer: {error}")).ok()
}
