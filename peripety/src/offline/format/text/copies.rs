//! A file in which two writers have the same lines of the kernel, each in its own form: a serial console beside a syslog
//! daemon. Each line counts once.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

/// Lines back in which the other copy is looked for.
const LINES: usize = 64;

/// The latest lines of the kernel whose copy in the other form has not come yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Copies(VecDeque<(usize, u64)>);

impl Copies {
    /// Whether a line of this form is the copy of one that came in another form. Each line has one copy in a form.
    pub(super) fn is_copy(&mut self, form: usize, text: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        text.trim_end().hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(at) = self.0.iter().position(|(other, line)| *other != form && *line == hash) {
            self.0.remove(at);
            return true;
        }
        if self.0.len() >= LINES {
            self.0.pop_front();
        }
        self.0.push_back((form, hash));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_two_forms_is_one_and_twice_in_one_form_is_two() {
        let mut copies = Copies::default();
        let lines = [(0, "a"), (1, "a"), (0, "b"), (0, "b"), (1, "b"), (1, "b"), (1, "c"), (0, "a")];
        let found: Vec<bool> = lines.iter().map(|(form, text)| copies.is_copy(*form, text)).collect();
        assert_eq!(found, [false, true, false, false, true, true, false, false]);
    }

    #[test]
    fn what_is_long_ago_is_no_copy() {
        let mut copies = Copies::default();
        assert!(!copies.is_copy(0, "a"));
        for number in 0..LINES {
            assert!(!copies.is_copy(0, &number.to_string()));
        }
        assert!(!copies.is_copy(1, "a"));
    }
}
