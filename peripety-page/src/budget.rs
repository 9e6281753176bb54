//! Room on the page.

use std::collections::BTreeSet;

use maud::Markup;

/// What is taken of so many bytes.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
}

impl Budget {
    pub(crate) const fn new(bytes: usize) -> Self {
        Self { left: bytes }
    }

    /// Whether there was room for it, which is taken then.
    pub(crate) fn take(&mut self, text: &str) -> bool {
        match self.left.checked_sub(text.len()) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// As many as fit into so many bytes, and how many do not.
pub(crate) fn fitting(bytes: usize, all: impl Iterator<Item = Markup>) -> (Vec<Markup>, u64) {
    let (mut budget, mut kept, mut left) = (Budget::new(bytes), Vec::new(), 0);
    for one in all {
        if left == 0 && budget.take(&one.0) { kept.push(one) } else { left += 1 }
    }
    (kept, left)
}

/// Lines without those that came already, at most so many, and how many there are in all.
pub(crate) fn distinct<'a>(lines: impl Iterator<Item = &'a str>, most: usize) -> (Vec<&'a str>, usize) {
    let (mut seen, mut kept) = (BTreeSet::new(), Vec::new());
    for line in lines {
        if seen.insert(line) && kept.len() < most {
            kept.push(line);
        }
    }
    (kept, seen.len())
}
