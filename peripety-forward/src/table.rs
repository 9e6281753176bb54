//! The entries of shared things in the store, by compare-and-set: any host may write, and the revision of the entry decides
//! whose write is taken. Who was too late reads again, and adds itself to what the other wrote.

use std::time::Duration;

use async_nats::jetstream::kv::{CreateErrorKind, Store as Bucket, UpdateErrorKind};
use peripety_model::EventId;

use crate::{
    cluster::{Cluster, Report, Step, step},
    name::token,
    shared::Thing,
};

/// Tries against other hosts that write the same entry.
const TRIES: u32 = 200;
/// Longest wait between two of them.
const WAIT_MAX: Duration = Duration::from_millis(400);

/// What a table is asked for: NATS has it, etcd would, too.
pub trait Store {
    /// An entry and its revision.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<(Vec<u8>, u64)>, TableError>>;
    /// Makes an entry, or replaces that of a revision; false where it is another one now.
    fn put(
        &self,
        key: &str,
        entry: Vec<u8>,
        over: Option<u64>,
    ) -> impl Future<Output = Result<bool, TableError>>;
}

/// The table cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// It does not answer, or refuses.
    #[error("the table of the fleet: {doing} '{key}': {why}")]
    Store {
        /// What was done.
        doing: &'static str,
        /// With what.
        key: String,
        /// Why not.
        why: String,
    },
    /// Others were faster too often.
    #[error("the table of the fleet: '{0}' is being written by so many hosts that this one was never first")]
    Busy(String),
    /// The incident has as many hosts as it may list.
    #[error("the table of the fleet: '{0}' lists as many hosts as it can")]
    Full(String),
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The incident of the fleet that it belongs to; none if it is the end of what nobody knows.
    pub cluster: Option<EventId>,
    /// This host's write changed the entry.
    pub wrote: bool,
}

/// The key of a thing.
pub fn key(site: &str, thing: &Thing) -> String {
    format!("{}.{}.{}", token(site), token(&thing.kind), token(&thing.name))
}

/// Adds a host's report to the entry of a thing.
///
/// # Errors
/// The store does not answer or refuses; or the entry is full.
pub async fn report(
    store: &impl Store,
    site: &str,
    thing: &Thing,
    report: &Report,
) -> Result<Told, TableError> {
    let key = key(site, thing);
    let mut wait = Duration::from_millis(1);
    for _ in 0..TRIES {
        let found = store.get(&key).await?;
        let revision = found.as_ref().map(|(_, revision)| *revision);
        // What cannot be read is nobody's report, and is replaced.
        let current = found.and_then(|(bytes, _)| Cluster::read(&bytes));
        match step(current.as_ref(), site, thing, report) {
            Step::Same(cluster) => return Ok(Told { cluster, wrote: false }),
            Step::Full => return Err(TableError::Full(key)),
            Step::Write(next) => {
                let bytes = serde_json::to_vec(&next).map_err(|error| TableError::Store {
                    doing: "write",
                    key: key.clone(),
                    why: error.to_string(),
                })?;
                if store.put(&key, bytes, revision).await? {
                    return Ok(Told { cluster: Some(next.cluster_id), wrote: true });
                }
            }
        }
        // Fifty that lost together do not come again together.
        tokio::time::sleep(wait.mul_f64(spread(report))).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
    Err(TableError::Busy(key))
}

/// Between a half and three halves, by chance.
fn spread(report: &Report) -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    let chance = RandomState::new().hash_one(&report.host) % 1000;
    0.5 + f64::from(u32::try_from(chance).unwrap_or(0)) / 1000.0
}

impl Store for Bucket {
    async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u64)>, TableError> {
        let entry = self.entry(key).await.map_err(|error| TableError::Store {
            doing: "read",
            key: key.to_owned(),
            why: error.to_string(),
        })?;
        // A deleted entry has a revision, too, and nothing in it.
        Ok(entry.map(|entry| (entry.value.to_vec(), entry.revision)))
    }

    async fn put(&self, key: &str, entry: Vec<u8>, over: Option<u64>) -> Result<bool, TableError> {
        let failed = |why: String| Err(TableError::Store { doing: "write", key: key.to_owned(), why });
        match over {
            None => match self.create(key, entry.into()).await {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(false),
                Err(error) => failed(error.to_string()),
            },
            Some(revision) => match self.update(key, entry.into(), revision).await {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(false),
                Err(error) => failed(error.to_string()),
            },
        }
    }
}
