//! The outputs that run, each behind its queue.

mod journald;
mod stdout;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, IsTerminal as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{clock, status::Status};
use crate::{
    config::Main,
    event::{Event, EventId},
    notifier::{
        Queue, carrier,
        memory::{Limits, Memory, Numbers},
    },
    record::Lost,
    roots::Roots,
};

/// How long the queues may take at the end, all together.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A way out that the configuration switches on and off. A new one is a file beside these and a row of [`OUTPUTS`].
pub(super) struct Output {
    /// Its name in messages and counters.
    name: &'static str,
    /// It keeps events for later, and must have all of them, whatever humans want to read.
    keeps: bool,
    /// Whether it is to run.
    wanted: fn(&Context<'_>) -> bool,
    /// Starts it behind a queue and a thread of its own.
    start: fn(&Context<'_>) -> io::Result<Queue>,
}

/// All of them. Memory, which feeds the socket, is not switched: it is a part of [`Outputs`].
const OUTPUTS: &[Output] = &[stdout::OUTPUT, journald::OUTPUT];

/// What the command line asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Events on standard output.
    pub stdout: bool,
    /// Events wait for a journal that comes later.
    pub journal_later: bool,
}

/// What an output may go by.
struct Context<'a> {
    roots: &'a Roots,
    main: &'a Main,
    asked: Asked,
    /// The runtime directory is this daemon's: its files may be used.
    held: bool,
    /// Last event in the spool that an earlier daemon is known to have meant.
    spooled: Option<u64>,
    /// It runs already.
    running: bool,
    unchecked: &'a Arc<AtomicU64>,
}

/// Whether the output with this name keeps events for later.
fn keeps(name: &str) -> bool {
    OUTPUTS.iter().any(|output| output.name == name && output.keeps)
}

/// The ways out of this daemon.
pub(super) struct Outputs {
    roots: Roots,
    asked: Asked,
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
    /// Since when a person at a terminal is shown what fails; none where there is no terminal.
    shown_since: Option<Timestamp>,
    /// Events of before that, while they are counted.
    past: Option<BTreeSet<EventId>>,
}

impl Outputs {
    /// Memory only, until [`Outputs::apply`].
    pub(super) fn new(
        roots: &Roots,
        asked: Asked,
        main: &Main,
        spooled: Option<u64>,
        held: bool,
        boot_id: &str,
    ) -> Self {
        // Greater than what an earlier daemon of this boot began with, by more than it can have given out.
        let numbers = Numbers { boot_id: boot_id.to_owned(), first: clock::monotonic_ns() / 1000 };
        let limits = Limits { events: main.events_in_memory, ..Limits::default() };
        Self {
            roots: roots.clone(),
            asked,
            memory: Memory::numbered(limits, numbers),
            status: Status::start(roots),
            only_changes: false,
            queues: BTreeMap::new(),
            told_lost: BTreeMap::new(),
            held,
            spooled,
            unchecked: Arc::default(),
            shown_since: None,
            past: None,
        }
    }

    /// What failed before now would hide on a terminal what fails from now on; of many events the last revision comes later. Files,
    /// pipes, the journal and the memory get all of it. Counts such events until [`Outputs::end_past`].
    pub(super) fn begin_past(&mut self) {
        if self.queues.contains_key(stdout::OUTPUT.name) && io::stdout().is_terminal() {
            self.shown_since = Some(Timestamp::now());
            self.past = Some(BTreeSet::new());
        }
    }

    /// How many events were kept from the terminal so far; none where there is none.
    pub(super) fn end_past(&mut self) -> Option<usize> {
        self.past.take().map(|events| events.len())
    }

    /// Starts and stops outputs as the configuration says.
    pub(super) fn apply(&mut self, main: &Main) {
        self.only_changes = main.notify_only_changes;
        for output in OUTPUTS {
            let running = self.queues.contains_key(output.name);
            let context = Context {
                roots: &self.roots,
                main,
                asked: self.asked,
                held: self.held,
                spooled: self.spooled,
                running,
                unchecked: &self.unchecked,
            };
            match ((output.wanted)(&context), running) {
                (true, false) => match (output.start)(&context) {
                    Ok(queue) => {
                        self.queues.insert(output.name, queue);
                    }
                    Err(error) => tracing::error!(%error, "cannot start notifier {}", output.name),
                },
                (false, true) => {
                    if let Some(queue) = self.queues.remove(output.name) {
                        queue.close(Duration::ZERO);
                    }
                }
                _ => {}
            }
        }
        // What an earlier daemon left waits in the output that took it over.
        self.spooled = None;
    }

    /// Why events cannot be written down where they wait for journald.
    pub(super) fn files_trouble(&self) -> Option<String> {
        self.queues.values().find_map(Queue::files_trouble)
    }

    /// Tries to use the files again, in a directory that is this daemon's. Why they still cannot be used.
    pub(super) fn repair(&mut self) -> Option<String> {
        self.held = true;
        // Also those that are not known to fail: a file that was removed is missed when next something is written.
        self.queues.values().filter_map(Queue::repair).next()
    }

    /// The logbook cannot say which events are meant to go out.
    pub(super) fn commit_in_spool(&self) {
        self.queues.values().for_each(Queue::commit_in_spool);
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
        self.queues.contains_key(journald::OUTPUT.name)
    }

    /// Writes events down where they wait in files. Gives the number of the last one; [`Outputs::send`] lets them go out.
    pub(super) fn write_down(&self, events: &[Arc<Event>]) -> Option<u64> {
        self.queues.values().find_map(|queue| queue.write_down(events))
    }

    /// Sends events that were written down every way out. Never waits.
    pub(super) fn send(&mut self, events: Vec<Arc<Event>>) {
        for event in &events {
            if let Some(incident) = carrier::carried(event) {
                self.status.note_incident(incident);
                if let Some(journal) = self.queues.get(crate::notifier::journald::NAME) {
                    journal.send(Arc::clone(event));
                }
                continue;
            }
            let is_change = self.status.is_change(event);
            let hidden = self.shown_since.is_some_and(|since| event.last_timestamp < since);
            if let Some(past) = self.past.as_mut().filter(|_| hidden) {
                past.insert(event.event_id);
            }
            let reported = |name: &str| {
                keeps(name) || ((is_change || !self.only_changes) && !(hidden && name == stdout::OUTPUT.name))
            };
            for queue in self.queues.iter().filter(|(name, _)| reported(name)).map(|(_, queue)| queue) {
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
