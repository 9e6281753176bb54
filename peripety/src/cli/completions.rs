//! `prpt completions`: what packages install for shells. Hidden, because no user calls it.

use std::io::{self, Write as _};

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::OK;
use crate::{daemon, roots::Roots};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// For which shell
    shell: Shell,
    /// Of the daemon in place of prpt
    #[arg(long)]
    peripetyd: bool,
}

pub(super) fn run(args: Args, _roots: &Roots) -> anyhow::Result<u8> {
    let (mut command, name) =
        if args.peripetyd { (daemon::Args::command(), "peripetyd") } else { (super::command(), "prpt") };
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(OK)
}
