//! One event for the rest, where a cause makes more events than anybody reads: files of a filesystem that was shut down,
//! devices behind a controller.
//!
//! The first of them are events of their own. What follows goes into one event that grows: it names some of its members
//! and counts all.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::key::{BuildKeyHasher, FoldKey};
use crate::event::{
    EventType,
    facts::{self, GroupFacts},
};

/// Events of one type on one device that are distinguished; what else fails there goes into one more.
pub(super) const APART_MOST: u32 = 16;
/// For how long without another one they count as of one cause.
const CAUSE_NS: u64 = 60_000_000_000;
/// Devices and types of which that is known.
const OPENINGS_MOST: usize = 1024;
/// Members that are named.
pub(super) const NAMED_MOST: usize = 32;
/// Members that are distinguished, to count them.
const SEEN_MOST: usize = 1 << 16;

/// How many events of a type a device had of late.
#[derive(Debug, Default)]
pub(super) struct Openings(HashMap<FoldKey, (u32, u64), BuildKeyHasher>);

impl Openings {
    /// One more event would be opened. Whether there were so many that it goes with the rest.
    pub(super) fn is_too_many(&mut self, of_type: FoldKey, now_ns: u64) -> bool {
        let is_old = |last_ns: u64| now_ns.saturating_sub(last_ns) > CAUSE_NS;
        if self.0.len() >= OPENINGS_MOST && !self.0.contains_key(&of_type) {
            self.0.retain(|_, (_, last_ns)| !is_old(*last_ns));
            if self.0.len() >= OPENINGS_MOST {
                self.0.clear();
            }
        }
        let (count, last_ns) = self.0.entry(of_type).or_default();
        *count = if is_old(*last_ns) { 1 } else { count.saturating_add(1) };
        *last_ns = now_ns;
        *count > APART_MOST
    }
}

/// What the members of an event are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Of {
    /// Files that lost data.
    Files,
    /// Devices that fail.
    Devices,
    /// Anything else that distinguishes events of one type on one device.
    Others,
}

/// A member that is named.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Member {
    id: u64,
    names: facts::Member,
    count: u64,
}

/// Those for which one event stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Crowd {
    of: Of,
    named: Vec<Member>,
    total: u64,
    /// Those that were counted. Not kept over a restart: one that fails on after it may be counted twice.
    #[serde(skip)]
    seen: HashSet<u64, BuildKeyHasher>,
}

impl Crowd {
    /// None yet.
    pub(super) fn new(of: Of) -> Self {
        Self { of, named: Vec::new(), total: 0, seen: HashSet::default() }
    }

    /// `count` failures of a member; `names` is asked what it is called, if it is to be named.
    pub(super) fn add(&mut self, id: u64, count: u64, names: impl FnOnce() -> facts::Member) {
        if let Some(member) = self.named.iter_mut().find(|member| member.id == id) {
            member.count = member.count.saturating_add(count);
            return;
        }
        if self.seen.contains(&id) {
            return;
        }
        if self.seen.len() < SEEN_MOST {
            self.seen.insert(id);
        }
        self.total += 1;
        if self.named.len() < NAMED_MOST {
            self.named.push(Member { id, names: names(), count });
        }
    }

    /// How the members stand in an event.
    pub(super) fn facts(&self) -> GroupFacts {
        let member = |member: &Member| match self.of {
            Of::Files => facts::Member { pages: Some(member.count), ..member.names.clone() },
            Of::Devices | Of::Others => facts::Member { count: Some(member.count), ..member.names.clone() },
        };
        let (named, total) = (Some(self.named.iter().map(member).collect()), Some(self.total));
        match self.of {
            Of::Files => GroupFacts { files: named, files_total: total, ..GroupFacts::default() },
            Of::Devices => GroupFacts { devices: named, devices_total: total, ..GroupFacts::default() },
            Of::Others => GroupFacts { others: named, others_total: total, ..GroupFacts::default() },
        }
    }
}

/// What the members of events of a type are.
pub(super) fn of(event_type: &EventType) -> Of {
    if *event_type == EventType::BLK_LOST_WRITE { Of::Files } else { Of::Others }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::correlate::key::Scope;

    #[test]
    fn what_comes_in_a_row_is_too_much_and_what_comes_later_is_another_cause() {
        let mut openings = Openings::default();
        let key = FoldKey::typed(Scope::dev(1), "BLK_LOST_WRITE", 0);
        let mut reported = 0;
        for at in 0..100 {
            reported += u32::from(!openings.is_too_many(key, at * 1_000_000_000));
        }
        assert_eq!(reported, APART_MOST);
        assert!(!openings.is_too_many(FoldKey { scope: 2, ..key }, 100), "another device");
        assert!(!openings.is_too_many(key, 100 * 1_000_000_000 + 2 * CAUSE_NS));
        for scope in 0..10_000 {
            openings.is_too_many(FoldKey { scope, ..key }, 1);
        }
        assert!(openings.0.len() <= OPENINGS_MOST);
    }

    #[test]
    fn members_are_counted_once_and_some_are_named() {
        let mut crowd = Crowd::new(Of::Files);
        for round in 0..2 {
            for inode in 0..1000_u64 {
                crowd.add(inode, 1 + round, || facts::Member {
                    inode: Some(inode),
                    ..facts::Member::default()
                });
            }
        }
        let group = crowd.facts();
        assert_eq!(group.files_total, Some(1000));
        let files = group.files.unwrap();
        assert_eq!((files.len(), files[31].inode, files[31].pages), (NAMED_MOST, Some(31), Some(3)));
    }
}
