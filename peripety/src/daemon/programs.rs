//! What daemons say, from the process that reads the journal (see [`crate::collector::journal`]).

use std::{
    collections::BTreeSet,
    future,
    io::{self, Read as _},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    time::{Instant, sleep_until},
};

use super::{clock, sources::readable};
use crate::{
    collector::{
        journal::{Item, Orders},
        wait::{drained, watch},
    },
    parser::rules::{Rule, RuleSet},
    record::{Body, LogRecord, Record, Stamp},
};

/// Bytes that are taken in a row, so that the other sources get their turn.
const BATCH_BYTES: usize = 256 << 10;
/// After its first unexpected end the reader is started again at once, then after ever longer times.
const RESTART_FIRST: Duration = Duration::from_secs(1);
const RESTART_MAX: Duration = Duration::from_secs(300);

/// The programs of the rules, and the process that listens to them.
pub(super) struct Programs {
    orders: Orders,
    reader: Option<(Child, AsyncFd<ChildStdout>)>,
    buffer: Vec<u8>,
    restart: Restart,
    saved: Option<String>,
    lost: u64,
    lines: u64,
    /// What `prpt stats` tells: whether there is a journal.
    journal: bool,
}

struct Restart {
    at: Option<Instant>,
    next: Duration,
}

impl Programs {
    /// Starts to listen to the programs that the built-in rules and a user's are about, from the entry after `after`, where
    /// the last daemon of this boot stopped.
    pub(super) fn start(after: Option<String>, boot_id: &str, user: Vec<Rule>) -> Self {
        let orders =
            Orders { programs: names(user), boot_id: boot_id.to_owned(), after, parent: std::process::id() };
        let restart = Restart { at: None, next: RESTART_FIRST };
        let mut this = Self {
            orders,
            reader: None,
            buffer: Vec::new(),
            restart,
            saved: None,
            lost: 0,
            lines: 0,
            journal: true,
        };
        this.spawn();
        this
    }

    /// Other rules: other programs, perhaps.
    pub(super) fn set_rules(&mut self, user: Vec<Rule>) {
        let programs = names(user);
        if programs != self.orders.programs {
            self.orders.programs = programs;
            self.end();
            self.spawn();
        }
    }

    fn spawn(&mut self) {
        self.buffer.clear();
        match self.try_spawn() {
            Ok(reader) => self.reader = Some(reader),
            Err(error) => self.fell(&format!("cannot start: {error}")),
        }
    }

    fn try_spawn(&self) -> io::Result<(Child, AsyncFd<ChildStdout>)> {
        let mut child = Command::new("/proc/self/exe")
            .arg("--read-journal")
            .arg(serde_json::to_string(&self.orders)?)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // It is not the service.
            .env_remove("NOTIFY_SOCKET")
            .spawn()?;
        let Some(pipe) = child.stdout.take() else { return Err(io::Error::other("no pipe")) };
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok((child, watch(pipe, Interest::READABLE)?))
    }

    /// The reader is gone, and not for this daemon's sake. Nothing is lost: the next one goes on where it stopped.
    fn fell(&mut self, why: &str) {
        let wait = self.restart.next;
        if wait == RESTART_FIRST {
            tracing::warn!(
                "the journal's reader {why}; it is started again, until then daemons such as multipathd are not heard"
            );
        }
        self.restart = Restart { at: Some(Instant::now() + wait), next: (wait * 2).min(RESTART_MAX) };
    }

    /// Ends the reader.
    pub(super) fn end(&mut self) {
        if let Some((mut child, _)) = self.reader.take() {
            let _already_gone = child.kill();
            // It may be waiting for a disk that does not answer: nobody waits for it here (promise 6).
            std::thread::spawn(move || child.wait());
        }
    }

    /// Waits for what programs say. May be dropped at any time.
    pub(super) async fn recv(&mut self) -> Vec<Record> {
        loop {
            if let Some((_, pipe)) = &mut self.reader {
                let open = readable(Some(pipe)).await.and_then(|()| fill(pipe, &mut self.buffer));
                if !matches!(open, Ok(true)) {
                    // Its end of the pipe closes just before it is gone, so that it mostly can be asked why.
                    let status = self.reader.as_mut().and_then(|(child, _)| child.try_wait().ok().flatten());
                    self.end();
                    let why = status.map_or_else(|| "ended".to_owned(), |status| format!("ended ({status})"));
                    self.fell(&why);
                }
                let records = self.take();
                if !records.is_empty() {
                    return records;
                }
            } else if let Some(at) = self.restart.at {
                sleep_until(at).await;
                self.restart.at = None;
                self.spawn();
            } else {
                future::pending().await
            }
        }
    }

    fn take(&mut self) -> Vec<Record> {
        let now = clock::now();
        let mut records = Vec::new();
        for item in Item::take(&mut self.buffer) {
            match item {
                Ok(item) => records.extend(self.record(item, now)),
                Err(error) => {
                    tracing::warn!("{error}");
                    self.lost += 1;
                    let sequence = format!("pipe/{}/{}", std::process::id(), self.lost);
                    records.push(Record {
                        time: now,
                        body: Body::Lost(Item::lost(1, "not understood", sequence)),
                    });
                }
            }
        }
        records
    }

    fn record(&mut self, item: Item, now: Stamp) -> Option<Record> {
        self.restart.next = RESTART_FIRST;
        let time = item.time(now);
        let body = match item {
            Item::Line { program, priority, text, seq, cursor, .. } => {
                self.orders.after = Some(cursor);
                self.lines += 1;
                Body::Log(LogRecord {
                    seq,
                    level: priority,
                    identifier: Some(program),
                    text,
                    ..LogRecord::default()
                })
            }
            Item::Lost { count, reason, sequence } => {
                self.lost = self.lost.saturating_add(count);
                Body::Lost(Item::lost(count, &reason, sequence))
            }
            Item::NoJournal => {
                self.journal = false;
                tracing::info!(
                    "there is no journal: daemons such as multipathd are not heard until journald runs"
                );
                return None;
            }
            Item::Journal => {
                self.journal = true;
                tracing::info!("journald runs now: daemons such as multipathd are heard");
                return None;
            }
        };
        Some(Record { time, body })
    }

    /// How far the journal was read, if that changed since the last call, or anyway.
    pub(super) fn cursor(&mut self, anyway: bool) -> Option<String> {
        if self.orders.after == self.saved && !anyway {
            return None;
        }
        self.saved.clone_from(&self.orders.after);
        self.saved.clone()
    }

    /// For `prpt stats`.
    pub(super) fn stats(&self) -> serde_json::Value {
        serde_json::json!({
            "programs": self.orders.programs,
            "lines": self.lines,
            "lost": self.lost,
            "journal": self.journal,
            "reader": self.reader.as_ref().map(|(child, _)| child.id()),
        })
    }
}

/// Reads what is in the pipe. False at its end.
fn fill(pipe: &mut AsyncFd<ChildStdout>, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = [0; 16 << 10];
    let mut taken = 0;
    while taken < BATCH_BYTES {
        match pipe.get_mut().read(&mut chunk) {
            Ok(0) => return Ok(false),
            Ok(n) => {
                buffer.extend_from_slice(chunk.get(..n).unwrap_or_default());
                taken += n;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                drained(pipe);
                break;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn names(user: Vec<Rule>) -> Vec<String> {
    let rules = RuleSet::with_user_rules(user);
    let names: BTreeSet<&String> = rules.rules().iter().flat_map(|rule| &rule.identifiers).collect();
    names.into_iter().cloned().collect()
}
