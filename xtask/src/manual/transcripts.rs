//! Checks the commands that the manual shows: each is one that its program takes, and prints what the page says it does
//! where the page says that it was run (a fence of ```` ```console,run ````).

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::logs;
use crate::{build::PROGRAMS, sh};

/// Stands for lines that are left out.
const LEFT_OUT: &str = "…";

/// A command of a page, and what the page says it prints.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    /// Line of the command in the page, from 0.
    at: usize,
    command: String,
    printed: Vec<String>,
    run: bool,
}

/// What is done with commands whose output a page shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outputs {
    /// They are not run.
    Leave,
    /// They are run, and must print what the page shows.
    Check,
    /// They are run, and what they print is written into the page.
    Bless,
}

/// Checks all pages.
pub(super) fn check(bins: &Path, outputs: Outputs) -> Result<()> {
    let bless = outputs == Outputs::Bless;
    let dir = sh::target_dir().join("manual-examples");
    logs(&dir)?;
    let (mut wrong, mut checked, mut run) = (Vec::new(), 0, 0);
    let mut all = sh::files(&sh::root().join("doc/manual/src"))?;
    all.push(sh::root().join("README.md"));
    for file in all {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        for command in inline(&text) {
            checked += 1;
            if let Some(why) = refused(bins, command) {
                wrong.push(format!("{}: `{command}`: {why}", file.display()));
            }
        }
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        // From the end, so that the places of those before it stay.
        for shown in commands(&text).into_iter().rev() {
            let place = format!("{}:{}: {}", file.display(), shown.at + 1, shown.command);
            for part in parts(&shown.command) {
                checked += 1;
                if let Some(why) = refused(bins, &part) {
                    wrong.push(format!("{place}: {why}"));
                }
            }
            if !shown.run || outputs == Outputs::Leave {
                continue;
            }
            run += 1;
            let printed = output(bins, &dir, &shown.command)?;
            if is_same(&shown.printed, &printed) {
                continue;
            }
            if bless {
                let from = shown.at + 1;
                lines.splice(from..from + shown.printed.len(), printed);
            } else {
                wrong.push(format!("{place}: prints now:\n{}", printed.join("\n")));
            }
        }
        let blessed = lines.join("\n") + "\n";
        if bless && blessed != text {
            fs::write(&file, blessed).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    eprintln!("manual: {checked} commands are as their programs take them, {run} were run");
    if wrong.is_empty() {
        Ok(())
    } else {
        bail!("{}\n(cargo xtask manual --bless writes what is printed now)", wrong.join("\n"))
    }
}

/// The commands in the console examples of a page.
fn commands(text: &str) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    let (mut inside, mut run, mut goes_on) = (false, false, false);
    for (at, line) in text.lines().enumerate() {
        if let Some(info) = line.trim_start().strip_prefix("```") {
            inside = !inside && info.starts_with("console");
            run = inside && info.contains(",run");
            goes_on = false;
        } else if !inside {
        } else if let Some(command) = line.strip_prefix("$ ").or(line.strip_prefix("# ")) {
            let command = command.split("   #").next().unwrap_or(command).trim().to_owned();
            goes_on = command.ends_with('\\');
            found.push(Shown { at, command, printed: Vec::new(), run });
        } else if let Some(last) = found.last_mut() {
            if goes_on {
                last.command = format!("{} {}", last.command.trim_end_matches('\\').trim(), line.trim());
                goes_on = last.command.ends_with('\\');
            } else {
                last.printed.push(line.to_owned());
            }
        }
    }
    found
}

/// Calls of our own programs that stand as code within text, without what stands for something else (CAPITALS).
fn inline(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2).filter(|code| !code.contains(['\n', '…']));
    let is_call = |code: &&str| {
        code.split_once(' ')
            .is_some_and(|(first, rest)| PROGRAMS.contains(&first) && !rest.contains(['|', '<', '>']))
    };
    quoted.filter(is_call).collect()
}

/// The calls of our own programs in a line for the shell.
fn parts(command: &str) -> Vec<String> {
    let parts = command.split(['|', ';']).flat_map(|part| part.split("&&"));
    let own = |part: &&str| {
        let first = part.split_whitespace().find(|word| *word != "sudo").unwrap_or_default();
        PROGRAMS.contains(&first)
    };
    parts
        .map(|part| part.split(" >").next().unwrap_or(part).split(" <").next().unwrap_or(part))
        .map(|part| part.trim().trim_start_matches("sudo ").trim())
        .filter(own)
        .map(str::to_owned)
        .collect()
}

/// Why its program does not take a call: asked for its help, it reads the arguments and does nothing.
fn refused(bins: &Path, call: &str) -> Option<String> {
    let mut shell = shell(bins, &std::env::temp_dir(), &format!("{call} --help"));
    let done = shell.stdout(Stdio::null()).output().ok()?;
    let why = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    // A word in capitals stands for a value.
    let value =
        why.split_once("invalid value '").and_then(|(_, rest)| rest.split_once('\'')).map(|(value, _)| value);
    let stands_for_one = value.is_some_and(|value| value.chars().all(|c| c.is_ascii_uppercase()));
    (!done.status.success() && !stands_for_one).then_some(why)
}

fn output(bins: &Path, dir: &Path, command: &str) -> Result<Vec<String>> {
    let mut shell = shell(bins, dir, &format!("({command}) 2>&1"));
    let done = shell.output().with_context(|| format!("cannot run {command}"))?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    Ok(text.lines().map(|line| line.trim_end().to_owned()).collect())
}

/// A shell that finds our programs, on a machine where no daemon runs.
fn shell(bins: &Path, dir: &Path, script: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let bins = fs::canonicalize(bins).unwrap_or_else(|_| PathBuf::from(bins));
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).current_dir(dir).stdin(Stdio::null());
    shell.env("PATH", format!("{}:{path}", bins.display())).env("TZ", "UTC").env("LC_ALL", "C.UTF-8");
    shell.env("PERIPETY_RUNTIME_DIR", "/nonexistent").env_remove("RUST_LOG");
    shell
}

/// Whether a page shows what is printed, but for lines that it leaves out.
fn is_same(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first.trim() == LEFT_OUT => {
            (0..=printed.len()).any(|from| is_same(rest, printed.get(from..).unwrap_or_default()))
        }
        Some((first, rest)) => printed
            .split_first()
            .is_some_and(|(line, others)| line.trim_end() == first.trim_end() && is_same(rest, others)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_what_they_print_are_found() {
        let text = "a\n```console,run\n$ prpt a \\\n    b\none\n# c   # why\n```\n$ not here\n```console\n$ d\n```\n";
        let found = commands(text);
        let shown = |at, command: &str, printed: &[&str], run| Shown {
            at,
            command: command.to_owned(),
            printed: printed.iter().map(|line| (*line).to_owned()).collect(),
            run,
        };
        assert_eq!(
            found,
            [shown(2, "prpt a b", &["one"], true), shown(5, "c", &[], true), shown(9, "d", &[], false)]
        );
        assert_eq!(parts("dmesg | sudo prpt parse - > x; prpt list && ls"), ["prpt parse -", "prpt list"]);
    }

    #[test]
    fn lines_may_be_left_out_and_not_be_wrong() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert!(is_same(&lines("a\n…\nd"), &lines("a\nb\nc\nd")));
        assert!(is_same(&lines("…"), &[]));
        assert!(!is_same(&lines("a\n…\ne"), &lines("a\nb\nc\nd")));
        assert!(!is_same(&lines("a"), &lines("a\nb")));
    }
}
