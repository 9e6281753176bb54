//! Which rules a line may be for, in one pass over its beginning and one over the whole of it.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, MatchKind};

use super::Rule;

/// Rules by what their lines begin with, and by what they have in them where they may begin as they like.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    beginnings: Trie,
    /// Finds the parts of rules without a beginning; none if there is no such rule.
    parts: Option<AhoCorasick>,
    /// Finds out whether there is any of them, which for most lines there is not, and is quicker.
    any_part: Option<AhoCorasick>,
    /// The rules of each part.
    of_part: Vec<Vec<u32>>,
    /// Rules with neither.
    others: Vec<u32>,
}

impl Index {
    /// An index of these rules, each with its place among all.
    pub(super) fn new<'r, I: Iterator<Item = (u32, &'r Rule)>>(rules: I) -> Self {
        let mut index = Self::default();
        let mut parts: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        let mut beginnings: Vec<(&[u8], u32)> = Vec::new();
        for (place, rule) in rules {
            match (rule.starts_with.is_empty(), &rule.contains) {
                (false, _) => {
                    beginnings.extend(rule.starts_with.iter().map(|start| (start.as_bytes(), place)))
                }
                (true, Some(part)) => parts.entry(part).or_default().push(place),
                (true, None) => index.others.push(place),
            }
        }
        index.beginnings = Trie::new(beginnings);
        if !parts.is_empty() {
            match AhoCorasick::new(parts.keys()) {
                Ok(automaton) => {
                    index.any_part = first_of(parts.keys());
                    index.parts = Some(automaton);
                    index.of_part = parts.into_values().collect();
                }
                // Too large for one automaton: each rule looks for itself.
                Err(_) => index.others.extend(parts.into_values().flatten()),
            }
        }
        index
    }

    /// Whether any rule may be about the line.
    pub(super) fn has_candidate(&self, text: &str) -> bool {
        !self.others.is_empty() || self.beginnings.has_beginning(text.as_bytes()) || self.may_have_part(text)
    }

    fn may_have_part(&self, text: &str) -> bool {
        let any = self.any_part.as_ref().or(self.parts.as_ref());
        any.is_some_and(|parts| parts.is_match(text))
    }

    /// The places of the rules that may be about the line, in order.
    pub(super) fn candidates(&self, text: &str, found: &mut Vec<u32>) {
        found.clear();
        found.extend_from_slice(&self.others);
        self.beginnings.find(text.as_bytes(), found);
        if let Some(parts) = self.parts.as_ref().filter(|_| self.may_have_part(text)) {
            for part in parts.find_overlapping_iter(text) {
                found.extend(self.of_part.get(part.pattern().as_usize()).into_iter().flatten());
            }
        }
        if found.len() > 1 {
            found.sort_unstable();
            found.dedup();
        }
    }
}

/// Finds the first of these texts in another one. Automata of this kind look at many bytes with one instruction where the
/// texts are few.
pub(super) fn first_of<P: AsRef<[u8]>>(texts: impl IntoIterator<Item = P>) -> Option<AhoCorasick> {
    AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(texts).ok()
}

/// Texts one of which a line begins with or has in it, if it is of interest. Most lines are none, which takes one look at
/// their first bytes, and one pass over them for all parts at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Literals {
    beginnings: Trie,
    parts: Option<AhoCorasick>,
}

impl Literals {
    /// Lines that begin with one of these, or have one of those in them; none if there are too many for an automaton.
    pub(crate) fn new<'t>(
        beginnings: impl Iterator<Item = &'t str>,
        parts: impl Iterator<Item = &'t str>,
    ) -> Option<Self> {
        let beginnings = Trie::new(beginnings.map(|start| (start.as_bytes(), 0)).collect());
        let parts: Vec<&str> = parts.collect();
        let parts = match parts.as_slice() {
            [] => None,
            parts => Some(first_of(parts)?),
        };
        Some(Self { beginnings, parts })
    }

    /// Whether the line is one of them.
    pub(crate) fn has(&self, line: &str) -> bool {
        self.beginnings.has_beginning(line.as_bytes())
            || self.parts.as_ref().is_some_and(|parts| parts.is_match(line))
    }
}

/// Beginnings, byte by byte: most lines leave it after a few.
#[derive(Clone, Debug, Default)]
struct Trie {
    nodes: Vec<Node>,
    /// The children of all nodes: byte and node, those of one node together.
    children: Vec<(u8, u32)>,
    /// The rules of all nodes, those of one node together.
    rules: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    children: (u32, u32),
    rules: (u32, u32),
}

impl Trie {
    fn new(mut beginnings: Vec<(&[u8], u32)>) -> Self {
        beginnings.sort_unstable();
        let mut trie = Self { nodes: vec![Node::default()], ..Self::default() };
        // Nodes that are to be filled: with the beginnings below each, all of which agree up to its depth.
        let mut open = vec![(0_usize, 0_usize, beginnings.as_slice())];
        while let Some((at, depth, below)) = open.pop() {
            let ends = below.iter().take_while(|(start, _)| start.len() == depth).count();
            let (here, longer) = below.split_at(ends);
            let first_rule = trie.rules.len();
            trie.rules.extend(here.iter().map(|(_, place)| place));
            let first_child = trie.children.len();
            for group in longer.chunk_by(|(a, _), (b, _)| a.get(depth) == b.get(depth)) {
                let Some(byte) = group.first().and_then(|(start, _)| start.get(depth)) else { continue };
                trie.children.push((*byte, number(trie.nodes.len())));
                open.push((trie.nodes.len(), depth + 1, group));
                trie.nodes.push(Node::default());
            }
            let node = Node {
                children: (number(first_child), number(trie.children.len())),
                rules: (number(first_rule), number(trie.rules.len())),
            };
            if let Some(place) = trie.nodes.get_mut(at) {
                *place = node;
            }
        }
        trie
    }

    fn find(&self, text: &[u8], found: &mut Vec<u32>) {
        self.walk(text, |rules| {
            found.extend_from_slice(rules);
            true
        });
    }

    /// Whether any beginning is one of the text.
    fn has_beginning(&self, text: &[u8]) -> bool {
        let mut has = false;
        self.walk(text, |_| {
            has = true;
            false
        });
        has
    }

    /// Calls with the rules of each beginning of the text, the shorter first, until it is reported that this is enough.
    fn walk(&self, text: &[u8], mut found: impl FnMut(&[u32]) -> bool) {
        let mut node = self.nodes.first().copied().unwrap_or_default();
        for byte in text {
            let (from, to) = node.children;
            let children = self.children.get(from as usize..to as usize).unwrap_or_default();
            let Some((_, next)) = children.iter().find(|(child, _)| child == byte) else { return };
            let Some(next) = self.nodes.get(*next as usize) else { return };
            node = *next;
            let (from, to) = node.rules;
            if from < to && !found(self.rules.get(from as usize..to as usize).unwrap_or_default()) {
                return;
            }
        }
    }
}

/// There are at most as many nodes as bytes in a configuration.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_of_a_line_is_found() {
        let trie = Trie::new(vec![(b"sd ", 3), (b"s", 1), (b"sd 0", 4), (b"scsi ", 2), (b"sd ", 0)]);
        let find = |text: &str| {
            let mut found = Vec::new();
            trie.find(text.as_bytes(), &mut found);
            found.sort_unstable();
            found
        };
        assert_eq!(find("sd 0:0:0:0: x"), [0, 1, 3, 4]);
        assert_eq!(find("scsi 0"), [1, 2]);
        assert_eq!(find("s"), [1]);
        assert_eq!(find("x"), [] as [u32; 0]);
        assert_eq!(find(""), [] as [u32; 0]);
        let mut none = Vec::new();
        Trie::new(Vec::new()).find(b"x", &mut none);
        assert!(none.is_empty());
    }
}
