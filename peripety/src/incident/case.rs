//! One incident, as it grows.

mod cause;
mod life;
mod members;
mod merge;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{facet::Facet, part::SharedPart, signs::Signs, words};
use crate::{
    event::{
        Event, EventId,
        incident::{
            Cause, CauseKind, Certainty, INCIDENT_SCHEMA_VERSION, Impact, ImpactKind, Incident, Part,
            Relation, State, incident_id,
        },
    },
    state::{Condition, Subject},
};

/// Events that are kept in full.
const MEMBERS_MAX: usize = 64;
/// Events that others can be linked to.
const FACETS_MAX: usize = 64;
/// Names by which an incident is found, beside those of its facets.
const KEYS_MAX: usize = 512;
/// Events that may still grow, with their counts.
const GROWING_MAX: usize = 4096;
/// Conditions of one incident.
const CONDITIONS_MAX: usize = 64;
/// Names of rules that are given.
const RULES_MAX: usize = 8;

/// By what an event belongs to an incident.
#[derive(Clone, Debug)]
pub struct Link {
    /// The event that led to it.
    pub because: Option<EventId>,
    /// By which rule.
    pub rule: &'static str,
    /// What it is to that event.
    pub relation: Relation,
    /// How sure that is.
    pub certainty: Certainty,
}

/// A condition that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    condition: String,
    device: Subject,
    at: Timestamp,
}

/// What an event reported when it was last seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    harm: Vec<ImpactKind>,
    is_below: bool,
    is_error: bool,
}

/// One incident with what is needed to go on with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// What others see.
    pub incident: Incident,
    /// What its events say.
    pub facets: Vec<Facet>,
    /// What is wrong still.
    pub conditions: Vec<Condition>,
    /// What was wrong and ended, with when: a late revision of an event before does not open it again.
    #[serde(default)]
    pub ended: Vec<Ended>,
    /// Names of further devices.
    pub keys: Vec<String>,
    /// What its devices have in common, where that is the cause.
    pub part: Option<SharedPart>,
    /// How many devices blame that part.
    pub blamed_by: u32,
    /// What kinds of harm its events report.
    pub harm: BTreeMap<ImpactKind, u32>,
    /// The same of devices that others are made of: another copy or path may serve what they do not.
    #[serde(default)]
    pub harm_below: BTreeMap<ImpactKind, u32>,
    /// Counts of events that may still grow.
    pub growing: BTreeMap<EventId, u64>,
    /// The names of rules that led here, with how sure the least sure of them is.
    pub certainty: Certainty,
    /// It had a condition once.
    pub had_condition: bool,
    /// How many of its events were errors, and no mere warnings.
    #[serde(default)]
    pub errors: u32,
    /// What events that may still grow reported so far: a later revision may know that a copy served it.
    #[serde(default)]
    pub reported: BTreeMap<EventId, Reported>,
    /// Early signs among its events.
    #[serde(default, skip_serializing_if = "Signs::is_empty")]
    pub signs: Signs,
    /// What it was open for is over, and it is open for its early signs alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_signs: bool,
    /// When it was last written.
    pub written: Option<Timestamp>,
    /// How often it was written while it only grew.
    pub writings: u32,
    /// It changed since it was last written.
    pub dirty: bool,
    /// It has to be written at once: something became part of it.
    #[serde(skip)]
    pub is_news: bool,
    /// Its timers: when it is to be written, and when it is over if it stays quiet.
    #[serde(skip)]
    pub timers: (Option<Timestamp>, Option<Timestamp>),
}

impl Case {
    /// What a fault opens.
    pub fn open(event: &Event, facet: Facet) -> Self {
        let name = words::short(event);
        let incident = Incident {
            schema: INCIDENT_SCHEMA_VERSION,
            incident_id: incident_id(event.event_id),
            revision: 0,
            state: State::Open,
            superseded_by: None,
            supersedes: Vec::new(),
            severity: event.severity,
            title: String::new(),
            hostname: event.hostname.clone(),
            boot_id: event.boot_id.clone(),
            opened: event.first_timestamp,
            updated: event.last_timestamp,
            resolved: None,
            resolved_by: None,
            episodes: 1,
            cause: Cause {
                event_id: Some(event.event_id),
                name,
                part: Part::Device,
                device: None,
                kind: CauseKind::Unknown,
                certainty: Certainty::Likely,
                rules: Vec::new(),
            },
            impact: Impact::default(),
            events: Vec::new(),
            event_count: 0,
            failures: 0,
            conditions: Vec::new(),
            early_signs: Vec::new(),
            progress: None,
            actions: Vec::new(),
            needs_acknowledgement: false,
            acknowledged: None,
        };
        let mut case = Self {
            incident,
            facets: Vec::new(),
            conditions: Vec::new(),
            ended: Vec::new(),
            keys: Vec::new(),
            part: None,
            blamed_by: 0,
            harm: BTreeMap::new(),
            harm_below: BTreeMap::new(),
            growing: BTreeMap::new(),
            certainty: Certainty::Certain,
            had_condition: false,
            errors: 0,
            reported: BTreeMap::new(),
            signs: Signs::default(),
            only_signs: false,
            written: None,
            writings: 0,
            dirty: true,
            is_news: false,
            timers: (None, None),
        };
        case.add(event, facet, None);
        case
    }

    /// Takes a further event.
    pub fn add(&mut self, event: &Event, mut facet: Facet, link: Option<&Link>) {
        if let Some(link) = link {
            facet.because = link.because;
            link.rule.clone_into(&mut facet.rule);
            facet.relation = link.relation;
            if link.relation == Relation::SameDevice
                && let Some(known) = self.facets.iter().find(|f| Some(f.event_id) == link.because)
                && known.shares_sectors(&facet)
            {
                facet.relation = Relation::SameRange;
            }
            self.certainty = self.certainty.min(link.certainty);
            let rules = &mut self.incident.cause.rules;
            if rules.len() < RULES_MAX && !rules.iter().any(|rule| rule == link.rule) {
                rules.push(link.rule.to_owned());
            }
        }
        self.note_member(event, &facet);
        self.note_harm(event, facet.class, &facet);
        self.note_conditions(event);
        let same = |f: &Facet| f.class == facet.class && f.event_type == facet.event_type && f.is_of(&facet);
        if let Some(known) = self.facets.iter_mut().find(|f| same(f)) {
            known.last = known.last.max(facet.last);
            known.failed = facet.failed;
            facet.own.iter().for_each(|name| push(&mut known.own, name));
            known.learn_identities(facet.identities);
            if known.below.is_empty() {
                (known.below, known.above, known.unplaced) = (facet.below, facet.above, facet.unplaced);
            }
        } else if self.facets.len() < FACETS_MAX {
            self.facets.push(facet);
        } else {
            for name in &facet.own {
                if self.keys.len() < KEYS_MAX {
                    push(&mut self.keys, name);
                }
            }
        }
        self.touch(event);
    }

    /// Takes a later revision of an event that it has. Whether it names what earlier ones did not.
    pub fn grow(&mut self, event: &Event, facet: Option<Facet>) -> bool {
        let mut is_renamed = false;
        // Of one that a daemon before this one counted, the event itself reports.
        let known = self.incident.events.iter().find(|m| m.event_id == event.event_id).map(|m| m.count);
        let before = self.growing.get(&event.event_id).copied().or(known);
        self.count(event, before);
        if let Some(member) = self.incident.events.iter_mut().find(|m| m.event_id == event.event_id) {
            member.event_type = event.event_type.clone();
            member.severity = event.severity;
            member.count = event.count;
            member.last = event.last_timestamp;
            member.msg.clone_from(&event.msg);
            let name = words::short(event);
            if !name.is_empty() {
                member.device = name;
            }
        }
        if let Some(facet) = facet {
            self.forget_reported(event.event_id);
            self.note_harm(event, facet.class, &facet);
            if let Some(known) = self.facets.iter_mut().find(|f| f.event_id == event.event_id) {
                known.class = facet.class;
                known.failed = facet.failed;
                known.event_type.clone_from(&facet.event_type);
                known.last = known.last.max(facet.last);
                known.sectors.clone_from(&facet.sectors);
                is_renamed = known.take_names(facet);
            }
            self.note_conditions(event);
        }
        if event.is_final {
            self.reported.remove(&event.event_id);
        }
        self.touch(event);
        is_renamed
    }

    /// The facets that nothing explains.
    pub fn roots(&self) -> impl Iterator<Item = &Facet> {
        self.facets.iter().filter(|facet| facet.because.is_none())
    }

    /// All names by which it is found.
    pub fn index_keys(&self) -> impl Iterator<Item = &String> {
        let of_facets = self.facets.iter().flat_map(|f| f.own.iter().chain(&f.below).chain(&f.above));
        of_facets.chain(&self.keys)
    }
}

fn push(list: &mut Vec<String>, name: &str) {
    if !list.iter().any(|known| known == name) {
        list.push(name.to_owned());
    }
}
