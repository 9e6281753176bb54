//! Which revisions a stream has given, so that it gives none twice.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

/// Ids that are remembered. An event of before may come again from the journal's last minutes only.
const SEEN_MAX: usize = 20_000;

/// The highest revision of each id that came.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    revisions: HashMap<Uuid, u32>,
    order: VecDeque<Uuid>,
}

impl Seen {
    /// Notes a revision; false where it, or a later one, came before.
    pub(crate) fn is_new(&mut self, id: Uuid, revision: u32) -> bool {
        match self.revisions.get_mut(&id) {
            Some(known) if *known >= revision => return false,
            Some(known) => *known = revision,
            None => {
                self.revisions.insert(id, revision);
                self.order.push_back(id);
                if self.order.len() > SEEN_MAX
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.revisions.remove(&oldest);
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_revision_comes_twice_and_memory_is_bounded() {
        let mut seen = Seen::default();
        let id = Uuid::from_u128(1);
        assert!(seen.is_new(id, 0) && seen.is_new(id, 3));
        assert!(!seen.is_new(id, 3) && !seen.is_new(id, 2));
        for other in 2..(SEEN_MAX as u128 + 10) {
            assert!(seen.is_new(Uuid::from_u128(other), 0));
        }
        assert_eq!((seen.revisions.len(), seen.order.len()), (SEEN_MAX, SEEN_MAX));
        assert!(seen.is_new(id, 3), "it was forgotten");
    }
}
