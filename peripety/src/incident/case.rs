//! One incident, as it grows.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    class::{self, Class},
    facet::Facet,
    impact,
    part::SharedPart,
    words,
};
use crate::{
    event::{
        Event, EventId, Severity,
        incident::{
            Cause, CauseKind, Certainty, INCIDENT_SCHEMA_VERSION, Impact, ImpactKind, Incident, Member, Part,
            Relation, State, incident_id,
        },
    },
    state::{Condition, End, Subject, rows},
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

    /// Takes a later revision of an event that it has.
    pub fn grow(&mut self, event: &Event, facet: Option<Facet>) {
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
        }
        if let Some(facet) = facet {
            self.forget_told(event.event_id);
            self.note_harm(event, facet.class, &facet);
            if let Some(known) = self.facets.iter_mut().find(|f| f.event_id == event.event_id) {
                known.class = facet.class;
                known.failed = facet.failed;
                known.event_type = facet.event_type;
                known.last = known.last.max(facet.last);
                known.sectors = facet.sectors;
            }
            self.note_conditions(event);
        }
        if event.is_final {
            self.reported.remove(&event.event_id);
        }
        self.touch(event);
    }

    /// Takes back what an event reported before.
    fn forget_told(&mut self, id: EventId) {
        let Some(reported) = self.reported.remove(&id) else { return };
        let harm = if reported.is_below { &mut self.harm_below } else { &mut self.harm };
        for kind in reported.harm {
            if let Some(many) = harm.get_mut(&kind) {
                *many = many.saturating_sub(1);
            }
        }
        harm.retain(|_, many| *many > 0);
        self.errors = self.errors.saturating_sub(u32::from(reported.is_error));
    }

    fn touch(&mut self, event: &Event) {
        self.incident.updated = self.incident.updated.max(event.last_timestamp);
        self.incident.opened = self.incident.opened.min(event.first_timestamp);
        self.incident.boot_id.clone_from(&event.boot_id);
        self.dirty = true;
    }

    fn count(&mut self, event: &Event, before: Option<u64>) {
        let more = event.count.saturating_sub(before.unwrap_or(0));
        self.incident.failures = self.incident.failures.saturating_add(more);
        if event.is_final {
            self.growing.remove(&event.event_id);
        } else if self.growing.len() < GROWING_MAX {
            self.growing.insert(event.event_id, event.count);
        }
    }

    fn note_member(&mut self, event: &Event, facet: &Facet) {
        self.incident.event_count += 1;
        self.count(event, None);
        let member = member(event, facet);
        self.keep_member(member);
    }

    fn keep_member(&mut self, member: Member) {
        let events = &mut self.incident.events;
        if events.len() >= MEMBERS_MAX {
            // The cause and what came of it last are kept; of what is alike, the first.
            let Some(place) =
                events.iter().enumerate().skip(1).max_by_key(|(n, m)| (m.severity, *n)).map(|(n, _)| n)
            else {
                return;
            };
            let is_milder = events.get(place).is_none_or(|m| m.severity <= member.severity);
            if is_milder && member.relation != Relation::Recovery {
                return;
            }
            events.remove(place);
        }
        events.push(member);
    }

    fn note_harm(&mut self, event: &Event, class: Class, facet: &Facet) {
        let is_error = event.severity.at_least(Severity::Error);
        self.errors = self.errors.saturating_add(u32::from(is_error));
        let is_below = matches!(
            class,
            Class::Way | Class::Removed | Class::NoAnswer | Class::GivenUp | Class::Command | Class::Request
        );
        let kinds = impact::kinds(event, class, &facet.failed);
        if !event.is_final && self.reported.len() < GROWING_MAX {
            self.reported.insert(event.event_id, Reported { harm: kinds.clone(), is_below, is_error });
        }
        for kind in kinds {
            let harm = if is_below { &mut self.harm_below } else { &mut self.harm };
            *harm.entry(kind).or_default() += 1;
            // A person who knew of less has to know of this.
            if kind == ImpactKind::DataLost
                && self.incident.acknowledged.as_ref().is_some_and(|ack| ack.at < event.last_timestamp)
            {
                self.incident.acknowledged = None;
            }
        }
        impact::add_names(&mut self.incident.impact, event, class);
    }

    fn note_conditions(&mut self, event: &Event) {
        let opened = Condition::all_opened_by(event);
        // What only an earlier revision of it opened is not so.
        let mine = Some(event.event_id);
        self.conditions.retain(|c| {
            let is_only_mine = c.event_id == mine && c.last_event_id == mine;
            !is_only_mine || opened.iter().any(|new| new.condition == c.condition)
        });
        for new in opened {
            let ended = |e: &Ended| {
                e.condition == new.condition
                    && e.device.is(&new.device)
                    && new.last.is_none_or(|last| last <= e.at)
            };
            if self.ended.iter().any(ended) {
                continue;
            }
            let same = |c: &&mut Condition| c.condition == new.condition && c.device.is(&new.device);
            if let Some(known) = self.conditions.iter_mut().find(same) {
                known.last = known.last.max(new.last);
                known.last_event_id = new.last_event_id;
                known.count = new.count;
                known.msg = new.msg;
            } else if self.conditions.len() < CONDITIONS_MAX {
                self.had_condition = true;
                self.conditions.push(new);
            }
        }
    }

    /// Takes an event that says that something is over. Whether it is about this incident.
    pub(crate) fn end(&mut self, event: &Event, end: &End) -> bool {
        let ended = self.drop_conditions(event.last_timestamp, &|condition| end.is_end_of(condition));
        if ended {
            self.note_recovery(event, "end-of-condition");
        }
        ended
    }

    /// Ends conditions. Whether there were any.
    pub(crate) fn drop_conditions(&mut self, at: Timestamp, is_over: &dyn Fn(&Condition) -> bool) -> bool {
        let (over, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.conditions).into_iter().partition(|condition| is_over(condition));
        self.conditions = left;
        let any = !over.is_empty();
        for Condition { condition, device, .. } in over {
            self.ended.retain(|e| e.condition != condition || !e.device.is(&device));
            if self.ended.len() >= CONDITIONS_MAX {
                self.ended.remove(0);
            }
            self.ended.push(Ended { condition, device, at });
        }
        any
    }

    /// Notes an event that is no fault.
    pub fn note_recovery(&mut self, event: &Event, rule: &str) {
        if let Some(known) = self.incident.events.iter_mut().find(|m| m.event_id == event.event_id) {
            // Between two recoveries that one event counts it failed again, however few of its revisions are written.
            let more = event.count.saturating_sub(known.count);
            (known.count, known.last) = (known.count.max(event.count), known.last.max(event.last_timestamp));
            let unseen = u32::try_from(more.saturating_sub(1)).unwrap_or(u32::MAX);
            self.incident.episodes = self.incident.episodes.saturating_add(unseen);
            self.touch(event);
            return;
        }
        self.incident.event_count += 1;
        self.keep_member(Member {
            event_id: event.event_id,
            event_type: event.event_type.clone(),
            device: words::short(event),
            relation: Relation::Recovery,
            because: None,
            rule: rule.to_owned(),
            severity: event.severity,
            count: event.count,
            first: event.first_timestamp,
            last: event.last_timestamp,
            msg: event.msg.clone(),
        });
        self.touch(event);
    }

    /// It is over.
    pub fn resolve(&mut self, at: Timestamp, by: String) {
        let data_lost = self.harm.contains_key(&ImpactKind::DataLost);
        self.incident.needs_acknowledgement = data_lost && self.incident.acknowledged.is_none();
        self.drop_conditions(at, &|_| true);
        self.dirty = true;
        self.incident.resolved_by = Some(by);
        self.incident.updated = self.incident.updated.max(at);
        if self.incident.needs_acknowledgement {
            self.incident.state = State::Open;
        } else {
            self.incident.state = State::Resolved;
            self.incident.resolved = Some(at);
        }
    }

    /// It is back.
    pub fn reopen(&mut self) {
        if self.incident.state == State::Resolved {
            self.incident.state = State::Open;
            self.incident.resolved = None;
            self.incident.resolved_by = None;
            self.incident.episodes += 1;
        } else if self.incident.resolved_by.take().is_some() {
            self.incident.episodes += 1;
            self.incident.needs_acknowledgement = false;
        }
        // What ended before says nothing of how this ends.
        (self.had_condition, self.errors) = (false, 0);
        self.dirty = true;
    }

    /// All of another incident is part of this one.
    pub fn take(&mut self, other: &mut Self) {
        let mine = &mut self.incident;
        let theirs = &mut other.incident;
        theirs.superseded_by = Some(mine.incident_id);
        theirs.state = State::Superseded;
        mine.supersedes.push(theirs.incident_id);
        mine.supersedes.extend(theirs.supersedes.iter().copied());
        mine.opened = mine.opened.min(theirs.opened);
        mine.updated = mine.updated.max(theirs.updated);
        mine.event_count += theirs.event_count;
        mine.failures = mine.failures.saturating_add(theirs.failures);
        mine.episodes = mine.episodes.max(theirs.episodes);
        for (mine, theirs) in [
            (&mut mine.impact.devices, &theirs.impact.devices),
            (&mut mine.impact.filesystems, &theirs.impact.filesystems),
            (&mut mine.impact.mount_points, &theirs.impact.mount_points),
            (&mut mine.cause.rules, &theirs.cause.rules),
        ] {
            theirs.iter().for_each(|name| push(mine, name));
        }
        for member in &theirs.events {
            self.keep_member(member.clone());
        }
        self.incident.events.sort_by_key(|member| member.first);
        for facet in &other.facets {
            if self.facets.len() < FACETS_MAX {
                self.facets.push(facet.clone());
            } else {
                facet.own.iter().for_each(|name| push(&mut self.keys, name));
            }
        }
        other.keys.iter().for_each(|name| push(&mut self.keys, name));
        self.keys.truncate(KEYS_MAX);
        self.is_news = true;
        self.ended.append(&mut other.ended);
        self.ended.truncate(CONDITIONS_MAX);
        self.conditions.append(&mut other.conditions);
        self.conditions.truncate(CONDITIONS_MAX);
        self.had_condition |= other.had_condition;
        self.errors = self.errors.saturating_add(other.errors);
        self.reported.append(&mut other.reported);
        other.harm.iter().for_each(|(kind, n)| *self.harm.entry(*kind).or_default() += n);
        other.harm_below.iter().for_each(|(kind, n)| *self.harm_below.entry(*kind).or_default() += n);
        self.growing.append(&mut other.growing);
        self.certainty = self.certainty.min(other.certainty);
        (self.dirty, other.dirty) = (true, true);
    }

    /// Another event is the cause of what was thought to be the root.
    pub fn explain(&mut self, root: EventId, link: &Link) {
        for facet in &mut self.facets {
            if facet.event_id == root && facet.because.is_none() && link.because != Some(root) {
                facet.because = link.because;
                facet.relation = link.relation;
                link.rule.clone_into(&mut facet.rule);
            }
        }
        for member in &mut self.incident.events {
            if member.event_id == root && member.because.is_none() && link.because != Some(root) {
                member.because = link.because;
                member.relation = link.relation;
                link.rule.clone_into(&mut member.rule);
            }
        }
        self.certainty = self.certainty.min(link.certainty);
        push(&mut self.incident.cause.rules, link.rule);
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

    /// When it is over if nothing more fails: a warning is of what failed nothing, and leaves nothing wrong. Of an error
    /// silence proves nothing.
    pub fn quiet_at(&self) -> Option<Timestamp> {
        if !self.incident.state.is_open() || self.incident.resolved_by.is_some() {
            return None;
        }
        // What is transient by nature says how long.
        let seconds = self.conditions.iter().map(|c| match rows::row(&c.condition).map(|row| row.lasts) {
            Some(rows::Lasts::Seconds(seconds)) => Some(seconds),
            _ => None,
        });
        let longest = seconds.collect::<Option<Vec<i64>>>().and_then(|all| all.into_iter().max());
        if let Some(seconds) = longest {
            return self.incident.updated.checked_add(SignedDuration::from_secs(seconds)).ok();
        }
        if self.had_condition || self.errors > 0 {
            return None;
        }
        let patience = self.facets.iter().map(|f| f.patience).max().unwrap_or(SignedDuration::from_secs(180));
        self.incident.updated.checked_add(patience).ok()
    }

    /// What follows from all that is known: cause, impact, severity, title, what to do.
    pub fn render(&mut self) {
        let root = self.root().cloned();
        self.render_cause(root.as_ref());
        let naming = root.as_ref().map(|root| self.naming(root));
        let naming =
            naming.map_or((Class::Other, None), |facet| (facet.class, words::of_type(&facet.event_type)));
        let incident = &mut self.incident;
        let mut kinds: Vec<ImpactKind> = self.harm.keys().chain(self.harm_below.keys()).copied().collect();
        kinds.sort_unstable();
        kinds.dedup();
        let is_spared = |kind: &ImpactKind| matches!(kind, ImpactKind::RedundancyLost | ImpactKind::PathLost);
        // Where an array or map says that a member or path is lost, and nothing above them is hurt, users see nothing.
        let above = self.harm.keys().all(|kind| is_spared(kind) || *kind >= ImpactKind::Slow);
        if above && kinds.iter().any(is_spared) {
            kinds.retain(|kind| is_spared(kind) || *kind >= ImpactKind::Slow || self.harm.contains_key(kind));
        }
        incident.impact.kinds = kinds;
        if incident.impact.kinds.len() > 1 {
            incident.impact.kinds.retain(|kind| *kind != ImpactKind::None);
        }
        let worst = incident.impact.kinds.first().copied().unwrap_or(ImpactKind::None);
        incident.severity = worst.severity();
        incident.conditions = self.conditions.iter().map(|c| c.condition.clone()).collect();
        incident.conditions.sort_by_key(|name| rows::ROWS.iter().position(|row| row.name == name));
        incident.conditions.dedup();
        let (class, root_type) = naming;
        let said = words::class(class, incident.cause.kind);
        // The worst that was said of the root's kind: an adapter that was reset, and then given up.
        let of_type = |facet: &Facet| words::of_type(&facet.event_type).filter(|_| facet.class == class);
        let worst = self.facets.iter().filter_map(of_type).min_by_key(|(rank, _)| *rank);
        let worst = worst.filter(|_| class == Class::Adapter).or(root_type);
        let mut what = worst.map_or(said, |(_, words)| words).to_owned();
        if self.part.is_some() && incident.cause.event_id.is_none() {
            what = format!("{} devices: {what}", self.blamed_by.max(2));
        }
        if incident.episodes > 1 {
            what = format!("{what}, {} times", incident.episodes);
        }
        incident.title = words::title(incident, &what);
        incident.actions = words::actions(incident, root.as_ref().map(|root| root.event_type.as_str()));
    }

    /// The facet at the root: what nothing explains, the lowest in the stack, the first of those.
    pub fn root(&self) -> Option<&Facet> {
        self.roots().min_by_key(|f| (rank(f.class), f.is_bridge, f.is_nameless(), f.first))
    }

    /// What says most of the cause: what was repaired at first, or only foretold, failed later on the same device.
    fn naming<'f>(&'f self, root: &'f Facet) -> &'f Facet {
        if !matches!(root.class, Class::Mended | Class::Predicted) {
            return root;
        }
        let same = self.facets.iter().filter(|facet| facet.is_of(root) && facet.class != root.class);
        same.min_by_key(|facet| (rank(facet.class), facet.first)).unwrap_or(root)
    }

    fn render_cause(&mut self, root: Option<&Facet>) {
        let Some(root) = root else { return };
        let naming = self.naming(root);
        let kind = class::cause_kind(naming.class, &naming.failed, &naming.event_type);
        let sure = class::sureness(naming.class, kind, &naming.event_type);
        let cause = &mut self.incident.cause;
        cause.kind = kind;
        cause.certainty = self.certainty.min(sure);
        let by_event = matches!(root.class, Class::Adapter | Class::Bus | Class::Way | Class::Server)
            && !root.name.is_empty();
        match &self.part {
            // An event about the part itself says more than what its devices have in common.
            Some(part) if !(by_event && root.class == Class::Adapter) => {
                cause.event_id = None;
                cause.part = part.part;
                cause.name = words::part(part.part, &part.name);
                cause.device = None;
                if part.part == Part::Software && part.name == "udev" {
                    cause.kind = CauseKind::Configuration;
                } else if cause.kind != CauseKind::Space {
                    cause.kind = CauseKind::Transport;
                }
                let sure = if self.blamed_by > 2 { Certainty::Likely } else { Certainty::Possible };
                cause.certainty = cause.certainty.min(sure);
            }
            _ => {
                cause.event_id = Some(root.event_id);
                cause.name.clone_from(&root.name);
                cause.device.clone_from(&root.device);
                cause.part = part_of(root);
                if cause.name.is_empty()
                    && let Some(part) = root.parts.first()
                {
                    cause.name = words::part(part.part, &part.name);
                }
            }
        }
    }
}

/// What the cause is where an event is about it.
fn part_of(root: &Facet) -> Part {
    let name = root.name.as_str();
    let numbered =
        |prefix: &str| name.strip_prefix(prefix).is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()));
    match root.class {
        Class::Adapter => Part::Adapter,
        Class::Server => Part::Server,
        Class::Low | Class::Pool if root.is_space() => Part::Pool,
        Class::Bug | Class::Own | Class::Missing => Part::Software,
        _ if numbered("session") || numbered("connection") => Part::Session,
        _ if numbered("ata") => Part::Port,
        _ if numbered("host") => Part::Adapter,
        // A namespace has an n after the number of its controller.
        _ if numbered("nvme") && !name.trim_start_matches("nvme").contains('n') => Part::Controller,
        _ if numbered("rport-") => Part::TargetPort,
        Class::NoAnswer if name.starts_with(|c: char| c.is_ascii_digit()) && name.contains('-') => Part::Port,
        _ => Part::Device,
    }
}

/// How far down it is: the lowest is the likeliest cause of the others.
fn rank(class: Class) -> u8 {
    match class {
        Class::Adapter => 0,
        Class::Bus => 1,
        Class::Way => 2,
        Class::Removed
        | Class::NoAnswer
        | Class::GivenUp
        | Class::Command
        | Class::Request
        | Class::Guard
        | Class::Predicted => 3,
        Class::Path | Class::Member | Class::Low => 4,
        Class::NoPath | Class::Array | Class::Pool | Class::Stacked => 5,
        Class::Zfs | Class::Full | Class::Missing => 6,
        Class::Cache | Class::Fs | Class::Contents | Class::Checksum | Class::Server => 7,
        Class::Reaction => 8,
        Class::Mended | Class::Service | Class::Blocked | Class::Bug | Class::Own | Class::Other => 9,
    }
}

fn member(event: &Event, facet: &Facet) -> Member {
    Member {
        event_id: event.event_id,
        event_type: event.event_type.clone(),
        device: words::short(event),
        relation: facet.relation,
        because: facet.because,
        rule: facet.rule.clone(),
        severity: event.severity,
        count: event.count,
        first: event.first_timestamp,
        last: event.last_timestamp,
        msg: event.msg.clone(),
    }
}

fn push(list: &mut Vec<String>, name: &str) {
    if !list.iter().any(|known| known == name) {
        list.push(name.to_owned());
    }
}
