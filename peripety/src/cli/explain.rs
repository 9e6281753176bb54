//! `prpt explain`: one screen about an incident.

use super::{FAILED, OK, incident_out, incidents::known, render::note};
use crate::{event::Incident, incident::pick::is_meant, roots::Roots};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which: an incident's id or the beginning of it, one of its events, a device, a mount point; all that are open where it is not given
    #[arg(value_name = "INCIDENT|EVENT|DEVICE|MOUNT")]
    target: Option<String>,
    /// The latest one
    #[arg(long, conflicts_with = "target")]
    last: bool,
    #[command(flatten)]
    output: incident_out::PictureOutput,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let mut all = known(roots, None)?;
    all.retain(|incident| incident.superseded_by.is_none());
    all.sort_by_key(|incident| (incident.state.is_open(), incident.updated));
    let wanted: Vec<Incident> = match &args.target {
        _ if args.last => all.into_iter().max_by_key(|incident| incident.updated).into_iter().collect(),
        Some(target) => all.into_iter().rfind(|incident| is_meant(incident, target)).into_iter().collect(),
        None => all.into_iter().filter(|incident| incident.state.is_open()).collect(),
    };
    if wanted.is_empty() {
        match &args.target {
            Some(target) => note(&format!("no incident is known by '{target}'; 'prpt incidents' lists them")),
            None if args.last => note("no incident is known"),
            None => note("no incident is open; --last explains the latest one"),
        }
        return Ok(if args.target.is_some() { FAILED } else { super::NOTHING });
    }
    incident_out::show(&wanted, args.output.picture(), true)?;
    Ok(OK)
}
