//! `cargo xtask run`

use std::os::unix::process::CommandExt as _;

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
    if !sh::target_dir().join(if args.release { "release" } else { "debug" }).join("peripetyd").exists() {
        eprintln!(
            "run: the first time this takes some minutes (3.5 measured on a machine with 2 cores and nothing set up): packages \
             and bpf-linker are installed where they are missing, then it builds; after that it starts at once"
        );
    }
    setup::ensure(Purpose::Build)?;
    let dir = build::binaries(if args.release { Profile::Release } else { Profile::Debug })?;
    if !sh::can_be_root() {
        bail!("the daemon needs root to load its probes; as root, run: {}/peripetyd --stdout", dir.display());
    }

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
