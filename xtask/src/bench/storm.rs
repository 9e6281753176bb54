//! A storm of failing requests over three devices: what is counted of it, and at what cost.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    Bench, Figure,
    daemon::Daemon,
    disks::{Disks, fio},
};

struct Storm {
    failed: u64,
    counted: u64,
    events: usize,
    cpu: f64,
    peak_kib: u64,
}

fn storm(bench: &Bench, requests: u64, args: &[&str]) -> Result<Storm> {
    let each = requests.div_ceil(3);
    // In 4 KiB requests.
    let mib = (each * 4).div_ceil(1024).max(64);
    let disks = Disks::failing(bench, 3, mib)?;
    let daemon = Daemon::start(bench, args, "[main]\nsave_to_journald = false")?;
    let before = daemon.cpu_seconds();
    let size = format!("--size={}", each * 4096);
    let jobs: Vec<_> = disks
        .paths
        .iter()
        .cloned()
        .map(|disk| {
            let size = size.clone();
            thread::spawn(move || {
                let rest =
                    ["--ioengine=io_uring", "--iodepth=64", "--continue_on_error=all", "--norandommap"];
                fio(&disk, &[&["--rw=randread", size.as_str()], &rest[..]].concat())
            })
        })
        .collect();
    let mut failed = 0;
    for job in jobs {
        let report = job.join().ok().context("fio's thread")??;
        failed += report.pointer("/jobs/0/total_err").and_then(Value::as_u64).context("no total_err")?;
    }
    let names: BTreeSet<String> = disks.paths.iter().map(|path| path.replace("/dev/", "")).collect();
    // The last revision comes when it was quiet for five seconds.
    let start = Instant::now();
    let (mut counted, mut events) = (0, 0);
    while start.elapsed() < Duration::from_secs(25) {
        thread::sleep(Duration::from_secs(1));
        let all = daemon.events()?;
        let text =
            |event: &Value, key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mine: Vec<_> = all
            .iter()
            .filter(|e| names.contains(&text(e, "kdev")) && text(e, "event_type") == "BLK_IO_ERROR")
            .collect();
        counted = mine.iter().filter_map(|event| event.get("count")?.as_u64()).sum();
        events = mine.len();
        let is_final = |event: &&Value| event.get("final").and_then(Value::as_bool) == Some(true);
        if !mine.is_empty() && mine.iter().all(is_final) {
            break;
        }
    }
    let (cpu, peak_kib) = (daemon.cpu_seconds() - before, daemon.status("VmHWM"));
    Ok(Storm { failed, counted, events, cpu, peak_kib })
}

pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (what, args) in [("counted by peripety", &[][..]), ("counted from text alone", &["--no-ebpf"][..])] {
        let storm = storm(bench, bench.requests, args)?;
        let millions = storm.failed as f64 / 1e6;
        figures.push(Figure {
            part: "storm",
            what: what.to_owned(),
            value: format!("{:.6}", storm.counted as f64 / storm.failed.max(1) as f64),
            of: "requests that failed".to_owned(),
            detail: format!(
                "{} of {} in {} events; {:.2} CPU seconds a million; peak {} KiB",
                storm.counted,
                storm.failed,
                storm.events,
                storm.cpu / millions.max(f64::MIN_POSITIVE),
                storm.peak_kib
            ),
        });
    }
    Ok(figures)
}
