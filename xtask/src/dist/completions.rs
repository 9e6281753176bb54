//! What shells complete, printed by the programs themselves.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::sh;

const SHELLS: &[&str] = &["bash", "zsh", "fish"];
/// A program, the one that prints it, and how that is asked; the shell comes behind.
const PROGRAMS: &[(&str, &str, &[&str])] = &[
    ("prpt", "prpt", &["completions"]),
    ("peripetyd", "prpt", &["completions", "--peripetyd"]),
    ("peripety-notify", "peripety-notify", &["--completions"]),
    ("peripety-forward", "peripety-forward", &["--completions"]),
    ("peripety-hub", "peripety-hub", &["--completions"]),
];

/// Writes `NAME.SHELL` into `made`.
pub fn make(bins: &Path, made: &Path) -> Result<()> {
    for (name, program, args) in PROGRAMS {
        for shell in SHELLS {
            let mut command = Command::new(bins.join(program));
            command.args(*args).arg(shell);
            let script = sh::output(&mut command)
                .with_context(|| format!("{} gives no completions", sh::shown(&command)))?;
            let file = made.join(format!("{name}.{shell}"));
            fs::write(&file, script).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    Ok(())
}
