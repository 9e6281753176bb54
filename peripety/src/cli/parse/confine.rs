//! The rights that the process gives up before it reads what others wrote.
//!
//! When a file is read, all that is needed is open: the files and directories that were named, the rules, and files without a
//! name for what is unpacked. So the process needs to write nowhere, to be nobody in particular, and to gain no rights. Where
//! the system refuses a part of it, the rest is done, and the files are read all the same: reading is safe without it.

use std::os::fd::BorrowedFd;

use anyhow::Context as _;
use caps::{CapSet, Capability};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, Scope,
};
use rustix::{
    process::{Gid, Resource, Rlimit, Uid, getrlimit, setrlimit},
    thread::{
        set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};

use super::source::Source;
use crate::offline::report::Spool;

/// The user and the group `nobody` (overflowuid of the kernel).
const NOBODY: u32 = 65534;
/// Where libraries, and the time zones of their data, are.
const SYSTEM: &[&str] = &[
    "/usr",
    "/lib",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/etc/localtime",
    "/etc/ld.so.cache",
    "/proc/self",
];
/// Files that a process has open beside those for journals.
const OTHER_FILES: u64 = 128;

/// Gives up what is not needed to read these.
pub(super) fn confine(sources: &[anyhow::Result<Source>], spool: &mut Spool) {
    let may_unpack = sources.iter().flatten().any(Source::may_hold_journals);
    let most = raise_open_files();
    let journals = if may_unpack { most } else { 0 };
    if let Err(error) = spool.prepare(journals) {
        // It is reported when something is to be unpacked.
        tracing::debug!("no file for what is unpacked can be made before rights are given up: {error}");
    }
    let sources: Vec<&Source> = sources.iter().flatten().collect();
    let steps: [(&str, &dyn Fn() -> anyhow::Result<()>); 3] = [
        ("gaining rights", &|| Ok(set_no_new_privs(true)?)),
        ("user and capabilities", &|| drop_user(&sources)),
        ("files and network", &|| restrict(&sources)),
    ];
    for (what, step) in steps {
        if let Err(error) = step() {
            tracing::debug!("cannot give up {what}: {error:#}");
        }
    }
}

/// Lets the process have as many files open as it may; the number of journal files that this is enough for.
fn raise_open_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let open = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    // libsystemd opens each of them once more.
    let spare = open.unwrap_or(u64::MAX).saturating_sub(OTHER_FILES) / 3;
    usize::try_from(spare).unwrap_or(usize::MAX)
}

/// Root becomes nobody. What lies below a directory may be root's alone, as may a journal, which libsystemd opens itself: for
/// these the right to read any file stays, and [`restrict`] bounds it to what was named.
fn drop_user(sources: &[&Source]) -> anyhow::Result<()> {
    let opens_more = sources.iter().any(|source| !matches!(source, Source::Standard));
    let kept: caps::CapsHashSet = opens_more.then_some(Capability::CAP_DAC_READ_SEARCH).into_iter().collect();
    let permitted = caps::read(None, CapSet::Permitted)?;
    let kept: caps::CapsHashSet = kept.intersection(&permitted).copied().collect();
    for capability in caps::read(None, CapSet::Bounding).unwrap_or_default() {
        if caps::drop(None, CapSet::Bounding, capability).is_err() {
            break;
        }
    }
    if rustix::process::geteuid().is_root() {
        set_keep_capabilities(true)?;
        let changed = || -> rustix::io::Result<()> {
            let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            set_thread_groups(&[])?;
            set_thread_res_gid(group, group, group)?;
            set_thread_res_uid(user, user, user)
        };
        // In a user namespace there may be no such user: then capabilities are dropped, and the user stays.
        if let Err(error) = changed() {
            tracing::debug!("cannot become user {NOBODY}: {error}");
        }
    }
    let _none_on_old_kernels = caps::clear(None, CapSet::Ambient);
    caps::set(None, CapSet::Effective, &kept).context("effective capabilities")?;
    caps::set(None, CapSet::Permitted, &kept).context("permitted capabilities")?;
    caps::clear(None, CapSet::Inheritable).context("inheritable capabilities")
}

/// Nothing can be written or made by a path, only what was named can be read, and no socket can be connected.
fn restrict(sources: &[&Source]) -> anyhow::Result<()> {
    let abi = ABI::V6;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let zones = std::env::var_os("TZDIR").map(std::path::PathBuf::from);
    for path in SYSTEM.iter().map(std::path::PathBuf::from).chain(zones) {
        if let Ok(path) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(path, read))?;
        }
    }
    let named: Vec<BorrowedFd<'_>> =
        sources.iter().filter_map(|source| source.directory().or(source.file())).collect();
    for fd in named {
        rules = rules.add_rule(PathBeneath::new(fd, read))?;
    }
    let status = rules.restrict_self()?;
    tracing::debug!("landlock: {:?}", status.ruleset);
    Ok(())
}
