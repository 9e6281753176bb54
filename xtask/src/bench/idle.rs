//! A daemon with nothing to do.

use std::{thread, time::Duration};

use anyhow::Result;

use super::{Bench, Figure, daemon::Daemon};

pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let daemon = Daemon::start(bench, &[], "[main]\nsave_to_journald = false")?;
    // The chores after the start are done within some seconds.
    thread::sleep(Duration::from_secs(6));
    // Other programs' disks may make it work: the quietest of three times counts.
    let mut least = u64::MAX;
    for _ in 0..3 {
        let before = daemon.wakeups();
        thread::sleep(Duration::from_secs(10));
        least = least.min(daemon.wakeups().saturating_sub(before));
    }
    Ok(vec![
        Figure {
            part: "idle",
            what: "wakeups in 10 s".to_owned(),
            value: least.to_string(),
            of: "all threads".to_owned(),
            detail: "the least of three times".to_owned(),
        },
        Figure {
            part: "idle",
            what: "resident memory".to_owned(),
            value: format!("{:.2}", daemon.status("VmRSS") as f64 / 32768.0),
            of: "32 MiB".to_owned(),
            detail: format!(
                "{} KiB, {} KiB of it anonymous",
                daemon.status("VmRSS"),
                daemon.status("RssAnon")
            ),
        },
    ])
}
