//! What the probes cost a request that succeeds.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    Bench, Figure, bio_price,
    daemon::Daemon,
    disks::{Disks, fio},
    median,
};

const PAIRS: usize = 9;
pub const READS: [&str; 5] =
    ["--rw=randread", "--ioengine=psync", "--runtime=1500ms", "--time_based", "--randrepeat=0"];

/// Reads a second.
fn reads(disk: &str) -> Result<f64> {
    let report = fio(disk, &READS)?;
    report.pointer("/jobs/0/read/iops").and_then(Value::as_f64).context("fio reports no iops")
}

pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let disks = Disks::good(bench, 1, 256)?;
    let disk = disks.paths.first().context("a disk")?;
    reads(disk)?;
    let mut ratios = Vec::new();
    for _ in 0..PAIRS {
        let without = reads(disk)?;
        let daemon = Daemon::start(bench, &[], "[main]\nsave_to_journald = false")?;
        ratios.push(reads(disk)? / without);
        drop(daemon);
    }
    let ratio = median(&mut ratios);
    let spread = ratios.iter().copied().fold((f64::MAX, 0.0_f64), |(low, high), r| (low.min(r), high.max(r)));
    let mut figures = vec![Figure {
        part: "price",
        what: "good random reads a second, all probes attached".to_owned(),
        value: format!("{ratio:.3}"),
        of: "none attached".to_owned(),
        detail: format!("{PAIRS} pairs, from {:.3} to {:.3}", spread.0, spread.1),
    }];
    figures.extend(each(bench, disk, &READS)?);
    drop(disks);
    figures.extend(bio_price::run(bench)?);
    Ok(figures)
}

/// What each program took, as the kernel counts it, as a part of the time of a read.
pub fn each(bench: &Bench, disk: &str, reads: &[&str]) -> Result<Vec<Figure>> {
    const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";
    let before = fs::read_to_string(SWITCH).unwrap_or_else(|_| "0".to_owned());
    // With a limit that no read here reaches, to see the price of the probe that looks at good requests.
    let config = "[main]\nsave_to_journald = false\n[slow_io]\nlimit_ms = 60000";
    let daemon = Daemon::start(bench, &[], config)?;
    let ran = |daemon: &Daemon| -> Result<BTreeMap<String, (f64, f64)>> {
        let status = daemon.prpt(&["probes", "--format", "Json"])?;
        let probes = status.first().and_then(|s| s.get("probes")).and_then(Value::as_array).cloned();
        let number = |probe: &Value, key: &str| {
            probe.pointer(&format!("/program/{key}")).and_then(Value::as_f64).unwrap_or(0.0)
        };
        let row = |probe: &Value| {
            let name = probe.get("tracepoint")?.as_str()?.to_owned();
            probe.get("program")?.as_object()?;
            Some((name, (number(probe, "run_time_ns"), number(probe, "run_count"))))
        };
        Ok(probes.iter().flatten().filter_map(row).collect())
    };
    fs::write(SWITCH, "1").context("switching the kernel's statistics on")?;
    let measured = (|| {
        let start = ran(&daemon)?;
        let report = fio(disk, reads)?;
        Ok::<_, anyhow::Error>((start, report, ran(&daemon)?))
    })();
    let _restored = fs::write(SWITCH, before.trim());
    let (start, report, end) = measured?;
    let count = report.pointer("/jobs/0/read/total_ios").and_then(Value::as_f64).unwrap_or(1.0).max(1.0);
    let mean_ns = report.pointer("/jobs/0/read/clat_ns/mean").and_then(Value::as_f64).unwrap_or(1.0);
    Ok(end
        .into_iter()
        .map(|(name, (time, runs))| {
            let (time0, runs0) = start.get(&name).copied().unwrap_or_default();
            let (time, runs) = (time - time0, runs - runs0);
            let each =
                if runs > 0.0 { format!("{:.0} ns a run", time / runs) } else { "did not run".to_owned() };
            Figure {
                part: "price",
                what: name,
                value: format!("{:.4}", time / count / mean_ns),
                of: "time of a good read".to_owned(),
                detail: format!("{:.2} runs a read, {each}", runs / count),
            }
        })
        .collect())
}
