//! A real systemd-journald, without systemd, on the sandbox's own /run.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::cmd;

pub const PROGRAM: &str = "/lib/systemd/systemd-journald";
const SOCKET: &str = "/run/systemd/journal/socket";
/// Nothing of the machine's own is touched, and nothing is dropped for its rate.
const CONFIG: &str =
    "[Journal]\nStorage=volatile\nAudit=no\nRateLimitIntervalSec=0\nRateLimitBurst=0\nForwardToConsole=no\n";

/// Ends with its scope.
pub struct Journald {
    process: Child,
}

impl Journald {
    pub fn start() -> Result<Self> {
        for dir in ["/run/systemd/journal", "/run/systemd/journald.conf.d", "/run/log/journal"] {
            fs::create_dir_all(dir).with_context(|| format!("creating {dir}"))?;
        }
        // `PERIPETY_JOURNALD=RuntimeMaxUse=50M`: a setting more.
        let more = std::env::var("PERIPETY_JOURNALD").unwrap_or_default();
        fs::write("/run/systemd/journald.conf.d/e2e.conf", format!("{CONFIG}{more}\n"))
            .context("configuring journald")?;
        let process = Command::new(PROGRAM)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {PROGRAM}"))?;
        let journald = Self { process };
        cmd::wait_for("journald", Duration::from_secs(10), || {
            Path::new(SOCKET).exists().then_some(()).ok_or(anyhow!("{SOCKET} is not there"))
        })?;
        Ok(journald)
    }
}

impl Journald {
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).context("a process id")?;
        rustix::process::kill_process(pid, signal).with_context(|| format!("sending {signal:?} to journald"))
    }

    /// Ends it, and keeps what it wrote.
    pub fn stop(mut self) {
        let _already_gone = self.process.kill();
        let _already_gone = self.process.wait();
        let _not_there = fs::remove_dir_all("/run/systemd/journal");
        std::mem::forget(self);
    }
}

impl Drop for Journald {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _already_gone = self.process.wait();
        // A machine without journald has neither its sockets nor its files.
        for dir in ["/run/systemd/journal", "/run/log/journal"] {
            let _not_there = fs::remove_dir_all(dir);
        }
    }
}

/// What `journalctl` finds with these matches.
pub fn entries(matches: &[&str]) -> Result<Vec<Value>> {
    let text =
        cmd::run(Command::new("journalctl").args(["--quiet", "--output=json", "--all"]).args(matches))?;
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("journalctl printed {line}")))
        .collect()
}
