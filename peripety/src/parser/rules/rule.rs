//! One rule.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Example, Pattern, pattern::Memory};
use crate::{
    event::{EventType, Facts, Severity, SubSystem},
    parser::Tracepoint,
    record::LogRecord,
};

/// Characters of a process's name (TASK_COMM_LEN without its end).
const COMM_MAX: usize = 15;

/// How lines of the kernel or of a program are known, and what they say.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The rule's name; a later rule of the same name takes its place.
    pub name: String,
    /// The programs that may say the line, by the names of [`LogRecord::identifier`]; empty: the kernel, and nobody else.
    pub identifiers: Vec<String>,
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
    /// The line reports a state and comes again as long as that lasts.
    pub state: bool,
    /// The line says more of what another line said already: what came of an attempt. It is counted only where no other came.
    pub uncounted: bool,
    /// The tracepoint that fires whenever the kernel prints the line.
    pub seen_by: Option<Tracepoint>,
    /// Facts that the rule adds to each of its events.
    pub facts: Facts,
    /// The same as they are written: by path.
    pub facts_text: BTreeMap<String, String>,
    /// What a user's rule adds to the event's extension.
    pub extension: BTreeMap<String, Value>,
    /// Lines that the rule must take.
    pub examples: Vec<Example>,
    /// Where it stands, for error messages: `FILE:LINE`.
    pub origin: String,
}

impl Rule {
    /// The groups of the expression in `text`; none if the rule is not about it. Beginnings are the caller's to check.
    pub(super) fn captures<'t>(&self, text: &'t str, memory: &mut Memory) -> Option<Vec<(&str, &'t str)>> {
        // The cheaper question first: nearly always it is the answer.
        if !self.pattern.may_take(text) {
            return None;
        }
        let part = self.contains.as_ref();
        if part.is_some_and(|part| memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_none()) {
            return None;
        }
        let groups = self.pattern.captures(text, memory)?;
        // The name of a process is no longer; where more is taken for one, it is text of another place.
        let is_name = |(name, text): &(&str, &str)| *name != "task.comm" || text.chars().count() <= COMM_MAX;
        groups.iter().all(is_name).then_some(groups)
    }

    /// Whether its lines may begin as they like and have nothing in common but what the expression says.
    pub(crate) fn is_any_line(&self) -> bool {
        self.starts_with.is_empty() && self.contains.is_none()
    }

    /// Whether the line has what each line has that the expression takes.
    pub(crate) fn may_take(&self, text: &str) -> bool {
        self.pattern.may_take(text)
    }

    /// Whether the rule is about what this speaker says: a rule for the kernel never takes the text of a program, nor the
    /// other way round (promise 7).
    pub fn hears(&self, identifier: Option<&str>) -> bool {
        match identifier {
            None => self.identifiers.is_empty(),
            Some(name) => self.identifiers.iter().any(|known| known == name),
        }
    }

    /// Whether the rule, asked alone, is about the line.
    pub fn takes(&self, record: &LogRecord) -> bool {
        let text = record.text.as_str();
        let begins =
            self.starts_with.is_empty() || self.starts_with.iter().any(|start| text.starts_with(start));
        begins
            && self.hears(record.identifier.as_deref())
            && self.captures(text, &mut Memory::default()).is_some()
    }
}
