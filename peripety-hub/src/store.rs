//! What the hub keeps: one file, by redb. A batch of messages is one transaction; they are acknowledged after it.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use peripety_forward::{cluster::Cluster, host::Host};
use peripety_model::{Event, EventId, Incident, IncidentId};
use redb::{Database, MultimapTableDefinition, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::check::{Checked, Revision};

const INCIDENTS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("incidents");
const EVENTS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("events");
/// The events of an incident.
const MEMBERS: MultimapTableDefinition<'_, u128, u128> = MultimapTableDefinition::new("members");
/// The incidents of a device, by its world wide id.
const DEVICES: MultimapTableDefinition<'_, &str, u128> = MultimapTableDefinition::new("devices");
/// When what was written last, in seconds: what is too old goes by it.
const TIMES: TableDefinition<'_, (i64, u128), u8> = TableDefinition::new("times");
const CLUSTERS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("clusters");
/// Hosts that are gone for good. The others are in the table of hosts, which each hub reads when it starts.
const FORGOTTEN: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("forgotten");
const ACKNOWLEDGED: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("acknowledged");
/// Who did what, in order.
const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");

const OF_EVENT: u8 = 0;
const OF_INCIDENT: u8 = 1;
/// Events of an incident that are read for its picture.
const MEMBERS_MAX: usize = 256;

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the store {}: cannot {doing}: {why}", path.display())]
pub struct StoreError {
    path: PathBuf,
    doing: &'static str,
    why: String,
}

/// A host's incident, with who sent it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// The site.
    pub site: String,
    /// The incident of the fleet that it is part of.
    pub cluster: Option<EventId>,
    /// The incident.
    pub incident: Incident,
}

/// A host, and when it wrote that, by the server's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// What it says of itself.
    pub host: Host,
}

/// Somebody did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What: `acknowledge`, `forget`.
    pub what: String,
    /// To what.
    pub target: String,
    /// Why.
    pub reason: String,
}

/// The store.
#[derive(Debug)]
pub struct Store {
    db: Database,
    path: PathBuf,
}

/// A message of a batch.
#[derive(Debug)]
pub struct Entry {
    /// What it is.
    pub checked: Checked,
    /// The incident of the fleet that its header names.
    pub cluster: Option<EventId>,
}

fn seconds(at: Timestamp) -> i64 {
    at.as_second()
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

fn bytes<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

impl Store {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// Another process has it, or it is damaged.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let fail = |why: String| StoreError { path: path.to_owned(), doing: "open it", why };
        let mut builder = Database::builder();
        let db = builder.set_cache_size(64 << 20).create(path).map_err(|error| fail(error.to_string()))?;
        let this = Self { db, path: path.to_owned() };
        // Each table is there from then on: reading needs no case for one that is not.
        this.write("make its tables", |write| {
            write.open_table(INCIDENTS)?;
            write.open_table(EVENTS)?;
            write.open_multimap_table(MEMBERS)?;
            write.open_multimap_table(DEVICES)?;
            write.open_table(TIMES)?;
            write.open_table(CLUSTERS)?;
            write.open_table(FORGOTTEN)?;
            write.open_table(ACKNOWLEDGED)?;
            write.open_table(AUDIT)?;
            Ok(())
        })?;
        Ok(this)
    }

    fn write<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&redb::WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let run = || -> Result<T, redb::Error> {
            let write = self.db.begin_write()?;
            let result = work(&write)?;
            write.commit()?;
            Ok(result)
        };
        run().map_err(|error| StoreError { path: self.path.clone(), doing, why: error.to_string() })
    }

    fn read<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let run = || work(&self.db.begin_read()?);
        run().map_err(|error| StoreError { path: self.path.clone(), doing, why: error.to_string() })
    }

    /// Takes a batch; of each id the highest revision stays. The incidents that changed by it.
    ///
    /// # Errors
    /// The disk is full, or fails: then nothing of it is written.
    pub fn take(&self, batch: &[Entry]) -> Result<Vec<Stored>, StoreError> {
        self.write("write a batch", |write| {
            let mut changed = Vec::new();
            let mut incidents = write.open_table(INCIDENTS)?;
            let mut events = write.open_table(EVENTS)?;
            let mut members = write.open_multimap_table(MEMBERS)?;
            let mut devices = write.open_multimap_table(DEVICES)?;
            let mut times = write.open_table(TIMES)?;
            for entry in batch {
                match &entry.checked.revision {
                    Revision::Event(event) => {
                        let id = event.event_id.as_u128();
                        let before = events.get(id)?.and_then(|old| read::<Event>(old.value()));
                        if before.is_some_and(|before| before.revision >= event.revision) {
                            continue;
                        }
                        events.insert(id, bytes(event).as_slice())?;
                        times.insert((seconds(event.first_timestamp), id), OF_EVENT)?;
                        if let Some(incident) = event.incident_id {
                            members.insert(incident.as_u128(), id)?;
                        }
                    }
                    Revision::Incident(incident) => {
                        let id = incident.incident_id.as_u128();
                        let before = incidents.get(id)?.and_then(|old| read::<Stored>(old.value()));
                        if before.as_ref().is_some_and(|before| before.incident.revision >= incident.revision)
                        {
                            continue;
                        }
                        let cluster =
                            entry.cluster.or_else(|| before.as_ref().and_then(|before| before.cluster));
                        let site = entry.checked.sender.site.clone();
                        let stored = Stored { site, cluster, incident: (**incident).clone() };
                        incidents.insert(id, bytes(&stored).as_slice())?;
                        times.insert((seconds(incident.opened), id), OF_INCIDENT)?;
                        if let Some(device) = &incident.cause.device
                            && !device.wwid.is_empty()
                        {
                            devices.insert(device.wwid.as_str(), id)?;
                        }
                        changed.push(stored);
                    }
                }
            }
            Ok(changed)
        })
    }

    /// Takes an entry of the table of shared things.
    ///
    /// # Errors
    /// As [`Store::take`].
    pub fn take_cluster(&self, cluster: &Cluster) -> Result<(), StoreError> {
        self.write("write an incident of the fleet", |write| {
            write.open_table(CLUSTERS)?.insert(cluster.cluster_id.as_u128(), bytes(cluster).as_slice())?;
            Ok(())
        })
    }

    /// An incident.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn incident(&self, id: IncidentId) -> Result<Option<Stored>, StoreError> {
        self.read("read an incident", |read_| {
            let table = read_.open_table(INCIDENTS)?;
            Ok(table.get(id.as_u128())?.and_then(|old| read(old.value())))
        })
    }

    /// The events of an incident, a bounded number of them.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn events(&self, id: IncidentId) -> Result<Vec<Event>, StoreError> {
        self.read("read events", |read_| {
            let (members, events) = (read_.open_multimap_table(MEMBERS)?, read_.open_table(EVENTS)?);
            let mut found = Vec::new();
            for id in members.get(id.as_u128())?.take(MEMBERS_MAX) {
                found.extend(events.get(id?.value())?.and_then(|old| read::<Event>(old.value())));
            }
            found.sort_by_key(|event: &Event| event.first_timestamp);
            Ok(found)
        })
    }

    /// All incidents of a device, the oldest first: its life over hosts and names.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn device(&self, wwid: &str) -> Result<Vec<Stored>, StoreError> {
        self.read("read a device", |read_| {
            let (devices, incidents) = (read_.open_multimap_table(DEVICES)?, read_.open_table(INCIDENTS)?);
            let mut found = Vec::new();
            for id in devices.get(wwid)? {
                found.extend(incidents.get(id?.value())?.and_then(|old| read::<Stored>(old.value())));
            }
            found.sort_by_key(|stored: &Stored| stored.incident.opened);
            Ok(found)
        })
    }

    /// Gives each incident to `each`, in no order, until it says no.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn each_incident(&self, mut each: impl FnMut(Stored) -> bool) -> Result<(), StoreError> {
        self.read("read incidents", |read_| {
            for row in read_.open_table(INCIDENTS)?.iter()? {
                if let Some(stored) = read::<Stored>(row?.1.value())
                    && !each(stored)
                {
                    break;
                }
            }
            Ok(())
        })
    }

    /// All incidents of the fleet.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn clusters(&self) -> Result<Vec<Cluster>, StoreError> {
        self.read("read incidents of the fleet", |read_| {
            let table = read_.open_table(CLUSTERS)?;
            let mut found = Vec::new();
            for row in table.iter()? {
                found.extend(Cluster::read(row?.1.value()));
            }
            Ok(found)
        })
    }

    /// Hosts that were forgotten, and when.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn forgotten(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.read("read hosts", |read_| {
            let table = read_.open_table(FORGOTTEN)?;
            let mut found = Vec::new();
            for row in table.iter()? {
                let (key, value) = row?;
                found.extend(read::<Act>(value.value()).map(|act| (key.value().to_owned(), act.at)));
            }
            Ok(found)
        })
    }

    /// Forgets a host that is gone for good.
    ///
    /// # Errors
    /// As [`Store::take`].
    pub fn forget(&self, key: &str, act: &Act) -> Result<(), StoreError> {
        self.write("forget a host", |write| {
            write.open_table(FORGOTTEN)?.insert(key, bytes(act).as_slice())?;
            note(write, act)
        })
    }

    /// Somebody knows of an incident, and that stands in the audit.
    ///
    /// # Errors
    /// As [`Store::take`].
    pub fn acknowledge(&self, id: IncidentId, act: &Act) -> Result<(), StoreError> {
        self.write("acknowledge an incident", |write| {
            write.open_table(ACKNOWLEDGED)?.insert(id.as_u128(), bytes(act).as_slice())?;
            note(write, act)
        })
    }

    /// Who knows of an incident.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn acknowledged(&self, id: IncidentId) -> Result<Option<Act>, StoreError> {
        self.read("read who knows", |read_| {
            let table = read_.open_table(ACKNOWLEDGED)?;
            Ok(table.get(id.as_u128())?.and_then(|old| read(old.value())))
        })
    }

    /// The latest of what somebody did, the latest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn audit(&self, most: usize) -> Result<Vec<Act>, StoreError> {
        self.read("read the audit", |read_| {
            let table = read_.open_table(AUDIT)?;
            let mut found = Vec::new();
            for row in table.iter()?.rev().take(most) {
                found.extend(read::<Act>(row?.1.value()));
            }
            Ok(found)
        })
    }

    /// Forgets what began before a time, but incidents that are open. How many rows that were.
    ///
    /// # Errors
    /// As [`Store::take`].
    pub fn prune(&self, before: Timestamp, most: usize) -> Result<usize, StoreError> {
        self.write("forget what is old", |write| {
            let mut times = write.open_table(TIMES)?;
            let mut old = Vec::new();
            for row in times.range(..(seconds(before), 0))?.take(most) {
                let (key, kind) = row?;
                old.push((key.value(), kind.value()));
            }
            let mut incidents = write.open_table(INCIDENTS)?;
            let mut events = write.open_table(EVENTS)?;
            let mut members = write.open_multimap_table(MEMBERS)?;
            let mut devices = write.open_multimap_table(DEVICES)?;
            let mut gone = 0;
            for ((second, id), kind) in old {
                if kind == OF_EVENT {
                    let incident = events.remove(id)?.and_then(|old| read::<Event>(old.value())?.incident_id);
                    if let Some(incident) = incident {
                        members.remove(incident.as_u128(), id)?;
                    }
                } else {
                    let stored = incidents.get(id)?.and_then(|old| read::<Stored>(old.value()));
                    if stored.as_ref().is_some_and(|stored| stored.incident.state.is_open()) {
                        continue;
                    }
                    incidents.remove(id)?;
                    if let Some(device) = stored.and_then(|stored| stored.incident.cause.device) {
                        devices.remove(device.wwid.as_str(), id)?;
                    }
                }
                times.remove((second, id))?;
                gone += 1;
            }
            Ok(gone)
        })
    }
}

fn note(write: &redb::WriteTransaction, act: &Act) -> Result<(), redb::Error> {
    let mut audit = write.open_table(AUDIT)?;
    let next = audit.last()?.map_or(0, |(number, _)| number.value() + 1);
    audit.insert(next, bytes(act).as_slice())?;
    Ok(())
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
