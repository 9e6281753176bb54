//! One fault is one incident: real faults on the running kernel, with the number, cause, impact and end that an expert expects.

mod contents;
mod requests;
mod stacked;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use peripety::event::{Incident, incident::State};

use super::Case;
use crate::{cmd, daemon::Daemon, journald::Journald, machine::Machine, prpt, sandbox};

pub const CASES: &[&[Case]] = &[requests::CASES, stacked::CASES, contents::CASES];

/// How long incidents may go on to change. Events of one failure follow each other within a second or two.
const QUIET: Duration = Duration::from_secs(3);
/// How long until they are what is expected.
const LIMIT: Duration = Duration::from_secs(30);

/// The daemon, and what it makes of what fails from now on.
struct Watch<'m> {
    machine: &'m Machine,
    since: Timestamp,
    daemon: Daemon,
    _journald: Journald,
}

/// What an expert expects of one incident.
#[derive(Clone, Copy, Debug)]
struct Expected<'e> {
    /// The cause, by its name.
    cause: &'e str,
    /// What kind of fault it is.
    kind: &'e str,
    /// The kinds of harm, the worst first.
    impact: &'e [&'e str],
    /// The places that are hurt.
    mounts: &'e [&'e str],
    /// `open`, `resolved`, or `to ack`: over, and waits for a person.
    state: &'e str,
}

impl<'m> Watch<'m> {
    fn start(machine: &'m Machine) -> Result<Self> {
        let journald = Journald::start()?;
        let daemon = Daemon::start(machine, "")?;
        Ok(Self { machine, since: Timestamp::now(), daemon, _journald: journald })
    }

    /// The incidents since the start, the oldest first, without those that became part of others.
    fn incidents(&self) -> Result<Vec<Incident>> {
        // Kernel text has a clock of its own, which is off by some hundred milliseconds.
        let since = self.since.saturating_sub(jiff::SignedDuration::from_millis(1500))?;
        let values =
            prpt::json(self.machine, &["incidents", "--format", "Json", "--since", &since.to_string()])?;
        let mut latest: BTreeMap<_, Incident> = BTreeMap::new();
        for value in values {
            let incident: Incident = serde_json::from_value(value).context("reading an incident")?;
            latest.insert(incident.incident_id, incident);
        }
        // What others do on this machine meanwhile is none of ours.
        let is_ours = |incident: &Incident| {
            let wwid = incident.cause.device.as_ref().map_or("", |device| device.wwid.as_str());
            wwid.is_empty() || wwid.starts_with(sandbox::DIR)
        };
        let mut all: Vec<Incident> =
            latest.into_values().filter(|i| i.opened >= since && is_ours(i)).collect();
        all.sort_by_key(|incident| incident.opened);
        Ok(all)
    }

    /// Waits until the incidents are these, in the order of their beginning, and stay so.
    fn expect(&self, when: &str, expected: &[Expected]) -> Result<Vec<Incident>> {
        let is_right = || {
            let found = self.incidents()?;
            let lines: Vec<String> = found.iter().map(line).collect();
            ensure!(
                found.len() == expected.len(),
                "{} incidents for {}: {lines:#?}",
                found.len(),
                expected.len()
            );
            for wanted in expected {
                let fits = found.iter().any(|incident| fits(incident, wanted));
                ensure!(fits, "no incident is {wanted:?}, there are {lines:#?}");
            }
            Ok(found)
        };
        let right = cmd::wait_for(when, LIMIT, is_right).and_then(|_| {
            std::thread::sleep(QUIET);
            is_right().with_context(|| format!("{when}: it was right, and changed"))
        });
        if right.is_err() || std::env::var_os("PERIPETY_SHOW").is_some() {
            self.show(when)?;
        }
        right
    }

    /// Waits in which nothing may come.
    fn expect_none(&self, when: &str) -> Result<()> {
        std::thread::sleep(QUIET);
        self.expect(when, &[]).map(drop)
    }

    /// The trees of the incidents, for who reads the log of the tests.
    fn show(&self, when: &str) -> Result<()> {
        for incident in self.incidents()? {
            let id = incident.incident_id.to_string();
            let ran = prpt::run(self.machine, &["explain", &id])?;
            eprintln!("== {when}\n{}", ran.stdout);
        }
        Ok(())
    }
}

fn state(incident: &Incident) -> &'static str {
    if incident.state == State::Open && incident.needs_acknowledgement {
        "to ack"
    } else {
        incident.state.as_str()
    }
}

fn fits(incident: &Incident, wanted: &Expected) -> bool {
    let kinds: Vec<String> = incident.impact.kinds.iter().map(|kind| kind.words().to_owned()).collect();
    incident.cause.name == wanted.cause
        && incident.cause.kind.words() == wanted.kind
        && kinds == wanted.impact
        && wanted.mounts.iter().all(|point| incident.impact.mount_points.iter().any(|known| known == point))
        && incident.impact.mount_points.len() == wanted.mounts.len()
        && state(incident) == wanted.state
}

fn line(incident: &Incident) -> String {
    let kinds: Vec<&str> = incident.impact.kinds.iter().map(|kind| kind.words()).collect();
    format!(
        "{} {}: {} ({}, {}; {kinds:?}; {:?}; {:?})",
        incident.incident_id,
        state(incident),
        incident.title,
        incident.cause.name,
        incident.cause.kind.words(),
        incident.impact.mount_points,
        incident.conditions
    )
}
