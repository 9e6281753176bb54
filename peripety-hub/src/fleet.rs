//! The fleet as it is now: what is open, which hosts live, what they lack. Pure; the store has the rest.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use peripety_forward::cluster::Cluster;
use peripety_model::{EventId, IncidentId, Severity, incident::State};
use serde::Serialize;

use crate::store::{Seen, Stored};

/// A host is silent after so many heartbeats that did not come.
const BEATS: i64 = 3;
/// A clock is off by more than this.
const CLOCK: SignedDuration = SignedDuration::from_secs(30);
/// In what time devices of one model count together.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Members of a group from which on it is one.
const GROUP_MIN: usize = 3;

/// An incident that is open, as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Open {
    /// Its id.
    pub incident_id: IncidentId,
    /// The site of its host.
    pub site: String,
    /// Its host.
    pub host: String,
    /// How bad.
    pub severity: Severity,
    /// Whether something of it is being repaired.
    pub state: State,
    /// Its title.
    pub title: String,
    /// When it opened.
    pub opened: Timestamp,
    /// When it changed last.
    pub updated: Timestamp,
    /// The incident of the fleet that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<EventId>,
}

/// What is wrong with a host as part of the fleet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Condition {
    /// How bad.
    pub severity: Severity,
    /// Which: `host_silent`, `clock_off`, `version_behind`, `probe_refused`, `records_lost`, `daemon_silent`, `alone`.
    pub condition: &'static str,
    /// The host.
    pub host: String,
    /// The site.
    pub site: String,
    /// In words.
    pub what: String,
}

/// Incidents of devices that have something in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// What they have in common: `model`.
    pub by: &'static str,
    /// Its value.
    pub value: String,
    /// Devices of it that failed within a week.
    pub devices: usize,
    /// Hosts on which.
    pub hosts: usize,
    /// Incidents.
    pub incidents: usize,
}

/// The fleet.
#[derive(Debug, Default)]
pub struct Fleet {
    open: BTreeMap<IncidentId, Open>,
    clusters: BTreeMap<EventId, Cluster>,
    hosts: BTreeMap<String, Seen>,
    forgotten: BTreeMap<String, Timestamp>,
}

impl Fleet {
    /// Takes a revision of an incident.
    pub fn incident(&mut self, stored: &Stored) {
        let incident = &stored.incident;
        if !incident.state.is_open() {
            self.open.remove(&incident.incident_id);
            return;
        }
        let open = Open {
            incident_id: incident.incident_id,
            site: stored.site.clone(),
            host: incident.hostname.clone(),
            severity: incident.severity,
            state: incident.state,
            title: incident.title.clone(),
            opened: incident.opened,
            updated: incident.updated,
            cluster_id: stored.cluster,
        };
        self.open.insert(incident.incident_id, open);
    }

    /// Takes an incident of the fleet; those that are over stay in the store alone.
    pub fn cluster(&mut self, cluster: Cluster) {
        for id in cluster.hosts.values().flat_map(BTreeMap::keys) {
            if let Some(open) = self.open.get_mut(id) {
                open.cluster_id = Some(cluster.cluster_id);
            }
        }
        if cluster.state.is_open() {
            self.clusters.insert(cluster.cluster_id, cluster);
        } else {
            self.clusters.remove(&cluster.cluster_id);
        }
    }

    /// Takes what a host says of itself.
    pub fn host(&mut self, key: String, seen: Seen) {
        if self.forgotten.get(&key).is_none_or(|at| seen.at > *at) {
            self.hosts.insert(key, seen);
        }
    }

    /// Forgets what a host said up to a time; false if nothing is known of it.
    pub fn forget(&mut self, key: &str, at: Timestamp) -> bool {
        self.forgotten.insert(key.to_owned(), at);
        self.hosts.remove(key).is_some()
    }

    /// What is open, the worst first, then the newest.
    pub fn open(&self) -> Vec<&Open> {
        let mut open: Vec<&Open> = self.open.values().collect();
        open.sort_by_key(|one| (one.severity, std::cmp::Reverse(one.opened), one.incident_id));
        open
    }

    /// Incidents of the fleet that are open, the worst first.
    pub fn clusters(&self) -> Vec<&Cluster> {
        let mut open: Vec<&Cluster> = self.clusters.values().collect();
        open.sort_by_key(|one| (one.severity, std::cmp::Reverse(one.opened), one.cluster_id));
        open
    }

    /// The incident of the fleet that a host's incident is part of, by the table.
    pub fn part_of(&self, id: IncidentId) -> Option<EventId> {
        let with = |cluster: &&Cluster| cluster.hosts.values().any(|all| all.contains_key(&id));
        self.clusters.values().find(with).map(|cluster| cluster.cluster_id)
    }

    /// Whether an incident of a host is open.
    pub fn is_open(&self, id: IncidentId) -> bool {
        self.open.contains_key(&id)
    }

    /// Whether an incident of the fleet is open.
    pub fn is_cluster_open(&self, id: EventId) -> bool {
        self.clusters.contains_key(&id)
    }

    /// All hosts, by their keys.
    pub const fn hosts(&self) -> &BTreeMap<String, Seen> {
        &self.hosts
    }

    /// What is wrong with hosts, the worst first.
    pub fn conditions(&self, now: Timestamp) -> Vec<Condition> {
        let newest = self.hosts.values().filter_map(|seen| version(&seen.host.version)).max();
        let mut found: Vec<Condition> = Vec::new();
        for seen in self.hosts.values() {
            let host = &seen.host;
            let mut add = |severity, condition, what: String| {
                found.push(Condition {
                    severity,
                    condition,
                    host: host.host.clone(),
                    site: host.site.clone(),
                    what,
                });
            };
            let silent = seen.at.duration_until(now);
            let every = i64::try_from(host.every_s).unwrap_or(i64::MAX).clamp(1, 86_400);
            if silent.as_secs() > BEATS * every {
                // Whatever else it said is of then.
                add(Severity::Error, "host_silent", format!("nothing since {}", seen.at));
                continue;
            }
            let off = host.at.duration_until(seen.at).abs();
            if off > CLOCK {
                add(Severity::Warning, "clock_off", format!("its clock is off by {} s", off.as_secs()));
            }
            if version(&host.version).is_some() && version(&host.version) < newest {
                add(Severity::Notice, "version_behind", format!("it runs version {}", host.version));
            }
            if !host.daemon.answers {
                add(Severity::Error, "daemon_silent", "peripetyd does not answer there".to_owned());
            }
            for probe in &host.daemon.probes {
                let what = format!("the probe {} is {}", probe.name, probe.state);
                add(Severity::Warning, "probe_refused", what);
            }
            let lost = host.lost.unread + host.lost.too_large + host.lost.records.unwrap_or(0);
            if lost > 0 {
                add(Severity::Warning, "records_lost", format!("{lost} records or entries are lost there"));
            }
            if let Some(why) = &host.alone {
                add(Severity::Warning, "alone", format!("it cannot use the table of shared things: {why}"));
            }
        }
        found.sort();
        found
    }
}

/// Numbers of a version, to compare by.
fn version(text: &str) -> Option<Vec<u64>> {
    text.split(['-', '+']).next()?.split('.').map(|part| part.parse().ok()).collect()
}

/// Devices of one model that failed within a week before `now`, of these incidents: the most first.
#[derive(Debug, Default)]
pub struct Grouping(BTreeMap<String, (BTreeSet<String>, BTreeSet<String>, usize)>);

impl Grouping {
    /// Takes an incident.
    pub fn add(&mut self, stored: &Stored, now: Timestamp) {
        let incident = &stored.incident;
        let Some(device) = &incident.cause.device else { return };
        let name = if device.serial.is_empty() { &device.wwid } else { &device.serial };
        if device.model.is_empty() || name.is_empty() || incident.opened.duration_until(now) > WEEK {
            return;
        }
        let (devices, hosts, count) = self.0.entry(device.model.clone()).or_default();
        devices.insert(name.clone());
        hosts.insert(format!("{}.{}", stored.site, incident.hostname));
        *count += 1;
    }

    /// What came out.
    pub fn groups(self) -> Vec<Group> {
        let mut groups: Vec<Group> = self
            .0
            .into_iter()
            .filter(|(_, (devices, _, _))| devices.len() >= GROUP_MIN)
            .map(|(value, (devices, hosts, incidents))| Group {
                by: "model",
                value,
                devices: devices.len(),
                hosts: hosts.len(),
                incidents,
            })
            .collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.devices));
        groups
    }
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
pub(crate) mod tests;
