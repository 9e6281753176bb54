//! The loop: from the journal to the stream, with the host's incidents reported to the fleet on the way.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use async_nats::{
    Client,
    connection::State as Link,
    jetstream::{self, Context},
};
use jiff::Timestamp;
use peripety_client::Content;
use sd_notify::NotifyState;
use serde_json::Value;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc::Receiver,
    time,
};

use super::{
    Args,
    beat::Beat,
    config::Config,
    place::{self, Place},
    source::{self, Taken},
};
use crate::{
    host::{self, Host, Lost, Sent},
    name::Sender,
    outbox::{Message, Outbox, Outcome},
    server::{Reports, inbox},
    stream::{CLUSTER, table},
    table::report,
};

/// How often the place is written at most: who is killed forwards again what came since, and the stream knows it.
const SAVE_EVERY: Duration = Duration::from_millis(200);
/// How soon after a change of what is open the host says so.
const SOON: Duration = Duration::from_secs(1);
/// How long messages on their way are waited for at the end.
const LAST: Duration = Duration::from_secs(3);
/// Reports to the fleet that are made up for at a time.
const REPORTS: usize = 64;
/// Header with the fleet's incident that a host's incident belongs to.
pub(crate) const CLUSTER_HEADER: &str = "Peripety-Cluster";
/// Header with why that is not known.
pub(crate) const ALONE_HEADER: &str = "Peripety-Alone";

/// The place after a message.
type Mark = Option<String>;

struct Forwarder {
    host: String,
    site: String,
    sender: Sender,
    client: Client,
    context: Context,
    reports: Reports,
    outbox: Outbox<Mark>,
    table: Option<jetstream::kv::Store>,
    place: Place,
    path: PathBuf,
    dirty: bool,
    sent: Sent,
    lost: Lost,
    alone: Option<String>,
    alone_until: Option<Instant>,
    every: Duration,
    beat_at: time::Instant,
    beat: Beat,
    status: String,
}

pub(super) async fn run(args: &Args, config: &Config) -> anyhow::Result<()> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = config.host.clone().unwrap_or_else(|| name.trim().to_owned());
    if host.is_empty() {
        bail!("this machine has no host name; write host = \"NAME\" into {}", args.config.display());
    }
    let sender = Sender::new(&config.site, &host);
    let path = place::path(&args.state_dir);
    std::fs::create_dir_all(&args.state_dir)
        .with_context(|| format!("cannot make {}", args.state_dir.display()))?;
    let place = Place::load(&path);
    let after = place.cursor.as_deref().and_then(|cursor| cursor.parse().ok());
    let mut term = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("waiting for SIGINT")?;
    // Ready before it is connected: the servers may be away for long, and nothing waits for this.
    notify_systemd(&[NotifyState::Ready, NotifyState::Status("connecting")]);
    let reports = Reports::default();
    let who = format!("peripety-forward {host}");
    let inbox = inbox(&sender);
    let connecting = config.servers.connect_patiently(&who, &inbox, &reports, |why| {
        notify_systemd(&[NotifyState::Status(why)]);
    });
    let client = tokio::select! {
        client = connecting => client?,
        _ = term.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    tracing::info!("connected; {} forwards to the site {}", host, config.site);
    let context = jetstream::new(client.clone());
    let socket = args
        .runtime_dir
        .as_ref()
        .map_or_else(|| peripety_client::SOCKET.into(), |dir| dir.join("peripety.sock"));
    let mut source = source::start(args, after, config.begin).context("starting a thread for the journal")?;
    let mut forwarder = Forwarder {
        site: config.site.clone(),
        client,
        outbox: Outbox::new(context.clone()),
        table: None,
        beat: Beat::new(context.clone(), socket, sender.key()),
        context,
        host,
        sender,
        reports,
        place,
        path,
        dirty: false,
        sent: Sent::default(),
        lost: Lost::default(),
        alone: None,
        alone_until: None,
        every: config.heartbeat.try_into().unwrap_or(Duration::from_secs(30)),
        beat_at: time::Instant::now(),
        status: String::new(),
    };
    let ended = tokio::select! {
        ended = forwarder.forever(&mut source) => ended,
        _ = term.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    notify_systemd(&[NotifyState::Stopping]);
    forwarder.finish().await;
    ended
}

impl Forwarder {
    async fn forever(&mut self, source: &mut Receiver<Taken>) -> anyhow::Result<()> {
        let mut save_at = time::Instant::now();
        loop {
            tokio::select! {
                taken = source.recv(), if self.outbox.has_room() => match taken {
                    Some(Taken::Revision(content, json, cursor)) => self.take(*content, json, cursor).await,
                    Some(Taken::Live) => {
                        tracing::info!("all that the journal has is on its way");
                        self.sent.live = true;
                        self.report_to_fleet().await;
                        self.beat_soon();
                    }
                    Some(Taken::Gap(missed, why)) => {
                        tracing::warn!("{why}");
                        self.lost.unread = missed;
                    }
                    Some(Taken::Failed(error)) => return Err(error.into()),
                    None => bail!("the thread that reads the journal ended"),
                },
                outcome = self.outbox.next() => self.settle(outcome),
                () = time::sleep_until(save_at), if self.dirty => {
                    self.save();
                    save_at = time::Instant::now() + SAVE_EVERY;
                }
                () = time::sleep_until(self.beat_at) => {
                    self.beat_at = time::Instant::now() + self.every;
                    if self.sent.live {
                        self.report_to_fleet().await;
                    }
                    let host = self.state();
                    self.beat.say(host).await;
                    self.show();
                }
            }
        }
    }

    /// A revision: what the fleet is to know of it, then the message.
    async fn take(&mut self, content: Content, json: String, cursor: Mark) {
        let mut headers = Vec::new();
        let (subject, id, own) = match &content {
            Content::Event(event) => {
                self.place.known.event(event);
                (
                    self.sender.of_event(event),
                    format!("{}.{}", event.event_id, event.revision),
                    &event.hostname,
                )
            }
            Content::Incident(incident) => {
                self.place.known.incident(&self.host, incident);
                // What happened while nobody forwarded is reported as it is at the end of it.
                if self.sent.live && !self.place.known.unreported(&self.host).is_empty() {
                    self.report_to_fleet().await;
                    self.beat_soon();
                }
                if let Some(cluster) = self.place.known.cluster(incident.incident_id) {
                    headers.push((CLUSTER_HEADER, cluster.to_string()));
                } else if let Some(why) = &self.alone {
                    headers.push((ALONE_HEADER, why.replace(['\r', '\n'], " ")));
                }
                let id = format!("{}.{}", incident.incident_id, incident.revision);
                (self.sender.of_incident(incident), id, &incident.hostname)
            }
            _ => return,
        };
        let payload = if *own == self.host { json } else { renamed(&json, &self.host).unwrap_or(json) };
        self.outbox.push(Message { subject, id, headers, payload: payload.into_bytes(), mark: cursor });
    }

    fn settle(&mut self, outcome: Outcome<Mark>) {
        let mark = match outcome {
            Outcome::Stored { mark, again } => {
                self.sent.stored += 1;
                self.sent.again += u64::from(again);
                self.sent.last = Some(Timestamp::now());
                mark
            }
            Outcome::TooLarge { mark, id, why } => {
                tracing::error!("{id} is given up: {why}; raise max_payload of the servers");
                self.lost.too_large += 1;
                mark
            }
        };
        if mark.is_some() {
            self.place.cursor = mark;
            self.dirty = true;
        }
    }

    /// Reports to the fleet what it does not know. Where that fails it is said, and tried again with the next heartbeat.
    async fn report_to_fleet(&mut self) {
        // While nothing can be published, nothing can be reported either; the next heartbeat makes up for it.
        let linked = self.client.connection_state() == Link::Connected;
        if !linked || self.alone_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        let due = self.place.known.unreported(&self.host);
        if due.is_empty() && self.alone.is_some() {
            // Whether the table is there again is to be known all the same.
            self.table = None;
            self.alone = self.cluster_table().await.err();
        }
        for (thing, of) in due.into_iter().take(REPORTS) {
            let result = match self.cluster_table().await {
                Ok(table) => report(&table, &self.site, &thing, &of).await.map_err(|error| error.to_string()),
                Err(why) => Err(why),
            };
            self.dirty = true;
            match result {
                Ok(stored) => {
                    self.place.known.reported(&of, stored.cluster);
                    if self.alone.take().is_some() {
                        tracing::info!("the table of the fleet can be used again");
                    }
                    self.alone_until = None;
                }
                Err(why) => {
                    if self.alone.as_ref() != Some(&why) {
                        tracing::warn!(
                            "{why}; until it can be used this host reports shared storage for itself"
                        );
                    }
                    self.alone = Some(why);
                    self.alone_until = Some(Instant::now() + self.every / 2);
                    self.table = None;
                    return;
                }
            }
        }
    }

    /// The table of what many hosts see, opened where it is not.
    async fn cluster_table(&mut self) -> Result<jetstream::kv::Store, String> {
        let opened = match self.table.take() {
            Some(table) => table,
            None => table(&self.context, CLUSTER).await.map_err(|error| error.to_string())?,
        };
        Ok(self.table.insert(opened).clone())
    }

    fn beat_soon(&mut self) {
        self.beat_at = self.beat_at.min(time::Instant::now() + SOON);
    }

    fn state(&self) -> Host {
        let (open, more) = self.place.known.open();
        Host {
            schema: host::SCHEMA,
            site: self.site.clone(),
            host: self.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: Timestamp::now(),
            every_s: self.every.as_secs(),
            sent: Sent { waiting: self.outbox.len() as u64, ..self.sent },
            lost: self.lost,
            daemon: host::Daemon::default(),
            open,
            more,
            alone: self.alone.clone(),
        }
    }

    /// Says in systemctl status how far it is, and in the log what keeps it.
    fn show(&mut self) {
        if let Some(report) = self.reports.take() {
            tracing::warn!("{report}");
        }
        let status = match self.outbox.trouble() {
            Some(trouble) => format!(
                "cannot publish since {} s: {}; {} revisions wait here, the rest in the journal",
                trouble.since.elapsed().as_secs(),
                trouble.why,
                self.outbox.len()
            ),
            None if self.sent.live => format!("forwarding; {} revisions so far", self.sent.stored),
            None => format!("catching up; {} revisions so far", self.sent.stored),
        };
        if status != self.status {
            notify_systemd(&[NotifyState::Status(&status)]);
            self.status = status;
        }
    }

    fn save(&mut self) {
        self.dirty = false;
        if let Err(error) = self.place.save(&self.path) {
            complain(&self.path, &error);
        }
    }

    /// Waits a little for what is on its way, and writes the place.
    async fn finish(&mut self) {
        let all = async {
            while !self.outbox.is_empty() {
                let outcome = self.outbox.next().await;
                self.settle(outcome);
            }
        };
        let _the_rest_comes_again = time::timeout(LAST, all).await;
        self.save();
    }
}

fn complain(path: &Path, error: &std::io::Error) {
    tracing::warn!(
        "{}: cannot write it: {error}; after a restart some revisions are sent again",
        path.display()
    );
}

/// The same revision under the host's present name, which its subject has; what this version does not know stays in it.
fn renamed(json: &str, host: &str) -> Option<String> {
    let mut value: Value = serde_json::from_str(json).ok()?;
    value.as_object_mut()?.insert("hostname".to_owned(), host.into());
    Some(value.to_string())
}

fn notify_systemd(state: &[NotifyState<'_>]) {
    let _no_systemd = sd_notify::notify(state);
}
