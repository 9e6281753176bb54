//! Why the kernel said no, in words that say what to do.

use std::{error::Error, fs, io, os::fd::AsRawFd as _};

use aya::programs::{ProgramError, ProgramInfo};
use caps::{CapSet, Capability};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::super::kernel::{KernelVersion, Lockdown};
use crate::{roots::Roots, terminal::error_chain};

/// Lines of the verifier's log that are kept.
const LOG_LINES: usize = 4;

/// Whether the error says that there is no such tracepoint.
pub(super) fn is_missing(error: &ProgramError) -> bool {
    io_error(error).is_some_and(|e| e.kind() == io::ErrorKind::NotFound)
}

fn io_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        next = match error.downcast_ref::<ProgramError>() {
            Some(ProgramError::LoadError { io_error, .. }) => return Some(io_error),
            Some(ProgramError::SyscallError(call)) => return Some(&call.io_error),
            _ => error.source(),
        };
    }
    None
}

/// The reason, and what to do about it.
pub(super) fn explain(roots: &Roots, error: &(dyn Error + 'static)) -> String {
    let denied = io_error(error).is_some_and(
        |e| matches!(e.raw_os_error(), Some(code) if code == EPERM || code == EACCES || code == EINVAL),
    );
    if denied && Lockdown::running(roots) == Lockdown::Confidentiality {
        return "kernel lockdown is in mode confidentiality: no program may read kernel memory; kernel text is still read"
            .to_owned();
    }
    let permission = io_error(error)
        .is_some_and(|e| matches!(e.raw_os_error(), Some(code) if code == EPERM || code == EACCES));
    if permission && let Some(missing) = missing_capabilities() {
        return format!("capability {missing} is missing; start peripetyd as root or by its systemd unit");
    }
    if let Some(ProgramError::LoadError { io_error, verifier_log }) = error.downcast_ref::<ProgramError>() {
        let log = verifier_log.to_string();
        let lines: Vec<&str> = log.lines().filter(|l| !l.trim().is_empty()).collect();
        let tail = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join(" / ");
        tracing::debug!(log, "the verifier's log");
        return format!("the verifier refused it ({io_error}): {tail}");
    }
    error_chain(error)
}

const EPERM: i32 = 1;
const EACCES: i32 = 13;
const EINVAL: i32 = 22;

/// What is missing to load and attach: CAP_SYS_ADMIN stands for both of the newer ones.
fn missing_capabilities() -> Option<String> {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(true);
    if has(Capability::CAP_SYS_ADMIN) {
        return None;
    }
    let missing: Vec<&str> = [(Capability::CAP_BPF, "CAP_BPF"), (Capability::CAP_PERFMON, "CAP_PERFMON")]
        .into_iter()
        .filter(|(capability, _)| !has(*capability))
        .map(|(_, name)| name)
        .collect();
    (!missing.is_empty()).then(|| missing.join(" and "))
}

/// Before 5.11 maps count against RLIMIT_MEMLOCK, whose default is too small for any ring.
pub(super) fn raise_memlock(kernel: KernelVersion) {
    if kernel < KernelVersion::new(5, 11) {
        let all = Rlimit { current: None, maximum: None };
        if let Err(error) = setrlimit(Resource::Memlock, all) {
            tracing::warn!(%error, "cannot raise RLIMIT_MEMLOCK; set LimitMEMLOCK=infinity in the unit");
        }
    }
}

/// Calls that the kernel skipped because the program was running on that CPU already: only fdinfo reports them.
pub(super) fn recursion_misses(roots: &Roots, info: &ProgramInfo) -> Option<u64> {
    let fd = info.fd().ok()?;
    let path = roots.procfs.join(format!("self/fdinfo/{}", std::os::fd::AsFd::as_fd(&fd).as_raw_fd()));
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?.trim().parse().ok()
}
