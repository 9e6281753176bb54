//! What the daemon takes from itself before it begins, also where no unit does: capabilities, writing anywhere but to its own
//! places, and system calls that it has no use for. What is forbidden fails with an error and kills nobody.
//!
//! All of it holds for threads and processes that begin later, the journal's reader among them, which gives up still more. It
//! has to hold from the start: what a thread has, nobody takes from it. `--no-sandbox` leaves it out, to find out what it
//! is in the way of.

mod calls;
mod capabilities;
mod files;

use std::{fs::OpenOptions, io, os::unix::fs::OpenOptionsExt as _};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

use super::Args;
use crate::collector::{ebpf, uevent::Sockets};

/// What is in force, for `prpt doctor`: in words, as far as it could be had.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Sandbox {
    /// Nothing is, for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    off: Option<String>,
    /// Capabilities that are left.
    capabilities: String,
    /// Where files may be written.
    files: String,
    /// Which system calls are refused.
    calls: String,
    /// What could not be had, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<String>,
}

impl Sandbox {
    fn note(&mut self, missing: &str, error: &dyn std::fmt::Display) {
        self.missing.push(format!("{missing}: {error}"));
    }
}

/// As many descriptors as the system allows: one that is missing may be an event that is lost.
pub(super) fn raise_limits() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!("cannot raise the number of open files to the hard limit: {error}");
    }
}

/// What is left once rights are given up: the protection itself, and what took rights to open.
pub(super) struct Entered {
    pub(super) sandbox: Sandbox,
    pub(super) uevents: io::Result<Sockets>,
}

/// Does what needs rights that are given up, then gives them up. To be called while the process has one thread.
pub(super) fn enter(args: &Args) -> Entered {
    let roots = args.roots();
    let uevents = Sockets::open(&roots);
    if args.no_sandbox {
        tracing::warn!("--no-sandbox: the daemon keeps all rights that it was started with");
        let sandbox = Sandbox { off: Some("--no-sandbox".to_owned()), ..Sandbox::default() };
        return Entered { sandbox, uevents };
    }
    if !args.no_ebpf {
        // A reason not to is informed where probes are pinned.
        let _told_later = ebpf::prepare_pins(&roots);
        // Before Linux 5.11 maps count against it, and raising it takes a capability.
        let _told_later = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    }
    let _told_later = std::fs::create_dir_all(&roots.runtime);
    if let Some(record) = &args.record {
        // An error is informed where it is opened.
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(record);
        let _told_later: io::Result<()> = made.map(drop);
    }
    let mut sandbox = Sandbox::default();
    capabilities::keep_what_the_daemon_needs(args, &roots, &mut sandbox);
    files::confine(args, &roots, &mut sandbox);
    calls::refuse(&mut sandbox);
    for missing in &sandbox.missing {
        tracing::info!("not protected by {missing}");
    }
    Entered { sandbox, uevents }
}

/// The process that reads the journal needs nothing but to read.
pub(super) fn enter_as_reader() {
    capabilities::keep_to_read();
}
