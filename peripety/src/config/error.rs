//! What is wrong with a configuration.

use std::fmt;

use crate::parser::rules::Problem;

/// One thing that is wrong: shown as `FILE:LINE: key: what; what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: String,
    /// Where in it, and what; line 0 stands for the file as a whole.
    pub problem: Problem,
}

impl ConfigError {
    pub(super) fn new(file: &str, problem: Problem) -> Self {
        Self { file: file.to_owned(), problem }
    }

    pub(super) fn of_file(file: &str, what: &str, fix: &str) -> Self {
        Self::new(file, Problem { line: 0, key: String::new(), what: what.to_owned(), fix: fix.to_owned() })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, problem } = self;
        if problem.line == 0 {
            write!(f, "{file}: {}; {}", problem.what, problem.fix)
        } else {
            write!(f, "{file}:{problem}")
        }
    }
}

/// Everything that is wrong, file by file: one line for each when shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// The errors, in the order of files and lines.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    pub(super) fn add(&mut self, error: ConfigError) {
        self.0.push(error);
    }

    pub(super) fn extend(&mut self, errors: impl Iterator<Item = ConfigError>) {
        self.0.extend(errors);
    }

    /// `value`, if nothing is wrong.
    pub(super) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}
