//! Which revisions came, so that none is given twice.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

/// The highest revision of each id that came, for the ids that came last.
#[derive(Debug)]
pub struct Seen {
    max: usize,
    revisions: HashMap<Uuid, u32>,
    order: VecDeque<Uuid>,
}

impl Seen {
    /// Remembers so many ids.
    pub fn new(max: usize) -> Self {
        Self { max, revisions: HashMap::new(), order: VecDeque::new() }
    }

    /// Notes a revision; false where it, or a later one, came before.
    pub fn is_new(&mut self, id: Uuid, revision: u32) -> bool {
        match self.revisions.get_mut(&id) {
            Some(known) if *known >= revision => return false,
            Some(known) => *known = revision,
            None => {
                self.revisions.insert(id, revision);
                self.order.push_back(id);
                if self.order.len() > self.max
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
        const MAX: usize = 20_000;
        let mut seen = Seen::new(MAX);
        let id = Uuid::from_u128(1);
        assert!(seen.is_new(id, 0) && seen.is_new(id, 3));
        assert!(!seen.is_new(id, 3) && !seen.is_new(id, 2));
        for other in 2..(MAX as u128 + 10) {
            assert!(seen.is_new(Uuid::from_u128(other), 0));
        }
        assert_eq!((seen.revisions.len(), seen.order.len()), (MAX, MAX));
        assert!(seen.is_new(id, 3), "it was forgotten");
    }
}
