//! Words into lines of a terminal's width; colours take no columns.

use anstyle::Style as Ansi;
use unicode_width::UnicodeWidthStr as _;

/// Columns that what follows an event's first line is moved in by.
const INDENT: usize = 4;
/// Narrower terminals are taken to be this wide.
const NARROWEST: usize = 20;

/// A line under construction, and the lines below it.
#[derive(Debug, Default)]
pub(super) struct Line {
    text: String,
    columns: usize,
}

impl Line {
    /// Adds a word or words after a space; nothing for nothing.
    pub(super) fn push(&mut self, text: &str, ansi: Ansi, colour: bool) {
        if text.is_empty() {
            return;
        }
        if self.columns > 0 {
            self.text.push(' ');
            self.columns += 1;
        }
        self.columns += text.width();
        if colour {
            self.text.push_str(&format!("{ansi}{text}{ansi:#}"));
        } else {
            self.text.push_str(text);
        }
    }

    /// Adds what is said: after a colon where it fits, else on lines below.
    pub(super) fn push_tail(&mut self, text: &str, width: Option<usize>) {
        if text.is_empty() {
            return;
        }
        match width {
            Some(width) if self.columns + 2 + text.width() > width => {
                for line in wrap(text, width.max(NARROWEST) - INDENT) {
                    self.below(&line, INDENT);
                }
            }
            _ => {
                self.text.push_str(": ");
                self.text.push_str(text);
            }
        }
    }

    /// Adds a table of names and values below.
    pub(super) fn push_block(&mut self, rows: &[(String, String)], width: Option<usize>) {
        let names = rows.iter().map(|(name, _)| name.width().min(12)).max().unwrap_or(0);
        for (name, value) in rows {
            let room = width.map_or(usize::MAX, |w| w.saturating_sub(INDENT + names + 2).max(NARROWEST));
            for (n, line) in wrap(value, room).iter().enumerate() {
                let name = if n == 0 { name } else { "" };
                self.below(&format!("{name:names$}  {line}"), INDENT);
            }
        }
    }

    fn below(&mut self, text: &str, indent: usize) {
        self.text.push_str(&format!("\n{:indent$}{text}", ""));
    }

    pub(super) fn finish(mut self) -> String {
        self.text.push('\n');
        self.text
    }
}

/// Lines of at most `width` columns, broken at spaces; a longer word keeps a line of its own, whole, for copying.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(last) if last.is_empty() => last.push_str(word),
            Some(last) if last.width().saturating_add(1 + word.width()) <= width => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn words_are_never_cut() {
        assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrap("/a/very/long/path is here", 7), ["/a/very/long/path", "is here"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("ええ ええ", 5), ["ええ", "ええ"]);
    }
}
