//! `cargo xtask run`

use std::{os::unix::process::CommandExt as _, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::{
    build::{self, Profile},
    setup::{self, Purpose},
    sh,
};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Build optimised; takes some minutes the first time
    #[arg(long)]
    release: bool,
    /// Arguments of peripetyd
    #[arg(last = true)]
    args: Vec<String>,
}

pub fn run(args: Args) -> Result<()> {
    setup::ensure(Purpose::Build)?;
    let dir = build::binaries(if args.release { Profile::Release } else { Profile::Debug })?;
    if !sh::can_be_root() {
        bail!("the daemon needs root to load its probes; as root, run: {}/peripetyd --stdout", dir.display());
    }
    mount_tracefs();

    let mut daemon = sh::as_root(dir.join("peripetyd"));
    daemon.arg("--stdout").args(&args.args);
    eprintln!("running {}", sh::shown(&daemon));
    eprintln!(
        "in another terminal: {}/prpt monitor   (Ctrl-C here ends the daemon and detaches its probes)",
        dir.display()
    );
    // In place of this process, so that every signal reaches the daemon itself.
    let error = daemon.exec();
    Err(error).with_context(|| format!("cannot run {}", sh::shown(&daemon)))
}

/// Tracepoints are described in tracefs, which a container or a minimal system may not have mounted. The daemon can do
/// with less, so this failing is only said.
fn mount_tracefs() {
    const DIR: &str = "/sys/kernel/tracing";
    let mounted = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    if mounted.lines().any(|line| line.split(' ').nth(2) == Some("tracefs")) || !Path::new(DIR).exists() {
        return;
    }
    let mut mount = sh::as_root("mount");
    mount.args(["-t", "tracefs", "tracefs", DIR]);
    eprintln!("tracefs is not mounted; running {}", sh::shown(&mount));
    if let Err(error) = sh::run(&mut mount) {
        eprintln!("{error:#}; going on without");
    }
}
