//! `prpt report`: one page with all that is known of incidents, for whoever is asked for help.

mod gather;
mod machine;
mod target;

use anyhow::bail;
use jiff::{Timestamp, tz::TimeZone};
use peripety_page::{Look, Report, page};

pub(super) use self::{gather::case_of, target::Target};
use super::{NOTHING, OK, explain_files, incidents::known, render::note};
use crate::{event::Incident, incident::pick::is_meant, query::time, roots::Roots, state::rows};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which: an incident's id or the beginning of it, one of its events, a device, a mount point; all where it is not given
    #[arg(value_name = "INCIDENT|EVENT|DEVICE|MOUNT")]
    target: Option<String>,
    /// Only incidents that are open or went on at this time or later
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only incidents that began not later than this
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// The file to write; standard output where it is not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<std::path::PathBuf>,
    /// Which files they are about: looks through the filesystems that they hurt, which reads from disks that may fail; says so first
    #[arg(long)]
    files: bool,
    /// How long each filesystem is looked through for that
    #[arg(long, value_name = "SECONDS", default_value_t = explain_files::SECONDS, requires = "files")]
    seconds: u64,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let target = Target::of(args.output.as_deref())?;
    let moment = |text: &Option<String>| text.as_deref().map(|t| time::parse(t, &time::now())).transpose();
    let span = (moment(&args.since)?, moment(&args.until)?);
    let mut wanted: Vec<Incident> = known(roots, span.0)?;
    wanted.retain(|incident| {
        incident.superseded_by.is_none()
            && span.0.is_none_or(|since| incident.state.is_open() || incident.updated >= since)
            && span.1.is_none_or(|until| incident.opened <= until)
    });
    if let Some(name) = &args.target {
        wanted.retain(|incident| is_meant(incident, name));
        if wanted.is_empty() {
            bail!("no incident is known by '{name}'; 'prpt incidents' lists them");
        }
    }
    let found = !wanted.is_empty();
    let mut cases = gather::cases(wanted, roots)?;
    if args.files {
        gather::add_files(&mut cases, args.seconds, roots)?;
    }
    let (facts, unseen) = machine::here(roots);
    let new = new(facts.of.clone());
    let report = Report { span, cases, facts: vec![facts], unseen, ..new };
    target.write(&html(&report))?;
    if !found {
        note("no incident is known: the page says so");
    }
    Ok(if found { OK } else { NOTHING })
}

/// A report of which nothing is known but what it is of.
pub(super) fn new(of: String) -> Report {
    let made = Timestamp::now();
    Report {
        of,
        made,
        known_until: made,
        by: format!("prpt {}", env!("CARGO_PKG_VERSION")),
        span: (None, None),
        cases: Vec::new(),
        facts: Vec::new(),
        unseen: Vec::new(),
    }
}

/// The page in the zone of this machine.
pub(super) fn html(report: &Report) -> String {
    page(report, &Look { zone: TimeZone::system(), condition: |name| rows::row(name).map(|row| row.words) })
}
