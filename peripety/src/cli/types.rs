//! `prpt types`: the vocabulary of events.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Value, json};

use super::{
    Format, Output,
    render::{self, note, print},
};
use crate::{
    event::{Nature, TYPES, TypeInfo, advice},
    parser::rules::{Rule, RuleSet},
    roots::Roots,
    state::rows::{ROWS, Row},
};

/// Lines of the kernel or a daemon that are shown for a type.
const EXAMPLES: usize = 6;

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
            let mut rules: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
            for rule in set.rules() {
                rules.entry(rule.event_type.as_str()).or_default().push(rule);
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

fn as_json(info: &TypeInfo, rules: &[&Rule]) -> Value {
    let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    // Of each rule its first: they are of different kernels and drivers.
    let examples = rules.iter().filter_map(|rule| Some(&rule.examples.first()?.line));
    let advice = advice(info.name).map(|advice| {
        json!({ "causes": advice.causes, "check": advice.check, "first": advice.first, "avoid": advice.avoid })
    });
    let opens: Vec<Value> = ROWS.iter().filter(|row| row.opens.contains(&info.name)).map(condition).collect();
    let ends = ROWS.iter().filter(|row| row.is_closed_by(info.name)).map(|row| row.words);
    json!({
        "event_type": info.name,
        "sub_system": info.sub_system,
        "severity": info.severity,
        "nature": nature(info),
        "meaning": info.meaning,
        "since": info.since(),
        "rules": names,
        "examples": examples.take(EXAMPLES).collect::<Vec<_>>(),
        "advice": advice,
        "opens": opens,
        "ends": ends.collect::<BTreeSet<_>>(),
    })
}

/// What is wrong after an event of the type, and what ends that.
fn condition(row: &Row) -> Value {
    json!({
        "condition": row.name,
        "words": row.words,
        "from": row.from,
        "ended_by": row.closes,
        "or_when": row.checks.iter().map(|check| check.words()).collect::<Vec<_>>(),
        "lasts": row.lasts.words(),
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

    #[test]
    fn a_type_says_what_it_opens_what_ends_that_and_what_to_do() {
        let of = |name: &str| {
            let set = RuleSet::built_in();
            let rules: Vec<&Rule> =
                set.rules().iter().filter(|rule| rule.event_type.as_str() == name).collect();
            as_json(crate::event::info(name).unwrap(), &rules)
        };
        let fault = of("FS_REMOUNT_READ_ONLY");
        assert_eq!(fault["opens"][0]["condition"], "filesystem_read_only");
        assert!(fault["opens"][0]["ended_by"].as_array().unwrap().contains(&json!("FS_MOUNTED")));
        assert!(fault["advice"]["causes"].as_array().is_some_and(|causes| !causes.is_empty()));
        assert!(
            fault["examples"].as_array().is_some_and(|lines| !lines.is_empty() && lines.len() <= EXAMPLES)
        );
        let end = of("ATA_LINK_UP");
        assert_eq!((&end["ends"], &end["advice"]), (&json!(["link or session down"]), &Value::Null));
    }
}
