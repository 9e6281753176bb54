//! What the daemon leaves behind: what its successor takes up, or nothing.

use std::{collections::BTreeSet, fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::Case;
use crate::{
    cmd,
    daemon::Daemon,
    machine::{Machine, Need},
    prpt,
};

pub const CASES: &[Case] = &[
    Case {
        name: "a_link_in_the_place_of_the_pins_is_not_followed",
        needs: &[Need::Bpf],
        run: pins_elsewhere,
    },
    Case {
        name: "an_interrupt_detaches_everything",
        needs: &[Need::Bpf, Need::Program("bpftool")],
        run: interrupted,
    },
    Case {
        name: "a_termination_leaves_the_probes_for_a_successor_or_detach",
        needs: &[Need::Bpf, Need::Program("bpftool")],
        run: |machine| ended_by(machine, Signal::TERM),
    },
    Case {
        name: "after_a_kill_a_restart_takes_up_the_probes",
        needs: &[Need::Bpf, Need::Program("bpftool")],
        run: |machine| ended_by(machine, Signal::KILL),
    },
    Case {
        name: "other_options_relieve_the_probes_that_were_left",
        needs: &[Need::Bpf, Need::Program("bpftool")],
        run: relieved,
    },
];

/// Where the directory of pins leads elsewhere, the daemon works without pins, and touches nothing there.
fn pins_elsewhere(machine: &Machine) -> Result<()> {
    const PINS: &str = "/sys/fs/bpf/peripety";
    let victim = machine.dir("victim")?;
    let load = victim.join("0000ffff_0123456789abcdef0123456789abcdef");
    fs::create_dir(&load).context("creating a directory")?;
    fs::write(load.join("prog_prpt_x"), "precious").context("writing a file")?;
    fs::create_dir(victim.join("other")).context("creating a directory")?;
    // What an earlier case left would be in the way.
    detach(machine)?;
    std::os::unix::fs::symlink(&victim, PINS).context("laying a link")?;
    let result = (|| {
        let daemon = Daemon::start(machine, "")?;
        ensure!(daemon.log().contains("left alone"), "it does not say so: {}", daemon.log());
        programs(machine)?;
        drop(daemon);
        let refused = detach(machine)?;
        ensure!(refused.code == Some(2) && refused.stderr.contains("left alone"), "{refused:?}");
        ensure!(load.join("prog_prpt_x").exists() && victim.join("other").exists(), "the victim was touched");
        ensure!(fs::symlink_metadata(PINS).is_ok(), "the link was removed");
        Ok(())
    })();
    fs::remove_file(PINS).context("removing the link")?;
    result
}

fn interrupted(machine: &Machine) -> Result<()> {
    let mut daemon = Daemon::start(machine, "")?;
    let programs = programs(machine)?;
    ensure!(!programs.is_disjoint(&loaded("prog")?), "bpftool does not see the programs {programs:?}");
    daemon.signal(Signal::INT)?;
    let status = daemon.wait(Duration::from_secs(10))?;
    ensure!(status.success(), "an interrupt ended peripetyd with {status}");
    nothing_left(&programs)?;
    let probes = prpt::run(machine, &["probes"])?;
    ensure!(probes.code == Some(2) && probes.stderr.lines().count() == 1, "without a daemon: {probes:?}");
    Ok(())
}

fn ended_by(machine: &Machine, signal: Signal) -> Result<()> {
    let mut daemon = Daemon::start(machine, "")?;
    let (first, attached) = (programs(machine)?, attached_programs(machine)?);
    let refused = detach(machine)?;
    ensure!(refused.code == Some(2) && refused.stderr.contains("stop it first"), "{refused:?}");
    daemon.signal(signal)?;
    daemon.wait(Duration::from_secs(10))?;
    ensure!(first.is_subset(&loaded("prog")?), "the programs went with {signal:?}: {first:?}");

    let mut daemon = Daemon::start(machine, "")?;
    // One that is loaded and waits is loaded anew, for opening it takes a right that the daemon gives up.
    let second = attached_programs(machine)?;
    ensure!(attached == second, "other programs after a restart: {attached:?}, {second:?}");
    daemon.signal(signal)?;
    daemon.wait(Duration::from_secs(10))?;
    let detached = detach(machine)?;
    ensure!(detached.code == Some(0), "{detached:?}");
    nothing_left(&first)
}

fn relieved(machine: &Machine) -> Result<()> {
    let mut daemon = Daemon::start(machine, "")?;
    let first = programs(machine)?;
    daemon.signal(Signal::KILL)?;
    daemon.wait(Duration::from_secs(10))?;
    let daemon = Daemon::start(machine, "[main]\nring_size_kib = 1024\n")?;
    let second = programs(machine)?;
    ensure!(first.is_disjoint(&second) && first.len() == second.len(), "{first:?}, {second:?}");
    nothing_left(&first)?;
    drop(daemon);
    nothing_left(&second)
}

fn detach(machine: &Machine) -> Result<prpt::Ran> {
    prpt::ran(Command::new(machine.program("peripetyd")).arg("--detach"))
}

/// The ids of the daemon's programs, as it reports them itself.
fn programs(machine: &Machine) -> Result<BTreeSet<u64>> {
    let probes = prpt::json(machine, &["probes", "--format", "Json"])?;
    let ids: BTreeSet<u64> = probes.iter().flat_map(ids_in).collect();
    ensure!(!ids.is_empty(), "prpt probes reports no program: {probes:?}");
    Ok(ids)
}

/// Those of them that are attached.
fn attached_programs(machine: &Machine) -> Result<BTreeSet<u64>> {
    fn find(value: &Value) -> Vec<u64> {
        match value {
            Value::Object(object) if object.get("verdict").is_some_and(|verdict| verdict == "attached") => {
                ids_in(value)
            }
            Value::Object(object) => object.values().flat_map(find).collect(),
            Value::Array(array) => array.iter().flat_map(find).collect(),
            _ => Vec::new(),
        }
    }
    let probes = prpt::json(machine, &["probes", "--format", "Json"])?;
    let ids: BTreeSet<u64> = probes.iter().flat_map(find).collect();
    ensure!(!ids.is_empty(), "prpt probes reports no program: {probes:?}");
    Ok(ids)
}

/// Every number called `id` or `prog_id` anywhere in it.
fn ids_in(value: &Value) -> Vec<u64> {
    match value {
        Value::Object(object) => {
            let own = ["id", "prog_id"].iter().filter_map(|key| object.get(*key)?.as_u64());
            own.chain(object.values().flat_map(ids_in)).collect()
        }
        Value::Array(array) => array.iter().flat_map(ids_in).collect(),
        _ => Vec::new(),
    }
}

fn nothing_left(programs: &BTreeSet<u64>) -> Result<()> {
    // The kernel frees programs a little later.
    cmd::wait_for("the programs to go", Duration::from_secs(10), || {
        let left: Vec<_> = loaded("prog")?.intersection(programs).copied().collect();
        ensure!(left.is_empty(), "programs {left:?} are still loaded");
        let linked: Vec<_> = loaded("link")?.intersection(programs).copied().collect();
        ensure!(linked.is_empty(), "links of programs {linked:?} are still there");
        Ok(())
    })
}

/// The ids of programs that are loaded (`prog`), or that links hold (`link`).
fn loaded(what: &str) -> Result<BTreeSet<u64>> {
    let text = cmd::run(Command::new("bpftool").args(["--json", what, "list"]))?;
    let list: Value = serde_json::from_str(&text).with_context(|| format!("bpftool printed {text}"))?;
    let key = if what == "prog" { "id" } else { "prog_id" };
    Ok(list.as_array().into_iter().flatten().filter_map(|entry| entry.get(key)?.as_u64()).collect())
}
