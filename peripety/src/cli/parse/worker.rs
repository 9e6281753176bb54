//! A process of its own reads the files.
//!
//! libsystemd aborts on some damaged journals, and a page that cannot be read ends the process that mapped it. So `prpt parse`
//! runs itself once more to read, and says what ended that process where it did not end by itself.

use std::{
    env,
    ffi::OsString,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Command, ExitStatus},
};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::super::{FAILED, render::note};

/// Reports a process that it is the one that reads, and for whom.
const READS_FOR: &str = "PRPT_PARSE_READS_FOR";

/// Reads the files in another process; its exit status. None where this is that process, or there can be no other one.
pub(super) fn run() -> Option<u8> {
    if reads_for().is_some() {
        return None;
    }
    let mut args = env::args_os();
    let name = args.next().unwrap_or_else(|| OsString::from("prpt"));
    // The very file of this process, also where it was replaced meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg0(name).args(args).env(READS_FOR, std::process::id().to_string());
    match command.status() {
        Ok(status) => Some(code(status)),
        Err(error) => {
            tracing::debug!("no process of its own reads the files: {error}");
            None
        }
    }
}

/// Ends this process when the one that it reads for has ended; to be called when rights are given up, which undoes it.
pub(super) fn end_with_parent() {
    let Some(parent) = reads_for() else { return };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        tracing::debug!("this process may outlive the one that it reads for: {error}");
    }
    if getppid() != Some(parent) {
        std::process::exit(i32::from(FAILED));
    }
}

fn reads_for() -> Option<Pid> {
    Pid::from_raw(env::var(READS_FOR).ok()?.parse().ok()?)
}

fn code(status: ExitStatus) -> u8 {
    if let Some(signal) = status.signal() {
        note(&format!(
            "the process that read the files was ended by signal {signal}: one of them is damaged in a way that its reader \
             does not stand, or there was no memory; what is shown is not all, read the files one by one"
        ));
        return FAILED;
    }
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED)
}
