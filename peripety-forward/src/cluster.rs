//! What is wrong with a thing that many hosts see, as all of them report it: one incident of the fleet.
//!
//! Pure: the entry as it is and a host's report give the entry as it is to be. Whose write wins is the store's to decide, by
//! the revision of the entry ([`crate::table`]).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use peripety_model::{EventId, Incident, IncidentId, Severity, event_id, incident::State};
use serde::{Deserialize, Serialize};

use crate::shared::{Thing, row};

/// Version of this format.
pub const SCHEMA: u32 = 1;
/// Hosts' incidents that one entry lists: with that many it stays below the megabyte that a message may have.
pub const PARTS_MAX: usize = 2000;
/// Bytes of a host's title that are kept.
const TITLE_MAX: usize = 200;
/// What comes again so soon is the same incident, once more.
const AGAIN: SignedDuration = SignedDuration::from_hours(24);

/// One incident of the fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// Version of this format.
    pub schema: u32,
    /// Its id; the same while it is open, and when it comes again within a day.
    pub cluster_id: EventId,
    /// What it is about.
    pub thing: Thing,
    /// The site.
    pub site: String,
    /// Whether any host still has it: `open` or `resolved`.
    pub state: State,
    /// The worst of its hosts'.
    pub severity: Severity,
    /// When the first host had it.
    pub opened: Timestamp,
    /// When it changed last.
    pub updated: Timestamp,
    /// When the last host was well again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Timestamp>,
    /// How often it happened within a day.
    pub episodes: u32,
    /// The hosts, each with its own incidents about this.
    pub hosts: BTreeMap<String, BTreeMap<IncidentId, Member>>,
}

/// An incident of a host that is part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Of the host's incident: an earlier one that comes late says nothing.
    pub revision: u32,
    /// Whether it is open on that host.
    pub open: bool,
    /// How bad it is there.
    pub severity: Severity,
    /// Since when.
    pub since: Timestamp,
    /// Its title.
    pub title: String,
}

impl Member {
    /// Whether it says already what another one does: a revision that changes nothing here is not worth a write.
    fn says(&self, other: &Self) -> bool {
        let same = (self.open, self.severity) == (other.open, other.severity);
        self.revision >= other.revision || same
    }
}

/// What a host reports of its own incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The host.
    pub host: String,
    /// Its incident.
    pub incident_id: IncidentId,
    /// How that is.
    pub member: Member,
    /// When that was so.
    pub at: Timestamp,
}

impl Report {
    /// What a revision of an incident says.
    pub fn of(host: &str, incident: &Incident) -> Self {
        let title: String = incident
            .title
            .chars()
            .scan(0, |length, c| {
                *length += c.len_utf8();
                (*length <= TITLE_MAX).then_some(c)
            })
            .collect();
        Self {
            host: host.to_owned(),
            incident_id: incident.incident_id,
            member: Member {
                revision: incident.revision,
                open: incident.state.is_open(),
                severity: incident.severity,
                since: incident.opened,
                title,
            },
            at: incident.updated,
        }
    }
}

/// What a report makes of an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing new: the report is in it already, or is about the end of what nobody knows.
    Same(Option<EventId>),
    /// The entry as it is to be written.
    Write(Box<Cluster>),
    /// It lists so many hosts that this one reports for itself.
    Full,
}

/// What a report makes of the entry of a thing.
pub fn step(current: Option<&Cluster>, site: &str, thing: &Thing, report: &Report) -> Step {
    let Some(current) = current else { return begin(site, thing, report, None) };
    let known = current.hosts.get(&report.host).and_then(|all| all.get(&report.incident_id));
    match known {
        Some(known) if known.says(&report.member) => return Step::Same(Some(current.cluster_id)),
        None if !report.member.open => return Step::Same(Some(current.cluster_id)),
        _ => {}
    }
    if !current.state.is_open() && report.member.open {
        return begin(site, thing, report, Some(current));
    }
    if known.is_none() && current.parts() >= PARTS_MAX {
        return Step::Full;
    }
    let mut next = current.clone();
    next.hosts.entry(report.host.clone()).or_default().insert(report.incident_id, report.member.clone());
    next.updated = next.updated.max(report.at);
    next.settle();
    Step::Write(Box::new(next))
}

/// The entry with its first host; of an earlier one, what it was.
fn begin(site: &str, thing: &Thing, report: &Report, before: Option<&Cluster>) -> Step {
    if !report.member.open {
        return Step::Same(None);
    }
    let opened = report.member.since;
    let again = before
        .filter(|before| before.resolved.is_none_or(|resolved| resolved.duration_until(report.at) < AGAIN));
    let name = format!("{} {} {}", thing.kind, thing.name, opened.as_nanosecond());
    let mut next = Cluster {
        schema: SCHEMA,
        cluster_id: again.map_or_else(|| event_id(site, "cluster", &name), |before| before.cluster_id),
        thing: thing.clone(),
        site: site.to_owned(),
        state: State::Open,
        severity: report.member.severity,
        opened: again.map_or(opened, |before| before.opened),
        updated: report.at,
        resolved: None,
        episodes: again.map_or(1, |before| before.episodes.saturating_add(1)),
        hosts: BTreeMap::new(),
    };
    next.hosts.entry(report.host.clone()).or_default().insert(report.incident_id, report.member.clone());
    next.settle();
    Step::Write(Box::new(next))
}

impl Cluster {
    /// Reads an entry: any host may have written it.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|this: &Self| this.schema == SCHEMA)
    }

    /// State and severity follow from the hosts.
    fn settle(&mut self) {
        let members = || self.hosts.values().flat_map(BTreeMap::values);
        let open = members().any(|member| member.open);
        // While it is open, only what is still open counts; after that the worst that was.
        let worst = members().filter(|member| member.open || !open).map(|member| member.severity).min();
        self.severity = worst.unwrap_or(self.severity);
        self.state = if open { State::Open } else { State::Resolved };
        self.resolved = (!open).then_some(self.updated);
    }

    /// Hosts that have it now.
    pub fn open_hosts(&self) -> usize {
        self.hosts.values().filter(|all| all.values().any(|member| member.open)).count()
    }

    fn parts(&self) -> usize {
        self.hosts.values().map(BTreeMap::len).sum()
    }

    /// One line for people.
    pub fn title(&self) -> String {
        let kind = row(&self.thing.kind).map_or(self.thing.kind.as_str(), |row| row.words);
        let (open, all) = (self.open_hosts(), self.hosts.len());
        let hosts = match (open, all) {
            (0, 1) => "over on its host".to_owned(),
            (0, all) => format!("over on all {all} hosts"),
            (1, 1) => "fails on one host".to_owned(),
            (open, all) if open == all => format!("fails on {all} hosts"),
            (open, all) => format!("fails on {open} of {all} hosts"),
        };
        format!("{kind} {} {hosts}", self.thing.name)
    }
}

#[cfg(test)]
#[path = "cluster_tests.rs"]
pub(crate) mod tests;
