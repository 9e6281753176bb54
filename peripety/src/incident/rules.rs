//! Which event explains which: one table.
//!
//! A row says that an event of one class explains one of another class, on the same device or on one that is made of it, as
//! long as the first is not over, or within the time that error handling of the device may take. What stands in no row is
//! not linked: a wrong link is worse than none.

mod fits;
mod table;

use jiff::SignedDuration;

pub(crate) use self::table::{placed, rules, unplaced};
use super::{class::Class, facet::Facet};
use crate::event::incident::{Certainty, Relation};

/// How the devices of two events have to stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The same device.
    Same,
    /// The first is part of what the second is made of, or of the way to it.
    Below,
    /// Either of the two.
    SameOrBelow,
    /// The second is part of the way to the first.
    Above,
    /// Nothing says how they stand to each other, and there is one incident only that fits.
    Unplaced,
}

/// How long after the first event the second may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// As long as the incident is not over.
    Open,
    /// As long as error handling of either device may take.
    Patience,
    /// What follows at once: the clocks of two sources may be apart by that much.
    Prompt,
}

/// What follows at once.
const PROMPT: SignedDuration = SignedDuration::from_secs(2);
/// Text is stamped when it is printed, and a source may lag behind another.
pub(crate) const SLACK: SignedDuration = SignedDuration::from_millis(1200);

/// One row: an event of a class in `cause` explains one of a class in `effect`.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Its name, which incidents give as their reason.
    pub name: &'static str,
    /// What explains.
    pub cause: &'static [Class],
    /// What is explained.
    pub effect: &'static [Class],
    /// How their devices stand to each other.
    pub place: Place,
    /// How long after.
    pub within: Within,
    /// What the second event is to the first.
    pub relation: Relation,
    /// How sure it is.
    pub certainty: Certainty,
    /// It holds in whichever order the two came.
    pub either_order: bool,
    /// What else has to be so.
    pub fits: fn(&Facet, &Facet) -> bool,
}

/// How sure a rule by this name is. What no rule linked is what it is.
pub(super) fn certainty(name: &str) -> Certainty {
    let rule = rules().find(|rule| rule.name == name);
    rule.map_or(Certainty::Certain, |rule| rule.certainty)
}

/// Whether a rule by this name links what nothing places: the only one of the moment.
pub(super) fn is_guess(name: &str) -> bool {
    unplaced().iter().any(|rule| rule.name == name)
}

impl Rule {
    /// Whether `cause` explains `effect` by this rule. Whether their incident is open is for the caller to know.
    pub(crate) fn explains(&self, cause: &Facet, effect: &Facet) -> bool {
        self.cause.contains(&cause.class)
            && self.effect.contains(&effect.class)
            && self.is_placed(cause, effect)
            && self.in_time(cause, effect)
            && (self.fits)(cause, effect)
    }

    fn is_placed(&self, cause: &Facet, effect: &Facet) -> bool {
        match self.place {
            Place::Same => cause.is_of(effect),
            Place::Below => cause.is_below(effect),
            Place::SameOrBelow => cause.is_of(effect) || cause.is_below(effect),
            Place::Above => effect.is_below(cause),
            Place::Unplaced => cause.boot == effect.boot,
        }
    }

    fn in_time(&self, cause: &Facet, effect: &Facet) -> bool {
        let gap = if cause.first <= effect.first {
            effect.first.duration_since(cause.last)
        } else {
            cause.first.duration_since(effect.last)
        };
        let later = cause.first > effect.first.saturating_add(SLACK).unwrap_or(effect.first);
        if later && !self.either_order {
            return false;
        }
        let patience = cause.patience.max(effect.patience);
        match self.within {
            // What came first is explained late only while error handling goes on.
            // That a device is gone explains what its end was seen by, and not what troubled it before.
            _ if later && cause.class == Class::Removed => cause.first.duration_since(effect.first) <= PROMPT,
            Within::Open => !later || gap <= patience,
            Within::Patience => gap <= patience,
            Within::Prompt => gap <= PROMPT,
        }
    }
}
