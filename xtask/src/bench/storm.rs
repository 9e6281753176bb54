//! A storm of failing requests over three devices: what is counted of it, and at what cost.

use std::{
    collections::BTreeSet,
    io::{self, BufRead as _, BufReader},
    process::{Child, Command, Stdio},
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
    /// That failed, as fio says.
    submitted: u64,
    /// That failed, as the kernel counts.
    failed: u64,
    counted: u64,
    events: usize,
    cpu: f64,
    peak_kib: u64,
    /// Records that the ring had no room for, and failures for which the kernel ran no program.
    dropped: u64,
    unseen: u64,
    /// Failed requests of any disk that the probe saw.
    seen: u64,
}

fn storm(bench: &Bench, requests: u64, args: &[&str]) -> Result<Storm> {
    let each = requests.div_ceil(3);
    let disks = Disks::failing(bench, 3, size_of(each))?;
    let daemon = Daemon::start(bench, args, "[main]\nsave_to_journald = false")?;
    let names: BTreeSet<String> = disks.paths.iter().map(|path| path.replace("/dev/", "")).collect();
    // The daemon and others look at a new disk, and fail to.
    thread::sleep(Duration::from_secs(1));
    let looked = count(&reported(&daemon, &names)?);
    let (before, reads) = (daemon.cpu_seconds(), disks.reads());
    let submitted = fail(&disks, each)?;
    // The last revision comes when it was quiet for five seconds.
    let start = Instant::now();
    let mut mine = Vec::new();
    while start.elapsed() < Duration::from_secs(25) {
        thread::sleep(Duration::from_secs(1));
        mine = reported(&daemon, &names)?;
        let is_final = |event: &Value| event.get("final").and_then(Value::as_bool) == Some(true);
        if !mine.is_empty() && mine.iter().all(is_final) {
            break;
        }
    }
    let (counted, events) = (count(&mine).saturating_sub(looked), mine.len());
    // All of them fail. Others may have looked at the disks, too.
    let failed = disks.reads() - reads;
    let (cpu, peak_kib) = (daemon.cpu_seconds() - before, daemon.status("VmHWM"));
    let probes = if args.is_empty() { daemon.prpt(&["probes", "--format", "Json"])? } else { Vec::new() };
    let all = || probes.iter().filter_map(|answer| answer.get("probes")?.as_array()).flatten();
    let number = |probe: &Value, pointer: &str| probe.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let sum = |pointer: &str| all().map(|probe| number(probe, pointer)).sum::<u64>();
    let of_requests = |probe: &&Value| {
        probe.get("tracepoint").and_then(Value::as_str).is_some_and(|t| t.contains("block_rq_"))
    };
    let seen = all().filter(of_requests).map(|probe| number(probe, "/counts/seen")).sum();
    let (dropped, unseen) = (sum("/counts/dropped"), sum("/counts/unseen"));
    Ok(Storm { seen, dropped, unseen, submitted, failed, counted, events, cpu, peak_kib })
}

/// MiB of a disk that has room for so many requests of 4 KiB.
pub const fn size_of(requests: u64) -> u64 {
    let mib = (requests * 4).div_ceil(1024);
    if mib < 64 { 64 } else { mib }
}

/// Reads each disk so often, all of them at once; gives how many reads failed, as fio says.
pub fn fail(disks: &Disks, each: u64) -> Result<u64> {
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
    let mut submitted = 0;
    for job in jobs {
        let report = job.join().ok().context("fio's thread")??;
        submitted += report.pointer("/jobs/0/total_err").and_then(Value::as_u64).context("no total_err")?;
    }
    Ok(submitted)
}

/// Another BPF program at work on the same CPUs: on every system call.
struct Bpftrace(Child);

impl Bpftrace {
    const PROGRAM: &str = "tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }";

    /// None where it is not installed.
    fn start() -> Result<Option<Self>> {
        let mut command = Command::new("bpftrace");
        command.args(["-e", Self::PROGRAM]).stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = match command.stdout(Stdio::piped()).spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            child => child.context("starting bpftrace")?,
        };
        // "Attaching N probes...", and a moment for that.
        let out = child.stdout.as_mut().context("the output of bpftrace")?;
        let _line = BufReader::new(out).read_line(&mut String::new()).context("reading from bpftrace")?;
        thread::sleep(Duration::from_secs(5));
        Ok(Some(Self(child)))
    }
}

impl Drop for Bpftrace {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// The events about failed reads of these disks.
fn reported(daemon: &Daemon, names: &BTreeSet<String>) -> Result<Vec<Value>> {
    let text =
        |event: &Value, key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mine = |event: &Value| names.contains(&text(event, "kdev")) && event.pointer("/io/errno").is_some();
    Ok(daemon.events()?.into_iter().filter(mine).collect())
}

fn count(events: &[Value]) -> u64 {
    events.iter().filter_map(|event| event.get("count")?.as_u64()).sum()
}

pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let rows = [
        ("counted by peripety", &[][..], false),
        ("beside bpftrace", &[], true),
        ("counted from text alone", &["--no-ebpf"], false),
    ];
    for (what, args, is_beside) in rows {
        let other = if is_beside { Bpftrace::start()? } else { None };
        if is_beside && other.is_none() {
            continue;
        }
        let storm = storm(bench, bench.requests, args)?;
        drop(other);
        let millions = storm.failed as f64 / 1e6;
        figures.push(Figure {
            part: "storm",
            what: what.to_owned(),
            value: format!("{:.6}", storm.counted as f64 / storm.failed.max(1) as f64),
            of: "requests that failed".to_owned(),
            detail: format!(
                "{} of {} ({} by fio) in {} events, {} seen by the probe, {} dropped, {} without a run; {:.2} CPU seconds a million; peak {} KiB",
                storm.counted,
                storm.failed,
                storm.submitted,
                storm.events,
                storm.seen,
                storm.dropped,
                storm.unseen,
                storm.cpu / millions.max(f64::MIN_POSITIVE),
                storm.peak_kib
            ),
        });
    }
    Ok(figures)
}
