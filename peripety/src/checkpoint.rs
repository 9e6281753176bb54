//! What survives the daemon: a store says what of it changed, and a successor's takes that in.

use serde::{Serialize, de::DeserializeOwned};

/// A store that a daemon's successor goes on with, whenever the daemon is killed.
///
/// The daemon asks after each visit to its sources for what changed, and now and then for all of it, and writes that into the
/// checkpoint log (`daemon/checkpoint_log.rs`). What is written later replaces what was written before, or adds to it: that is the state's
/// to say.
pub(crate) trait Checkpoint {
    /// What is written of it.
    type State: Serialize + DeserializeOwned;

    /// What changed since the last call, or all of it; nothing if there is nothing to write.
    fn save(&mut self, all: bool) -> Option<Self::State>;

    /// Goes on from what was written. To be called before anything else is done with it.
    fn restore(&mut self, state: Self::State);
}

/// Checks that what a store saves as a whole, another one restores, and saves as the same.
#[cfg(test)]
pub(crate) fn assert_survives<C: Checkpoint + Default>(store: &mut C) -> C {
    let state = |state: &C::State| serde_json::to_value(state).unwrap();
    let all = store.save(true).unwrap();
    assert!(store.save(false).is_none(), "nothing changed since");
    let mut successor = C::default();
    let text = serde_json::to_string(&all).unwrap();
    successor.restore(serde_json::from_str(&text).unwrap());
    assert_eq!(successor.save(true).as_ref().map(state), Some(state(&all)));
    successor
}
