//! The state of things, as the daemon keeps it: fed by every event, and at the start by the journal of this boot.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    event::{Event, Severity},
    journal::{Patience, Unread},
    roots::Roots,
    state::{
        Change, Condition, Known, Limit, Table,
        journal::{self, Read},
        look::Look,
    },
};

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

    /// Adds what the journal tells of this boot. Whether that is all that it will ever tell.
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

    /// Takes an event on its way out. Tells whether it changes something: a first failure, the end of one, or the first
    /// word about a fault that is no lasting condition.
    pub(super) fn is_news(&self, event: &Event) -> bool {
        match self.inner().table.apply(event) {
            Change::Opened | Change::Closed => true,
            Change::Known => false,
            Change::Nothing => event.revision == 0 && event.severity.at_least(Severity::Warning),
        }
    }

    /// Looks at sysfs and mountinfo. Gives what nothing told of before; conditions of these kinds are left for an event to
    /// open. To be called on a thread: sysfs may take its time.
    pub(super) fn look(&self, roots: &Roots, for_events: &[&str]) -> Vec<Condition> {
        let before = self.inner().table.clone();
        let mut after = before.clone();
        let mut look = Look::new(roots).keeping_absent();
        let mut new = look.at(&mut after, Timestamp::now());
        new.retain(|condition| for_events.contains(&condition.condition.as_str()));
        let is_new = |c: &Condition| new.iter().any(|n| n.condition == c.condition && n.device.is(&c.device));
        after.remove(&is_new);
        self.inner().table.take_look(&before, after);
        // What lies in the journal may tell of it.
        if self.inner().journal.is_none() { Vec::new() } else { new }
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
        json!({
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
