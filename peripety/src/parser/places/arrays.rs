//! Arrays with parity: how many members they need, as the kernel says when they start, or as follows from the first member that
//! fails. Before 5.11 the kernel says only how many are left.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{
    event::{EventType, Severity},
    parser::{Kdev, RawEvent},
};

/// Arrays that are remembered.
const MOST: usize = 128;

/// What the lines begin with that say how many members an array has.
pub(super) const BEGINNINGS: [&str; 2] = ["md/raid", "raid"];

/// Arrays, each with how many members it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Arrays(VecDeque<(String, u64)>);

impl Arrays {
    /// `md/raid:md0: raid level 5 active with 3 out of 4 devices, algorithm 2`, and of old kernels `raid5: raid level 5 set md0
    /// active with 4 out of 4 devices, algorithm 2`. Whether anything changed.
    pub(super) fn learn(&mut self, text: &str) -> bool {
        let is_named = BEGINNINGS.iter().any(|start| text.starts_with(start));
        is_named && self.started(text).unwrap_or_default()
    }

    fn started(&mut self, text: &str) -> Option<bool> {
        let (before, rest) = text.split_once(": raid level ")?;
        let (level, rest) = rest.split_once(' ')?;
        let array = match rest.strip_prefix("set ") {
            Some(rest) => rest.split_once(' ')?.0,
            None => before.strip_prefix("md/raid:")?,
        };
        let (_, total) = rest.split_once(" out of ")?;
        let total: u64 = total.split_once(" devices")?.0.parse().ok()?;
        let spare = match level {
            "4" | "5" => 1,
            "6" => 2,
            _ => return None,
        };
        Some(self.set(array, total.saturating_sub(spare)))
    }

    fn set(&mut self, array: &str, needed: u64) -> bool {
        let array = array.get(..array.len().min(32)).unwrap_or_default();
        if let Some((_, known)) = self.0.iter_mut().find(|(name, _)| name == array) {
            let is_new = *known != needed;
            *known = needed;
            return is_new;
        }
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((array.to_owned(), needed));
        true
    }

    /// That an array cannot go on, where a member failed and fewer are left than it needs; and whether anything was learned of
    /// the array.
    pub(super) fn failed_with(&mut self, raw: &RawEvent) -> (Option<RawEvent>, bool) {
        let mut changed = false;
        (self.failed(raw, &mut changed), changed)
    }

    fn failed(&mut self, raw: &RawEvent, changed: &mut bool) -> Option<RawEvent> {
        if raw.event_type != EventType::MD_DISK_FAILED || raw.program {
            return None;
        }
        let md = raw.facts.md.as_ref()?;
        let left = u64::from(md.devices_left?);
        let is_single = md.level.as_deref().is_some_and(|level| ["raid4", "raid5"].contains(&level));
        // Of old kernels the level is all that names the array.
        let array = md.array.as_deref().or(md.level.as_deref())?.to_owned();
        let needed = self.0.iter().find(|(name, _)| *name == array).map(|(_, needed)| *needed);
        let Some(needed) = needed else {
            if is_single {
                *changed = self.set(&array, left);
            }
            return None;
        };
        (left < needed).then(|| {
            let info = EventType::MD_ARRAY_FAILED.info();
            let mut failed = RawEvent { event_type: EventType::MD_ARRAY_FAILED, ..raw.clone() };
            // The id of an event is made of this: both come of one line.
            failed.sequence = format!("{}/array", raw.sequence);
            failed.severity = info.map_or(Severity::Critical, |info| info.severity);
            if md.array.is_some() {
                failed.kdev = Kdev::Name(array);
            }
            failed
        })
    }
}
