//! What the process that watches may do.

use std::fs::File;

use super::{
    Row,
    machine::{BPF, DAC_READ_SEARCH, Machine, PERFMON, SYSLOG},
};

const AS_ROOT: &str = "run peripetyd as root, or by its systemd unit";

pub(super) fn capabilities(machine: &Machine) -> Row {
    const CHECK: &str = "rights";
    let who = if machine.runs() { "peripetyd" } else { "you" };
    let lacks: Vec<_> =
        [BPF, PERFMON, SYSLOG, DAC_READ_SEARCH].into_iter().filter(|cap| !machine.may(*cap)).collect();
    if lacks.is_empty() {
        return Row::ok(CHECK, format!("{who} may load probes and read the kernel's log"));
    }
    let names: Vec<_> = lacks.iter().map(|(_, name)| name.trim_start_matches("CAP_")).collect();
    let found = format!("{who}: no CAP_{}", names.join(", "));
    if lacks.contains(&BPF) || lacks.contains(&PERFMON) {
        return Row::missing(CHECK, found, "no probes", AS_ROOT);
    }
    let lost = if lacks.contains(&SYSLOG) { "no kernel text" } else { "no classic tracepoints" };
    Row::degraded(CHECK, found, lost, AS_ROOT)
}

/// The switches that make rights count; by themselves neither good nor bad.
pub(super) fn settings(machine: &Machine) -> Row {
    let show = |name: &str| {
        let value = machine.setting(name).unwrap_or_else(|| "?".into());
        format!("{} {value}", name.trim_start_matches("unprivileged_"))
    };
    let names = ["perf_event_paranoid", "unprivileged_bpf_disabled", "dmesg_restrict"];
    Row::ok("settings", names.map(show).join(", "))
}

pub(super) fn kmsg(machine: &Machine) -> Row {
    const CHECK: &str = "kmsg";
    const LOST: &str = "no kernel text";
    let path = machine.roots.kmsg();
    if !path.exists() {
        return Row::missing(
            CHECK,
            format!("no {}", path.display()),
            LOST,
            "run where the host's /dev is visible",
        );
    }
    let restricted = machine.setting("dmesg_restrict").is_some_and(|value| value != "0");
    if restricted && !machine.may(SYSLOG) {
        return Row::missing(CHECK, "dmesg_restrict is 1", LOST, AS_ROOT);
    }
    // The daemon may read what this user may not.
    match File::open(&path) {
        Err(error) if !machine.runs() => {
            Row::missing(CHECK, format!("{} may not be read ({error})", path.display()), LOST, AS_ROOT)
        }
        _ => Row::ok(CHECK, "kernel text can be read"),
    }
}
