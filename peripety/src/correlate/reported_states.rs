//! What programs have said of the state of devices: a daemon repeats the same state for hours, and that is one failure.

use std::collections::BTreeMap;

use super::key::{Scope, hash};
use crate::{
    block::BlkInfo,
    checkpoint::Checkpoint,
    event::{EventType, Nature},
    parser::RawEvent,
};

/// States that are remembered. When there are more, all are forgotten, and reported once more.
const STATES_MAX: usize = 1024;

/// The last word on each device.
#[derive(Debug, Default)]
pub(super) struct ReportedStates {
    states: BTreeMap<(u64, u64), bool>,
    /// Since they were last saved.
    changed: bool,
}

/// What a state is about: the path of a map has one, whoever reports it; else each text is a state of its own.
const PATH: u64 = 0;

impl ReportedStates {
    /// Notes what an event says; returns whether it changed.
    pub(super) fn note(&mut self, raw: &RawEvent, scope: Scope, block: Option<&BlkInfo>) -> bool {
        let device = device(scope, block);
        if let Some(is_down) = path(&raw.event_type) {
            return self.set((device, PATH), is_down);
        }
        if raw.event_type.info().is_some_and(|info| info.nature == Nature::Clears) && raw.program {
            self.changed = true;
            self.states.retain(|(of, what), _| *of != device || *what == PATH);
        }
        !raw.state || self.set((device, hash(&raw.raw_msg) | 1), true)
    }

    fn set(&mut self, key: (u64, u64), value: bool) -> bool {
        if self.states.len() >= STATES_MAX && !self.states.contains_key(&key) {
            self.states.clear();
        }
        let changed = self.states.insert(key, value) != Some(value);
        self.changed |= changed;
        changed
    }
}

impl Checkpoint for ReportedStates {
    /// Device, state, whether it holds.
    type State = Vec<(u64, u64, bool)>;

    fn save(&mut self, all: bool) -> Option<Self::State> {
        let changed = std::mem::take(&mut self.changed) || all;
        changed.then(|| self.states.iter().map(|((of, what), value)| (*of, *what, *value)).collect())
    }

    fn restore(&mut self, state: Self::State) {
        self.states =
            state.into_iter().take(STATES_MAX).map(|(of, what, value)| ((of, what), value)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_was_reported_is_no_news_after_a_restart() {
        let time = crate::record::Stamp { monotonic_ns: Some(1), realtime_us: 1 };
        let down = RawEvent::new(time, "journal:multipathd", "1", EventType::MULTIPATHD_PATH_DOWN);
        let mut said = ReportedStates::default();
        assert!(said.note(&down, Scope::dev(1), None) && !said.note(&down, Scope::dev(1), None));
        let mut successor = crate::checkpoint::assert_survives(&mut said);
        assert!(!successor.note(&down, Scope::dev(1), None) && successor.note(&down, Scope::dev(2), None));
    }
}
