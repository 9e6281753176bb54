//! What the checks look at.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::{
    collector::ebpf::{
        kernel::{KernelVersion, Lockdown},
        status::{ProbeStatus, Verdict as ProbeVerdict},
    },
    query::socket::{Client, ClientError},
    roots::Roots,
};

/// Capabilities that matter, by the bit of include/uapi/linux/capability.h.
pub(super) const DAC_READ_SEARCH: (u8, &str) = (2, "CAP_DAC_READ_SEARCH");
pub(super) const SYS_ADMIN: (u8, &str) = (21, "CAP_SYS_ADMIN");
pub(super) const SYSLOG: (u8, &str) = (34, "CAP_SYSLOG");
pub(super) const PERFMON: (u8, &str) = (38, "CAP_PERFMON");
pub(super) const BPF: (u8, &str) = (39, "CAP_BPF");

/// The daemon, as far as its socket reports.
#[derive(Debug)]
pub(super) enum Daemon {
    Running {
        pid: Option<i32>,
        probes: Option<Vec<ProbeStatus>>,
        /// What is wrong with its files in /run.
        files: BTreeMap<String, String>,
        /// What it took from itself.
        sandbox: Option<Value>,
        /// What peripety-watch says that it watches; none of a daemon that knows of no such program.
        watch: Option<Value>,
    },
    Absent,
    /// There is a socket, and this user may not talk to it.
    Forbidden,
    /// It does not answer as it should.
    Mute(String),
}

/// The machine, and the process that watches it or would.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) roots: Roots,
    pub(super) kernel: KernelVersion,
    pub(super) release: String,
    pub(super) lockdown: Lockdown,
    pub(super) daemon: Daemon,
    /// Effective capabilities: of the daemon where it runs, else of this process.
    pub(super) capabilities: u64,
}

impl Machine {
    pub(super) fn look(roots: &Roots) -> Self {
        let daemon = ask(roots);
        let pid = match &daemon {
            Daemon::Running { pid: Some(pid), .. } => pid.to_string(),
            _ => "self".to_owned(),
        };
        Self {
            roots: roots.clone(),
            kernel: KernelVersion::running(roots),
            release: read(roots, "osrelease").unwrap_or_default(),
            lockdown: Lockdown::running(roots),
            capabilities: effective(roots, &pid).or_else(|| effective(roots, "self")).unwrap_or(0),
            daemon,
        }
    }

    pub(super) fn has(&self, capability: (u8, &str)) -> bool {
        self.capabilities >> capability.0 & 1 == 1
    }

    /// CAP_SYS_ADMIN stands for those that were split off from it.
    pub(super) fn may(&self, capability: (u8, &str)) -> bool {
        self.has(capability) || (capability != DAC_READ_SEARCH && self.has(SYS_ADMIN))
    }

    pub(super) fn runs(&self) -> bool {
        matches!(self.daemon, Daemon::Running { .. })
    }

    /// A value below /proc/sys/kernel.
    pub(super) fn setting(&self, name: &str) -> Option<String> {
        read(&self.roots, name)
    }
}

fn read(roots: &Roots, name: &str) -> Option<String> {
    Some(fs::read_to_string(roots.procfs.join("sys/kernel").join(name)).ok()?.trim().to_owned())
}

fn effective(roots: &Roots, pid: &str) -> Option<u64> {
    let status = fs::read_to_string(roots.procfs.join(pid).join("status")).ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

fn ask(roots: &Roots) -> Daemon {
    let client = match Client::connect(roots) {
        Ok(client) => client,
        Err(ClientError::NoDaemon { .. }) => return Daemon::Absent,
        Err(ClientError::Permission { .. }) => return Daemon::Forbidden,
        Err(error) => return Daemon::Mute(error.to_string()),
    };
    let pid = client.pid();
    match client.answer("probes") {
        Ok(probes) => {
            let list = if probes.is_array() { Some(probes) } else { probes.get("probes").cloned() };
            let probes = list.and_then(|list| serde_json::from_value(list).ok());
            let stats = answer(roots, "stats").unwrap_or_default();
            let files = stats.pointer("/runtime/trouble").cloned();
            let files = files.and_then(|files| serde_json::from_value(files).ok()).unwrap_or_default();
            let sandbox = answer(roots, "config").and_then(|config| config.get("sandbox").cloned());
            Daemon::Running { pid, probes, files, sandbox, watch: stats.get("watch").cloned() }
        }
        // A daemon that knows no such request runs all the same.
        Err(ClientError::Refused(_)) => {
            Daemon::Running { pid, probes: None, files: BTreeMap::new(), sandbox: None, watch: None }
        }
        Err(error) => Daemon::Mute(error.to_string()),
    }
}

/// The answer to a request; each takes a connection.
fn answer(roots: &Roots, request: &str) -> Option<Value> {
    Client::connect(roots).ok()?.answer(request).ok()
}

/// Whether the kernel refused a probe.
pub(super) fn is_refused(probe: &ProbeStatus) -> bool {
    matches!(probe.verdict, ProbeVerdict::Refused { .. })
}
