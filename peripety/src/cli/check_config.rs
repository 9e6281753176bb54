//! `prpt check-config`

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use crate::{
    config::Config,
    event::{SUB_SYSTEMS, TYPES},
    parser::rules::{Rule, RuleSet},
    roots::Roots,
    text::printable,
};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files to check, each overriding the ones before it [default: the system's configuration]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let of_system = args.files.is_empty();
    let config = if args.files.is_empty() { Config::load(roots) } else { Config::load_files(&args.files) };
    let config = match config {
        Ok(config) => config,
        Err(errors) => {
            for error in errors.iter() {
                anstream::eprintln!("{}", printable(&error.to_string()));
            }
            return Ok(super::FAILED);
        }
    };
    let rules = config.rules();
    let set = RuleSet::with_user_rules(rules.clone());
    let mut failed = 0;
    for rule in &rules {
        for error in set.try_examples(rule) {
            failed += 1;
            let text = format!(
                "{}:{}: collector_regexs.examples: {error}; mend the regex of the rule, or the example",
                file_of(rule),
                error.at()
            );
            anstream::eprintln!("{}", printable(&text));
        }
    }
    if failed > 0 {
        return Ok(super::FAILED);
    }
    for rule in &rules {
        for note in nearly_known(rule) {
            anstream::eprintln!("{}", printable(&format!("{}: note: {note}", rule.origin)));
        }
    }
    let files = match config.files.as_slice() {
        [] => format!("{}: no such file, defaults hold", roots.config.display()),
        files => files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", "),
    };
    let examples: usize = rules.iter().map(|r| r.examples.len()).sum();
    let mut out = anstream::stdout().lock();
    writeln!(
        out,
        "{}: ok, {} and {}",
        printable(&files),
        count(rules.len(), "rule"),
        count(examples, "example")
    )?;
    drop(out);
    if of_system { notify(roots) } else { Ok(super::OK) }
}

/// The configuration of notifications is that program's: it checks it itself, with all that its outputs want.
fn notify(roots: &Roots) -> anyhow::Result<u8> {
    const PROGRAM: &str = "peripety-notify";
    let config = roots.etc.join("peripety-notify.conf");
    if !config.exists() {
        return Ok(super::OK);
    }
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join(PROGRAM)));
    let places = beside
        .into_iter()
        .chain(["/usr/sbin", "/usr/local/sbin", "/usr/bin"].map(|d| Path::new(d).join(PROGRAM)));
    let Some(program) = places.into_iter().find(|program| program.is_file()) else {
        anstream::eprintln!("{}: not checked: there is no {PROGRAM}", config.display());
        return Ok(super::OK);
    };
    let status = Command::new(&program)
        .arg("--check")
        .arg("--config")
        .arg(&config)
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    Ok(if status.success() { super::OK } else { super::FAILED })
}

/// Names of a rule's own that are nearly one of peripety's: they are taken as they are, and may be a slip.
fn nearly_known(rule: &Rule) -> Vec<String> {
    let near = |key: &str, name: &str, known: &mut dyn Iterator<Item = &'static str>| {
        let known: Vec<&str> = known.collect();
        let nearest = known.iter().map(|k| (strsim::damerau_levenshtein(name, k), *k)).min();
        nearest.filter(|(apart, _)| (1..=(name.len() / 4).clamp(1, 2)).contains(apart)).map(|(_, nearest)| {
            format!("{key} '{name}' is a name of your own; if '{nearest}' is meant, write that")
        })
    };
    let types = near("event_type", rule.event_type.as_str(), &mut TYPES.iter().map(|row| row.name));
    let sub_systems = near("sub_system", rule.sub_system.as_str(), &mut SUB_SYSTEMS.iter().copied());
    types.into_iter().chain(sub_systems).collect()
}

/// The file that a rule stands in.
fn file_of(rule: &Rule) -> &str {
    rule.origin.rsplit_once(':').map_or(rule.origin.as_str(), |(file, _)| file)
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::rules::{Author, read_rules};

    fn notes(sub_system: &str, event_type: &str) -> Vec<String> {
        let text = format!(
            "[[collector_regexs]]\nstarts_with = 'x'\nregex = '^x (?P<kdev>sd[a-z]+)$'\nsub_system = '{sub_system}'\nevent_type = '{event_type}'\n"
        );
        let (rules, problems) = read_rules("mine.conf", &text, Author::User);
        assert_eq!(problems, []);
        nearly_known(&rules[0])
    }

    #[test]
    fn a_slip_in_a_name_is_told_and_a_name_of_ones_own_is_not() {
        assert_eq!(
            notes("scsy", "SCSI_MEDIUM_EROR"),
            [
                "event_type 'SCSI_MEDIUM_EROR' is a name of your own; if 'SCSI_MEDIUM_ERROR' is meant, write that",
                "sub_system 'scsy' is a name of your own; if 'scsi' is meant, write that",
            ]
        );
        assert_eq!(notes("scsi", "SCSI_MEDIUM_ERROR"), [] as [&str; 0]);
        assert_eq!(notes("mydriver", "MY_DRIVER_LOSS"), [] as [&str; 0]);
    }
}
