//! The stream and the two tables, as they are made. A host needs no right to make them: the hub does, or
//! `peripety-forward --create` by whoever administers the servers.

use std::time::Duration;

use async_nats::jetstream::{
    Context,
    kv::{self, Store},
    stream,
};

use crate::name::PREFIX;

/// The stream of events and incidents.
pub const STREAM: &str = "peripety";
/// The table of what is wrong with things that many hosts see: `SITE.KIND.THING`.
pub const CLUSTER: &str = "peripety_cluster";
/// The table of hosts: `SITE.HOST`.
pub const HOSTS: &str = "peripety_hosts";
/// For how long the stream knows the id of a message. Its memory grows with the messages of that time.
pub const DEDUPLICATION: Duration = Duration::from_secs(300);

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Copies: 1, 3 or 5.
    pub replicas: usize,
    /// For how long.
    pub age: Duration,
    /// Bytes at most; the oldest go first.
    pub bytes: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { replicas: 1, age: Duration::from_secs(90 * 86_400), bytes: 10 << 30 }
    }
}

/// The stream or a table cannot be made or used.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot {doing} {what}: {why}. It takes JetStream (nats-server --jetstream, 2.10 or later), room for the GiB that it may have on the servers, and, for a user with permissions, $JS.API.>"
)]
pub struct StreamError {
    doing: &'static str,
    what: &'static str,
    why: String,
}

fn failed(doing: &'static str, what: &'static str) -> impl FnOnce(String) -> StreamError {
    move |why| StreamError { doing, what, why }
}

/// Makes what is not there, and gives what is there these limits.
///
/// # Errors
/// The server refuses.
pub async fn create(context: &Context, limits: Limits) -> Result<(), StreamError> {
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec![format!("{PREFIX}.>")],
        max_age: limits.age,
        max_bytes: limits.bytes,
        num_replicas: limits.replicas,
        duplicate_window: DEDUPLICATION,
        discard: stream::DiscardPolicy::Old,
        storage: stream::StorageType::File,
        // What was published is not taken back by who may publish.
        deny_delete: true,
        allow_direct: true,
        ..stream::Config::default()
    };
    let made = context.create_or_update_stream(config).await;
    made.map_err(|error| failed("make", "the stream peripety")(error.to_string()))?;
    for (bucket, what, history) in
        [(CLUSTER, "the table peripety_cluster", 8), (HOSTS, "the table peripety_hosts", 1)]
    {
        let config = kv::Config {
            bucket: bucket.to_owned(),
            history,
            num_replicas: limits.replicas,
            ..kv::Config::default()
        };
        let made = context.create_or_update_key_value(config).await;
        made.map_err(|error| failed("make", what)(error.to_string()))?;
    }
    Ok(())
}

/// A table.
///
/// # Errors
/// There is none, or the server does not answer.
pub async fn table(context: &Context, bucket: &'static str) -> Result<Store, StreamError> {
    context.get_key_value(bucket).await.map_err(|error| failed("open", bucket)(error.to_string()))
}
