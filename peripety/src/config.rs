//! Configuration: `/etc/peripetyd.conf` and `/etc/peripetyd.conf.d/*.conf`, in TOML.
//!
//! The files of the directory come after the main one, in the order of their names: a later file overrides single values
//! and adds rules; a rule with the name of an earlier one takes its place. A missing file means defaults. Reading is all
//! or nothing, with everything that is wrong reported at once: a running daemon keeps what it has (promise 6).

mod error;
mod files;
mod settings;

use std::{collections::BTreeMap, path::PathBuf};

pub(crate) use error::{ConfigError, ConfigErrors};
pub use files::{Bounded, read_bounded};
pub(crate) use settings::{Main, SlowIo};

use crate::{incident::Limits, parser::rules::Rule, roots::Roots};

/// The daemon's configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `[main]`.
    pub main: Main,
    /// `[probes]`: the probes that are switched on or off, by the names of the kernel's tracepoints; the others are on.
    pub probes: BTreeMap<String, bool>,
    /// `[early_signs]`: from how many in which time on events that failed nothing are a warning.
    pub early_signs: Limits,
    /// `[slow_io]`: from when on a request is slow.
    pub slow_io: SlowIo,
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
    rules: Vec<Rule>,
}

impl Config {
    /// Reads the system's configuration.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files.
    pub fn load(roots: &Roots) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let files = files::of_system(&roots.config, &mut errors);
        Self::read(&files, errors)
    }

    /// Reads these files, which must exist, each overriding the ones before it.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files.
    pub fn load_files(files: &[PathBuf]) -> Result<Self, ConfigErrors> {
        Self::read(files, ConfigErrors::default())
    }

    /// Reads a configuration from memory; `file` names it in messages.
    ///
    /// # Errors
    /// Everything that is wrong with the text.
    pub fn from_text(file: &str, text: &str) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let mut config = Self::default();
        config.add_text(file, text, &mut errors);
        errors.or(config)
    }

    fn read(files: &[PathBuf], mut errors: ConfigErrors) -> Result<Self, ConfigErrors> {
        let mut config = Self::default();
        for file in files {
            let name = file.display().to_string();
            match files::read(file) {
                Ok(text) => config.add_text(&name, &text, &mut errors),
                Err((what, fix)) => errors.add(ConfigError::of_file(&name, &what, &fix)),
            }
            config.files.push(file.clone());
        }
        errors.or(config)
    }

    fn add_text(&mut self, file: &str, text: &str, errors: &mut ConfigErrors) {
        let problems = settings::apply(self, file, text);
        errors.extend(problems.into_iter().map(|problem| ConfigError::new(file, problem)));
    }

    /// The user's rules, in the order in which they are to be asked.
    pub fn rules(&self) -> Vec<Rule> {
        self.rules.clone()
    }

    /// Whether a probe may be loaded.
    pub fn probe_enabled(&self, name: &str) -> bool {
        self.probes.get(name).copied().unwrap_or(true)
    }
}

#[cfg(test)]
mod tests;
