//! A page for each type of event, one that lists them, and one of the conditions.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, process::Command};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::sh;

/// A type as `prpt types --format Json` gives it.
#[derive(Debug, Deserialize)]
pub(super) struct Type {
    #[serde(rename = "event_type")]
    pub name: String,
    pub sub_system: String,
    severity: String,
    nature: String,
    meaning: String,
    since: String,
    examples: Vec<String>,
    advice: Option<Advice>,
    opens: Vec<Condition>,
    ends: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Advice {
    causes: Vec<String>,
    check: String,
    first: String,
    avoid: String,
}

/// What is wrong after an event of the type.
#[derive(Clone, Debug, Deserialize)]
struct Condition {
    condition: String,
    words: String,
    from: String,
    ended_by: Vec<String>,
    or_when: Vec<String>,
    lasts: String,
}

/// Asks prpt for all types.
pub(super) fn read(bins: &Path) -> Result<Vec<Type>> {
    let mut prpt = Command::new(bins.join("prpt"));
    prpt.args(["types", "--format", "Json"]);
    let text = sh::output(&mut prpt).with_context(|| format!("{} gives no types", sh::shown(&prpt)))?;
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("prpt types: {line}")))
        .collect()
}

/// The page of a type.
pub(super) fn page(info: &Type) -> String {
    let Type { name, sub_system, severity, nature, meaning, since, .. } = info;
    let nature = match nature.as_str() {
        "fault" => "a failure",
        "clears" => "the end of an earlier failure",
        _ => "information, not a failure",
    };
    let mut page = format!(
        "# {name}\n\n{}.\n\n| | |\n|---|---|\n| subsystem | {sub_system} |\n| severity | {severity}, where nothing is \
         known about the impact |\n| what it is | {nature} |\n| since | {since} |\n\n",
        capital(meaning)
    );
    let mut part = |title: &str, text: &str| {
        // Writing to a string does not fail.
        let _written = write!(page, "## {title}\n\n{text}\n");
    };
    if let Some(Advice { causes, check, first, avoid }) = &info.advice {
        let causes: String =
            causes.iter().enumerate().map(|(n, cause)| format!("{}. {}\n", n + 1, plain(cause))).collect();
        part("Causes, the likeliest first", &causes);
        part("How to distinguish them", &format!("{}\n", plain(check)));
        part("What to do first", &format!("{}\n", plain(first)));
        part("What not to do", &format!("{}\n", plain(avoid)));
    }
    if !info.opens.is_empty() {
        part(
            "What is wrong until then, and what clears it",
            &info.opens.iter().map(clears).collect::<String>(),
        );
    } else if info.nature == "fault" {
        part(
            "What clears it",
            "It opens no condition: it is over as soon as it was written. Its incident ends with that.\n",
        );
    }
    if !info.ends.is_empty() {
        let ends: String = info.ends.iter().map(|words| format!("* {}\n", link(words))).collect();
        part("What it clears", &ends);
    }
    if !info.examples.is_empty() {
        let lines: String = info.examples.iter().map(|line| format!("{}\n", line.trim_end())).collect();
        part(
            "Lines that it is made of",
            &format!("Where no probe saw it first, or beside it:\n\n```text\n{lines}```\n"),
        );
    }
    let commands =
        format!("```console\n$ prpt query --event-type {name}\n$ journalctl EVENT_TYPE={name} -x\n```\n");
    part("To see them", &commands);
    page
}

fn clears(condition: &Condition) -> String {
    let Condition { from, ended_by, or_when, lasts, .. } = condition;
    let mut text = format!("{}, from severity {from} on.\n\n", link(&condition.words));
    for name in ended_by {
        let _written = writeln!(text, "* `{name}`");
    }
    for when in or_when {
        let _written = writeln!(text, "* or when {when}");
    }
    let _written = writeln!(text, "* or `prpt resolve`, by a person\n\nIt lasts {lasts}.\n");
    text
}

/// A condition by its words, linked to its part of the page of conditions.
fn link(words: &str) -> String {
    // As mdBook makes the name of a place from a title.
    let place = words.to_lowercase().replace(' ', "-");
    let place: String = place.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect();
    format!("[{words}](../conditions.md#{place})")
}

/// All types by subsystem.
pub(super) fn index(types: &[Type]) -> String {
    let mut page = "# Event types\n\nEach failure has one of these types, and each type a page with its likely causes and what to \
                    do. `prpt types` lists them too. Severities are those where nothing is known about the impact: \
                    a failure that redundancy takes is lowered, one that hurts a filesystem is raised.\n"
        .to_owned();
    for (sub_system, types) in by_subsystem(types) {
        let _written = write!(page, "\n## {sub_system}\n\n{}", table(&types));
    }
    page
}

/// The types of one subsystem.
pub(super) fn subsystem(name: &str, types: &[&Type]) -> String {
    format!("# {name}\n\n{}", table(types))
}

fn table(types: &[&Type]) -> String {
    let mut text = "| type | severity | |\n|---|---|---|\n".to_owned();
    for Type { name, severity, meaning, .. } in types {
        // Writing to a string does not fail.
        let _written =
            writeln!(text, "| [{name}]({name}.md) | {severity} | {} |", plain(meaning).replace('|', "\\|"));
    }
    text
}

/// Types by their subsystem, in the order of the table.
pub(super) fn by_subsystem(types: &[Type]) -> Vec<(&str, Vec<&Type>)> {
    let mut all: Vec<(&str, Vec<&Type>)> = Vec::new();
    for info in types {
        match all.iter_mut().find(|(name, _)| *name == info.sub_system) {
            Some((_, of)) => of.push(info),
            None => all.push((&info.sub_system, vec![info])),
        }
    }
    all
}

/// The page of conditions.
pub(super) fn conditions(types: &[Type]) -> String {
    let mut page = "# Conditions\n\nA condition is something that is wrong for a while: an event opens it, and something proves \
                    that it is over. `prpt status` lists the incidents that have one, `prpt status -v` the conditions.\n"
        .to_owned();
    let mut all: BTreeMap<&str, Vec<(&Condition, &str)>> = BTreeMap::new();
    for info in types {
        for condition in &info.opens {
            all.entry(&condition.words).or_default().push((condition, &info.name));
        }
    }
    for (words, opened) in all {
        let _written = write!(page, "\n## {}\n\n", capital(words));
        let mut names: Vec<&str> = opened.iter().map(|(condition, _)| condition.condition.as_str()).collect();
        names.dedup();
        let _written = writeln!(
            page,
            "In JSON: {}.\n",
            names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
        );
        for (n, name) in names.iter().enumerate() {
            let of: Vec<_> = opened.iter().filter(|(condition, _)| condition.condition == *name).collect();
            let Some((condition, _)) = of.first() else { continue };
            if n > 0 {
                page.push('\n');
            }
            let opens: Vec<String> = of.iter().map(|(_, name)| format!("`{name}`")).collect();
            let ends: Vec<String> = condition.ended_by.iter().map(|name| format!("`{name}`")).collect();
            let _written =
                writeln!(page, "* opened by: {} (severity {} or worse)", opens.join(", "), condition.from);
            if !ends.is_empty() {
                let _written = writeln!(page, "* ended by: {}", ends.join(", "));
            }
            for when in &condition.or_when {
                let _written = writeln!(page, "* or when {when}");
            }
            let _written = writeln!(page, "* lasts {}", condition.lasts);
        }
    }
    page
}

fn capital(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Text of the tables, with what 'quotes' a command as code, and nothing of it taken for HTML.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, (command, after))) =
        rest.split_once('\'').and_then(|(before, rest)| Some((before, rest.split_once('\'')?)))
    {
        let begins_a_word = before.is_empty() || before.ends_with([' ', '(']);
        if begins_a_word {
            let _written = write!(out, "{before}`{command}`");
            rest = after;
        } else {
            let _written = write!(out, "{before}'");
            rest = rest.get(before.len() + 1..).unwrap_or_default();
        }
    }
    (out + rest).replace('<', "&lt;").replace("{device}", "DEVICE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_commands_are_code_and_apostrophes_are_not() {
        assert_eq!(
            plain("'lvs -a' (Data%), 'df -h' of the pool's disk"),
            "`lvs -a` (Data%), `df -h` of the pool's disk"
        );
        assert_eq!(plain("the drive's 'smartctl -x {device}'"), "the drive's `smartctl -x DEVICE`");
        assert_eq!(plain("a <b>"), "a &lt;b>");
    }

    #[test]
    fn a_page_says_what_clears_the_fault() {
        let info: Type = serde_json::from_str(
            r#"{"event_type":"A_FAULT","sub_system":"md","severity":"error","nature":"fault","meaning":"it failed","since":"0.1.0",
            "examples":["md: x"],"advice":{"causes":["one"],"check":"'a b'","first":"f","avoid":"n"},"ends":[],
            "opens":[{"condition":"c","words":"is bad","from":"warning","ended_by":["MD_RECOVERY_DONE"],"or_when":["it is gone"],"lasts":"for ever"}]}"#,
        )
        .unwrap();
        let text = page(&info);
        for part in [
            "# A_FAULT\n\nIt failed.",
            "* `MD_RECOVERY_DONE`",
            "* or when it is gone",
            "1. one",
            "(../conditions.md#is-bad)",
            "md: x",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(conditions(&[info]).contains("* opened by: `A_FAULT` (severity warning or worse)"));
    }
}
