//! The conditions that are open.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    condition::{Condition, Subject, subjects},
    rows::{Check, ROWS, Row, row},
};
use crate::event::Event;

/// Conditions that are kept; past it the one that was heard of the longest ago goes.
const CONDITIONS_MAX: usize = 512;
/// Ends that are remembered, so that a late revision of the event before does not open the condition again.
const ENDS_MAX: usize = 256;
/// How far the clocks of two sources may be apart.
const APART: SignedDuration = SignedDuration::from_millis(500);

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
}

#[derive(Clone, Debug)]
struct End {
    event_type: String,
    subjects: Vec<Subject>,
    at: Timestamp,
}

impl End {
    fn ends(&self, row: &Row, subject: &Subject) -> bool {
        row.is_closed_by(&self.event_type) && self.subjects.iter().any(|other| other.is(subject))
    }
}

impl Table {
    /// Takes an event, or a later revision of one.
    pub fn apply(&mut self, event: &Event) -> Change {
        let closed = self.close(event);
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

    /// How many conditions were dropped for lack of room.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Ends what `is_over` says, and what was quiet for long enough.
    pub fn settle(&mut self, now: Timestamp, is_over: &dyn Fn(Check, &Condition) -> bool) {
        self.conditions.retain(|condition| {
            let Some(row) = row(&condition.condition) else { return true };
            let quiet = row.quiet_s > 0
                && condition.last.is_some_and(|last| now.duration_since(last).as_secs() >= row.quiet_s);
            !quiet && !row.checks.iter().any(|check| is_over(*check, condition))
        });
    }

    /// Adds what sysfs tells, where it is not known.
    pub fn found(&mut self, condition: Condition) {
        let same = |c: &&mut Condition| c.condition == condition.condition && c.device.is(&condition.device);
        if self.conditions.iter_mut().find(same).is_none() {
            self.keep(condition);
        }
    }

    /// Adds what was the case before the first event of this table.
    pub fn add_older(&mut self, older: Self) {
        self.dropped += older.dropped;
        for mut condition in older.conditions {
            let Some(row) = row(&condition.condition) else { continue };
            let ended = self.ends.iter().any(|end| {
                end.ends(row, &condition.device) && condition.last.is_none_or(|last| end.at >= last)
            });
            let same = |c: &Condition| c.condition == condition.condition && c.device.is(&condition.device);
            if let Some(place) = self.conditions.iter().position(same) {
                let mine = self.conditions.remove(place);
                condition = Condition { since: condition.since, event_id: condition.event_id, ..mine };
            } else if ended {
                continue;
            }
            self.keep(condition);
        }
    }

    fn open(&mut self, row: &'static Row, event: &Event) -> Change {
        let Some(subject) = row.subject(event) else { return Change::Nothing };
        let at = event.last_timestamp;
        // Said by the same event that it also ends: the device that went is another condition than those of its time.
        let over = |end: &End| end.event_type != event.event_type.as_str() && end.at >= at;
        if self.ends.iter().any(|end| over(end) && end.ends(row, &subject)) {
            return Change::Nothing;
        }
        let same = |c: &&mut Condition| c.condition == row.name && c.device.is(&subject);
        if let Some(known) = self.conditions.iter_mut().find(same) {
            known.since = known.since.min(Some(event.first_timestamp)).or(Some(event.first_timestamp));
            known.last = known.last.max(Some(at));
            known.event_id = known.event_id.or(Some(event.event_id));
            known.last_event_id = Some(event.event_id);
            known.event_type = Some(event.event_type.clone());
            known.severity = known.severity.min(event.severity);
            (known.count, known.msg) = (event.count, event.msg.clone());
            if !subject.mount_points.is_empty() {
                known.device = subject;
            }
            return Change::Known;
        }
        self.keep(Condition {
            condition: row.name.to_owned(),
            since: Some(event.first_timestamp),
            last: Some(at),
            event_id: Some(event.event_id),
            last_event_id: Some(event.event_id),
            event_type: Some(event.event_type.clone()),
            severity: event.severity,
            count: event.count,
            device: subject,
            msg: event.msg.clone(),
        });
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

    fn close(&mut self, event: &Event) -> bool {
        let event_type = event.event_type.as_str();
        if !ROWS.iter().any(|row| row.is_closed_by(event_type)) {
            return false;
        }
        let end =
            End { event_type: event_type.to_owned(), subjects: subjects(event), at: event.last_timestamp };
        let before = self.conditions.len();
        self.conditions.retain(|condition| {
            let later = condition.last.is_some_and(|last| last.duration_since(end.at) > APART);
            let Some(row) = row(&condition.condition) else { return true };
            later || !end.ends(row, &condition.device)
        });
        if self.ends.len() >= ENDS_MAX {
            self.ends.pop_front();
        }
        self.ends.push_back(end);
        self.conditions.len() < before
    }
}

#[cfg(test)]
mod tests;
