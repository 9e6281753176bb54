//! Incidents with their events and files.

use std::collections::HashMap;

use peripety_page::{Case, NamedFile};

use crate::{
    cli::{explain_files::Search, incident_text::worst_first, query},
    event::{Event, EventId, Incident},
    names,
    roots::Roots,
};

/// Incidents whose events are looked for: a page has room for no more.
const WHOLE_MAX: usize = 400;

/// With what the daemon or the journal has of their events.
pub(super) fn cases(mut incidents: Vec<Incident>, roots: &Roots) -> anyhow::Result<Vec<Case>> {
    worst_first(&mut incidents);
    incidents.sort_by_key(|incident| !incident.state.is_open());
    let rest = incidents.split_off(WHOLE_MAX.min(incidents.len()));
    let ids: Vec<EventId> = incidents.iter().flat_map(|i| &i.events).map(|member| member.event_id).collect();
    let oldest = incidents.iter().map(|incident| incident.opened).min();
    let mut events: HashMap<EventId, Event> = match oldest {
        Some(oldest) => query::by_ids(ids, oldest, roots)?.into_iter().map(|e| (e.event_id, e)).collect(),
        None => HashMap::new(),
    };
    let whole = incidents.into_iter().map(|incident| case_of(incident, &mut events));
    Ok(whole.chain(rest.into_iter().map(Case::new)).collect())
}

/// One incident with those of these events that are its own.
pub(in super::super) fn case_of(mut incident: Incident, events: &mut HashMap<EventId, Event>) -> Case {
    let own = incident.events.iter().filter_map(|member| events.remove(&member.event_id)).collect();
    for member in &mut incident.events {
        member.msg = names::without(&member.msg, &member.device);
    }
    Case { events: own, ..Case::new(incident) }
}

/// Looks for the files of these incidents.
pub(super) fn add_files(cases: &mut [Case], seconds: u64, roots: &Roots) -> anyhow::Result<()> {
    let search = Search::new(seconds, roots)?;
    for case in cases.iter_mut().filter(|case| !case.events.is_empty()) {
        let found = search.find(&case.incident, &case.events);
        case.files.extend(found.into_iter().map(|(path, how)| NamedFile { path, how }));
    }
    Ok(())
}
