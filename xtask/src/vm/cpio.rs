//! Archives in the form that the kernel unpacks at boot.

use std::{
    fs::File,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// Writes the tree below `dir` to `file`, all of it root's.
pub fn write(dir: &Path, file: &Path) -> Result<()> {
    let out = File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
    let mut find =
        Command::new("find").arg(".").current_dir(dir).stdout(Stdio::piped()).spawn().context("find")?;
    let names = find.stdout.take().context("stdout of find")?;
    let status = Command::new("cpio")
        .args(["--quiet", "--create", "--format=newc", "--owner=0:0"])
        .current_dir(dir)
        .stdin(names)
        .stdout(out)
        .status()
        .context("cannot run cpio")?;
    find.wait().context("find")?;
    if !status.success() {
        bail!("cpio of {} failed: {status}", dir.display());
    }
    Ok(())
}
