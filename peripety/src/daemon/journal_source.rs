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

use super::{clock, left_out::LeftOut, sources::readable};
use crate::{
    collector::{
        async_fd::{drained, watch},
        journal::{Item, Orders, SILENCE_MS},
    },
    journal::{self, Key, Touch, Why, blame},
    parser::rules::{Rule, RuleSet},
    record::{Body, LogRecord, Record, Stamp},
};

/// Bytes that are taken in a row, so that the other sources get their turn.
const BATCH_BYTES: usize = 256 << 10;
/// After its first unexpected end the reader is started again at once, then after ever longer times.
const RESTART_FIRST: Duration = Duration::from_secs(1);
const RESTART_MAX: Duration = Duration::from_secs(300);
/// When it is known what it ended of: the next one leaves that out.
const RESTART_WITHOUT: Duration = Duration::from_millis(100);

/// The programs of the rules, and the process that listens to them.
pub(super) struct Programs {
    orders: Orders,
    reader: Option<(Child, AsyncFd<ChildStdout>)>,
    buffer: Vec<u8>,
    restart: Restart,
    /// What the reader is at, until it has read all that is there.
    touched: Option<Touch>,
    left_out: LeftOut,
    saved: Option<String>,
    lost: u64,
    lines: u64,
    ends: u64,
    /// What `prpt stats` reports changed.
    changed: bool,
    /// What `prpt stats` reports: whether there is a journal.
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
        let orders = Orders {
            programs: names(user),
            boot_id: boot_id.to_owned(),
            after,
            parent: std::process::id(),
            avoid: Vec::new(),
            behind: Vec::new(),
        };
        let restart = Restart { at: None, next: RESTART_FIRST };
        let mut this = Self {
            orders,
            reader: None,
            buffer: Vec::new(),
            restart,
            touched: None,
            left_out: LeftOut::default(),
            saved: None,
            lost: 0,
            lines: 0,
            ends: 0,
            changed: false,
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
        self.touched = None;
        (self.orders.avoid, self.orders.behind) = self.left_out.orders();
        match self.try_spawn() {
            Ok(reader) => self.reader = Some(reader),
            Err(error) => self.fell(&format!("cannot start: {error}")),
        }
    }

    fn try_spawn(&self) -> io::Result<(Child, AsyncFd<ChildStdout>)> {
        let mut child = Command::new("/proc/self/exe")
            .arg(journal::OPTION)
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
        self.ends += 1;
        self.changed = true;
        let wait = self.restart.next;
        if wait == RESTART_FIRST {
            tracing::warn!(
                "the journal's reader {why}; it is started again, until then daemons such as multipathd are not read"
            );
        }
        self.restart = Restart { at: Some(Instant::now() + wait), next: (wait * 2).min(RESTART_MAX) };
    }

    /// The reader is gone, or is ended now, because of what it was at: the next one leaves that out.
    fn leave_out(&mut self, touched: Touch, why: Why) {
        self.end();
        self.ends += 1;
        self.changed = true;
        let is_directory = touched.id.is_none();
        self.left_out.add(touched.unread(why, None), self.orders.after.clone());
        if is_directory {
            // Nothing can be read without it.
            self.restart = Restart {
                at: Some(Instant::now() + self.restart.next),
                next: (self.restart.next * 2).min(RESTART_MAX),
            };
        } else {
            self.restart.at = Some(Instant::now() + RESTART_WITHOUT);
        }
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
            let retry = self.left_out.retry_at();
            if let Some((_, pipe)) = &mut self.reader {
                let ready = tokio::select! {
                    ready = readable(Some(pipe)) => Some(ready),
                    () = sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => None,
                };
                let Some(ready) = ready else {
                    self.end();
                    self.left_out.try_again();
                    self.spawn();
                    continue;
                };
                let open = ready.and_then(|()| fill(pipe, &mut self.buffer));
                let records = self.take();
                if !matches!(open, Ok(true)) {
                    self.ended();
                }
                if !records.is_empty() || std::mem::take(&mut self.changed) {
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

    /// The reader has closed its end of the pipe.
    fn ended(&mut self) {
        // It closes just before it is gone, so that it mostly can be asked why.
        let Some((child, _)) = self.reader.as_mut() else { return };
        let mut status = None;
        for _try in 0..5 {
            status = child.try_wait().ok().flatten();
            if status.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.end();
        match (self.touched.take(), status.and_then(blame)) {
            (Some(touched), Some(why)) => self.leave_out(touched, why),
            _ => {
                let why = status.map_or_else(|| "ended".to_owned(), |status| format!("ended ({status})"));
                self.fell(&why);
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
        let time = item.time(now);
        let body = match item {
            Item::Line { program, priority, text, seq, cursor, .. } => {
                // A file that was left out for a while has older ones.
                let key = |cursor: &Option<String>| cursor.as_deref().and_then(Key::parse);
                let (known, new) = (key(&self.orders.after), Key::parse(&cursor));
                if known.zip(new).is_none_or(|(known, new)| new.order(&known).is_gt()) {
                    self.orders.after = Some(cursor);
                }
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
                    "there is no journal: daemons such as multipathd are not read until journald runs"
                );
                return None;
            }
            Item::Journal => {
                self.journal = true;
                tracing::info!("journald runs now: daemons such as multipathd are read");
                return None;
            }
            Item::Touch(touched) => {
                self.touched = Some(touched);
                return None;
            }
            Item::Unread(unread) => {
                self.changed = true;
                self.left_out.add(unread, self.orders.after.clone());
                return None;
            }
            Item::Silent(touched) => {
                self.leave_out(touched, Why::Silence(SILENCE_MS));
                return None;
            }
            Item::Read => {
                self.touched = None;
                self.restart.next = RESTART_FIRST;
                self.changed |= self.left_out.read();
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
            "reader_ends": self.ends,
            "unread": self.left_out.words(),
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
