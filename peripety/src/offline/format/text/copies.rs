//! A file in which two writers have the same lines of the kernel, each in its own form: a serial console beside a syslog
//! daemon. Each line counts once.

use std::collections::VecDeque;

/// Lines back in which the other copy is looked for.
const LINES: usize = 64;

/// The latest lines of the kernel whose copy in the other form has not come yet, each with its form.
#[derive(Clone, Debug, Default)]
pub(super) struct Copies {
    lines: VecDeque<(usize, String)>,
    /// How many of them are of the form that came last: mostly all.
    same: usize,
    form: usize,
}

impl Copies {
    /// Whether a line of this form is the copy of one that came in another form. Each line has one copy in a form.
    pub(super) fn is_copy(&mut self, form: usize, text: &str) -> bool {
        let text = text.trim_end();
        if form != self.form {
            self.form = form;
            self.same = self.lines.iter().filter(|(other, _)| *other == form).count();
        }
        if self.same < self.lines.len()
            && let Some(at) = self.lines.iter().position(|(other, line)| *other != form && line == text)
        {
            self.lines.remove(at);
            return true;
        }
        let mut line = String::new();
        if self.lines.len() >= LINES
            && let Some((other, oldest)) = self.lines.pop_front()
        {
            self.same -= usize::from(other == form);
            line = oldest;
        }
        line.clear();
        line.push_str(text);
        self.lines.push_back((form, line));
        self.same += 1;
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
