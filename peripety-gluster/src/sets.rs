//! Which bricks keep the same data, and how many of them are needed to serve.

use crate::snapshot::{Brick, Volume};

/// How a set of bricks is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Bricks that serve.
    pub up: usize,
    /// All of them.
    pub of: usize,
    /// How many must serve for the set to take writes.
    pub needed: usize,
}

impl Standing {
    /// Whether it takes writes.
    pub fn serves(self) -> bool {
        self.up >= self.needed
    }
}

impl Volume {
    /// How many bricks keep the same data.
    pub fn set_size(&self) -> usize {
        let size = if self.disperse > 0 { self.disperse } else { self.replicas };
        usize::try_from(size).unwrap_or(1).max(1)
    }

    /// The sets, in the order of the volume.
    pub fn sets(&self) -> std::slice::Chunks<'_, Brick> {
        self.bricks.chunks(self.set_size())
    }

    /// The set to which the brick of a node with this path belongs.
    pub fn set_of(&self, node: &str, path: &str) -> Option<&[Brick]> {
        self.sets().find(|set| set.iter().any(|brick| brick.node == node && brick.path == path))
    }

    /// How many of a set are needed: a dispersed one all but its redundancy; a replicated one the majority, as
    /// `cluster.quorum-type auto` has it and of two the first (which is counted here as one), `fixed` its count, and one where
    /// quorum was turned off.
    pub fn needed(&self, of: usize) -> usize {
        if self.disperse > 0 {
            return of.saturating_sub(usize::try_from(self.redundancy).unwrap_or(0)).max(1);
        }
        match self.options.get("cluster.quorum-type").map(String::as_str) {
            Some("none") => 1,
            Some("fixed") => {
                let count = self.options.get("cluster.quorum-count").and_then(|count| count.parse().ok());
                count.unwrap_or(1).clamp(1, of.max(1))
            }
            _ if of > 2 => of / 2 + 1,
            _ => 1,
        }
    }

    /// How a set is. A brick whose node did not answer does not serve this node.
    pub fn standing(&self, set: &[Brick]) -> Standing {
        let up = set.iter().filter(|brick| brick.online == Some(true)).count();
        Standing { up, of: set.len(), needed: self.needed(set.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(replicas: u32, disperse: u32, redundancy: u32) -> Volume {
        Volume { replicas, disperse, redundancy, ..Volume::default() }
    }

    #[test]
    fn a_set_needs_what_its_kind_says() {
        assert_eq!(volume(1, 0, 0).needed(1), 1);
        assert_eq!(volume(2, 0, 0).needed(2), 1);
        assert_eq!(volume(3, 0, 0).needed(3), 2);
        assert_eq!(volume(1, 6, 2).needed(6), 4);
        let mut fixed = volume(3, 0, 0);
        fixed.options.insert("cluster.quorum-type".to_owned(), "fixed".to_owned());
        fixed.options.insert("cluster.quorum-count".to_owned(), "1".to_owned());
        assert_eq!(fixed.needed(3), 1);
        fixed.options.insert("cluster.quorum-count".to_owned(), "99".to_owned());
        assert_eq!(fixed.needed(3), 3, "more than there are can never be met");
        fixed.options.insert("cluster.quorum-type".to_owned(), "none".to_owned());
        assert_eq!(fixed.needed(3), 1);
    }

    #[test]
    fn bricks_of_one_set_follow_one_another() {
        let brick = |path: &str| Brick { node: "n".to_owned(), path: path.to_owned(), ..Brick::default() };
        let mut volume = volume(2, 0, 0);
        volume.bricks = ["/a", "/b", "/c", "/d"].map(brick).to_vec();
        let set = volume.set_of("n", "/c").unwrap();
        assert_eq!(set.iter().map(|brick| brick.path.as_str()).collect::<Vec<_>>(), ["/c", "/d"]);
        assert!(volume.set_of("n", "/e").is_none());
    }
}
