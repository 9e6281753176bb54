//! The rules of a recording: a user's own in the format that users write, peripety's by a fingerprint.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::parser::rules::{Author, Problem, Rule, RuleSet, read_rules};

#[derive(Serialize)]
struct File<'r> {
    collector_regexs: Vec<Written<'r>>,
}

/// The keys that users write, but for the examples.
#[derive(Serialize)]
struct Written<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    identifier: &'r [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    starts_with: &'r [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    contains: Option<&'r str>,
    regex: &'r str,
    sub_system: &'r str,
    event_type: &'r str,
    severity: &'r str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    facts: &'r BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extension: &'r BTreeMap<String, Value>,
}

impl<'r> Written<'r> {
    fn of(rule: &'r Rule) -> Self {
        Self {
            name: &rule.name,
            identifier: &rule.identifiers,
            starts_with: &rule.starts_with,
            contains: rule.contains.as_deref(),
            regex: rule.pattern.as_str(),
            sub_system: rule.sub_system.as_str(),
            event_type: rule.event_type.as_str(),
            severity: rule.severity.as_str(),
            facts: &rule.facts_text,
            extension: &rule.extension,
        }
    }
}

/// A user's rules as TOML.
pub(super) fn write(rules: &[Rule]) -> Result<String, toml::ser::Error> {
    toml::to_string(&File { collector_regexs: rules.iter().map(Written::of).collect() })
}

/// The rules in force with a user's, from TOML.
pub(super) fn read(text: &str) -> Result<RuleSet, Vec<Problem>> {
    let (rules, problems) = read_rules("rules of the recording", text, Author::User);
    if problems.is_empty() { Ok(RuleSet::with_user_rules(rules)) } else { Err(problems) }
}

/// What reports peripety's own rules from those of another version.
pub(super) fn own() -> &'static str {
    &OWN
}

static OWN: LazyLock<String> = LazyLock::new(|| {
    let set = RuleSet::built_in();
    let line = |rule: &Rule| {
        let (start, part) = (&rule.starts_with, &rule.contains);
        let (event_type, severity) = (rule.event_type.as_str(), rule.severity.as_str());
        format!("{} {start:?} {part:?} {} {event_type} {severity}\n", rule.name, rule.pattern.as_str())
    };
    let text: String = set.rules().iter().map(line).collect();
    Uuid::new_v5(&Uuid::nil(), text.as_bytes()).simple().to_string()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_rules_are_the_same_when_they_come_back() {
        let text = r#"
            [[collector_regexs]]
            starts_with = ["my\"driver: ", "other: "]
            contains = "lost"
            regex = '(?P<kdev>sd[a-z]+) lost its (?P<what>\w+)'
            sub_system = "scsi"
            event_type = "MY_DRIVER_LOSS"
            severity = "critical"
            extension = { vendor = "me", level = 3 }
            [[collector.regexs]]
            name = "second"
            identifier = "multipathd"
            regex = '^(?P<kdev>sd[a-z]+): (?P<sub_system>ext4|xfs) gone$'
            event_type = "FS_ERROR"
        "#;
        let (rules, problems) = read_rules("x", text, Author::User);
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
        let written = write(&rules).unwrap();
        let (again, problems) = read_rules("y", &written, Author::User);
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0], "{written}");
        let plain = |rules: Vec<Rule>| -> Vec<String> {
            let origin = String::new();
            rules.into_iter().map(|rule| format!("{:?}", Rule { origin: origin.clone(), ..rule })).collect()
        };
        assert_eq!(plain(rules), plain(again));
    }

    #[test]
    fn no_rules_are_rules_too() {
        assert!(read(&write(&[]).unwrap()).is_ok());
        assert!(read("[[collector_regexs]]\nregex = '('").is_err());
        assert_eq!(own(), own());
    }
}
