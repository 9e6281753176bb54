//! The state of things, as the daemon keeps it: fed by every event, and at the start by the journal of this boot.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    event::{Event, Severity},
    roots::Roots,
    state::{Change, Table, journal, look::Look},
};

/// Shared by the event loop, the socket, and the thread that reads the journal.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    table: Table,
    /// How the reading of the journal went; none while it goes on.
    journal: Option<Result<(), String>>,
}

impl Status {
    /// Begins to read the journal, on a thread: the disk it lies on may be the one that hangs (promise 6).
    pub fn start(roots: &Roots) -> Self {
        let status = Self::default();
        let (shared, roots) = (status.clone(), roots.clone());
        let read = move || {
            let older = journal::table(&roots);
            let mut inner = shared.inner();
            match older {
                Ok(mut older) => {
                    Look::new(&roots).at(&mut older, Timestamp::now());
                    inner.table.add_older(older);
                    inner.journal = Some(Ok(()));
                }
                Err(error) => inner.journal = Some(Err(error.to_string())),
            }
        };
        if let Err(error) = thread::Builder::new().name("state".to_owned()).spawn(read) {
            status.inner().journal = Some(Err(error.to_string()));
        }
        status
    }

    /// Takes an event on its way out. Tells whether it changes something: a first failure, the end of one, or the first
    /// word about a fault that is no lasting condition.
    pub fn is_news(&self, event: &Event) -> bool {
        match self.inner().table.apply(event) {
            Change::Opened | Change::Closed => true,
            Change::Known => false,
            Change::Nothing => event.revision == 0 && event.severity.at_least(Severity::Warning),
        }
    }

    /// The answer to `status`.
    pub fn to_json(&self) -> Value {
        let inner = self.inner();
        json!({
            "conditions": inner.table.conditions(),
            "dropped": inner.table.dropped(),
            "journal_read": matches!(inner.journal, Some(Ok(()))),
            "journal_error": inner.journal.as_ref().and_then(|read| read.as_ref().err()),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
