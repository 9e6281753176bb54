//! The kernel: version, BTF, tracepoints, lockdown.

use peripety_common::Kind;

use super::{
    Row,
    machine::{Daemon, Machine, is_refused},
};
use crate::collector::ebpf::{
    compat::cannot_give,
    kernel::{KernelVersion, Lockdown},
    probes::{Need, PROBES, Probe, Situation},
    status::ProbeStatus,
};

/// The oldest kernel that peripety was tried on.
const OLDEST: KernelVersion = KernelVersion::new(5, 10);

pub(super) fn version(machine: &Machine) -> Row {
    const CHECK: &str = "kernel";
    if machine.release.is_empty() {
        return Row::degraded(CHECK, "its version is not known", "what it can do is guessed", "mount /proc");
    }
    if machine.kernel < OLDEST {
        let found = format!("{} is older than {OLDEST}", machine.release);
        return Row::degraded(CHECK, found, "eBPF may not load", "use a newer kernel");
    }
    let events = machine.roots.tracefs().join("events");
    let missing = cannot_give(machine.kernel, |category, name| events.join(category).join(name).exists());
    if missing.is_empty() {
        return Row::ok(CHECK, &machine.release);
    }
    Row::ok(CHECK, format!("{}; it has no {} (doc/kernels.md)", machine.release, missing.join(", no ")))
}

pub(super) fn btf(machine: &Machine) -> Row {
    const CHECK: &str = "btf";
    if machine.roots.sysfs.join("kernel/btf/vmlinux").exists() {
        return Row::ok(CHECK, "types of this kernel, for raw tracepoints");
    }
    Row::degraded(
        CHECK,
        "no /sys/kernel/btf/vmlinux",
        "probes may miss records",
        "boot a kernel with CONFIG_DEBUG_INFO_BTF",
    )
}

pub(super) fn lockdown(machine: &Machine) -> Row {
    const CHECK: &str = "lockdown";
    match machine.lockdown {
        Lockdown::None => Row::ok(CHECK, "off"),
        Lockdown::Integrity => Row::ok(CHECK, "integrity: forbids nothing that is needed"),
        Lockdown::Confidentiality => Row::missing(
            CHECK,
            "confidentiality",
            "no eBPF, kernel text only",
            "boot with lockdown=integrity, if your policy allows",
        ),
    }
}

/// What the daemon says of its probes; where it does not, what tracefs says.
pub(super) fn probes(machine: &Machine) -> Row {
    match &machine.daemon {
        Daemon::Running { probes: Some(probes), .. } if !probes.is_empty() => attached(probes),
        _ => tracepoints(machine),
    }
}

const CHECK: &str = "probes";

fn attached(probes: &[ProbeStatus]) -> Row {
    let works = probes.iter().filter(|probe| probe.verdict.is_attached()).count();
    let found = format!("{works} of {} attached", probes.len());
    // Before 5.18 block_rq_complete says what block_rq_error does.
    let is = |probe: &ProbeStatus, name: &str| probe.tracepoint.ends_with(name);
    let has_old = probes.iter().any(|probe| is(probe, ":block_rq_complete") && probe.verdict.is_attached());
    let stands_in = |probe: &ProbeStatus| has_old && is(probe, ":block_rq_error") && !is_refused(probe);
    let bad: Vec<_> = probes
        .iter()
        .filter(|probe| {
            is_refused(probe) || (!probe.verdict.is_loaded() && probe.need == "required" && !stands_in(probe))
        })
        .collect();
    let Some(first) = bad.first() else { return Row::ok(CHECK, found) };
    let word = if bad.iter().all(|probe| is_refused(probe)) { "refused" } else { "missing" };
    let found = format!("{found}, {} {word}", bad.len());
    let todo = format!("see 'prpt probes': {}", first.verdict.reason().lines().next().unwrap_or_default());
    let todo: String = todo.chars().take(110).collect();
    if works == 0 {
        Row::missing(CHECK, found, "kernel text only", todo)
    } else {
        Row::degraded(CHECK, found, &first.lost_without, todo)
    }
}

fn tracepoints(machine: &Machine) -> Row {
    let tracefs = machine.roots.tracefs();
    let events = tracefs.join("events");
    match std::fs::read_dir(&events) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Row::degraded(
                CHECK,
                "tracefs may not be read by this user",
                "nothing is known",
                "sudo prpt doctor",
            );
        }
        Err(_) => {
            return Row::degraded(
                CHECK,
                "tracefs is not mounted",
                "its tracepoints are not known",
                format!("mount -t tracefs nodev {}", tracefs.display()),
            );
        }
    }
    let has = |category: &str, name: &str| events.join(category).join(name).exists();
    let situation = Situation { kernel: machine.kernel, has_rq_error: has("block", "block_rq_error") };
    // Slow requests are looked for only where a limit is set.
    let is_wanted = |probe: &&Probe| probe.kind != Kind::BlockRqSlow && (probe.off)(&situation).is_none();
    let wanted: Vec<_> = PROBES.iter().filter(is_wanted).collect();
    let absent: Vec<_> = wanted.iter().filter(|probe| !has(probe.category, probe.event())).collect();
    let mut found = format!("{} of {} tracepoints", wanted.len() - absent.len(), wanted.len());
    // Before 5.18 block_rq_complete stands for block_rq_error.
    let stands_in = |name: &str| name == "block_rq_error" && has("block", "block_rq_complete");
    let required: Vec<_> = absent
        .iter()
        .filter(|p| p.need == Need::Required && !stands_in(p.event()))
        .map(|p| p.event())
        .collect();
    if !required.is_empty() {
        found.push_str(&format!(", no {}", required.join(", ")));
        let lost = absent.iter().find(|p| required.contains(&p.event())).map_or("", |p| p.lost_without);
        return Row::degraded(CHECK, found, lost, "use a kernel with CONFIG_EVENT_TRACING and these");
    }
    let mut drivers: Vec<_> = absent.iter().filter(|p| p.need == Need::Driver).map(|p| p.category).collect();
    drivers.dedup();
    if !drivers.is_empty() {
        found.push_str(&format!("; not loaded: {}", drivers.join(", ")));
    }
    Row::ok(CHECK, found)
}
