//! All rules together.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, OnceLock},
};

use super::{ExampleError, Rule, built_in, capture, example, index::Index, pattern::Scratch, quoted};
use crate::{
    parser::RawEvent,
    record::{LogRecord, Stamp},
};

/// Rules in the order in which they are asked; the first that takes a line has it.
#[derive(Clone, Debug)]
pub struct RuleSet {
    rules: Arc<[Rule]>,
    /// Rules for what the kernel says.
    kernel: Arc<Index>,
    /// Rules for what programs say, by the program.
    programs: Arc<HashMap<String, Index>>,
    scratch: Arc<Scratch>,
}

impl RuleSet {
    /// peripety's own rules: made once, for that takes longer than a thousand lines.
    pub fn built_in() -> Self {
        static MADE: OnceLock<RuleSet> = OnceLock::new();
        // Each has its own memory to match in, so that none waits for another.
        Self { scratch: Arc::default(), ..MADE.get_or_init(|| Self::new(built_in::rules())).clone() }
    }

    /// peripety's own rules with a user's before them. A user's rule with the name of a built-in one takes its place.
    pub fn with_user_rules(user: Vec<Rule>) -> Self {
        if user.is_empty() {
            return Self::built_in();
        }
        let names: BTreeSet<String> = user.iter().map(|r| r.name.clone()).collect();
        let own = built_in::rules().into_iter().filter(|r| !names.contains(&r.name));
        Self::new(user.into_iter().chain(own).collect())
    }

    /// These rules and no others.
    pub fn new(rules: Vec<Rule>) -> Self {
        let heard = |identifier: Option<&str>| {
            let places = rules.iter().zip(0_u32..).map(|(rule, place)| (place, rule));
            Index::new(places.filter(|(_, rule)| rule.hears(identifier)))
        };
        let names: BTreeSet<&String> = rules.iter().flat_map(|rule| &rule.identifiers).collect();
        let programs = names.into_iter().map(|name| (name.clone(), heard(Some(name)))).collect();
        Self {
            kernel: Arc::new(heard(None)),
            programs: Arc::new(programs),
            scratch: Arc::default(),
            rules: rules.into(),
        }
    }

    /// The rules, in the order in which they are asked.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What a line says; nothing if no rule is about what its speaker says (promise 7).
    pub fn parse(&self, record: &LogRecord, time: Stamp) -> Option<RawEvent> {
        self.find(record).map(|(rule, groups)| capture::raw_event(rule, &groups, record, time))
    }

    /// The rule that takes a line.
    pub fn rule_for(&self, record: &LogRecord) -> Option<&Rule> {
        self.find(record).map(|(rule, _)| rule)
    }

    /// The same rules with their own memory to match in, for another thread.
    pub(crate) fn for_thread(&self) -> Self {
        Self { scratch: Arc::default(), ..self.clone() }
    }

    /// Rules about lines of the kernel.
    pub(crate) fn of_kernel(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.identifiers.is_empty())
    }

    /// Whether a rule may be about what a program says.
    pub(crate) fn may_be_about(&self, program: &str, text: &str) -> bool {
        self.programs.get(program).is_some_and(|index| index.has_candidate(text))
    }

    /// Tries the examples of `rule` on the whole set: each must be taken by this rule and give what it says.
    pub fn try_examples(&self, rule: &Rule) -> Vec<ExampleError> {
        rule.examples.iter().filter_map(|e| example::check(self, rule, e).err()).collect()
    }

    /// The rule that takes a line, with the named groups of its expression that took part.
    pub fn find<'s, 't>(&'s self, record: &'t LogRecord) -> Option<(&'s Rule, Vec<(&'s str, &'t str)>)> {
        if record.fragment {
            return None;
        }
        let index = match &record.identifier {
            None => &*self.kernel,
            Some(name) => self.programs.get(name)?,
        };
        let text = record.text.as_str();
        self.scratch.with(|memory, places| {
            index.candidates(text, places);
            let candidates = places.iter().filter_map(|place| self.rules.get(*place as usize));
            // Asked only for a line that a rule takes, which few are.
            let is_quoted = |rule: &Rule| {
                record.identifier.is_none()
                    && quoted::places().find(text, |place| !place.is_meant_by(rule)).is_some()
            };
            candidates.into_iter().find_map(|rule| {
                let groups = rule.captures(text, memory)?;
                (!is_quoted(rule)).then_some((rule, groups))
            })
        })
    }
}
