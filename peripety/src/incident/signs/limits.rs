//! How many early signs in how long count.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::table::{Kind, by_name};

/// The most that may be asked for: a limit that cannot be reached says nothing.
pub(crate) const COUNT_MAX: u32 = 100_000;
/// The longest time: an incident is forgotten a day after it was over.
pub(crate) const LONGEST_S: u32 = 86_400;

/// The longest time of quiet: a month.
pub(crate) const QUIET_MAX_S: u32 = 31 * 86_400;

/// From when on signs of a kind count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limit {
    /// So many of them; 0: never.
    pub count: u32,
    /// Within so many seconds.
    pub within_s: u32,
    /// They are over after so many seconds without one.
    pub quiet_s: u32,
}

impl Limit {
    /// Whether it takes more than one.
    pub(super) const fn is_series(self) -> bool {
        self.count > 1
    }
}

/// The limits that a user set; those of other kinds are the table's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Limits(BTreeMap<String, Limit>);

impl Limits {
    /// The limit of a kind.
    pub(super) fn of(&self, kind: &Kind) -> Limit {
        self.0.get(kind.name).copied().unwrap_or(kind.limit)
    }

    /// Sets that of a kind, if there is one with this name.
    pub(crate) fn set(&mut self, name: &str, limit: Limit) {
        if by_name(name).is_some() {
            self.0.insert(name.to_owned(), limit);
        }
    }

    /// What is in force for a kind by its name.
    pub(crate) fn by_name(&self, name: &str) -> Option<Limit> {
        by_name(name).map(|kind| self.of(kind))
    }
}
