//! Every rule, the surest first, and the groups of classes that several of them name.

mod placed;
mod unplaced;

use super::{
    super::class::Class::{self, *},
    Rule,
};

const EVERY: &[Class] = &[
    Adapter, Bus, Way, Removed, NoAnswer, GivenUp, Command, Request, Guard, Path, NoPath, Member, Array, Low,
    Pool, Stacked, Zfs, Cache, Fs, Full, Contents, Checksum, Reaction, Mended, Service, Missing, Blocked,
    Predicted, Scan, Server, Bug, Own, Other,
];
const HARDWARE: &[Class] = &[Way, Removed, NoAnswer, GivenUp, Command, Request];
/// What may be said with no name in it.
const UNNAMED: &[Class] = &[
    Adapter, Bus, Way, NoAnswer, GivenUp, Command, Request, Guard, Path, NoPath, Member, Array, Low, Pool,
    Stacked, Zfs, Cache, Full, Checksum, Reaction, Mended, Server, Bug,
];
const ON_FILESYSTEM: &[Class] = &[Cache, Fs, Contents, Checksum, Reaction];

/// Every rule, the surest first.
pub(crate) fn rules() -> impl Iterator<Item = &'static Rule> {
    placed().iter().chain(unplaced())
}

/// Rules for events whose devices stand to each other in a known way.
pub(crate) const fn placed() -> &'static [Rule] {
    placed::RULES
}

/// Rules for events of which nothing says how their devices stand to each other.
pub(crate) const fn unplaced() -> &'static [Rule] {
    unplaced::RULES
}
