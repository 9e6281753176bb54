//! Early signs: what failed nothing and comes so often that a failure is near.
//!
//! Each incident counts the events that are signs ([`table`]), by type. When as many come within as long as the limits of
//! their kind say, the incident is at least a warning, says so in its title, and stays open until it was quiet for longer: so
//! the failure that follows finds it. That is what a SERD engine of fault managers does, with an end.

mod limits;
mod table;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use self::{
    limits::{COUNT_MAX, LONGEST_S, Limit, Limits, QUIET_MAX_S},
    table::{Foretells, KINDS, of_type},
};
use crate::event::{Event, EventType, incident::EarlySign};

/// Moments that are kept of one type. Beyond that the nearest two become one, so that a sign may come early and never late.
const MOMENTS_MAX: usize = 64;

/// The signs of one incident.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signs(BTreeMap<String, Tally>);

/// How often events of one type came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tally {
    /// When, and how many.
    moments: Vec<(Timestamp, u64)>,
    /// That it was more than the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passed: Option<Passed>,
}

/// More came than the limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Passed {
    since: Timestamp,
    last: Timestamp,
    /// The most that came within the time of the limit.
    most: u64,
    limit: Limit,
    /// It was quiet for long enough since.
    over: bool,
}

impl Passed {
    fn quiet_at(&self) -> Timestamp {
        let quiet = SignedDuration::from_secs(i64::from(self.limit.quiet_s));
        self.last.checked_add(quiet).unwrap_or(Timestamp::MAX)
    }
}

impl Signs {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// So many more came of an event, the latest of them now.
    pub(super) fn count(&mut self, event: &Event, more: u64) {
        if more == 0 || of_type(event.event_type.as_str()).is_none() {
            return;
        }
        let tally = self.0.entry(event.event_type.as_str().to_owned()).or_default();
        // Those of one writing came since the writing before: no more of them than fit are of the longest time that counts.
        let before = tally.moments.last().map_or(event.first_timestamp, |(at, _)| *at);
        let span = event.last_timestamp.duration_since(before.max(event.first_timestamp)).as_secs();
        let longest = i64::from(LONGEST_S);
        let more = match (u64::try_from(span), u64::try_from(longest)) {
            (Ok(span), Ok(longest)) if span > longest => (more.saturating_mul(longest) / span).max(1),
            _ => more,
        };
        tally.add(event.last_timestamp, more);
    }

    /// Holds what came against the limits. Whether a limit was passed that was not before.
    pub(super) fn judge(&mut self, limits: &Limits) -> bool {
        let mut any = false;
        for (event_type, tally) in &mut self.0 {
            if let Some(kind) = of_type(event_type) {
                any |= tally.judge(limits.of(kind));
            }
        }
        any
    }

    /// When those that were passed are over, if nothing more comes.
    pub(super) fn quiet_at(&self) -> Option<Timestamp> {
        self.passed().filter(|(_, passed)| !passed.over).map(|(_, passed)| passed.quiet_at()).max()
    }

    /// The same of those that count only as a series: the end of one of it is no end of the series.
    pub(super) fn flaps_until(&self) -> Option<Timestamp> {
        let is_series = |passed: &Passed| !passed.over && passed.limit.is_series();
        self.passed().filter(|(_, passed)| is_series(passed)).map(|(_, passed)| passed.quiet_at()).max()
    }

    /// The incident is over.
    pub(super) fn end(&mut self) {
        for tally in self.0.values_mut() {
            // What counted is no part of what may begin anew.
            if let Some(passed) = &mut tally.passed {
                passed.over = true;
                tally.moments.clear();
            }
        }
    }

    /// All of another incident is part of this one.
    pub(super) fn take(&mut self, other: Self) {
        for (event_type, theirs) in other.0 {
            let mine = self.0.entry(event_type).or_default();
            for (at, many) in theirs.moments {
                mine.add(at, many);
            }
            mine.passed = match (mine.passed, theirs.passed) {
                (Some(one), Some(two)) => Some(if one.over && !two.over { two } else { one }),
                (one, two) => one.or(two),
            };
        }
    }

    /// What was counted of a type, in words: `12 recovered errors in 1 h`.
    pub(super) fn words(&self, event_type: &EventType) -> Option<String> {
        let (kind, passed) = self.passed().find(|(name, _)| *name == event_type.as_str())?;
        let kind = of_type(kind)?;
        passed
            .limit
            .is_series()
            .then(|| format!("{} {} in {}", passed.most, kind.words, span(passed.limit.within_s)))
    }

    /// What came so often that more of it is waited for, in words.
    pub(super) fn waited_for(&self) -> Option<String> {
        let open = self.passed().filter(|(_, passed)| !passed.over).max_by_key(|(_, passed)| passed.most);
        self.words(&EventType::new(open?.0.to_owned()))
    }

    /// As incidents give them: of a kind that type of which most came, for two may be about the same.
    pub(super) fn shown(&self) -> Vec<EarlySign> {
        let mut all: Vec<EarlySign> = Vec::new();
        for (event_type, passed) in self.passed() {
            let Some(kind) = of_type(event_type) else { continue };
            let sign = EarlySign {
                kind: kind.name.to_owned(),
                event_type: EventType::new(event_type.to_owned()),
                count: passed.most,
                within_s: passed.limit.within_s,
                since: passed.since,
                last: passed.last,
                words: format!("{} {} in {}", passed.most, kind.words, span(passed.limit.within_s)),
                meaning: kind.meaning.to_owned(),
            };
            match all.iter_mut().find(|known| known.kind == sign.kind) {
                Some(known) if known.count >= sign.count => {}
                Some(known) => *known = sign,
                None => all.push(sign),
            }
        }
        all
    }

    fn passed(&self) -> impl Iterator<Item = (&str, &Passed)> {
        self.0.iter().filter_map(|(name, tally)| Some((name.as_str(), tally.passed.as_ref()?)))
    }
}

impl Tally {
    fn add(&mut self, at: Timestamp, many: u64) {
        let place = self.moments.partition_point(|(known, _)| *known <= at);
        match place.checked_sub(1).and_then(|before| self.moments.get_mut(before)) {
            Some((known, count)) if *known == at => *count = count.saturating_add(many),
            _ => self.moments.insert(place, (at, many)),
        }
        let latest = self.moments.last().map_or(at, |(at, _)| *at);
        self.moments.retain(|(at, _)| is_within(*at, latest, LONGEST_S));
        if self.moments.len() > MOMENTS_MAX {
            let gap = |pair: &[(Timestamp, u64)]| match pair {
                [(one, _), (two, _)] => two.duration_since(*one),
                _ => SignedDuration::MAX,
            };
            let nearest = self.moments.windows(2).enumerate().min_by_key(|(_, pair)| gap(pair));
            if let Some((n, _)) = nearest {
                let (_, many) = self.moments.remove(n);
                if let Some((_, count)) = self.moments.get_mut(n) {
                    *count = count.saturating_add(many);
                }
            }
        }
    }

    fn judge(&mut self, limit: Limit) -> bool {
        let Some((latest, _)) = self.moments.last().copied().filter(|_| limit.count > 0) else {
            return false;
        };
        let now: u64 = self
            .moments
            .iter()
            .filter(|(at, _)| is_within(*at, latest, limit.within_s))
            .fold(0, |sum, (_, many)| sum.saturating_add(*many));
        let is_many = now >= u64::from(limit.count);
        match &mut self.passed {
            // One more of what is near its end already starts the time of quiet anew, however few they are.
            Some(passed) if !passed.over => {
                passed.last = passed.last.max(latest);
                passed.most = passed.most.max(now);
                false
            }
            _ if is_many => {
                self.passed = Some(Passed { since: latest, last: latest, most: now, limit, over: false });
                true
            }
            _ => false,
        }
    }
}

fn is_within(at: Timestamp, latest: Timestamp, seconds: u32) -> bool {
    latest.duration_since(at) <= SignedDuration::from_secs(i64::from(seconds))
}

/// A time in words.
fn span(seconds: u32) -> String {
    match seconds {
        s if s >= 3600 && s.is_multiple_of(3600) => format!("{} h", s / 3600),
        s if s >= 60 && s.is_multiple_of(60) => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}
