//! `prpt explain`: one screen about an incident.

use super::{
    FAILED, Format, OK, explain_files, incident_out, incident_out::Picture, incidents::known, query,
    render::note,
};
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
    /// Which files it is about: looks through the filesystems that it hurt, which reads from disks that may fail; says so first
    #[arg(long)]
    files: bool,
    /// How long each filesystem is looked through for that
    #[arg(long, value_name = "SECONDS", default_value_t = explain_files::SECONDS, requires = "files")]
    seconds: u64,
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
    incident_out::show_with(&wanted, args.output.picture(), true, &|incident| {
        query::of_incident(incident, roots)
    })?;
    if args.files {
        let format = match args.output.picture() {
            Picture::Json => Format::Json,
            Picture::JsonPretty => Format::JsonPretty,
            Picture::Plain | Picture::Dot | Picture::Mermaid | Picture::Svg => Format::Plain,
        };
        explain_files::show(&wanted, format, args.seconds, roots)?;
    }
    Ok(OK)
}
