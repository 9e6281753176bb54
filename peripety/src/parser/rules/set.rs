//! All rules together.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{ExampleError, Rule, built_in, capture, example};
use crate::{
    parser::RawEvent,
    record::{LogRecord, Stamp},
};

/// Rules in the order in which they are asked; the first that takes a line has it.
#[derive(Clone, Debug)]
pub struct RuleSet {
    rules: Arc<[Rule]>,
    /// By the length of a beginning, then by the beginning: the rules' places.
    by_beginning: Arc<BTreeMap<usize, HashMap<String, Vec<usize>>>>,
    /// Rules without a beginning.
    anywhere: Arc<[usize]>,
}

impl RuleSet {
    /// peripety's own rules.
    pub fn built_in() -> Self {
        Self::new(built_in::rules())
    }

    /// peripety's own rules with a user's before them. A user's rule with the name of a built-in one takes its place.
    pub fn with_user_rules(user: Vec<Rule>) -> Self {
        let names: BTreeSet<String> = user.iter().map(|r| r.name.clone()).collect();
        let own = built_in::rules().into_iter().filter(|r| !names.contains(&r.name));
        Self::new(user.into_iter().chain(own).collect())
    }

    /// These rules and no others.
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut by_beginning: BTreeMap<usize, HashMap<String, Vec<usize>>> = BTreeMap::new();
        let mut anywhere = Vec::new();
        for (place, rule) in rules.iter().enumerate() {
            if rule.starts_with.is_empty() {
                anywhere.push(place);
            }
            for start in &rule.starts_with {
                by_beginning.entry(start.len()).or_default().entry(start.clone()).or_default().push(place);
            }
        }
        Self { rules: rules.into(), by_beginning: Arc::new(by_beginning), anywhere: anywhere.into() }
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

    /// Tries the examples of `rule` on the whole set: each must be taken by this rule and give what it says.
    pub fn try_examples(&self, rule: &Rule) -> Vec<ExampleError> {
        rule.examples.iter().filter_map(|e| example::check(self, rule, e).err()).collect()
    }

    /// The rule that takes a line, with the named groups of its expression that took part.
    pub fn find<'s, 't>(&'s self, record: &'t LogRecord) -> Option<(&'s Rule, Vec<(&'s str, &'t str)>)> {
        let text = record.text.as_str();
        let mut places: Vec<usize> = self.anywhere.to_vec();
        for (length, beginnings) in &*self.by_beginning {
            // The lengths are in order: once one is longer than the text, all others are.
            if *length > text.len() {
                break;
            }
            places.extend(text.get(..*length).and_then(|start| beginnings.get(start)).into_iter().flatten());
        }
        places.sort_unstable();
        places.dedup();
        places
            .into_iter()
            .filter_map(|place| self.rules.get(place))
            .filter(|rule| rule.hears(record.identifier.as_deref()))
            .find_map(|rule| Some((rule, rule.captures(text)?)))
    }
}
