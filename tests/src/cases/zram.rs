//! Disks without requests: what is attached only where one of them needs it.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use peripety::event::{Errno, Event, Op};
use serde_json::Value;

use super::Case;
use crate::{
    cmd, events,
    machine::{Machine, Need},
    prpt,
    scene::Scene,
};

pub const CASES: &[Case] =
    &[Case { name: "the_probe_of_bios_waits_for_a_disk_that_needs_it", needs: &[Need::Bpf], run: waits }];

const CONTROL: &str = "/sys/class/zram-control";

/// A disk of compressed memory; gone with the scope.
struct Zram {
    number: String,
    name: String,
}

impl Zram {
    fn new() -> Result<Self> {
        let number = fs::read_to_string(format!("{CONTROL}/hot_add")).context("adding a zram disk")?;
        let number = number.trim().to_owned();
        Ok(Self { name: format!("zram{number}"), number })
    }

    fn set(&self, file: &str, value: &str) -> Result<()> {
        let path = PathBuf::from("/sys/block").join(&self.name).join(file);
        fs::write(&path, value).with_context(|| format!("writing {}", path.display()))
    }
}

impl Drop for Zram {
    fn drop(&mut self) {
        if let Err(error) = fs::write(format!("{CONTROL}/hot_remove"), &self.number) {
            eprintln!("removing {}: {error}", self.name);
        }
    }
}

fn waits(machine: &Machine) -> Result<()> {
    if !PathBuf::from(CONTROL).exists() || others()? {
        eprintln!("skipped: no zram here, or another disk without requests");
        return Ok(());
    }
    let scene = Scene::start(machine, "")?;
    let verdict = || -> Result<String> {
        let status = prpt::json(machine, &["probes", "--format", "Json"])?;
        let probes =
            status.first().and_then(|s| s.get("probes")).and_then(Value::as_array).context("probes")?;
        let probe =
            probes.iter().find(|p| p["tracepoint"] == "block:block_bio_complete").context("the probe")?;
        Ok(probe["verdict"].as_str().unwrap_or_default().to_owned())
    };
    let zram = Zram::new()?;
    zram.set("disksize", "64M")?;
    ensure!(verdict()? == "waiting", "zram alone attaches it: {}", verdict()?);

    // With a limit it fails without a line of text. udev would send this uevent after mkswap or mkfs.
    let limited = Zram::new()?;
    limited.set("mem_limit", "1M")?;
    limited.set("disksize", "64M")?;
    limited.set("uevent", "change")?;
    cmd::wait_for("the probe of bios", events::SOON, || {
        let now = verdict()?;
        ensure!(now == "attached", "it is {now}");
        Ok(())
    })?;
    let path = format!("/dev/{}", limited.name);
    let written = cmd::sh(&format!("dd if=/dev/urandom of={path} bs=4k count=1000 oflag=direct"));
    ensure!(written.is_err(), "a write beyond the limit of memory succeeded");
    let failed = |event: &Event| {
        event.io.as_ref().is_some_and(|io| io.op == Op::Write && io.errno == Some(Errno::EIO))
    };
    let event = scene.expect("the failed write", &limited.name, failed)?;
    ensure!(event.count == 1 && event.sources == ["ebpf:block_bio_complete"], "{event:?}");
    Ok(())
}

/// Whether there are disks without requests that are no zram.
fn others() -> Result<bool> {
    let mut disks = fs::read_dir("/sys/block")?;
    Ok(disks.any(|disk| {
        disk.is_ok_and(|disk| {
            !disk.path().join("mq").exists() && !disk.file_name().to_string_lossy().starts_with("zram")
        })
    }))
}
