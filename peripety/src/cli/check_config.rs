//! `prpt check-config`

use std::{io::Write, path::PathBuf};

use crate::{
    daemon::config::Config,
    parser::rules::{Rule, RuleSet},
    roots::Roots,
    text::printable,
};

/// Options.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files to check, each overriding the ones before it [default: the system's configuration]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
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
    Ok(super::OK)
}

/// The file that a rule stands in.
fn file_of(rule: &Rule) -> &str {
    rule.origin.rsplit_once(':').map_or(rule.origin.as_str(), |(file, _)| file)
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
