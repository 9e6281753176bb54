//! A receiver: its queue, its log, and a thread that delivers. Nobody waits for it.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt as _,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError},
    thread,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use peripety::internal::{
    Roots,
    follow::{Request, ask},
};
use peripety_model::{Event, Incident};
use serde::Serialize;

use crate::{
    config::Notify,
    message::{Kind, Message},
    output::{self, Failure, OutputError},
    queue::{Counters, Queue, Record},
    schedule::{Schedule, backoff},
    store::Store,
};

/// Messages that go out as one.
const GROUP_MAX: usize = 50;

/// Directories of this program.
#[derive(Clone, Debug)]
pub struct Places {
    /// Of this boot.
    pub runtime: PathBuf,
    /// Over reboots.
    pub state: PathBuf,
}

/// A receiver cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its output cannot be made.
    #[error("receiver '{name}': {source}")]
    Output {
        /// Its name.
        name: String,
        /// Why.
        source: OutputError,
    },
    /// The system has no thread.
    #[error("receiver '{name}': cannot start a thread: {source}")]
    Thread {
        /// Its name.
        name: String,
        /// Why.
        source: std::io::Error,
    },
}

/// How it is, for `prpt notify list`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Health {
    pub(crate) name: String,
    pub(crate) output: &'static str,
    pub(crate) waiting: usize,
    pub(crate) oldest_waiting: Option<Timestamp>,
    pub(crate) open: usize,
    #[serde(flatten)]
    pub(crate) counters: Counters,
    pub(crate) last_success: Option<Timestamp>,
    pub(crate) last_answer: Option<String>,
    pub(crate) failing_since: Option<Timestamp>,
    pub(crate) last_error: Option<String>,
    pub(crate) next_try: Option<Timestamp>,
    pub(crate) trouble: Option<String>,
}

#[derive(Debug, Default)]
struct Progress {
    last_success: Option<Timestamp>,
    last_answer: Option<String>,
    failing_since: Option<Timestamp>,
    last_error: Option<String>,
    tries: u32,
    next_try: Option<(Instant, Timestamp)>,
    /// Milliseconds from decision to delivery, by the bounds of [`LATENCY`]; then their sum.
    latency: [u64; LATENCY.len() + 1],
    latency_ms: u64,
}

/// Bounds of the histogram of latency, seconds.
pub(crate) const LATENCY: [f64; 8] = [0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0, 86_400.0];

#[derive(Debug)]
struct Inner {
    queue: Queue,
    store: Store,
    progress: Progress,
}

/// One receiver.
#[derive(Debug)]
pub struct Receiver {
    pub(crate) notify: Notify,
    output: &'static str,
    inner: Mutex<Inner>,
    changed: Condvar,
    /// Held while a message is on its way.
    sending: Mutex<()>,
    roots: Roots,
}

impl Receiver {
    /// Reads what waits, and starts the thread that delivers it.
    ///
    /// # Errors
    /// Its output cannot be made, or there is no thread.
    pub fn start(notify: &Notify, places: &Places, roots: &Roots) -> Result<Arc<Self>, StartError> {
        for dir in [&places.runtime, &places.state] {
            let _there_or_not = DirBuilder::new().recursive(true).mode(0o755).create(dir);
        }
        let (store, queue) = Store::open(&places.runtime, &places.state, &notify.name);
        let (kind, output) = output::make(notify)
            .map_err(|source| StartError::Output { name: notify.name.clone(), source })?;
        let receiver = Arc::new(Self {
            notify: notify.clone(),
            output: kind,
            inner: Mutex::new(Inner { queue, store, progress: Progress::default() }),
            changed: Condvar::new(),
            sending: Mutex::new(()),
            roots: roots.clone(),
        });
        let this = Arc::clone(&receiver);
        thread::Builder::new()
            .name(notify.name.chars().take(15).collect())
            .stack_size(512 << 10)
            .spawn(move || this.deliver_all(output))
            .map_err(|source| StartError::Thread { name: notify.name.clone(), source })?;
        Ok(receiver)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no message is on its way, and lets none set out while what is given lives; none if that takes too long.
    pub(crate) fn pause(&self, until: Instant) -> Option<MutexGuard<'_, ()>> {
        loop {
            match self.sending.try_lock() {
                Ok(guard) => return Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => return None,
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Takes a revision of an incident.
    pub fn take(&self, incident: &Incident) {
        let now = Timestamp::now();
        let mut inner = self.inner();
        match inner.queue.decide(&self.notify, incident, now) {
            Some(Record::Put(message)) => self.put(&mut inner, vec![*message]),
            Some(record) => {
                inner.note(&[record]);
                // It is copied to the disk in a while.
                self.changed.notify_all();
            }
            None => {}
        }
    }

    /// Takes a revision of an event.
    pub(crate) fn take_event(&self, event: &Event) {
        let mut inner = self.inner();
        let message = inner.queue.decide_event(&self.notify, event, Timestamp::now());
        self.put(&mut inner, message.into_iter().collect());
    }

    fn put(&self, inner: &mut Inner, messages: Vec<Message>) {
        for message in messages {
            let room = inner.queue.make_room(self.notify.queue);
            let records: Vec<Record> = room.into_iter().chain([Record::Put(Box::new(message))]).collect();
            inner.note(&records);
            self.changed.notify_all();
        }
    }

    /// Sends a test at once, past the queue, through an output of its own. What the other side answered.
    ///
    /// # Errors
    /// Why it was not taken.
    pub(crate) fn test(&self, host: &str) -> Result<String, String> {
        let (_, mut output) = output::make(&self.notify).map_err(|error| error.to_string())?;
        let message = Message::test(host, Timestamp::now());
        let answer = output.deliver(&[&message]).map_err(|failure| failure.to_string());
        output.idle();
        answer
    }

    /// How it is.
    pub(crate) fn health(&self) -> Health {
        let inner = self.inner();
        let progress = &inner.progress;
        Health {
            name: self.notify.name.clone(),
            output: self.output,
            waiting: inner.queue.len(),
            oldest_waiting: inner.queue.oldest(),
            open: inner.queue.open().len(),
            counters: inner.queue.counters,
            last_success: progress.last_success,
            last_answer: progress.last_answer.clone(),
            failing_since: progress.failing_since,
            last_error: progress.last_error.clone(),
            next_try: progress.next_try.map(|(_, at)| at),
            trouble: inner.store.trouble().map(str::to_owned),
        }
    }

    /// How many messages took how long: counts by [`LATENCY`], and their sum in milliseconds.
    pub(crate) fn latency(&self) -> ([u64; LATENCY.len() + 1], u64) {
        let inner = self.inner();
        (inner.progress.latency, inner.progress.latency_ms)
    }

    /// Delivers, for ever.
    fn deliver_all(&self, mut output: Box<dyn output::Output>) {
        let mut schedule = Schedule::new();
        let mut refreshed = Instant::now();
        let mut idle = true;
        loop {
            let mut inner = self.inner();
            let now = Timestamp::now();
            let blocked = inner.progress.next_try.map(|(at, _)| at).filter(|at| *at > Instant::now());
            let full = schedule.is_full(&self.notify, now);
            // Without a wish for it each message is one.
            let (group, quiet) = (!self.notify.group.is_zero(), !self.notify.quiet.is_empty());
            let together = output.groups() && (group || quiet || self.notify.rate.is_some());
            let most = if together { GROUP_MAX } else { 1 };
            let (ready, held) = match (blocked, full) {
                (None, None) => {
                    inner.queue.ready(most, &|message| schedule.holds(&self.notify, message, now))
                }
                _ => (Vec::new(), None),
            };
            let batch: Vec<&Message> = ready.iter().collect();
            if !batch.is_empty() {
                drop(inner);
                idle = false;
                let _sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
                self.deliver(&mut *output, &batch, &mut schedule);
                continue;
            }
            let reminders = inner.queue.reminders(&self.notify, now);
            if !reminders.is_empty() {
                self.put(&mut inner, reminders);
                continue;
            }
            if blocked.is_none() && !std::mem::replace(&mut idle, true) {
                drop(inner);
                output.idle();
                continue;
            }
            let refresh = output.refresh().filter(|_| blocked.is_none() && !inner.queue.open().is_empty());
            if refresh.is_some_and(|after| refreshed.elapsed() >= after) {
                refreshed = Instant::now();
                let open: Vec<Message> =
                    inner.queue.open().iter().map(|i| Message::of_incident(Kind::Reminder, i, now)).collect();
                drop(inner);
                let open: Vec<&Message> = open.iter().collect();
                for some in open.chunks(GROUP_MAX) {
                    if output.deliver(some).is_err() {
                        break;
                    }
                }
                continue;
            }
            let refresh = refresh.map(|after| after.saturating_sub(refreshed.elapsed()));
            let Inner { queue, store, .. } = &mut *inner;
            let copy = store.copy(queue);
            let times = [held, full, inner.queue.next_reminder(&self.notify)];
            let until = |at: Timestamp| {
                now.duration_until(at).try_into().unwrap_or(Duration::ZERO).max(Duration::from_millis(10))
            };
            let mut waits: Vec<Duration> = times.into_iter().flatten().map(until).collect();
            waits.extend(blocked.map(|at| at.saturating_duration_since(Instant::now())));
            waits.extend(refresh.into_iter().chain(copy));
            match waits.into_iter().min() {
                // Nothing to do: no wakeup until something comes (promise 5).
                None => drop(self.changed.wait(inner)),
                Some(wait) => drop(self.changed.wait_timeout(inner, wait.min(Duration::from_secs(86_400)))),
            }
        }
    }

    /// Delivers messages together. Where they are refused, one of them may be why: then each by itself.
    fn deliver(&self, output: &mut dyn output::Output, batch: &[&Message], schedule: &mut Schedule) {
        let result = output.deliver(batch);
        if batch.len() < 2 || !matches!(result, Err(Failure::Refused { .. })) {
            self.settle(batch, result, schedule);
            return;
        }
        for message in batch {
            let result = output.deliver(&[message]);
            let comes_again = matches!(result, Err(Failure::Temporary { .. }));
            self.settle(&[message], result, schedule);
            if comes_again {
                break;
            }
        }
    }

    /// What a try brought.
    fn settle(&self, batch: &[&Message], result: Result<String, Failure>, schedule: &mut Schedule) {
        let now = Timestamp::now();
        let mut inner = self.inner();
        let was_reported = inner.queue.reported;
        let ids = || batch.iter().map(|message| message.id.clone());
        match result {
            Ok(answer) => {
                inner.note(&ids().map(Record::Done).collect::<Vec<_>>());
                for message in batch {
                    inner.progress.count(message.at.duration_until(now));
                }
                schedule.went_out(&self.notify, now);
                let Progress { latency, latency_ms, .. } = inner.progress;
                inner.progress = Progress {
                    last_success: Some(now),
                    last_answer: Some(answer),
                    latency,
                    latency_ms,
                    ..Progress::default()
                };
            }
            Err(Failure::Refused { what }) => {
                tracing::warn!(receiver = self.notify.name, "a message was refused and is given up: {what}");
                inner.note(&ids().map(|id| Record::Dropped(id, what.clone())).collect::<Vec<_>>());
                // Who refuses one message answers, and is asked again with the next.
                let progress = &mut inner.progress;
                progress.last_error = Some(what.clone());
                (progress.next_try, progress.tries, progress.failing_since) = (None, 0, None);
                drop(inner);
                self.report(true, &format!("a message was refused: {what}"));
                return;
            }
            Err(Failure::Temporary { what, after }) => {
                inner.queue.counters.tries_failed += 1;
                let progress = &mut inner.progress;
                progress.tries = progress.tries.saturating_add(1);
                if progress.tries == 1 {
                    tracing::warn!(
                        receiver = self.notify.name,
                        "{what}; messages wait, and it is tried again"
                    );
                }
                let since = *progress.failing_since.get_or_insert(now);
                progress.last_error = Some(what.clone());
                let salt = u64::from(now.subsec_nanosecond().unsigned_abs() / 1000);
                let wait = backoff(progress.tries, self.notify.retry_max, after, salt);
                let std_wait: Duration = wait.try_into().unwrap_or(Duration::from_secs(1));
                progress.next_try = Some((Instant::now() + std_wait, now.checked_add(wait).unwrap_or(now)));
                if since.duration_until(now) >= self.notify.failed_after && !was_reported {
                    drop(inner);
                    self.report(true, &what);
                }
                return;
            }
        }
        drop(inner);
        if was_reported {
            self.report(false, "messages arrive again");
        }
    }

    /// Has the daemon make an event of it, which `prpt status` and the other receivers see. What it cannot make one of now is
    /// reported with the next try.
    fn report(&self, failed: bool, reason: &str) {
        let request = if failed { "notification_failed" } else { "notification_restored" };
        let target = Some(self.notify.name.clone());
        let reason = Some(reason.chars().take(500).collect());
        let request = Request { request: request.to_owned(), target, reason, ..Request::default() };
        match ask(&self.roots, request) {
            Ok(_) => self.inner().note(&[Record::Reported(failed)]),
            Err(error) => {
                tracing::warn!(
                    receiver = self.notify.name,
                    "cannot have peripetyd make an event of it: {error}"
                );
            }
        }
    }
}

impl Inner {
    fn note(&mut self, records: &[Record]) {
        for record in records {
            self.queue.apply(record);
        }
        self.store.append(records, &self.queue);
    }
}

impl Progress {
    fn count(&mut self, took: SignedDuration) {
        let seconds = took.as_secs_f64().max(0.0);
        let bucket = LATENCY.iter().position(|bound| seconds <= *bound).unwrap_or(LATENCY.len());
        if let Some(count) = self.latency.get_mut(bucket) {
            *count += 1;
        }
        self.latency_ms = self.latency_ms.saturating_add(u64::try_from(took.as_millis()).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::{config::Config, message::sample};

    /// Nanoseconds on a CPU of the thread with this name.
    fn ran_ns(name: &str) -> u64 {
        fs::read_dir("/proc/self/task")
            .unwrap()
            .flatten()
            .filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name))
            .filter_map(|task| {
                fs::read_to_string(task.path().join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok()
            })
            .sum()
    }

    #[test]
    fn who_refuses_a_message_after_it_was_away_costs_no_cpu() {
        let dir = tempfile::tempdir().unwrap();
        let (program, seen) = (dir.path().join("program"), dir.path().join("seen"));
        // It is to be asked again at first, then it refuses.
        let script = format!(
            "#!/bin/sh\nif test -e {0}; then echo no; exit 1; fi\ntouch {0}\nexit 75\n",
            seen.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let text =
            format!("[[notify]]\nname = 'refuses'\n[notify.exec]\nprogram = '{}'\n", program.display());
        let notify = Config::from_text(dir.path(), &text).unwrap().notify.remove(0);
        let places = Places { runtime: dir.path().join("run"), state: dir.path().join("state") };
        let receiver = Receiver::start(&notify, &places, &Roots::under(dir.path())).unwrap();
        receiver.take(&sample());
        let soon = Instant::now() + Duration::from_secs(30);
        while receiver.health().counters.dropped == 0 {
            assert!(Instant::now() < soon, "{:?}", receiver.health());
            thread::sleep(Duration::from_millis(20));
        }
        let health = receiver.health();
        assert_eq!((health.failing_since, health.next_try, health.counters.tries_failed), (None, None, 1));
        thread::sleep(Duration::from_millis(500));
        let before = ran_ns("refuses");
        thread::sleep(Duration::from_millis(500));
        assert!(before > 0 && ran_ns("refuses") - before < 100_000_000, "it does not stand still");
    }
}
