//! Which capabilities stay.

use std::os::unix::fs::MetadataExt as _;

use caps::{CapSet, Capability, CapsHashSet};

use super::Sandbox;
use crate::{collector::ebpf::kernel::KernelVersion, daemon::Args, roots::Roots};

/// Those of the unit: loads eBPF (BPF, PERFMON), reads the kernel's log (SYSLOG) and other users' files in tracefs
/// (`DAC_READ_SEARCH`), gives the socket to a group (CHOWN). The sockets of uevents, whose buffers take `NET_ADMIN`, are open
/// already.
const DAEMON: &[Capability] = &[
    Capability::CAP_BPF,
    Capability::CAP_PERFMON,
    Capability::CAP_SYSLOG,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_CHOWN,
];
/// Journals of other users and groups.
const READER: &[Capability] = &[Capability::CAP_DAC_READ_SEARCH];

pub(super) fn keep_what_the_daemon_needs(args: &Args, roots: &Roots, sandbox: &mut Sandbox) {
    let mut keep: CapsHashSet = DAEMON.iter().copied().collect();
    // Probes of modules can be attached only with it there: see dist/classic-tracepoints.conf.
    if !args.no_ebpf && KernelVersion::running(roots) < KernelVersion::new(5, 11) {
        keep.insert(Capability::CAP_SYS_ADMIN);
    }
    // Who records into a file of his own by sudo has given it to root before.
    let of_another = |file: &std::path::PathBuf| std::fs::metadata(file).is_ok_and(|file| file.uid() != 0);
    if args.record.as_ref().is_some_and(of_another) {
        keep.extend([Capability::CAP_DAC_OVERRIDE, Capability::CAP_FOWNER]);
    }
    if let Err(error) = keep_only(&keep) {
        sandbox.note("dropping capabilities", &error);
    }
    let left = caps::read(None, CapSet::Permitted).unwrap_or_default();
    let mut names: Vec<_> = left.iter().map(ToString::to_string).collect();
    names.sort();
    sandbox.capabilities = if names.is_empty() { "none".to_owned() } else { names.join(" ") };
}

pub(super) fn keep_to_read() {
    if let Err(error) = keep_only(&READER.iter().copied().collect()) {
        tracing::warn!("the journal's reader keeps its capabilities: {error}");
    }
}

/// Gives up all others, for this thread and what it starts.
fn keep_only(keep: &CapsHashSet) -> Result<(), caps::errors::CapsError> {
    rustix::thread::set_no_new_privs(true).map_err(|error| error.to_string())?;
    // Needs a right that an unprivileged process, which has nothing to give up, does not have.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for capability in caps::read(None, CapSet::Bounding)?.difference(keep) {
            caps::drop(None, CapSet::Bounding, *capability)?;
        }
    }
    let has = caps::read(None, CapSet::Permitted)?;
    let left: CapsHashSet = has.intersection(keep).copied().collect();
    caps::clear(None, CapSet::Ambient)?;
    let effective = caps::read(None, CapSet::Effective)?;
    let effective: CapsHashSet = effective.intersection(keep).copied().collect();
    caps::set(None, CapSet::Effective, &effective)?;
    caps::set(None, CapSet::Permitted, &left)?;
    caps::clear(None, CapSet::Inheritable)
}
