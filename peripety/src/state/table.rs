//! The conditions that are open.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    condition::{Condition, Subject, only_source, subjects},
    rows::{Check, Lasts, REMOVED, RESOLVED, ROWS, Row, row},
};
use crate::event::{Event, EventType};

/// Conditions that are kept; past it the one that was reported the longest ago goes.
const CONDITIONS_MAX: usize = 512;
/// Ends that are remembered, so that a late revision of the event before does not open the condition again.
const ENDS_MAX: usize = 256;
/// How far the clocks of two sources may be apart.
const APART: SignedDuration = SignedDuration::from_millis(500);
/// How far two times of one source may be apart that have another order than what happened: its clock is set by others meanwhile.
const APART_IN_SOURCE: SignedDuration = SignedDuration::from_millis(1);

/// What an event changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Something is wrong that was right.
    Opened,
    /// Something is right again.
    Closed,
    /// It is known that this is wrong.
    Known,
    /// It is about no condition.
    Nothing,
}

/// What is wrong now.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Table {
    conditions: Vec<Condition>,
    #[serde(skip)]
    ends: VecDeque<End>,
    /// Conditions that were dropped for lack of room.
    #[serde(default)]
    dropped: u64,
    /// The boot that the events are of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    boot_id: String,
    /// When the oldest event happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// When the latest event happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

/// What an event says is over.
#[derive(Clone, Debug)]
pub(crate) struct End {
    event_type: String,
    /// As which type it closes conditions.
    closes: String,
    subjects: Vec<Subject>,
    /// Which conditions a person says are over.
    resolved: Vec<String>,
    at: Timestamp,
    /// Who reported it, if that was one source alone.
    source: Option<String>,
}

impl End {
    /// What an event says is over; none if nothing ends by it.
    pub(crate) fn by(event: &Event) -> Option<Self> {
        let closes = closes(event);
        let ends = closes == RESOLVED || ROWS.iter().any(|row| row.is_closed_by(closes));
        ends.then(|| Self::of(event))
    }

    /// Whether a condition is over by it: what happened later is not.
    pub(crate) fn is_end_of(&self, condition: &Condition) -> bool {
        !self.is_before(condition)
            && row(&condition.condition).is_some_and(|row| self.ends(row, &condition.device))
    }

    /// The type of the event.
    pub(crate) fn name(&self) -> String {
        self.event_type.clone()
    }

    /// Whether a condition that is reported only now was over by it already: lines of one moment come in any order. What an event
    /// itself also ends is another condition than those of its time.
    pub(crate) fn was_end_of(&self, condition: &Condition, event: &Event) -> bool {
        self.at >= event.last_timestamp
            && self.event_type != event.event_type.as_str()
            && row(&condition.condition).is_some_and(|row| self.ends(row, &condition.device))
    }

    /// Whether a condition of which nobody knows what it is about may be over by it.
    pub(crate) fn could_end(&self, condition: &Condition) -> bool {
        condition.device.is_unnamed()
            && self.closes != REMOVED
            && !self.is_before(condition)
            && row(&condition.condition).is_some_and(|row| row.is_closed_by(&self.closes))
    }

    /// Whether a condition was reported after it, by more than clocks differ: a filesystem that fails as soon as it is mounted may be
    /// reported before its mount.
    fn is_before(&self, condition: &Condition) -> bool {
        let same = self.source.is_some() && self.source == condition.source;
        let apart = if same { APART_IN_SOURCE } else { APART };
        condition.last.is_some_and(|last| last.duration_since(self.at) > apart)
    }

    fn of(event: &Event) -> Self {
        let event_type = event.event_type.as_str().to_owned();
        let (resolved, subjects) = if event_type == RESOLVED {
            super::resolve::resolved(event).into_iter().unzip()
        } else {
            (Vec::new(), subjects(event))
        };
        Self {
            event_type,
            closes: closes(event).to_owned(),
            subjects,
            resolved,
            at: event.last_timestamp,
            source: only_source(event),
        }
    }

    fn ends(&self, row: &Row, subject: &Subject) -> bool {
        if self.event_type == RESOLVED {
            let mut pairs = self.resolved.iter().zip(&self.subjects);
            return pairs.any(|(name, other)| name == row.name && other.is(subject));
        }
        row.is_closed_by(&self.closes) && self.subjects.iter().any(|other| other.is(subject))
    }
}

/// The type as which an event closes conditions.
fn closes(event: &Event) -> &str {
    if super::is_gone(event) { REMOVED } else { event.event_type.as_str() }
}

impl Table {
    /// Takes an event, or a later revision of one.
    pub fn apply(&mut self, event: &Event) -> Change {
        self.since = self.since.min(Some(event.first_timestamp)).or(Some(event.first_timestamp));
        self.until = self.until.max(Some(event.last_timestamp));
        // What an earlier boot could not write down in time may come late.
        if self.boot_id.is_empty() || event.event_type == EventType::PERIPETY_STARTED {
            self.enter_boot(&event.boot_id);
        }
        if event.event_type == EventType::FS_MOUNTED {
            self.mounted(event);
        }
        // What is not sure to have happened ends nothing.
        let closed = event.confirmed && self.close(event);
        let mut change = if closed { Change::Closed } else { Change::Nothing };
        for row in ROWS.iter().filter(|row| row.is_opened_by(event)) {
            let opened = self.open(row, event);
            if opened == Change::Opened || change == Change::Nothing {
                change = opened;
            }
        }
        change
    }

    /// The conditions, the worst kind first, the oldest of a kind first.
    pub fn conditions(&self) -> Vec<Condition> {
        let mut all = self.conditions.clone();
        let rank = |c: &Condition| ROWS.iter().position(|row| row.name == c.condition);
        all.sort_by(|a, b| rank(a).cmp(&rank(b)).then(a.since.cmp(&b.since)));
        all
    }

    /// When the oldest and the latest event happened.
    pub const fn span(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.since, self.until)
    }

    /// How many conditions were dropped for lack of room.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Ends what `is_over` says, and what is transient and did not happen again.
    pub fn settle(&mut self, now: Timestamp, is_over: &dyn Fn(Check, &Condition) -> bool) {
        for condition in &mut self.conditions {
            condition.expires = match row(&condition.condition).map(|row| row.lasts) {
                Some(Lasts::Seconds(s)) => {
                    condition.last.and_then(|last| last.checked_add(SignedDuration::from_secs(s)).ok())
                }
                _ => None,
            };
        }
        self.conditions.retain(|condition| {
            let Some(row) = row(&condition.condition) else { return true };
            let expired = condition.expires.is_some_and(|at| at <= now);
            !expired && !row.checks.iter().any(|check| is_over(*check, condition))
        });
    }

    /// What follows happens in this boot: states of the kernel before it ended with theirs.
    pub fn enter_boot(&mut self, boot_id: &str) {
        if !boot_id.is_empty() && self.boot_id != boot_id {
            boot_id.clone_into(&mut self.boot_id);
            self.conditions.retain(|condition| {
                let lasting = row(&condition.condition).is_none_or(|row| row.lasts == Lasts::OverReboots);
                lasting || condition.device.boot_id.is_empty() || condition.device.boot_id == boot_id
            });
        }
    }

    /// Changes what is known of the conditions' devices; one for which `change` says no is over.
    pub(super) fn revise(&mut self, change: &mut dyn FnMut(&mut Condition) -> bool) {
        self.conditions.retain_mut(change);
    }

    /// The conditions that a name, an event's id or a condition's name selects.
    pub fn select(&self, wanted: &str) -> Vec<Condition> {
        let name = wanted.strip_prefix("/dev/").unwrap_or(wanted);
        let is = |c: &&Condition| {
            let device = &c.device;
            let dev = device.dev.map(|dev| dev.to_string());
            let names = [&device.name, &device.shown(), &device.wwid, &c.condition];
            names.iter().any(|n| !n.is_empty() && (n.as_str() == name || n.as_str() == wanted))
                || (!device.path.is_empty() && device.path == wanted)
                || dev.as_deref() == Some(wanted)
                || uuid::Uuid::parse_str(wanted)
                    .is_ok_and(|id| c.event_id == Some(id) || c.events.contains(&id))
        };
        self.conditions.iter().filter(is).cloned().collect()
    }

    /// Adds what sysfs reports, where it is not known. Whether it was not.
    pub fn found(&mut self, condition: Condition) -> bool {
        let is_failed = condition.condition == "array_degraded";
        let same = |c: &Condition| {
            (c.condition == condition.condition || (is_failed && c.condition == "array_failed"))
                && c.device.is(&condition.device)
        };
        if self.conditions.iter().any(same) {
            return false;
        }
        self.keep(condition);
        true
    }

    /// Takes out what no event reported.
    pub(super) fn take_found(&mut self) -> Vec<Condition> {
        let (found, reported) = self.conditions.drain(..).partition(|condition| condition.event_id.is_none());
        self.conditions = reported;
        found
    }

    /// Takes out what is left to an event to open.
    pub fn remove(&mut self, which: &dyn Fn(&Condition) -> bool) {
        self.conditions.retain(|condition| !which(condition));
    }

    /// Takes what a look at a copy of this table, made earlier, has changed in it; not of what has happened since.
    pub fn take_look(&mut self, before: &Self, after: Self) {
        // Looking may have given a device other names: the order is kept, and what sysfs alone reports stands behind.
        let reported = |c: &Condition| c.event_id.is_some();
        let (looked, found): (Vec<_>, Vec<_>) = after.conditions.into_iter().partition(reported);
        let mut looked = looked.into_iter().peekable();
        let mut seen: Vec<(&Condition, Option<Condition>)> = Vec::new();
        for old in before.conditions.iter().filter(|c| reported(c)) {
            let is_it = |new: &Condition| {
                new.condition == old.condition && new.event_id == old.event_id && new.last == old.last
            };
            seen.push((old, looked.next_if(|new| is_it(new))));
        }
        self.conditions.retain_mut(|mine| {
            let same = |(old, _): &&(&Condition, Option<Condition>)| {
                old.condition == mine.condition && old.device.is(&mine.device) && old.last == mine.last
            };
            match seen.iter().find(same) {
                Some((old, Some(new))) => {
                    mine.take_look(old, new);
                    true
                }
                Some((_, None)) => false,
                None => reported(mine),
            }
        });
        for found in found {
            self.found(found);
        }
    }

    /// Adds what was the case before the first event of this table.
    pub fn add_older(&mut self, mut older: Self) {
        older.enter_boot(&self.boot_id);
        self.since = self.since.min(older.since).or(older.since);
        self.until = self.until.max(older.until);
        self.dropped += older.dropped;
        for mut condition in older.conditions {
            let Some(row) = row(&condition.condition) else { continue };
            let ended = self.ends.iter().any(|end| {
                end.ends(row, &condition.device) && condition.last.is_none_or(|last| end.at >= last)
            });
            let same = |c: &Condition| c.condition == condition.condition && c.device.is(&condition.device);
            if let Some(place) = self.conditions.iter().position(same) {
                let mine = self.conditions.remove(place);
                condition =
                    Condition { since: condition.since.or(mine.since), event_id: condition.event_id, ..mine };
            } else if ended {
                continue;
            }
            self.keep(condition);
        }
    }

    fn open(&mut self, row: &'static Row, event: &Event) -> Change {
        let Some(subject) = row.subject(event) else { return Change::Nothing };
        let new = Condition::opened(row, event, subject);
        if self.ends.iter().any(|end| end.was_end_of(&new, event)) {
            return Change::Nothing;
        }
        let same = |c: &&mut Condition| c.condition == row.name && c.device.is(&new.device);
        if let Some(known) = self.conditions.iter_mut().find(same) {
            known.note(row, event);
            // It has another name or number now, or is better known.
            if known.device.boot_id != new.device.boot_id || !new.device.mount_points.is_empty() {
                known.device = new.device;
            }
            return Change::Known;
        }
        self.keep(new);
        Change::Opened
    }

    fn keep(&mut self, condition: Condition) {
        if self.conditions.len() >= CONDITIONS_MAX {
            let oldest =
                self.conditions.iter().enumerate().min_by_key(|(_, c)| c.last).map(|(place, _)| place);
            if let Some(place) = oldest {
                self.conditions.remove(place);
                self.dropped += 1;
            }
        }
        self.conditions.push(condition);
    }

    /// Its filesystem works anew: whether it is whole is for [`Check::CleanMount`] to say.
    fn mounted(&mut self, event: &Event) {
        let subjects = subjects(event);
        for condition in &mut self.conditions {
            let later = condition.last.is_none_or(|last| event.last_timestamp >= last);
            if later && subjects.iter().any(|subject| subject.is(&condition.device)) {
                condition.mounted_again = Some(event.last_timestamp);
            }
        }
    }

    fn close(&mut self, event: &Event) -> bool {
        let Some(mut end) = End::by(event) else { return false };
        let before = self.conditions.len();
        self.conditions.retain(|condition| !end.is_end_of(condition));
        if self.conditions.len() == before
            && let Some(place) = self.only_unnamed(&end)
        {
            // A late revision of what opened it opens it no more.
            end.subjects.push(self.conditions.remove(place).device);
        }
        if self.ends.len() >= ENDS_MAX {
            self.ends.pop_front();
        }
        self.ends.push_back(end);
        self.conditions.len() < before
    }

    /// What could not be named, and is the only one of its kind: it ends with what ends its kind.
    fn only_unnamed(&self, end: &End) -> Option<usize> {
        let mut fitting =
            self.conditions.iter().enumerate().filter(|(_, condition)| end.could_end(condition));
        let (place, _) = fitting.next()?;
        fitting.next().is_none().then_some(place)
    }
}

#[cfg(test)]
mod tests;
