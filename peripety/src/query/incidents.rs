//! Incidents from the journal: the last revision of each.

use std::{collections::HashMap, time::Duration};

use jiff::{Timestamp, ToSpan as _};

use super::journald::{Direction, Position, ReadError, Reader};
use crate::{
    event::{Incident, IncidentId},
    journal::{Patience, Unread},
    roots::Roots,
};

/// Incidents that are held.
const MOST: usize = 65_536;

/// The last revision of each incident that was written since a time, the oldest first, and what could not be read.
///
/// # Errors
///
/// The journal cannot be read.
pub(crate) fn from_journal(
    roots: &Roots,
    since: Option<Timestamp>,
    patience: Patience,
) -> Result<(Vec<Incident>, Vec<Unread>), ReadError> {
    let mut reader = Reader::open_incidents(roots, patience)?;
    reader.set_own_only();
    let start = since.and_then(|since| since.checked_sub(5.minutes()).ok());
    // Only what the last revisions say is taken apart.
    let mut last: HashMap<IncidentId, u32> = HashMap::new();
    reader.seek(&start.map_or(Position::Head, Position::Time))?;
    reader.set_heads_only(true);
    while let Some(head) = reader.step(Direction::Forward)? {
        if last.len() < MOST || last.contains_key(&head.id) {
            let known = last.entry(head.id).or_default();
            *known = (*known).max(head.revision);
        }
    }
    reader.set_heads_only(false);
    reader.seek(&start.map_or(Position::Head, Position::Time))?;
    let mut all: HashMap<IncidentId, Incident> = HashMap::new();
    while let Some(head) = reader.step(Direction::Forward)? {
        if last.get(&head.id) == Some(&head.revision)
            && let Some(incident) = reader.incident()
        {
            all.insert(incident.incident_id, incident);
        }
    }
    let mut all: Vec<Incident> = all.into_values().collect();
    all.sort_by_key(|incident| (incident.opened, incident.incident_id));
    Ok((all, reader.take_unread()))
}

/// Gives each revision of an incident that is written from now on, until `sink` fails.
///
/// # Errors
///
/// The journal cannot be read, or `sink` fails.
pub(crate) fn follow(
    roots: &Roots,
    sink: &mut dyn FnMut(Incident) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = Reader::open_incidents(roots, super::journald::PATIENCE)?;
    reader.set_own_only();
    reader.seek_end()?;
    loop {
        while reader.step(Direction::Forward)?.is_some() {
            if let Some(incident) = reader.incident() {
                sink(incident)?;
            }
        }
        reader.wait(Duration::from_secs(3))?;
    }
}
