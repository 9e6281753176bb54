//! The side that asks: starts the process, waits no longer than it may, and goes on without what is to blame.

use std::{
    io::{self, Read as _, Write as _},
    os::{fd::AsFd as _, unix::process::ExitStatusExt as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{
        DumpableBehavior, Resource, Rlimit, Signal, getppid, getrlimit, set_dumpable_behavior,
        set_parent_process_death_signal, setrlimit,
    },
};

use super::wire::{Answer, Message, Orders, Request, Touch, Unread, Why};

/// Bytes of a message: an answer ends soon after a MiB, and a field of 4 MiB may double in JSON.
const MESSAGE_MAX: usize = 32 << 20;
/// Times that the process may end without a file to blame.
const NO_BLAME_MAX: u32 = 2;

/// How long a process may take to be gone when its pipe is closed.
const END_MAX: Duration = Duration::from_secs(1);

/// How long is waited.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a sign of life.
    pub silence: Duration,
    /// For disks that do not answer, in all.
    pub total: Duration,
}

/// The process could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It cannot be started.
    #[error("cannot start the process that reads the journal: {0}")]
    Start(io::Error),
    /// It ended, and no file is to blame.
    #[error("the process that reads the journal {0}")]
    Ended(String),
    /// Too much of the journal does not answer.
    #[error("the journal does not answer: gave up after {} s", .0.as_secs())]
    Silent(Duration),
    /// It did not say what such a process says.
    #[error("the process that reads the journal said what is not understood: {0}")]
    NotUnderstood(String),
}

/// Reads the journal in another process, which may die.
#[derive(Debug)]
pub(crate) struct Process {
    program: PathBuf,
    orders: Orders,
    patience: Patience,
    running: Option<Running>,
    unread: Vec<Unread>,
    waited: Duration,
    ended: u32,
}

#[derive(Debug)]
struct Running {
    child: Child,
    requests: ChildStdin,
    answers: ChildStdout,
    buffer: Vec<u8>,
    touched: Option<Touch>,
    /// Time of the last entry that it gave.
    read_until_us: Option<u64>,
}

/// Why there is no answer.
enum Fault {
    Silent,
    Ended,
    Nonsense(String),
}

impl Process {
    /// Starts nothing yet.
    pub(crate) fn new(program: PathBuf, orders: Orders, patience: Patience) -> Self {
        let (unread, waited) = (Vec::new(), Duration::ZERO);
        Self { program, orders, patience, running: None, unread, waited, ended: 0 }
    }

    /// Files, or parts of them, that could not be read, since the last call.
    pub(crate) fn take_unread(&mut self) -> Vec<Unread> {
        std::mem::take(&mut self.unread)
    }

    /// Asks. A process that dies or says nothing costs the file that it was at, and another one is asked the same.
    ///
    /// # Errors
    /// There is no process that answers.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Answer, AskError> {
        // What it may rightly wait before it answers.
        let extra = if let Request::Wait(ms) = request { Duration::from_millis(*ms) } else { Duration::ZERO };
        loop {
            let mut running = match self.running.take() {
                Some(running) => running,
                None => Running::start(&self.program, &self.orders).map_err(AskError::Start)?,
            };
            let left = self.patience.total.saturating_sub(self.waited);
            let silence = self.patience.silence.min(left);
            match running.ask(request, silence + extra, &mut self.unread) {
                Ok(answer) => {
                    self.running = Some(running);
                    return Ok(answer);
                }
                Err(fault) => self.blame(running, fault, silence)?,
            }
        }
    }

    /// Leaves out what the process was at; an error if that is nothing.
    fn blame(&mut self, mut running: Running, fault: Fault, silence: Duration) -> Result<(), AskError> {
        let (why, text) = match fault {
            Fault::Nonsense(text) => return Err(AskError::NotUnderstood(text)),
            Fault::Silent => {
                self.waited += silence;
                let ms = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
                (Some(Why::Silence(ms)), String::new())
            }
            Fault::Ended => running.why_ended(),
        };
        let touched = running.touched.take();
        let read_until_us = running.read_until_us;
        running.kill();
        let exhausted = self.waited >= self.patience.total;
        match (touched, why) {
            (Some(touched @ Touch { id: Some(id), .. }), Some(why)) if !self.orders.avoid.contains(&id) => {
                self.orders.avoid.push(id);
                self.unread.push(touched.unread(why, read_until_us));
            }
            (touched, Some(why @ Why::Silence(_))) => {
                // A directory that cannot be read: nothing is known of what is in it.
                self.unread.extend(touched.filter(|t| t.id.is_none()).map(|t| t.unread(why, None)));
                return Err(AskError::Silent(self.waited));
            }
            _ => {
                self.ended += 1;
                if self.ended > NO_BLAME_MAX {
                    return Err(AskError::Ended(text));
                }
            }
        }
        if exhausted { Err(AskError::Silent(self.waited)) } else { Ok(()) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill();
        }
    }
}

impl Running {
    fn start(program: &PathBuf, orders: &Orders) -> io::Result<Self> {
        let mut child = Command::new(program)
            .arg("--read-journal")
            .arg(serde_json::to_string(orders)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What libsystemd says when it gives up is no word of this program.
            .stderr(Stdio::null())
            // It is not the service.
            .env_remove("NOTIFY_SOCKET")
            .spawn()?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no pipe"));
        };
        rustix::io::ioctl_fionbio(&answers, true)?;
        Ok(Self { child, requests, answers, buffer: Vec::new(), touched: None, read_until_us: None })
    }

    fn ask(
        &mut self,
        request: &Request,
        silence: Duration,
        unread: &mut Vec<Unread>,
    ) -> Result<Answer, Fault> {
        // Strings and numbers cannot fail to become JSON.
        let mut line = serde_json::to_vec(request).unwrap_or_default();
        line.push(b'\n');
        // The pipe is empty: every request was answered.
        self.requests.write_all(&line).map_err(|_closed| Fault::Ended)?;
        loop {
            let line = self.line(silence)?;
            match serde_json::from_slice(&line).map_err(|error| Fault::Nonsense(error.to_string()))? {
                Message::Touch(touch) => self.touched = Some(touch),
                Message::Unread(file) => unread.push(file),
                Message::Answer(answer) => {
                    if let Answer::Entries { entries, .. } = &answer
                        && let Some(last) = entries.last()
                    {
                        self.read_until_us = Some(last.realtime_us);
                    }
                    return Ok(answer);
                }
            }
        }
    }

    fn line(&mut self, silence: Duration) -> Result<Vec<u8>, Fault> {
        let deadline = Instant::now() + silence;
        let mut chunk = [0; 64 << 10];
        let mut searched = 0;
        loop {
            let new = self.buffer.get(searched..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', new) {
                let rest = self.buffer.split_off(searched + end + 1);
                return Ok(std::mem::replace(&mut self.buffer, rest));
            }
            searched = self.buffer.len();
            if searched > MESSAGE_MAX {
                return Err(Fault::Nonsense(format!("a message has more than {MESSAGE_MAX} bytes")));
            }
            match self.answers.read(&mut chunk) {
                Ok(0) => return Err(Fault::Ended),
                Ok(n) => self.buffer.extend_from_slice(chunk.get(..n).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(Fault::Silent);
                    }
                    let timeout = Timespec::try_from(left).ok();
                    let mut fds = [PollFd::from_borrowed_fd(self.answers.as_fd(), PollFlags::IN)];
                    // An interrupted wait is a short one.
                    let _interrupted = poll(&mut fds, timeout.as_ref());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Fault::Ended),
            }
        }
    }

    /// What ended it: a page that the disk did not give (SIGBUS), or a file that libsystemd did not survive. Nothing that
    /// a file did, if somebody killed it.
    fn why_ended(&mut self) -> (Option<Why>, String) {
        let _not_there = self.child.kill();
        // Its end of the pipe closes just before it is gone.
        let end = Instant::now() + END_MAX;
        let status = loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
                Ok(status) => break status,
                Err(_) => break None,
            }
        };
        let text = status.map_or_else(|| "ended".to_owned(), |status| format!("ended ({status})"));
        let why = status.and_then(blame);
        (why, text)
    }

    /// It may be waiting for a disk that does not answer: nobody waits for it.
    fn kill(mut self) {
        let _already_gone = self.child.kill();
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            std::thread::spawn(move || self.child.wait());
        }
    }
}

/// What a file did to the process that read it; nothing if somebody killed it.
pub(crate) fn blame(status: ExitStatus) -> Option<Why> {
    match status.signal() {
        Some(signal) if signal == Signal::BUS.as_raw() => {
            Some(Why::Disk("its disk does not give all of it (SIGBUS)".to_owned()))
        }
        Some(signal) if [Signal::KILL, Signal::TERM, Signal::INT].iter().any(|s| s.as_raw() == signal) => {
            None
        }
        _ => Some(Why::Damage(format!("the process that read it ended, {status}"))),
    }
}

/// Makes the process that reads what it is: it ends with the one that asks, however that ends; leaves no core on a disk
/// that may be the failing one; and is the first to go when memory is short.
pub(crate) fn confine() {
    let _best_effort = set_parent_process_death_signal(Some(Signal::KILL));
    let _best_effort = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _best_effort = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let files = getrlimit(Resource::Nofile);
    let _best_effort = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files });
    let _best_effort = std::fs::write("/proc/self/oom_score_adj", "0");
}

/// Whether the process that asks is gone already.
pub(crate) fn is_orphan(orders_parent: u32) -> bool {
    getppid().is_none_or(|parent| u32::try_from(parent.as_raw_nonzero().get()) != Ok(orders_parent))
}
