//! rasdaemon in the same storm, where it is installed: how many of the failures it stores, and how long that takes it.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{
    Bench, Figure,
    disks::Disks,
    storm::{fail, size_of},
};
use crate::sh;

/// It is slow: a tenth of the storm that peripety has to take.
const PART: u64 = 10;
/// Time that it gets to store what it has.
const PATIENCE: Duration = Duration::from_secs(90);
/// A line of its output for each error that it takes.
const TAKEN: &[u8] = b"block_rq_error [";

pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let named = std::env::var_os("RASDAEMON").map(PathBuf::from);
    let Some(program) = named.or_else(|| sh::find("rasdaemon")) else {
        eprintln!("   no rasdaemon is installed (RASDAEMON names one elsewhere)");
        return Ok(Vec::new());
    };
    let log = bench.dir.join("rasdaemon.log");
    let out = fs::File::create(&log).context("its output")?;
    let mut process = Command::new(&program)
        .args(["-f", "-r"])
        .stdin(Stdio::null())
        .stderr(out.try_clone().context("its output")?)
        .stdout(out)
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    let figure = beside(bench, &log, process.id());
    let _gone = process.kill();
    let _gone = process.wait();
    Ok(vec![figure?])
}

fn beside(bench: &Bench, log: &std::path::Path, pid: u32) -> Result<Figure> {
    thread::sleep(Duration::from_secs(3));
    let each = (bench.requests / PART).div_ceil(3).max(1);
    let disks = Disks::failing(bench, 3, size_of(each))?;
    let before = taken(log)?;
    let reads = disks.reads();
    let start = Instant::now();
    fail(&disks, each)?;
    let failed = disks.reads() - reads;
    let lasted = start.elapsed();
    // Until it has all, or stores nothing more.
    let (mut last, mut changed) = (0, Instant::now());
    while start.elapsed() < PATIENCE && changed.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(500));
        let now = taken(log)? - before;
        if now != last {
            (last, changed) = (now, Instant::now());
        }
        if now >= failed {
            break;
        }
    }
    let took = changed.duration_since(start);
    let cpu = super::daemon::cpu_seconds(pid);
    Ok(Figure {
        part: "storm",
        what: "taken by rasdaemon".to_owned(),
        value: format!("{:.6}", last as f64 / failed.max(1) as f64),
        of: "requests that failed".to_owned(),
        detail: format!(
            "{last} of {failed} in {:.1} s, of a storm of {:.1} s; {:.2} CPU seconds a million",
            took.as_secs_f64(),
            lasted.as_secs_f64(),
            cpu * 1e6 / last.max(1) as f64
        ),
    })
}

fn taken(log: &std::path::Path) -> Result<u64> {
    let text = fs::read(log).with_context(|| log.display().to_string())?;
    let lines = text.split(|byte| *byte == b'\n');
    Ok(lines.filter(|line| line.windows(TAKEN.len()).any(|w| w == TAKEN)).count() as u64)
}
