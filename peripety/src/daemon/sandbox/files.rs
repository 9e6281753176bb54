//! Where the daemon may write: landlock. Everything may be read, as far as its capabilities go.

use std::path::PathBuf;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, path_beneath_rules,
};

use super::Sandbox;
use crate::{daemon::Args, roots::Roots};

/// The newest rights that are asked for; an older kernel gives what it has.
const NEWEST: ABI = ABI::V4;

pub(super) fn confine(args: &Args, roots: &Roots, sandbox: &mut Sandbox) {
    let places = Places::of(args, roots);
    let files: Vec<_> = places.all().map(|path| path.display().to_string()).collect();
    match places.confine() {
        Ok(RulesetStatus::NotEnforced) => {
            sandbox.note("landlock", &"the kernel has none, or it is not switched on (lsm=)");
        }
        Ok(_) => sandbox.files = files.join(" "),
        Err(error) => sandbox.note("landlock", &error),
    }
}

struct Places {
    /// Files and sockets are made and removed below.
    directories: Vec<PathBuf>,
    /// Files that are there.
    files: Vec<PathBuf>,
}

impl Places {
    fn of(args: &Args, roots: &Roots) -> Self {
        // The directory above ours: who removes ours shall not stop us from making it again. The unit's own mounts leave
        // nothing of it writable but ours.
        let runtime = roots.runtime.parent().unwrap_or(&roots.runtime).to_owned();
        let pins = roots.sysfs.join("fs/bpf");
        let mut files = vec![roots.dev.join("null")];
        files.extend(args.record.clone());
        Self { directories: vec![runtime, pins, roots.state.clone()], files }
    }

    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        self.directories.iter().chain(&self.files).filter(|path| path.exists())
    }

    fn confine(&self) -> Result<RulesetStatus, RulesetError> {
        let write = AccessFs::from_write(NEWEST);
        let make: BitFlags<AccessFs> = AccessFs::WriteFile
            | AccessFs::Truncate
            | AccessFs::MakeDir
            | AccessFs::MakeReg
            | AccessFs::MakeSock
            | AccessFs::RemoveFile
            | AccessFs::RemoveDir;
        let created: RulesetCreated = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(write)?
            .handle_access(AccessNet::from_all(NEWEST))?
            .create()?
            .add_rules(path_beneath_rules(&self.directories, make))?
            .add_rules(path_beneath_rules(&self.files, AccessFs::WriteFile | AccessFs::Truncate))?;
        Ok(created.restrict_self()?.ruleset)
    }
}
