//! The last revision of each event.

use std::collections::HashMap;

use crate::event::EventId;

/// The highest revision seen of each event: 20 bytes for each.
#[derive(Debug, Default)]
pub(super) struct Latest(HashMap<EventId, u32>);

impl Latest {
    /// Notes a revision; true when it is the highest so far.
    pub(super) fn note(&mut self, id: EventId, revision: u32) -> bool {
        match self.0.get_mut(&id) {
            Some(highest) if *highest >= revision => false,
            Some(highest) => {
                *highest = revision;
                true
            }
            None => {
                self.0.insert(id, revision);
                true
            }
        }
    }

    /// Whether this revision is the highest of its event, and was not asked about before.
    pub(super) fn take(&mut self, id: EventId, revision: u32) -> bool {
        self.0.get(&id) == Some(&revision) && self.0.remove(&id).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_highest_is_taken_and_only_once() {
        let id = uuid::Uuid::from_u128(1);
        let mut latest = Latest::default();
        assert!(latest.note(id, 0) && latest.note(id, 2) && !latest.note(id, 1) && !latest.note(id, 2));
        assert!(!latest.take(id, 0) && latest.take(id, 2) && !latest.take(id, 2));
    }
}
