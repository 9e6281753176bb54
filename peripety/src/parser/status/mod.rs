//! What changed in the status of a map or an array: the kernel shows how things are, and an event is what was not so before.
//!
//! Each kind of target has a function that compares the status before with that of now; at the first look the status before
//! is none, and what is wrong then is said too. What was seen last is kept by [`Mappings`] and survives the daemon, so that
//! nothing is said twice and nothing that happened meanwhile is missed.

mod array;
mod guard;
mod legs;
mod space;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use peripety_block::status::{ArrayStatus, MapStatus, Status, TargetLine};
use serde::{Deserialize, Serialize};

use self::space::Level;
use super::{Kdev, RawEvent};
use crate::{
    block::Dev,
    checkpoint::Checkpoint,
    event::{EventType, SubSystem},
    record::Stamp,
};

/// As they stand in an event's `sources`.
pub(crate) const DM_SOURCE: &str = "dm_status";
pub(crate) const MD_SOURCE: &str = "md_status";

/// Maps and arrays that are remembered.
const MOST: usize = 4096;
/// The whole line of a target that could not ask its metadata (dm-thin.c, dm-cache-target.c, dm-era-target.c).
const NOT_SAID: &str = "Error";

/// A map as it was seen last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    map: MapStatus,
    /// Fill levels that were said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    levels: Vec<Level>,
}

impl Seen {
    /// What the same target said then.
    fn line(&self, now: &TargetLine) -> Option<&TargetLine> {
        self.map.targets.iter().find(|old| old.start == now.start && old.target == now.target)
    }
}

/// A note of what changed: how a map or an array is now, or that it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Noted {
    /// A map.
    Map(Seen),
    /// An array.
    Array(ArrayStatus),
    /// It is there no more.
    Gone(Dev),
}

/// All maps and arrays of which the status is known.
#[derive(Debug, Default)]
pub(crate) struct Mappings {
    maps: BTreeMap<Dev, Seen>,
    arrays: BTreeMap<Dev, ArrayStatus>,
    /// Since they were last saved.
    changed: VecDeque<Dev>,
}

impl Mappings {
    /// Takes the status of a map; gives what it says that was not so before.
    pub(crate) fn map(&mut self, now: &MapStatus, time: Stamp) -> Vec<RawEvent> {
        let known = self.maps.remove(&now.dev);
        // Another map may have its number.
        let known = known
            .filter(|seen| seen.map.uuid == now.uuid && (!now.uuid.is_empty() || seen.map.name == now.name));
        let mut levels = known.as_ref().map(|seen| seen.levels.clone()).unwrap_or_default();
        let mut out = Draft { map: now, time, line: None, events: Vec::new() };
        for line in &now.targets {
            let Some(status) = line.decode() else { continue };
            let before = known.as_ref().and_then(|seen| seen.line(line)?.decode());
            out.line = Some(line);
            compare(before.as_ref(), &status, &mut out);
            space::compare(&status, line, &mut levels, &mut out);
        }
        levels.retain(|level| now.targets.iter().any(|line| line.start == level.start));
        let events = out.events;
        self.note(now.dev);
        if self.maps.len() < MOST {
            let mut map = now.clone();
            for line in map.targets.iter_mut().filter(|line| line.line.trim() == NOT_SAID) {
                // What the kernel could not say this time is as it was.
                if let Some(old) = known.as_ref().and_then(|seen| seen.line(line)) {
                    line.line.clone_from(&old.line);
                }
            }
            self.maps.insert(now.dev, Seen { map, levels });
        }
        events
    }

    /// The same for an array of md.
    pub(crate) fn array(&mut self, now: &ArrayStatus, time: Stamp) -> Vec<RawEvent> {
        let before = self.arrays.remove(&now.dev).filter(|before| before.name == now.name);
        self.note(now.dev);
        if self.arrays.len() < MOST {
            self.arrays.insert(now.dev, now.clone());
        }
        array::compare(before.as_ref().map(|before| &before.array), now, time)
    }

    /// A device went: what comes next with its number is another one.
    pub(crate) fn forget(&mut self, dev: Dev) {
        if self.maps.remove(&dev).is_some() || self.arrays.remove(&dev).is_some() {
            self.note(dev);
        }
    }

    fn note(&mut self, dev: Dev) {
        if !self.changed.contains(&dev) {
            self.changed.push_back(dev);
        }
    }

    fn noted(&self, dev: Dev) -> Noted {
        if let Some(seen) = self.maps.get(&dev) {
            return Noted::Map(seen.clone());
        }
        self.arrays.get(&dev).map_or(Noted::Gone(dev), |array| Noted::Array(array.clone()))
    }
}

impl Checkpoint for Mappings {
    type State = Vec<Noted>;

    fn save(&mut self, all: bool) -> Option<Self::State> {
        let changed = std::mem::take(&mut self.changed);
        let devs: Vec<Dev> =
            if all { self.maps.keys().chain(self.arrays.keys()).copied().collect() } else { changed.into() };
        (all || !devs.is_empty()).then(|| devs.into_iter().map(|dev| self.noted(dev)).collect())
    }

    fn restore(&mut self, state: Self::State) {
        for noted in state {
            match noted {
                Noted::Map(seen) => drop(self.maps.insert(seen.map.dev, seen)),
                Noted::Array(array) => drop(self.arrays.insert(array.dev, array)),
                Noted::Gone(dev) => {
                    self.maps.remove(&dev);
                    self.arrays.remove(&dev);
                }
            }
        }
    }
}

fn compare(before: Option<&Status>, now: &Status, out: &mut Draft<'_>) {
    // What is of another kind than before is compared with nothing.
    match (before, now) {
        (Some(Status::Mirror(before)), Status::Mirror(now)) => legs::mirror(Some(before), now, out),
        (_, Status::Mirror(now)) => legs::mirror(None, now, out),
        (Some(Status::Raid(before)), Status::Raid(now)) => legs::raid(Some(before), now, out),
        (_, Status::Raid(now)) => legs::raid(None, now, out),
        (Some(Status::ThinPool(before)), Status::ThinPool(now)) => space::pool(Some(before), now, out),
        (_, Status::ThinPool(now)) => space::pool(None, now, out),
        (before, Status::Snapshot(now)) => {
            space::snapshot(before == Some(&Status::Snapshot(*now)), *now, out)
        }
        (before, now) => guard::compare(before, now, out),
    }
}

/// What is being found of one map.
pub(super) struct Draft<'a> {
    map: &'a MapStatus,
    line: Option<&'a TargetLine>,
    time: Stamp,
    events: Vec<RawEvent>,
}

impl Draft<'_> {
    /// An event about the map, or about a member of it.
    fn say(&mut self, event_type: EventType, about: Option<Dev>, words: String) -> &mut RawEvent {
        let dev = about.unwrap_or(self.map.dev);
        let at = self.time.monotonic_ns.unwrap_or(0);
        let sequence = format!("{at}/{}/{dev}/{event_type}/{}", self.map.dev, self.events.len());
        let mut raw = RawEvent::new(self.time, DM_SOURCE, sequence, event_type);
        raw.kdev = Kdev::Dev(dev);
        if let Some(line) = self.line {
            raw.sub_system = SubSystem::new(&format!(
                "dm-{}",
                line.target.trim_end_matches("-pool").trim_end_matches("-merge")
            ));
        }
        let dm = raw.facts.dm.get_or_insert_default();
        dm.name = Some(self.map.name.clone());
        dm.uuid = Some(self.map.uuid.clone()).filter(|uuid| !uuid.is_empty());
        dm.message = Some(words);
        let index = self.events.len();
        self.events.push(raw);
        // It was pushed just now.
        #[expect(clippy::indexing_slicing, reason = "the index is that of the last push")]
        &mut self.events[index]
    }
}
