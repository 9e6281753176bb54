//! The state of things, as the daemon keeps it: fed by every event, and at the start by the journal of this boot.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    event::{
        Event, IncidentId, Severity,
        incident::{Incident, State},
    },
    incident::pick,
    journal::{Patience, Unread},
    roots::Roots,
    state::{
        Change, Condition, Known, Limit, Table,
        journal::{self, Read},
        look::Look,
    },
};

/// Incidents that are held for who asks, and that are in one answer.
const INCIDENTS_MAX: usize = 2048;
const ANSWER_MAX: usize = 256;

/// How long a disk of the journal may take. Nothing waits for this but the state of things itself.
const PATIENCE: Patience = Patience { silence: Duration::from_secs(20), total: Duration::from_secs(60) };
/// When it is read again after it could not be read: after ever longer times.
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(1800);

/// Shared by the event loop and the threads that read the journal and look at sysfs.
#[derive(Clone, Debug, Default)]
pub(super) struct Status(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    table: Table,
    /// Incidents that are open, and the latest of those that are over.
    incidents: BTreeMap<IncidentId, Incident>,
    /// How the reading of the journal went; none while it goes on for the first time.
    journal: Option<Result<(), String>>,
    /// Files of the journal that could not be read.
    unread: Vec<String>,
    /// How often it was tried.
    tries: u32,
}

impl Status {
    /// Begins to read the journal, on a thread: the disk it lies on may be the one that hangs (promise 6).
    pub(super) fn start(roots: &Roots) -> Self {
        let status = Self::default();
        let (shared, roots) = (status.clone(), roots.clone());
        let read = move || {
            let mut wait = RETRY_FIRST;
            while !shared.read_journal(&roots) {
                thread::sleep(wait);
                wait = (wait * 2).min(RETRY_MAX);
            }
        };
        if let Err(error) = thread::Builder::new().name("state".to_owned()).spawn(read) {
            status.inner().journal = Some(Err(error.to_string()));
        }
        status
    }

    /// Adds what the journal reports this boot. Whether that is all that it will ever report.
    fn read_journal(&self, roots: &Roots) -> bool {
        let known = journal::table(roots, PATIENCE);
        let mut inner = self.inner();
        inner.tries += 1;
        let first = inner.tries == 1;
        let Read { table, unread } = match known {
            Ok(known) => known,
            Err(error) => {
                let error = error.to_string();
                if first {
                    tracing::warn!(
                        "{error}: what went wrong in this boot before this start is not known; it is tried again"
                    );
                }
                inner.journal = Some(Err(error));
                return false;
            }
        };
        inner.table.add_older(table);
        let done = !unread.iter().any(Unread::may_pass);
        if first {
            for unread in &unread {
                tracing::warn!("{unread}; what went wrong in this boot before this start may be incomplete");
            }
        } else if done {
            tracing::info!(
                "the journal is read now: what went wrong in this boot before this start is known"
            );
        }
        inner.unread = unread.iter().map(ToString::to_string).collect();
        inner.journal = Some(inner.unread.first().map_or(Ok(()), |unread| Err(unread.clone())));
        done
    }

    /// Takes an event on its way out. Says whether it changes something: a first failure, the end of one, or the first
    /// word about a fault that is no lasting condition.
    pub(super) fn is_change(&self, event: &Event) -> bool {
        match self.inner().table.apply(event) {
            Change::Opened | Change::Closed => true,
            Change::Known => false,
            Change::Nothing => event.revision == 0 && event.severity.at_least(Severity::Warning),
        }
    }

    /// Takes a revision of an incident.
    pub(super) fn note_incident(&self, incident: Incident) {
        let mut inner = self.inner();
        if incident.state == State::Superseded {
            inner.incidents.remove(&incident.incident_id);
            return;
        }
        inner.incidents.insert(incident.incident_id, incident);
        if inner.incidents.len() > INCIDENTS_MAX {
            let oldest = inner
                .incidents
                .values()
                .min_by_key(|i| (i.state.is_open(), i.updated))
                .map(|i| i.incident_id);
            if let Some(oldest) = oldest {
                inner.incidents.remove(&oldest);
            }
        }
    }

    /// The incident that a person means: by its id, by an event, by a device.
    pub(super) fn incident(&self, wanted: &str) -> Option<Incident> {
        let inner = self.inner();
        let mut found: Vec<&Incident> =
            inner.incidents.values().filter(|i| pick::is_meant(i, wanted)).collect();
        found.sort_by_key(|incident| (incident.state.is_open(), incident.updated));
        found.pop().cloned()
    }

    /// Looks at sysfs and mountinfo. Gives what nothing reported before; conditions of these kinds are left for an event to
    /// open. To be called on a thread: sysfs may take its time.
    ///
    /// Beside them: what it showed to be over, of that and of what `incidents` wait for. Those are kept for longer than the
    /// journal may reach back.
    pub(super) fn look(
        &self,
        roots: &Roots,
        for_events: &[&str],
        incidents: Vec<Condition>,
    ) -> (Vec<Condition>, Vec<Condition>) {
        let before = self.inner().table.clone();
        let mut after = before.clone();
        let mut look = Look::new(roots).keeping_absent();
        let mut new = look.at(&mut after, Timestamp::now());
        new.retain(|condition| for_events.contains(&condition.condition.as_str()));
        let is_new = |c: &Condition| new.iter().any(|n| n.condition == c.condition && n.device.is(&c.device));
        after.remove(&is_new);
        let of_event = |table: &Table| -> Vec<Condition> {
            table.conditions().into_iter().filter(|c| c.event_id.is_some()).collect()
        };
        let (reported, left) = (of_event(&before), of_event(&after));
        let is_left =
            |c: &Condition| left.iter().any(|l| l.condition == c.condition && l.event_id == c.event_id);
        let mut over: Vec<Condition> = reported.into_iter().filter(|c| !is_left(c)).collect();
        over.extend(look.over(incidents, Timestamp::now()));
        self.inner().table.take_look(&before, after);
        // What lies in the journal may report it.
        if self.inner().journal.is_none() { (Vec::new(), over) } else { (new, over) }
    }

    /// Whether an event has reported a condition.
    pub(super) fn knows(&self, condition: &Condition) -> bool {
        let all = self.inner().table.conditions();
        all.iter().any(|c| c.condition == condition.condition && c.device.is(&condition.device))
    }

    /// The conditions that an incident's events opened.
    pub(super) fn conditions_of(&self, incident: &Incident) -> Vec<Condition> {
        let of_it =
            |id: Option<crate::event::EventId>| incident.events.iter().any(|m| Some(m.event_id) == id);
        let all = self.inner().table.conditions();
        all.into_iter().filter(|c| of_it(c.event_id) || of_it(c.last_event_id)).collect()
    }

    /// The conditions that a name, an event's id or a condition's name selects.
    pub(super) fn select(&self, wanted: &str) -> Vec<Condition> {
        self.inner().table.select(wanted)
    }

    /// The answer to `status`.
    pub(super) fn to_json(&self, mut limits: Vec<Limit>) -> Value {
        let inner = self.inner();
        let (since, _) = inner.table.span();
        let mut known = Known { by: vec!["peripetyd".to_owned()], since, ..Known::default() };
        match &inner.journal {
            Some(Ok(())) => known.by.push("journal".to_owned()),
            Some(Err(error)) => {
                let why = format!("only what happened since peripetyd's start is known: {error}");
                limits.push(Limit::past("journal", why));
            }
            None => {
                let why = "peripetyd still reads the journal: what is older than its start may be missing";
                limits.push(Limit::past("journal", why));
            }
        }
        known.limits = limits;
        let mut incidents: Vec<&Incident> = inner.incidents.values().collect();
        incidents
            .sort_by_key(|incident| (!incident.state.is_open(), incident.severity.number(), incident.opened));
        incidents.truncate(ANSWER_MAX);
        json!({
            "incidents": incidents,
            "conditions": inner.table.conditions(),
            "dropped": inner.table.dropped(),
            "journal_read": matches!(inner.journal, Some(Ok(()))),
            "journal_error": inner.journal.as_ref().and_then(|read| read.as_ref().err()),
            "journal_unread": inner.unread,
            "known": known,
        })
    }

    /// For `prpt stats`: whether the journal could be read for the state at the start.
    pub(super) fn journal_stats(&self) -> Value {
        let inner = self.inner();
        json!({
            "read": matches!(inner.journal, Some(Ok(()))),
            "error": inner.journal.as_ref().and_then(|read| read.as_ref().err()),
            "unread": inner.unread,
            "tries": inner.tries,
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::EventType, notifier::fixture::sample};

    #[test]
    fn what_an_event_said_while_a_look_went_on_is_known() {
        let status = Status::default();
        let mut event = sample();
        event.event_type = EventType::SCSI_DEVICE_OFFLINED;
        event.severity = Severity::Warning;
        let found = Condition::all_opened_by(&event);
        assert!(!found.is_empty() && found.iter().all(|condition| !status.knows(condition)));
        assert!(status.is_change(&event));
        assert!(found.iter().all(|condition| status.knows(condition)));
    }
}
