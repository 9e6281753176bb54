//! What is wrong still, and when an incident is over.

use jiff::{SignedDuration, Timestamp};

use super::{CONDITIONS_MAX, Case, Ended, Facet};
use crate::{
    event::{
        Event,
        incident::{ImpactKind, State},
    },
    state::{Condition, End, rows},
};

/// The condition of a link, port or session that is lost.
const LINK_DOWN: &str = "link_down";
/// How many events may lie between a lost link and what came of it.
const DEPTH_MAX: usize = 8;

impl Case {
    pub(super) fn note_conditions(&mut self, event: &Event) {
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
                known.also_from(new.source.as_ref());
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
        let (mut over, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.conditions).into_iter().partition(|condition| is_over(condition));
        let is_way = |condition: &Condition| condition.condition == LINK_DOWN;
        let is_back = over.iter().any(is_way) && !left.iter().any(is_way);
        let of_way = |c: &Condition| is_back && c.last.is_none_or(|last| last <= at) && self.is_of_way(c);
        let (with_it, left): (Vec<_>, Vec<_>) = left.into_iter().partition(of_way);
        self.conditions = left;
        over.extend(with_it);
        let any = !over.is_empty();
        for Condition { condition, device, .. } in over {
            self.ended.retain(|e| e.condition != condition || !e.device.is(&device));
            if self.ended.len() >= CONDITIONS_MAX {
                self.ended.remove(0);
            }
            self.ended.push(Ended { condition, device, at });
        }
        if any && self.incident.state == State::Recovering && !self.waits_for_rebuild() {
            self.incident.state = State::Open;
        }
        any
    }

    /// Whether a condition says no more than that a device was not served, and that came of the way to it: no device failed.
    fn is_of_way(&self, condition: &Condition) -> bool {
        let row = rows::row(&condition.condition);
        let row = row.filter(|row| ["not_answering", "device_failing"].contains(&row.name));
        let opens = |facet: &&Facet| {
            row.is_some_and(|row| row.opens.contains(&facet.event_type.as_str()))
                && facet
                    .own
                    .iter()
                    .any(|name| name.strip_prefix("n:") == Some(condition.device.name.as_str()))
        };
        let mut of_it = self.facets.iter().filter(opens).peekable();
        of_it.peek().is_some() && of_it.all(|facet| facet.may_be_unserved() && self.comes_of_way(facet))
    }

    /// Whether an event that says that a link is down led to this one.
    fn comes_of_way(&self, facet: &Facet) -> bool {
        let mut because = facet.because;
        for _step in 0..DEPTH_MAX {
            let Some(cause) = because.and_then(|id| self.facets.iter().find(|f| f.event_id == id)) else {
                return false;
            };
            if rows::row(LINK_DOWN).is_some_and(|row| row.opens.contains(&cause.event_type.as_str())) {
                return true;
            }
            because = cause.because;
        }
        false
    }

    /// Whether an array lacks a member.
    pub(crate) fn waits_for_rebuild(&self) -> bool {
        self.conditions.iter().any(|c| matches!(c.condition.as_str(), "array_degraded" | "array_failed"))
    }

    /// What it was open for is over. Whether all of it is: where there were early signs, it has to be quiet as well.
    pub fn conclude(&mut self, at: Timestamp, by: &str) -> bool {
        if self.signs.flaps_until().is_none_or(|quiet| quiet <= at) {
            self.resolve(at, by.to_owned());
            return true;
        }
        self.drop_conditions(at, &|_| true);
        self.incident.state = State::Open;
        self.incident.updated = self.incident.updated.max(at);
        // What ended says nothing of how the signs end.
        (self.had_condition, self.errors) = (false, 0);
        (self.only_signs, self.dirty) = (true, true);
        false
    }

    /// It is over.
    pub fn resolve(&mut self, at: Timestamp, by: String) {
        let data_lost = self.harm.contains_key(&ImpactKind::DataLost);
        self.incident.needs_acknowledgement = data_lost && self.incident.acknowledged.is_none();
        self.drop_conditions(at, &|_| true);
        self.signs.end();
        (self.only_signs, self.dirty) = (false, true);
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
        } else if std::mem::take(&mut self.only_signs) {
            self.incident.episodes += 1;
        } else if self.incident.resolved_by.take().is_some() {
            self.incident.episodes += 1;
            self.incident.needs_acknowledgement = false;
        }
        // What ended before says nothing of how this ends.
        (self.had_condition, self.errors) = (false, 0);
        self.dirty = true;
    }

    /// When it is over if nothing more fails: a warning is of what failed nothing, and leaves nothing wrong. Of an error
    /// silence proves nothing. Early signs are over when it was quiet for as long as their limits say.
    pub fn quiet_at(&self) -> Option<Timestamp> {
        if !self.incident.state.is_open() || self.incident.resolved_by.is_some() {
            return None;
        }
        let at = self.quiet_beside_signs()?;
        Some(self.signs.quiet_at().map_or(at, |signs| signs.max(at)))
    }

    fn quiet_beside_signs(&self) -> Option<Timestamp> {
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
}
