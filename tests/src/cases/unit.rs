//! The unit under a real systemd, which is process 1 of a pid namespace here.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::Case;
use crate::{
    cmd,
    machine::{Machine, Need},
};

pub const CASES: &[Case] = &[Case {
    name: "the_unit_has_little_and_comes_back_with_its_sockets",
    needs: &[Need::Bpf, Need::Systemd, Need::Program("unshare"), Need::Program("timeout")],
    run: unit,
}];

/// `DAC_READ_SEARCH`, SYSLOG, PERFMON, BPF.
const CAPABILITIES: u64 = 1 << 2 | 1 << 34 | 1 << 38 | 1 << 39;
/// By `systemd-analyze security`.
const EXPOSURE: f64 = 2.0;
/// Milliseconds after a kill, half a second of which the unit waits; others use the machine meanwhile.
const BACK: u64 = 5000;

fn unit(machine: &Machine) -> Result<()> {
    let out = machine.dir("unit")?;
    fs::write(out.join("systemd.sh"), include_str!("unit/systemd.sh"))?;
    fs::write(out.join("check.sh"), include_str!("unit/check.sh"))?;
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?.join("dist");
    let programs = machine.program("peripetyd");
    let programs = programs.parent().context("no directory of programs")?;
    // Its /run hides the directory: it is bound to a place that stays.
    let shown = tempfile::Builder::new().prefix("peripety-unit-").tempdir()?.keep();
    cmd::run(Command::new("mount").arg("--bind").arg(&out).arg(&shown))?;
    let mut boot = Command::new("timeout");
    boot.args([
        "--signal=KILL",
        "120",
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--uts",
        "--ipc",
        "--cgroup",
    ]);
    boot.args(["--mount-proc", "--kill-child", "sh"]).arg(shown.join("systemd.sh"));
    let ended = cmd::output(boot.arg(programs).arg(dist).arg(&shown));
    cmd::run(Command::new("umount").arg(&shown))?;
    fs::remove_dir(&shown)?;
    let told = fs::read_to_string(out.join("told")).with_context(|| format!("nothing is told: {ended:?}"))?;
    eprintln!("{told}");
    let values = |key: &str| {
        let key = format!("{key} ");
        told.lines().filter_map(move |line| line.strip_prefix(&key).map(str::to_owned)).collect::<Vec<_>>()
    };
    let one = |key: &str| values(key).into_iter().next().with_context(|| format!("no {key} in {told}"));
    let has = u64::from_str_radix(&one("capabilities")?, 16)?;
    ensure!(has & !CAPABILITIES == 0, "it has {has:x}");
    let exposure: f64 = one("exposure")?.parse()?;
    ensure!(exposure <= EXPOSURE, "its exposure is {exposure}");
    ensure!(one("network")? == "own", "{told}");
    // Of udev only in the initial pid namespace, where it can be known by its process.
    ensure!(values("group").first().is_some_and(|group| group == "00000001"), "{told}");
    let back: Vec<u64> = values("back").iter().map(|ms| ms.parse()).collect::<Result<_, _>>()?;
    ensure!(back.len() == 12 && back.iter().all(|ms| *ms < BACK), "{told}");
    ensure!(one("socket")? == "active", "the sockets are gone after so many kills: {told}");
    ensure!(one("stopped")? == "inactive inactive", "{told}");
    ensure!(one("started")? == "active active", "{told}");
    Ok(())
}
