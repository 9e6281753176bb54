//! `prpt parse` on logs of machines as they are, beside what somebody would do without it: `grep` for some words of storage
//! that fails, on the same file in the same run. One core and all of them.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};

use super::{Bench, Figure, median};
use crate::sh;

/// Megabytes of each log: they are read from the page cache.
const MEGABYTES: u64 = 200;
/// Pairs of runs.
const PAIRS: usize = 5;
/// The logs, as `peripety-bench log` calls them.
const LOGS: &[(&str, &str)] = &[
    ("syslog", "syslog of one server, 1 line in 250 is about storage"),
    ("iso", "the same with times of ISO 8601 and the kernel's own"),
    ("hosts", "the same of 5,000 hosts"),
    ("dense", "a kernel's log, 1 line in 12 is about storage"),
    ("repeated", "one line about storage again and again"),
    ("json", "journalctl -o json"),
    ("kmsg", "/dev/kmsg, 1 line in 12 is about storage"),
    ("long", "lines of 30 KB"),
];
const WORDS: &str =
    "I/O error|Medium Error|critical medium|Failing path|exception Emask|EXT4-fs error|timeout, aborting";

pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    sh::run(&mut sh::cargo(["build", "--package", "peripety-bench", "--profile", bench.profile]))?;
    let mut figures = Vec::new();
    for (kind, what) in LOGS {
        let log = bench.dir.join(format!("{kind}.log"));
        let figure = on(bench, kind, what, &log);
        let _gone = fs::remove_file(&log);
        figures.extend(figure?);
    }
    Ok(figures)
}

fn on(bench: &Bench, kind: &str, what: &str, log: &Path) -> Result<Vec<Figure>> {
    let out = fs::File::create(log).with_context(|| log.display().to_string())?;
    let mut write = Command::new(bench.bin.join("peripety-bench"));
    write.args(["log", kind, &MEGABYTES.to_string()]).stdout(out);
    ensure!(write.status().context("running peripety-bench")?.success(), "no log was written");
    let prpt = bench.bin.join("prpt");
    let megabytes = fs::metadata(log).context("the log")?.len() as f64 / 1e6;
    [("one core", "0"), ("all cores", "0-1023")]
        .into_iter()
        .map(|(where_, cores)| {
            let pinned = |program: &Path, args: &[&str]| {
                let mut command = Command::new("taskset");
                command.arg("-c").arg(cores).arg(program).args(args).arg(log);
                command
            };
            let (mut ratios, mut times) = (Vec::new(), Vec::new());
            for _ in 0..PAIRS {
                let ours = time(&mut pinned(&prpt, &["parse", "--summary", "--timezone", "UTC"]))?;
                let theirs = time(&mut pinned(Path::new("grep"), &["-cE", WORDS]))?;
                ratios.push(theirs / ours);
                times.push(ours);
            }
            let speed = megabytes / median(&mut times);
            Ok(Figure {
                part: "parse",
                what: format!("{what}, {where_}"),
                value: format!("{:.2}", median(&mut ratios)),
                of: "times the speed of grep -cE for seven words".to_owned(),
                detail: format!("{speed:.0} MB/s"),
            })
        })
        .collect()
}

/// Seconds that it takes. That nothing is found is no fault.
fn time(command: &mut Command) -> Result<f64> {
    // Not into /dev/null: grep would end with the first line that it finds.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let start = Instant::now();
    let output = command.output().with_context(|| format!("running {:?}", command.get_program()))?;
    let status = output.status;
    ensure!(status.code().is_some_and(|code| code <= 1), "{:?}: {status}", command.get_program());
    Ok(start.elapsed().as_secs_f64())
}
