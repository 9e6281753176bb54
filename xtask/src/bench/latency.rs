//! From the kernel's timestamp of a failure to the line in `prpt monitor`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

use super::{Bench, Figure, daemon::Daemon, disks::Disks};

/// Each disk's first failure is an event of its own.
const DISKS: usize = 40;

/// CLOCK_MONOTONIC in nanoseconds.
fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let disks = Disks::failing(bench, DISKS, 8)?;
    let daemon = Daemon::start(bench, &[], "[main]\nsave_to_journald = false")?;
    let mut monitor = daemon
        .command(&["monitor", "--format", "Json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("starting prpt monitor")?;
    let out = monitor.stdout.take().context("the monitor's output")?;
    let (to, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if to.send((monotonic_ns(), line)).is_err() {
                break;
            }
        }
    });
    thread::sleep(Duration::from_secs(1));
    let mut took = Vec::new();
    for disk in &disks.paths {
        let mut dd = Command::new("dd");
        let _fails =
            dd.args([&format!("if={disk}"), "of=/dev/null", "bs=4k", "count=1", "iflag=direct"]).output();
        thread::sleep(Duration::from_millis(150));
        let name = disk.replace("/dev/", "");
        while let Ok((at, line)) = lines.try_recv() {
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            let first = event.get("revision").and_then(Value::as_u64) == Some(0);
            let mine = event.get("kdev").and_then(Value::as_str) == Some(&name);
            let kind = event.get("event_type").and_then(Value::as_str) == Some("BLK_IO_ERROR");
            if let Some(made) = event.get("monotonic_ns").and_then(Value::as_u64)
                && first
                && mine
                && kind
            {
                took.push(at.saturating_sub(made) as f64 / 1e6);
            }
        }
    }
    let _gone = monitor.kill();
    let _gone = monitor.wait();
    ensure!(took.len() * 2 > DISKS, "only {} of {DISKS} failures were reported in time", took.len());
    took.sort_by(f64::total_cmp);
    let at = |part: f64| took.get(((took.len() - 1) as f64 * part) as usize).copied().unwrap_or_default();
    Ok(vec![Figure {
        part: "latency",
        what: "first failure to the line in prpt monitor, p99".to_owned(),
        value: format!("{:.2}", at(0.99) / 100.0),
        of: "100 ms that are promised".to_owned(),
        detail: format!("p50 {:.1} ms, p99 {:.1} ms of {} failures", at(0.5), at(0.99), took.len()),
    }])
}
