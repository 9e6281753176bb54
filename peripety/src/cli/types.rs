//! `prpt types`: the vocabulary of events.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Value, json};

use super::{
    Format, Output,
    render::{self, note, print},
};
use crate::{
    event::{Nature, TYPES, TypeInfo},
    parser::rules::RuleSet,
    roots::Roots,
};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only types that have one of these words in their name or are of this subsystem
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(args: Args, _roots: &Roots) -> anyhow::Result<u8> {
    let chosen: Vec<&TypeInfo> = TYPES.iter().filter(|info| fits(info, &args.words)).collect();
    if chosen.is_empty() {
        note("no event type is called so; 'prpt types' shows all");
        return Ok(super::NOTHING);
    }
    match args.output.format() {
        Format::Plain => print(&table(&chosen))?,
        format => {
            let set = RuleSet::built_in();
            let mut rules: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for rule in set.rules() {
                rules.entry(rule.event_type.as_str()).or_default().push(&rule.name);
            }
            let none = Vec::new();
            for info in chosen {
                render::json(&as_json(info, rules.get(info.name).unwrap_or(&none)), format)?;
            }
        }
    }
    Ok(super::OK)
}

fn fits(info: &TypeInfo, words: &[String]) -> bool {
    let named = |word: &String| {
        info.name.contains(&word.to_ascii_uppercase()) || info.sub_system.eq_ignore_ascii_case(word)
    };
    words.is_empty() || words.iter().any(named)
}

fn nature(info: &TypeInfo) -> &'static str {
    match info.nature {
        Nature::Fault => "fault",
        Nature::Clears => "clears",
        Nature::News => "news",
    }
}

fn table(types: &[&TypeInfo]) -> String {
    let width = types.iter().map(|info| info.name.len()).max().unwrap_or_default();
    let mut out = String::new();
    for info in types {
        let TypeInfo { name, sub_system, severity, meaning, .. } = info;
        let (severity, since) = (severity.as_str(), info.since());
        // Writing to a string does not fail.
        let _written =
            writeln!(out, "{name:<width$}  {sub_system:<12}  {severity:<9}  {since:<6}  {meaning}");
    }
    out
}

fn as_json(info: &TypeInfo, rules: &[&str]) -> Value {
    json!({
        "event_type": info.name,
        "sub_system": info.sub_system,
        "severity": info.severity,
        "nature": nature(info),
        "meaning": info.meaning,
        "since": info.since(),
        "rules": rules,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_by_name_and_subsystem() {
        let found = |word: &str| TYPES.iter().filter(|i| fits(i, &[word.to_owned()])).count();
        assert_eq!(found("nvme_timeout"), 1);
        assert!(found("nvme") >= 7 && found("NVMe") == found("nvme"));
        assert_eq!(found("no such"), 0);
        let all: Vec<&TypeInfo> = TYPES.iter().collect();
        assert_eq!(table(&all).lines().count(), TYPES.len());
    }
}
