//! The notifiers that run, each behind its queue.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::status::Status;
use crate::{
    config::Main,
    event::Event,
    journal::Patience,
    notifier::{
        self, Queue, Spool, WentOut,
        journald::{self, Journald},
        memory::{Limits, Memory},
        plain::Style,
        stdout::{self, Stdout},
    },
    query::journald::{Direction, Position, ReadError, Reader},
    record::Lost,
    roots::Roots,
    terminal,
};

/// How long the queues may take at the end, all together.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How long the journal may take to tell whether it has an event: others wait behind that.
const CHECK: Patience = Patience { silence: Duration::from_secs(1), total: Duration::from_secs(2) };

/// The ways out of this daemon.
pub(super) struct Outputs {
    roots: Roots,
    always_stdout: bool,
    memory: Memory,
    status: Status,
    only_changes: bool,
    queues: BTreeMap<&'static str, Queue>,
    told_lost: BTreeMap<(&'static str, &'static str), u64>,
    /// The runtime directory is this daemon's: its files may be used.
    held: bool,
    /// Last event in the spool that an earlier daemon is known to have meant.
    spooled: Option<u64>,
    /// Events that were sent though the journal may have had them.
    unchecked: Arc<AtomicU64>,
}

impl Outputs {
    /// Memory only, until [`Outputs::apply`].
    pub(super) fn new(
        roots: &Roots,
        always_stdout: bool,
        main: &Main,
        spooled: Option<u64>,
        held: bool,
    ) -> Self {
        let limits = Limits { events: main.events_in_memory, ..Limits::default() };
        Self {
            roots: roots.clone(),
            always_stdout,
            memory: Memory::new(limits),
            status: Status::start(roots),
            only_changes: false,
            queues: BTreeMap::new(),
            told_lost: BTreeMap::new(),
            held,
            spooled,
            unchecked: Arc::default(),
        }
    }

    /// Starts and stops notifiers as the configuration says.
    pub(super) fn apply(&mut self, main: &Main) {
        self.only_changes = main.notify_only_changes;
        let to_stdout = self.always_stdout || main.notify_stdout;
        self.switch(stdout::NAME, to_stdout, |_| {
            let style = Style { width: terminal::width(), colour: true, ..Style::default() };
            notifier::spawn(Stdout::new(style), notifier::capacity(stdout::NAME))
        });
        // Where there was a journald, for an earlier daemon or this one, events may wait for it to come back.
        let was = self.spooled.is_some() || self.saves_to_journald();
        let may_be = journald::present(&self.roots) || self.journald_may_come() || was;
        let to_journald = main.save_to_journald && may_be;
        if main.save_to_journald && !to_journald {
            tracing::warn!(
                "no journald here ({} is missing): events are kept in memory for prpt, and gone when this daemon ends",
                journald::socket(&self.roots).display()
            );
        }
        let spooled = self.spooled.take();
        let bound = u64::from(main.spool_mib) << 20;
        let unchecked = Arc::clone(&self.unchecked);
        let held = self.held;
        self.switch(journald::NAME, to_journald, |roots| {
            let (spool, files) = if held {
                Spool::open(&roots.runtime, bound, spooled)
            } else {
                (Spool::in_memory(&roots.runtime, bound, spooled), Ok(()))
            };
            let roots_of_journal = roots.clone();
            let went_out: WentOut =
                Box::new(move |event| is_in_journal(&roots_of_journal, event, &unchecked));
            notifier::spawn_spooled(Journald::new(roots), spool, files, went_out)
        });
    }

    /// Why events cannot be written down where they wait for journald.
    pub(super) fn files_trouble(&self) -> Option<String> {
        self.queues.values().find_map(Queue::files_trouble)
    }

    /// Tries to use the files again, in a directory that is this daemon's. Why they still cannot be used.
    pub(super) fn repair(&mut self) -> Option<String> {
        self.held = true;
        let failing = self.queues.values().filter(|queue| queue.files_trouble().is_some());
        failing.filter_map(Queue::repair).next()
    }

    /// The logbook cannot say which events are meant to go out.
    pub(super) fn commit_in_spool(&self) {
        self.queues.values().for_each(Queue::commit_in_spool);
    }

    /// Under systemd journald always comes back: events wait for it.
    fn journald_may_come(&self) -> bool {
        self.roots.run.join("systemd/system").exists()
    }

    fn switch(&mut self, name: &'static str, on: bool, start: impl FnOnce(&Roots) -> std::io::Result<Queue>) {
        if on && !self.queues.contains_key(name) {
            match start(&self.roots) {
                Ok(queue) => {
                    self.queues.insert(name, queue);
                }
                Err(error) => tracing::error!(%error, "cannot start notifier {name}"),
            }
        } else if !on && let Some(queue) = self.queues.remove(name) {
            queue.close(Duration::ZERO);
        }
    }

    /// The store that the socket serves.
    pub(super) fn memory(&self) -> Memory {
        self.memory.clone()
    }

    /// What is wrong now.
    pub(super) fn status(&self) -> Status {
        self.status.clone()
    }

    /// Whether events go to the journal.
    pub(super) fn saves_to_journald(&self) -> bool {
        self.queues.contains_key(journald::NAME)
    }

    /// Writes events down where they wait in files. Gives the number of the last one; [`Outputs::send`] lets them go out.
    pub(super) fn write_down(&self, events: &[Arc<Event>]) -> Option<u64> {
        self.queues.values().find_map(|queue| queue.write_down(events))
    }

    /// Sends events that were written down every way out. Never waits.
    pub(super) fn send(&self, events: Vec<Arc<Event>>) {
        for event in &events {
            let is_news = self.status.is_news(event);
            let told = |name: &str| is_news || !self.only_changes || notifier::keeps(name);
            for queue in self.queues.iter().filter(|(name, _)| told(name)).map(|(_, queue)| queue) {
                queue.send(Arc::clone(event));
            }
        }
        for queue in self.queues.values() {
            queue.commit();
        }
        for event in events {
            if let Err(error) = self.memory.store(event) {
                tracing::error!(%error, "an event cannot be kept");
            }
        }
    }

    /// What the queues lost since the last call (promise 1).
    pub(super) fn take_lost(&mut self) -> Vec<Lost> {
        let mut all = Vec::new();
        for (name, queue) in &self.queues {
            for (reason, count) in queue.take_lost() {
                let total = self.told_lost.entry((name, reason)).or_default();
                *total += count;
                all.push(Lost {
                    source: (*name).to_owned(),
                    reason: reason.to_owned(),
                    count,
                    sequence: format!("{}/{name}/{reason}/{total}", std::process::id()),
                });
            }
        }
        all
    }

    /// Figures for `prpt stats`.
    pub(super) fn stats(&self) -> Value {
        let queues: BTreeMap<_, _> = self
            .queues
            .iter()
            .map(|(name, queue)| {
                let mut figures = json!({ "counters": queue.counters(), "trouble": queue.trouble() });
                if let (Some((bytes, in_memory)), Value::Object(all)) = (queue.spooled_bytes(), &mut figures) {
                    let spool = json!({ "bytes": bytes, "bytes_in_memory": in_memory, "trouble": queue.files_trouble() });
                    all.insert("spool".to_owned(), spool);
                }
                (*name, figures)
            })
            .collect();
        let memory = self.memory.usage();
        json!({
            "notifiers": queues,
            "sent_again_unchecked": self.unchecked.load(Ordering::Relaxed),
            "memory": { "events": memory.events, "bytes": memory.bytes, "evicted": memory.evicted },
        })
    }

    /// Lets what waits go out, for a short while.
    pub(super) fn close(self) {
        let end = Instant::now() + PATIENCE;
        for (name, queue) in self.queues {
            if !queue.close(end.saturating_duration_since(Instant::now())) {
                tracing::warn!(counters = ?queue.counters(), "not every event went out to {name}");
            }
        }
    }
}

/// Whether the journal has this revision of an event: an earlier daemon may have been killed between sending it and writing
/// that down. It is among the latest entries, or not there. Where that cannot be known in time it is sent once more, which
/// readers see by its id and revision, and never lost.
fn is_in_journal(roots: &Roots, event: &Event, unknown: &AtomicU64) -> bool {
    const ENTRIES: usize = 256;
    let search = || -> Result<bool, ReadError> {
        let mut reader = Reader::open_with(roots, CHECK)?;
        reader.set_heads_only(true);
        reader.set_own_only();
        reader.seek(&Position::Tail)?;
        for _entry in 0..ENTRIES {
            let Some(head) = reader.step(Direction::Back)? else { break };
            if head.id == event.event_id && head.revision == event.revision {
                return Ok(true);
            }
        }
        match reader.take_unread().into_iter().next() {
            Some(unread) => Err(ReadError::Unread(unread)),
            None => Ok(false),
        }
    };
    search().unwrap_or_else(|error| {
        unknown.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            "{error}: whether the journal has event {} already is not known, so it is sent again",
            event.event_id
        );
        false
    })
}
