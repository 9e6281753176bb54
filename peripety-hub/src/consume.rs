//! From the stream and the tables into the store. A message is acknowledged once the transaction that has it is on disk; what
//! comes again is known by id and revision.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::{
    self, Context,
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    kv::{self, Operation},
};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use peripety_forward::{
    cluster::Cluster,
    host::Host,
    stream::{CLUSTER, HOSTS, STREAM, table},
};

use tokio::time::{Instant, timeout_at};

use crate::{
    check::{Refused, check},
    fleet::Fleet,
    notify::Notifier,
    store::{Entry, Seen, Store},
};

/// The header by which a host's incident names that of the fleet.
const CLUSTER_HEADER: &str = "Peripety-Cluster";
/// Messages of a transaction, and how long it waits for them from the first one on.
const BATCH: usize = 1000;
const WAIT: Duration = Duration::from_millis(200);
/// How long nothing has to come at first until all that was is through.
const FIRST: Duration = Duration::from_secs(1);
/// How often the server says that it is there, and how often it is asked anew.
const HEARTBEAT: Duration = Duration::from_secs(5);
const EXPIRES: Duration = Duration::from_secs(30);
/// Messages that are given and not yet acknowledged.
const PENDING: i64 = 4000;
/// After how long a message that was not acknowledged comes again.
const ACK_WAIT: Duration = Duration::from_secs(20);
/// How long to wait after a failure.
const AGAIN: Duration = Duration::from_secs(2);

/// What all parts of the hub share.
#[derive(Debug)]
pub struct Shared {
    /// What is kept.
    pub store: Store,
    fleet: Mutex<Fleet>,
    /// What was refused.
    pub refused: Refused,
    /// Messages that were taken.
    pub taken: AtomicU64,
    /// People.
    pub notifier: Notifier,
    /// The stream was read to its end: what comes now happens now.
    live: AtomicBool,
    /// What keeps the stream or a table from being read.
    trouble: Mutex<BTreeMap<&'static str, String>>,
}

impl Shared {
    /// With what the store has.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn new(store: Store, notifier: Notifier) -> Result<Self, crate::store::StoreError> {
        let mut fleet = Fleet::default();
        store.each_incident(|stored| {
            fleet.incident(&stored);
            true
        })?;
        for cluster in store.clusters()? {
            fleet.cluster(cluster);
        }
        for (key, at) in store.forgotten()? {
            fleet.forget(&key, at);
        }
        Ok(Self {
            store,
            fleet: Mutex::new(fleet),
            refused: Refused::default(),
            taken: AtomicU64::new(0),
            notifier,
            live: AtomicBool::new(false),
            trouble: Mutex::default(),
        })
    }

    /// The fleet as it is.
    pub fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What keeps it from being up to date.
    pub fn trouble(&self) -> Option<String> {
        let all = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let words: Vec<String> = all.iter().map(|(what, why)| format!("cannot read {what}: {why}")).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    fn says(&self, what: &'static str, trouble: Option<String>) {
        let mut all = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(why) if all.get(what) == Some(&why) => {}
            Some(why) => {
                tracing::warn!("cannot read {what}: {why}; it is tried again");
                all.insert(what, why);
            }
            None => drop(all.remove(what)),
        }
    }
}

/// Reads the stream as the durable consumer `name`, for ever. Hubs with one name share its messages.
pub async fn stream(context: Context, name: String, shared: Arc<Shared>) {
    loop {
        let result = read(&context, &name, &shared).await;
        let why = result.err().unwrap_or_else(|| "the stream ended".to_owned());
        shared.says(STREAM, Some(why));
        tokio::time::sleep(AGAIN).await;
    }
}

async fn read(context: &Context, name: &str, shared: &Arc<Shared>) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let stream = context.get_stream(STREAM).await.map_err(|error| text(&error))?;
    let config = pull::Config {
        durable_name: Some(name.to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: PENDING,
        ..pull::Config::default()
    };
    let consumer: PullConsumer =
        stream.get_or_create_consumer(name, config).await.map_err(|error| text(&error))?;
    let messages = consumer.stream().max_messages_per_batch(BATCH).heartbeat(HEARTBEAT).expires(EXPIRES);
    let mut messages = messages.messages().await.map_err(|error| text(&error))?;
    shared.says(STREAM, None);
    loop {
        let (mut batch, mut taken) = (Vec::new(), Vec::new());
        // The first one is waited for as long as it takes, once all that was is through.
        let mut until = (!shared.live.load(Ordering::Relaxed)).then(|| Instant::now() + FIRST);
        while taken.len() < BATCH {
            let message = match until {
                None => messages.next().await,
                Some(until) => match timeout_at(until, messages.next()).await {
                    Ok(message) => message,
                    Err(_elapsed) => break,
                },
            };
            if taken.is_empty() {
                until = Some(Instant::now() + WAIT);
            }
            let message = message.ok_or("the stream ended")?.map_err(|error| text(&error))?;
            let header = |name: &str| Some(message.headers.as_ref()?.get(name)?.as_str());
            match check(&message.subject, header("Nats-Msg-Id"), &message.payload) {
                Ok(checked) => {
                    let cluster = header(CLUSTER_HEADER).and_then(|id| id.parse().ok());
                    batch.push(Entry { checked, cluster });
                }
                Err(why) => {
                    shared.refused.count(why);
                    tracing::debug!("a message below {} is refused: {why}", message.subject);
                }
            }
            taken.push(message);
        }
        let is_last = taken.len() < BATCH;
        if !batch.is_empty() || (is_last && !shared.live.load(Ordering::Relaxed)) {
            write(shared, batch, is_last).await?;
        }
        shared.taken.fetch_add(taken.len() as u64, Ordering::Relaxed);
        for message in taken {
            message.ack().await.map_err(|error| text(&error))?;
        }
    }
}

/// Writes a batch beside the connection: the disk may be slow, and the server expects answers of this client meanwhile.
/// What is over by the time that it is read for the first time is no message to anybody.
async fn write(shared: &Arc<Shared>, batch: Vec<Entry>, is_last: bool) -> Result<(), String> {
    let this = Arc::clone(shared);
    let work = move || {
        let changed = this.store.take(&batch).map_err(|error| error.to_string())?;
        let is_live = this.live.load(Ordering::Relaxed);
        for mut stored in changed {
            let was_open = {
                let mut fleet = this.fleet();
                let id = stored.incident.incident_id;
                stored.cluster = stored.cluster.or_else(|| fleet.part_of(id));
                let was_open = fleet.is_open(id);
                fleet.incident(&stored);
                was_open
            };
            let is_open = stored.incident.state.is_open();
            if (is_open && is_live) || (!is_open && was_open) {
                this.notifier.incident(&stored);
            }
        }
        if is_last && !this.live.swap(true, Ordering::Relaxed) {
            let open: Vec<_> = this.fleet().open().iter().map(|open| open.incident_id).collect();
            for id in open {
                let stored = this.store.incident(id).map_err(|error| error.to_string())?;
                stored.iter().for_each(|stored| this.notifier.incident(stored));
            }
        }
        Ok(())
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}

/// Watches both tables, for ever.
pub async fn tables(context: Context, shared: Arc<Shared>) {
    tokio::join!(watch(&context, CLUSTER, &shared, take_cluster), watch(&context, HOSTS, &shared, take_host));
}

async fn watch(
    context: &Context,
    bucket: &'static str,
    shared: &Arc<Shared>,
    take: fn(&Shared, kv::Entry) -> Result<(), crate::store::StoreError>,
) {
    loop {
        let result: Result<(), String> = async {
            let store = table(context, bucket).await.map_err(|error| error.to_string())?;
            // What is there now, then what changes.
            let mut watch = store.watch_with_history(">").await.map_err(|error| error.to_string())?;
            shared.says(bucket, None);
            while let Some(entry) = watch.next().await {
                let entry = entry.map_err(|error| error.to_string())?;
                if entry.operation == Operation::Put {
                    take(shared, entry).map_err(|error| error.to_string())?;
                }
            }
            Ok(())
        }
        .await;
        let why = result.err().unwrap_or_else(|| "it ended".to_owned());
        shared.says(bucket, Some(why));
        tokio::time::sleep(AGAIN).await;
    }
}

fn take_cluster(shared: &Shared, entry: kv::Entry) -> Result<(), crate::store::StoreError> {
    let Some(cluster) = Cluster::read(&entry.value) else {
        shared.refused.count(crate::check::Reject::Schema);
        return Ok(());
    };
    shared.store.take_cluster(&cluster)?;
    let was_open = shared.fleet().is_cluster_open(cluster.cluster_id);
    if cluster.state.is_open() || was_open {
        shared.notifier.cluster(&cluster, entry.revision);
    }
    shared.fleet().cluster(cluster);
    Ok(())
}

fn take_host(shared: &Shared, entry: kv::Entry) -> Result<(), crate::store::StoreError> {
    let host = Host::read(&entry.value);
    // A host writes its own entry only: the server sees to that, and the entry has to say the same.
    let host =
        host.filter(|host| peripety_forward::name::Sender::new(&host.site, &host.host).key() == entry.key);
    let Some(host) = host else {
        shared.refused.count(crate::check::Reject::Sender);
        return Ok(());
    };
    let second = entry.created.unix_timestamp();
    let at = Timestamp::from_second(second).unwrap_or_else(|_| Timestamp::now());
    shared.fleet().host(entry.key, Seen { at, host });
    Ok(())
}

/// The context of a client.
pub fn context(client: async_nats::Client) -> Context {
    jetstream::new(client)
}
