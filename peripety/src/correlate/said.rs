//! What programs have said of the state of devices: a daemon repeats the same state for hours, and that is one failure.

use std::collections::BTreeMap;

use super::key::{Scope, hash};
use crate::{
    block::BlkInfo,
    event::{EventType, Nature},
    parser::RawEvent,
};

/// States that are remembered. When there are more, all are forgotten, and told once more.
const STATES_MAX: usize = 1024;

/// The last word on each device.
#[derive(Debug, Default)]
pub struct Said(BTreeMap<(u64, u64), bool>);

/// What a state is about: the path of a map has one, whoever tells of it; else each text is a state of its own.
const PATH: u64 = 0;

impl Said {
    /// Notes what an event says; returns whether it is news.
    pub fn note(&mut self, raw: &RawEvent, scope: Scope, block: Option<&BlkInfo>) -> bool {
        let device = device(scope, block);
        if let Some(is_down) = path(&raw.event_type) {
            return self.set((device, PATH), is_down);
        }
        if raw.event_type.info().is_some_and(|info| info.nature == Nature::Clears) && raw.program {
            self.0.retain(|(of, what), _| *of != device || *what == PATH);
        }
        !raw.state || self.set((device, hash(&raw.raw_msg) | 1), true)
    }

    fn set(&mut self, key: (u64, u64), value: bool) -> bool {
        if self.0.len() >= STATES_MAX && !self.0.contains_key(&key) {
            self.0.clear();
        }
        self.0.insert(key, value) != Some(value)
    }
}

/// Whether an event says that a path is down, or up; none if it is about something else.
fn path(event_type: &EventType) -> Option<bool> {
    if [EventType::DM_MPATH_PATH_FAILED, EventType::MULTIPATHD_PATH_DOWN].contains(event_type) {
        return Some(true);
    }
    [EventType::DM_MPATH_PATH_REINSTATED, EventType::MULTIPATHD_PATH_UP].contains(event_type).then_some(false)
}

/// The device for good: a number may be given to another one.
fn device(scope: Scope, block: Option<&BlkInfo>) -> u64 {
    hash(&(scope.0, block.and_then(|b| b.id.diskseq)))
}
