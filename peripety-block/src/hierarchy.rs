//! What a device is made of, and what is made of it, flattened.

use std::{collections::HashSet, collections::VecDeque, hash::Hash};

/// How many devices the flattened list of one device may name. A disk with more volumes than this on it is still a disk.
pub(super) const MOST: usize = 4096;

/// Everything that can be reached from `start` by `next`, nearest first, each once and without `start` itself. Ends for
/// cycles too: a loop device on a file of its own filesystem is not forbidden.
pub fn reach<K: Copy + Eq + Hash>(start: K, next: impl Fn(K) -> Vec<K>) -> Vec<K> {
    let mut found = Vec::new();
    let mut seen = HashSet::from([start]);
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for neighbour in next(at) {
            if found.len() >= MOST {
                return found;
            }
            if seen.insert(neighbour) {
                found.push(neighbour);
                queue.push_back(neighbour);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_come_first_and_none_twice() {
        // 1 → 2, 3; 2 → 4; 3 → 4, 5; 5 → 1 closes a cycle.
        let next = |k: u32| match k {
            1 => vec![2, 3],
            2 => vec![4],
            3 => vec![4, 5],
            5 => vec![1],
            _ => vec![],
        };
        assert_eq!(reach(1, next), [2, 3, 4, 5]);
        assert_eq!(reach(4, next), [] as [u32; 0]);
        assert_eq!(reach(7, |_| vec![7]), [] as [u32; 0]);
    }

    #[test]
    fn the_list_is_bounded() {
        assert_eq!(reach(0u64, |k| vec![k + 1]).len(), MOST);
    }
}
