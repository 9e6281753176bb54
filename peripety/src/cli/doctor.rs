//! `prpt doctor`

use crate::roots::Roots;

/// Options.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) fn run(_args: Args, _roots: &Roots) -> anyhow::Result<u8> {
    Ok(super::NOTHING)
}
