//! The daemon under measurement.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Bench;

/// A running peripetyd with a directory of its own; ends with its scope.
pub struct Daemon {
    process: Child,
    dir: PathBuf,
    prpt: PathBuf,
}

impl Daemon {
    pub fn start(bench: &Bench, args: &[&str], config: &str) -> Result<Self> {
        let dir = bench.dir.join("run");
        let _not_there = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).context("a directory for the daemon")?;
        // What the kernel said before is not its business here.
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().replace('-', "");
        let state = format!("{{\"boot_id\":\"{}\",\"kmsg_seq\":{}}}", boot.trim(), last_of_kmsg());
        fs::write(dir.join("state.json"), state).context("the daemon's state")?;
        let file = dir.join("peripetyd.conf");
        fs::write(&file, format!("{config}\n")).context("the daemon's configuration")?;
        let log = fs::File::create(bench.dir.join("peripetyd.log")).context("the daemon's log")?;
        let mut command = Command::new(bench.bin.join("peripetyd"));
        command.arg("--runtime-dir").arg(&dir).arg("--config").arg(file).args(args);
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("starting peripetyd")?;
        let mut daemon = Self { process, dir, prpt: bench.bin.join("prpt") };
        let start = Instant::now();
        while let Err(error) = daemon.events() {
            if start.elapsed() > Duration::from_secs(30) || daemon.process.try_wait()?.is_some() {
                let log = bench.dir.join("peripetyd.log");
                bail!("peripetyd did not start: {error:#}; see {}", log.display());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(daemon)
    }

    /// A command that asks this daemon.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.prpt);
        command.args(args).env("PERIPETY_RUNTIME_DIR", &self.dir).stdin(Stdio::null());
        command
    }

    /// What prpt prints, line by line.
    pub fn prpt(&self, args: &[&str]) -> Result<Vec<Value>> {
        let output = self.command(args).output().context("running prpt")?;
        if output.status.code().is_none_or(|code| code > 1) {
            bail!("prpt {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(|line| serde_json::from_str(line).context("reading what prpt printed")).collect()
    }

    /// The events in its memory.
    pub fn events(&self) -> Result<Vec<Value>> {
        self.prpt(&["query", "--source", "memory", "--format", "Json"])
    }

    /// A value of /proc/PID/status, in its unit.
    pub fn status(&self, key: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        value_of(&text, key)
    }

    /// How often its threads went to sleep of their own accord: each wakeup ends with one.
    pub fn wakeups(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id()));
        let status = |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).unwrap_or_default();
        tasks.into_iter().flatten().flatten().map(|t| value_of(&status(t), "voluntary_ctxt_switches")).sum()
    }

    /// CPU time so far, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.process.id())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // An interrupt, so that no probes stay for the next one.
        let _gone = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(8) {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

fn value_of(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn last_of_kmsg() -> u64 {
    let mut dd = Command::new("dd");
    let output = dd.args(["if=/dev/kmsg", "iflag=nonblock", "bs=8192", "status=none"]).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    let seq = |line: &str| line.split(',').nth(1)?.parse().ok();
    text.lines().filter(|line| line.contains(';')).filter_map(seq).next_back().unwrap_or(0)
}

/// CPU time of a process so far, in seconds.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
    // proc_pid_stat(5): utime and stime are the fields 14 and 15; after the name they are 12 and 13. USER_HZ is 100.
    after.split(' ').skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum::<f64>() / 100.0
}
