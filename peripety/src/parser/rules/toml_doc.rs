//! A TOML text as it was written: values with their places, so that an error can say where.

use std::{fmt, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Problems of one text that are reported; more do not help anyone.
const PROBLEMS_MAX: usize = 50;

/// What is wrong with a text, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// The key with its tables: `main.notify_stdout`.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, key, what, fix } = self;
        write!(f, "{line}: {key}: {what}; {fix}")
    }
}

/// A table of the text.
pub(crate) type Table<'t> = DeTable<'t>;
/// A value with its place.
pub(crate) type Value<'t> = Spanned<DeValue<'t>>;

/// A text under examination: finds lines, collects problems.
#[derive(Debug)]
pub(crate) struct Doc<'t> {
    pub(crate) text: &'t str,
    line_starts: Vec<usize>,
    problems: Vec<Problem>,
    more: usize,
}

impl<'t> Doc<'t> {
    /// Parses the text; the table holds what could be understood.
    pub(crate) fn parse(text: &'t str) -> (Self, Table<'t>) {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let mut doc = Self { text, line_starts, problems: Vec::new(), more: 0 };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let span = error.span().unwrap_or_default();
            let key = doc.key_at(span.start);
            let what = format!("this is no TOML: {}", error.message().replace('\n', ", "));
            doc.problem(span.start, key, what, "write KEY = VALUE, with \"\" or '' around text");
        }
        (doc, table.into_inner())
    }

    /// What stands before `=` in the line of `offset`, or the line itself: the nearest to a key in a broken line.
    fn key_at(&self, offset: usize) -> String {
        let start = self.line_starts.get(self.line(offset) - 1).copied().unwrap_or_default();
        let line = self.text.get(start..).and_then(|t| t.lines().next()).unwrap_or_default();
        let key = line.split('=').next().unwrap_or_default().trim();
        key.chars().take(40).collect()
    }

    /// Line of a place, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).max(1)
    }

    pub(crate) fn problem(
        &mut self,
        offset: usize,
        key: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        if self.problems.len() == PROBLEMS_MAX {
            self.more += 1;
            return;
        }
        let line = self.line(offset);
        self.problems.push(Problem { line, key: key.into(), what: what.into(), fix: fix.into() });
    }

    /// What was found, in the order of lines.
    pub(crate) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|p| p.line);
        if self.more > 0 {
            let line = self.problems.last().map_or(1, |p| p.line);
            let what = format!("{} more problems", self.more);
            self.problems.push(Problem {
                line,
                key: "(all)".into(),
                what,
                fix: "mend those above first".into(),
            });
        }
        self.problems
    }

    /// Reports every key of `table` that is not among `known`.
    pub(crate) fn unknown_keys(&mut self, path: &str, table: &Table<'_>, known: &[&str]) {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            self.problem(key.span().start, join(path, name), "there is no such key", suggest(name, known));
        }
    }

    pub(crate) fn wrong_type(&mut self, path: &str, value: &Value<'_>, wanted: &str) {
        let what = format!("this is {}", with_article(value.get_ref().type_str()));
        self.problem(value.span().start, path, what, format!("it takes {wanted}"));
    }

    pub(crate) fn string(
        &mut self,
        path: &str,
        table: &Table<'_>,
        key: &str,
    ) -> Option<(String, Range<usize>)> {
        let value = table.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some((text.to_string(), value.span())),
            _ => {
                self.wrong_type(&join(path, key), value, "text in quotes");
                None
            }
        }
    }

    /// One text or a list of texts.
    pub(crate) fn strings(
        &mut self,
        path: &str,
        table: &Table<'_>,
        key: &str,
    ) -> Vec<(String, Range<usize>)> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            return self.string(path, table, key).into_iter().collect();
        };
        let mut texts = Vec::new();
        for item in array {
            match item.get_ref() {
                DeValue::String(text) => texts.push((text.to_string(), item.span())),
                _ => self.wrong_type(&join(path, key), item, "text in quotes"),
            }
        }
        texts
    }

    pub(crate) fn boolean(&mut self, path: &str, table: &Table<'_>, key: &str) -> Option<bool> {
        let value = table.get(key)?;
        if value.get_ref().as_bool().is_none() {
            self.wrong_type(&join(path, key), value, "true or false, with no quotes");
        }
        value.get_ref().as_bool()
    }

    pub(crate) fn integer(
        &mut self,
        path: &str,
        table: &Table<'_>,
        key: &str,
        range: Range<u64>,
    ) -> Option<u64> {
        let value = table.get(key)?;
        let wanted = format!("a number from {} to {}", range.start, range.end - 1);
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong_type(&join(path, key), value, &wanted);
            return None;
        };
        let number =
            u64::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|n| range.contains(n));
        if number.is_none() {
            let what = format!("{} is out of range", integer.as_str());
            self.problem(value.span().start, join(path, key), what, format!("it takes {wanted}"));
        }
        number
    }

    pub(crate) fn table<'v, 'i>(
        &mut self,
        path: &str,
        table: &'v Table<'i>,
        key: &str,
    ) -> Option<&'v Table<'i>> {
        let value = table.get(key)?;
        if value.get_ref().as_table().is_none() {
            self.wrong_type(&join(path, key), value, &format!("a table: [{}]", join(path, key)));
        }
        value.get_ref().as_table()
    }

    /// An array of tables, each with the place where it begins.
    pub(crate) fn tables<'v, 'i>(
        &mut self,
        path: &str,
        table: &'v Table<'i>,
        key: &str,
    ) -> Vec<(&'v Table<'i>, usize)> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let path = join(path, key);
        let wanted = format!("an array of tables: [[{path}]] with two brackets");
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(&path, value, &wanted);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in array {
            match item.get_ref() {
                DeValue::Table(table) => tables.push((table, item.span().start)),
                _ => self.wrong_type(&path, item, &wanted),
            }
        }
        tables
    }
}

/// `path.key`, or `key` at the top.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// What to use instead of `name`.
pub(crate) fn suggest(name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(&name.to_ascii_lowercase(), k), k))
        .min()
        .filter(|(distance, k)| *distance <= 1 + k.len() / 3);
    match nearest {
        Some((_, nearest)) => format!("did you mean '{nearest}'?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

fn with_article(type_name: &str) -> String {
    let article = if type_name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {type_name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_for_every_place() {
        let (doc, _) = Doc::parse("a = 1\n\nb = 2");
        let lines: Vec<usize> = [0, 5, 6, 7, 11, 500].map(|at| doc.line(at)).into();
        assert_eq!(lines, [1, 1, 2, 3, 3, 3]);
        assert_eq!(Doc::parse("").0.line(0), 1);
    }

    #[test]
    fn broken_toml_names_line_and_key() {
        let (doc, _) = Doc::parse("[main]\nnotify_stdout = yes please\n");
        let problems = doc.into_problems();
        assert_eq!((problems[0].line, problems[0].key.as_str()), (2, "notify_stdout"), "{problems:?}");
    }

    #[test]
    fn the_nearest_key_is_named() {
        let known = ["notify_stdout", "save_to_journald"];
        assert_eq!(suggest("notify_stout", &known), "did you mean 'notify_stdout'?");
        assert_eq!(suggest("Save_To_Journald", &known), "did you mean 'save_to_journald'?");
        assert_eq!(suggest("colour", &known), "known here: notify_stdout, save_to_journald");
    }

    #[test]
    fn problems_are_bounded() {
        let text = "x = \n".repeat(10_000);
        let problems = Doc::parse(&text).0.into_problems();
        assert!(problems.len() <= PROBLEMS_MAX + 1);
    }
}
