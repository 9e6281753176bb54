//! `prpt completions`: what packages install for shells. Hidden, because no user calls it.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::OK;
use crate::{daemon, program, roots::Roots};

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
    let (command, name) =
        if args.peripetyd { (daemon::Args::command(), "peripetyd") } else { (super::command(), "prpt") };
    program::completions(args.shell, command, name)?;
    Ok(OK)
}
