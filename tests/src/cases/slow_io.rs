//! Requests that take long: a disk whose file lies in a filesystem that is frozen for a moment.

use std::{path::PathBuf, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use peripety::event::{EventType, Op};
use serde_json::Value;

use super::Case;
use crate::{
    cmd,
    disk::{Loop, Tmpfs, sparse_file},
    fs::{self, Mount},
    machine::{Machine, Need},
    prpt,
    scene::Scene,
};

pub const CASES: &[Case] = &[
    Case {
        name: "a_request_that_takes_long_is_an_event",
        needs: &[Need::Bpf, Need::Loop, Need::Filesystem("ext4")],
        run: slow,
    },
    Case { name: "without_a_limit_no_program_looks_at_good_requests", needs: &[Need::Bpf], run: off },
];

const LIMIT_MS: u64 = 300;
const FROZEN: Duration = Duration::from_millis(900);

/// A filesystem to which nobody can write; as before at the end of its scope.
struct Frozen(PathBuf);

impl Frozen {
    fn new(dir: PathBuf) -> Result<Self> {
        cmd::run(Command::new("fsfreeze").arg("--freeze").arg(&dir))?;
        Ok(Self(dir))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Err(error) = cmd::run(Command::new("fsfreeze").arg("--unfreeze").arg(&self.0)) {
            eprintln!("{} stays frozen: {error}", self.0.display());
        }
    }
}

fn slow(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, &format!("[slow_io]\nlimit_ms = {LIMIT_MS}"))?;
    ensure!(verdict(machine)? == "attached", "the probe is {}", verdict(machine)?);
    let files = Tmpfs::new(machine, "512m")?;
    let below_disk = Loop::attach(&files.file("below", 256 << 20)?)?;
    fs::make("ext4", &below_disk)?;
    let below = Mount::new(machine, &below_disk, "")?;
    let disk = Loop::attach(&sparse_file(&below.dir.join("disk"), 64 << 20)?)?;
    let write = format!("dd if=/dev/zero of={} bs=64k count=8 oflag=direct", disk.path.display());
    let frozen = Frozen::new(below.dir.clone())?;
    let writer = thread::spawn(move || cmd::sh(&write));
    thread::sleep(FROZEN);
    drop(frozen);
    writer.join().ok().context("the writer")??;
    // Whoever looks at the new disk meanwhile (the daemon does, for its label) reads behind the write, and that is slow too.
    let event = scene.expect("the slow write", &disk.name, |event| {
        let took = event.facts.block.as_ref().and_then(|block| block.took_ms);
        let write = event.io.as_ref().is_some_and(|io| io.op == Op::Write);
        event.event_type == EventType::BLK_SLOW_IO
            && write
            && took.is_some_and(|ms| (500..60_000).contains(&ms))
    })?;
    ensure!(event.facts.block.as_ref().and_then(|block| block.limit_ms) == Some(LIMIT_MS), "{event:?}");
    ensure!(event.sources == ["ebpf:block_rq_slow"], "{event:?}");
    Ok(())
}

fn off(machine: &Machine) -> Result<()> {
    let _scene = Scene::start(machine, "")?;
    ensure!(verdict(machine)? == "off", "the probe is {}", verdict(machine)?);
    Ok(())
}

fn verdict(machine: &Machine) -> Result<String> {
    let status = prpt::json(machine, &["probes", "--format", "Json"])?;
    let probes = status.first().and_then(|s| s.get("probes")).and_then(Value::as_array).context("probes")?;
    let probe =
        probes.iter().find(|probe| probe["tracepoint"] == "block:block_rq_slow").context("the probe")?;
    Ok(probe["verdict"].as_str().unwrap_or_default().to_owned())
}
