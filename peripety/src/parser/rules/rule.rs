//! One rule.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use regex::{Captures, Regex, RegexBuilder};
use serde_json::Value;

use super::Example;
use crate::event::{EventType, Severity, SubSystem};

/// Bytes that a compiled expression may take, and that its cache may take while it runs.
pub(super) const REGEX_BYTES: usize = 1 << 18;

/// How lines of the kernel are known, and what they say.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The rule's name; a later rule of the same name takes its place.
    pub name: String,
    /// The line begins with one of these; empty: it may begin as it likes.
    pub starts_with: Vec<String>,
    /// The line has this somewhere: spares the expression.
    pub contains: Option<String>,
    /// The whole truth about the line.
    pub pattern: Pattern,
    /// What happened.
    pub event_type: EventType,
    /// Who speaks; a group `sub_system` of the expression goes before it.
    pub sub_system: SubSystem,
    /// How bad, by impact.
    pub severity: Severity,
    /// The line names no device.
    pub no_kdev: bool,
    /// Constants for the event's extension.
    pub extension: BTreeMap<String, Value>,
    /// Lines that the rule must take.
    pub examples: Vec<Example>,
    /// Where it stands, for error messages: `FILE:LINE`.
    pub origin: String,
}

impl Rule {
    /// What the expression captures in `text`; none if the rule is not about it. Beginnings are the caller's to check.
    pub(super) fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        if self.contains.as_ref().is_some_and(|part| !text.contains(part.as_str())) {
            return None;
        }
        self.pattern.regex()?.captures(text)
    }

    /// Whether the rule, asked alone, is about the line.
    pub fn takes(&self, text: &str) -> bool {
        let begins =
            self.starts_with.is_empty() || self.starts_with.iter().any(|start| text.starts_with(start));
        begins && self.captures(text).is_some()
    }
}

/// A regular expression that is compiled when it is first needed.
#[derive(Clone, Debug)]
pub struct Pattern(Arc<Lazy>);

#[derive(Debug)]
struct Lazy {
    source: String,
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// A pattern by its text.
    pub fn new(source: &str) -> Self {
        Self(Arc::new(Lazy { source: source.to_owned(), regex: OnceLock::new() }))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0.source
    }

    /// The compiled expression; none if it does not compile, which `check` has refused before.
    pub(super) fn regex(&self) -> Option<&Regex> {
        self.0.regex.get_or_init(|| Self::compile(&self.0.source).ok()).as_ref()
    }

    pub(super) fn compile(source: &str) -> Result<Regex, regex::Error> {
        RegexBuilder::new(source).size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES).build()
    }
}
