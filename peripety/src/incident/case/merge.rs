//! Two incidents that turn out to be one.

use super::{CONDITIONS_MAX, Case, FACETS_MAX, KEYS_MAX, push};
use crate::event::incident::State;

impl Case {
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
        self.signs.take(std::mem::take(&mut other.signs));
        self.only_signs &= other.only_signs;
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
}
