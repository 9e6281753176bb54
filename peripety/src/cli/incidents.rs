//! `prpt incidents`: what failed, why, and whether it is over.

use std::collections::BTreeMap;

use clap::ValueEnum;
use jiff::Timestamp;
use serde::Deserialize;

use super::{NOTHING, OK, incident_out, query::of_incident, render::note};
use crate::{
    event::{
        Incident, IncidentId, Severity,
        incident::{CauseKind, State},
    },
    incident::pick::is_meant,
    query::{
        incidents, journald,
        socket::{Client, ClientError},
        time,
    },
    roots::Roots,
    state::note_progress,
};

/// Which state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Wanted {
    /// Something of it is wrong.
    Open,
    /// A rebuild or resync runs.
    Recovering,
    /// It is over.
    Resolved,
}

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only those in this state
    #[arg(long, value_enum, ignore_case = true)]
    state: Option<Wanted>,
    /// Only those at least as bad
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<Severity>,
    /// Only those about a device, by any of its names, or a mount point
    #[arg(long, value_name = "DEVICE|MOUNT")]
    blk: Option<String>,
    /// Only those with this kind of cause: medium, transport, target, space …
    #[arg(long, value_name = "KIND")]
    cause: Option<String>,
    /// Only those that went on at this time or later
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only those that began not later than this
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Cause, events, what is hurt, what to do
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    output: incident_out::PictureOutput,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    incidents: Vec<Incident>,
}

/// The incidents that the daemon and the journal know, the oldest first.
pub(super) fn known(roots: &Roots, since: Option<Timestamp>) -> anyhow::Result<Vec<Incident>> {
    let mut all: BTreeMap<IncidentId, Incident> = BTreeMap::new();
    let mut take = |incident: Incident| {
        let newer = all.get(&incident.incident_id).is_none_or(|known| known.revision <= incident.revision);
        if newer {
            all.insert(incident.incident_id, incident);
        }
    };
    let live = match Client::connect(roots) {
        Ok(client) => {
            let answer: Answer = serde_json::from_value(client.answer("status")?)?;
            answer.incidents.into_iter().for_each(&mut take);
            true
        }
        Err(ClientError::NoDaemon { .. } | ClientError::Permission { .. }) => false,
        Err(error) => return Err(error.into()),
    };
    match incidents::from_journal(roots, since, journald::PATIENCE) {
        Ok((found, unread)) => {
            found.into_iter().for_each(&mut take);
            unread.iter().for_each(|unread| note(&unread.to_string()));
        }
        Err(error) if live => note(&format!("{error}: what is older than peripetyd's start is not known")),
        Err(error) => return Err(error.into()),
    }
    let mut all: Vec<Incident> = all.into_values().collect();
    all.sort_by_key(|incident| (incident.opened, incident.incident_id));
    note_progress(roots, &mut all);
    Ok(all)
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let moment = |text: &Option<String>| text.as_deref().map(|t| time::parse(t, &time::now())).transpose();
    let (since, until) = (moment(&args.since)?, moment(&args.until)?);
    let kind: Option<CauseKind> = args
        .cause
        .as_deref()
        .map(|kind| serde_json::from_value(kind.to_ascii_lowercase().replace('-', "_").into()))
        .transpose()
        .map_err(|_| anyhow::anyhow!("--cause: write medium, transport, target, power_or_removal, space, configuration, kernel_bug or unknown"))?;
    let mut all = known(roots, since)?;
    all.retain(|incident| {
        let state = match args.state {
            Some(Wanted::Open) => incident.state.is_open(),
            Some(Wanted::Recovering) => incident.state == State::Recovering,
            Some(Wanted::Resolved) => incident.state == State::Resolved,
            None => incident.state != State::Superseded,
        };
        state
            && args.severity.is_none_or(|least| incident.severity.at_least(least))
            && args.blk.as_deref().is_none_or(|device| is_meant(incident, device))
            && kind.is_none_or(|kind| incident.cause.kind == kind)
            && since.is_none_or(|since| incident.state.is_open() || incident.updated >= since)
            && until.is_none_or(|until| incident.opened <= until)
    });
    if all.is_empty() {
        note("no incident found");
        return Ok(NOTHING);
    }
    incident_out::show_with(&all, args.output.picture(), args.verbose, &|incident| {
        of_incident(incident, roots)
    })?;
    Ok(OK)
}
