//! `prpt demo`: a failure for whoever has no broken disk, and nothing left of it.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::Case;
use crate::{
    cmd,
    machine::{Machine, Need},
    prpt,
    scene::Scene,
};

pub const CASES: &[Case] = &[
    Case { name: "the_demo_shows_an_incident_and_leaves_nothing", needs: &[Need::Bpf], run: shows },
    Case { name: "the_demo_cleans_up_when_it_is_stopped", needs: &[Need::Bpf], run: stopped },
    Case { name: "the_demo_does_nothing_without_a_daemon_or_consent", needs: &[], run: refuses },
];

/// What the demo could leave: its loop device, its filesystem, its directory.
fn left() -> Result<Vec<String>> {
    let mut left = Vec::new();
    for disk in fs::read_dir("/sys/block")? {
        let file = disk?.path().join("loop/backing_file");
        let backing = fs::read_to_string(&file).unwrap_or_default();
        // The name of a file without a directory: its filesystem is detached.
        if backing.trim_end().ends_with("/disk")
            && (backing.contains("prpt-demo-") || backing.starts_with("/disk"))
        {
            left.push(format!("{}: {backing}", file.display()));
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    left.extend(mounts.lines().filter(|line| line.contains("prpt-demo")).map(str::to_owned));
    for entry in fs::read_dir(std::env::temp_dir())?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("prpt-demo-") {
            left.push(entry.path().display().to_string());
        }
    }
    Ok(left)
}

fn nothing_left() -> Result<()> {
    cmd::wait_for("what the demo made to go", Duration::from_secs(5), || {
        let left = left()?;
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    })
}

fn shows(machine: &Machine) -> Result<()> {
    let _scene = Scene::start(machine, "")?;
    let ran = prpt::run(machine, &["demo", "--yes"])?;
    ensure!(ran.code == Some(0), "exit {:?}: {}{}", ran.code, ran.stdout, ran.stderr);
    for words in ["$ prpt status\n2", " open loop", "$ prpt explain loop", "write of", "are gone"] {
        let all = format!("{}{}", ran.stdout, ran.stderr);
        ensure!(all.contains(words), "no '{words}' in: {all}");
    }
    ensure!(left()?.is_empty(), "left behind: {:?}", left()?);
    // Nobody has to clear it away. Other tests' disks stand in this kernel's log.
    let made = ran.stderr.split_once("made ").and_then(|(_, rest)| rest.split_once(';'));
    let name = made.context("no name of the disk")?.0;
    cmd::wait_for("the incident to be over", Duration::from_secs(10), || {
        let status = prpt::run(machine, &["status"])?;
        ensure!(!status.stdout.contains(&format!(" open {name}:")), "{}", status.stdout);
        Ok(())
    })?;
    // And once more, on a device of the same name: it is a new failure.
    let again = prpt::run(machine, &["demo", "--yes"])?;
    ensure!(again.code == Some(0) && again.stdout.contains(" open loop"), "{again:?}");
    nothing_left()
}

/// By signals that it can obey, and by one that it cannot.
fn stopped(machine: &Machine) -> Result<()> {
    let _scene = Scene::start(machine, "")?;
    for signal in ["INT", "TERM", "HUP", "KILL"] {
        for wait_ms in [30, 300, 800] {
            let mut demo = prpt::command(machine);
            demo.args(["demo", "--yes"]).stdout(Stdio::null()).stderr(Stdio::null());
            let mut demo = demo.spawn()?;
            std::thread::sleep(Duration::from_millis(wait_ms));
            let _it_may_have_ended =
                cmd::run(Command::new("kill").args(["-s", signal, &demo.id().to_string()]));
            demo.wait()?;
            // Between the mount and its detaching nobody cleans up after SIGKILL but the next demo.
            if signal != "KILL" {
                nothing_left()?;
            }
        }
    }
    // As after a kill in that moment, by a process number that none has.
    let dir = std::env::temp_dir().join("prpt-demo-4194305-killed");
    fs::create_dir(&dir)?;
    let dir = dir.display();
    cmd::sh(&format!("mount -t tmpfs -o size=1m prpt-demo {dir}"))?;
    cmd::sh(&format!("truncate -s 1M {dir}/disk"))?;
    cmd::sh(&format!("losetup --find {dir}/disk"))?;
    ensure!(left()?.len() > 2, "{:?}", left()?);
    let ran = prpt::run(machine, &["demo", "--yes"])?;
    ensure!(ran.code == Some(0), "exit {:?}: {}{}", ran.code, ran.stdout, ran.stderr);
    nothing_left()
}

fn refuses(machine: &Machine) -> Result<()> {
    let ran = prpt::run(machine, &["demo", "--yes"])?;
    ensure!(ran.code == Some(2) && ran.stderr.contains("systemctl start peripetyd"), "{ran:?}");
    if machine.lacks(Need::Bpf).is_none() {
        let _scene = Scene::start(machine, "")?;
        let ran = prpt::ran(prpt::command(machine).arg("demo").stdin(Stdio::null()))?;
        ensure!(ran.code == Some(2) && ran.stderr.contains("--yes"), "{ran:?}");
    }
    ensure!(left()?.is_empty(), "left behind: {:?}", left()?);
    Ok(())
}
