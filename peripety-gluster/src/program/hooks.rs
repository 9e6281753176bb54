//! `peripety-gluster hooks`: our hook beside glusterd's own.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

/// Its name there: glusterd runs what begins with S, in the order of the names.
const NAME: &str = "S95peripety";

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Take it away again
    #[arg(long)]
    remove: bool,
    /// The hook
    #[arg(long, value_name = "FILE", default_value = "/usr/libexec/peripety/peripety-gluster-hook")]
    hook: PathBuf,
}

pub(super) fn run(args: &Args, workdir: &Path) -> anyhow::Result<()> {
    let hooks = workdir.join("hooks/1");
    if !args.remove && !args.hook.exists() {
        bail!("there is no {}; give the path of peripety-gluster-hook with --hook", args.hook.display());
    }
    let operations = fs::read_dir(&hooks)
        .with_context(|| format!("cannot read {}: is glusterfs-server installed?", hooks.display()))?;
    let mut count = 0_u32;
    for operation in operations {
        let directory = operation?.path().join("post");
        if !directory.is_dir() {
            continue;
        }
        let link = directory.join(NAME);
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", link.display()));
            }
            _ => {}
        }
        if !args.remove {
            symlink(&args.hook, &link).with_context(|| format!("cannot make {}", link.display()))?;
        }
        count += 1;
    }
    let what = if args.remove { "removed from" } else { "put into" };
    writeln!(io::stdout(), "{NAME} {what} {count} operations in {}", hooks.display())?;
    Ok(())
}
