//! Configuration: `/etc/peripety-notify.conf`, in TOML; `[[notify]]` for each receiver.

mod values;

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use jiff::SignedDuration;
use peripety_model::{Filter, Severity, incident::ImpactKind};
use serde::Deserialize;

pub(crate) use values::{Quiet, Rate};

use crate::{
    dbus, metrics,
    output::{self, exec, irc, mail, stdout, syslog, webhook},
    secret::text_of,
    web,
};

/// Bytes of the file.
const FILE_MAX: u64 = 1 << 20;
/// Receivers.
const RECEIVERS_MAX: usize = 64;

/// The configuration is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{}: cannot read it: {source}; create it, or name another file with --config", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no configuration.
    #[error("{}:{line}: {what}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The page would be open to other machines.
    #[error("{}: [web]: {what}", path.display())]
    Web {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// A receiver is not right.
    #[error("{}: receiver '{name}': {what}", path.display())]
    Receiver {
        /// The file.
        path: PathBuf,
        /// Its name.
        name: String,
        /// What is wrong, and what would be right.
        what: String,
    },
}

/// The configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The receivers.
    #[serde(default)]
    pub(crate) notify: Vec<Notify>,
    /// Metrics.
    #[serde(default)]
    pub(crate) metrics: metrics::Config,
    /// Objects and signals on the system bus.
    #[serde(default)]
    pub(crate) dbus: dbus::Config,
    /// The websocket, and its page.
    #[serde(default)]
    pub(crate) web: web::Config,
}

/// What a receiver is notified of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// Incidents: one message when one opens, when it changes, when it is over.
    #[default]
    Incidents,
    /// Events, each once when it is complete.
    Events,
    /// Both.
    Both,
}

/// One receiver.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// Its name, in `prpt notify`, files and messages.
    pub(crate) name: String,
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    /// What it is notified of.
    #[serde(default)]
    pub(crate) what: What,

    /// As bad as this, or worse.
    #[serde(default = "warning")]
    pub(crate) severity: Severity,
    /// Types of events; `*` stands for anything. An incident has all types of its events.
    #[serde(default)]
    pub(crate) types: Vec<String>,
    #[serde(default)]
    pub(crate) sub_systems: Vec<String>,
    /// Devices, by any of the names that stand in the message.
    #[serde(default)]
    pub(crate) devices: Vec<String>,
    #[serde(default)]
    pub(crate) mount_points: Vec<String>,
    #[serde(default)]
    pub(crate) impact: Vec<ImpactKind>,
    #[serde(default)]
    pub(crate) hosts: Vec<String>,

    /// When it is reminded of what is still open, the first time; then after twice as long each time.
    #[serde(default = "values::remind", deserialize_with = "values::duration_or_never")]
    pub(crate) remind: Option<SignedDuration>,
    /// Times of the day (of this machine) in which messages wait.
    #[serde(default)]
    pub(crate) quiet: Vec<Quiet>,
    /// What is so bad does not wait for the end of quiet hours.
    #[serde(default = "critical")]
    pub(crate) quiet_passes: Severity,
    /// At most so many messages in a time; what is more waits, and comes as one.
    #[serde(default)]
    pub(crate) rate: Option<Rate>,
    /// How long a message waits for others, to be one with them.
    #[serde(default)]
    pub(crate) group: SignedDuration,

    /// Messages that may wait.
    #[serde(default = "values::queue")]
    pub(crate) queue: usize,
    /// Longest wait between two tries.
    #[serde(default = "values::ten_minutes")]
    pub(crate) retry_max: SignedDuration,
    /// After how long a failing receiver becomes an event of its own.
    #[serde(default = "values::ten_minutes")]
    pub(crate) failed_after: SignedDuration,
    /// How long one try may take.
    #[serde(default = "values::timeout")]
    pub(crate) timeout: SignedDuration,

    pub(crate) exec: Option<exec::Config>,
    pub(crate) mail: Option<mail::Config>,
    pub(crate) webhook: Option<webhook::Config>,
    pub(crate) irc: Option<irc::Config>,
    pub(crate) syslog: Option<syslog::Config>,
    pub(crate) stdout: Option<stdout::Config>,

    #[serde(skip)]
    pub(crate) filter: OnceLock<Filter>,
}

impl Notify {
    /// What of it is a filter.
    pub(crate) fn filter(&self) -> &Filter {
        self.filter.get_or_init(|| Filter {
            severity: Some(self.severity),
            types: self.types.clone(),
            sub_systems: self.sub_systems.clone(),
            devices: self.devices.clone(),
            mount_points: self.mount_points.clone(),
            hosts: self.hosts.clone(),
            impact: self.impact.clone(),
        })
    }
}

const fn yes() -> bool {
    true
}

const fn warning() -> Severity {
    Severity::Warning
}

const fn critical() -> Severity {
    Severity::Critical
}

impl Config {
    /// Reads a file, and makes each output once to see that it can be made.
    ///
    /// # Errors
    /// What is wrong first.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        let text = text_of(path, FILE_MAX).map_err(read)?;
        Self::from_text(path, &text)
    }

    pub(crate) fn from_text(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
            ConfigError::Text {
                path: path.to_owned(),
                line,
                what: error.message().trim().replace('\n', "; "),
            }
        })?;
        if let Some(what) = config.web.wrong() {
            return Err(ConfigError::Web { path: path.to_owned(), what });
        }
        check_receivers(path, &config.notify)?;
        Ok(config)
    }

    /// Whether any receiver wants events.
    pub(crate) fn wants_events(&self) -> bool {
        self.notify.iter().any(|notify| notify.enabled && notify.what != What::Incidents)
    }
}

/// Checks receivers, and makes each output once to see that it can be made.
///
/// # Errors
/// What is wrong first.
pub fn check_receivers(path: &Path, receivers: &[Notify]) -> Result<(), ConfigError> {
    let wrong = |name: &str, what: String| ConfigError::Receiver {
        path: path.to_owned(),
        name: name.to_owned(),
        what,
    };
    if receivers.len() > RECEIVERS_MAX {
        return Err(wrong("", format!("there are {}; at most {RECEIVERS_MAX} are taken", receivers.len())));
    }
    for (at, notify) in receivers.iter().enumerate() {
        let name = &notify.name;
        let fits = !name.is_empty() && name.len() <= 64 && !name.starts_with('.');
        if !fits || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return Err(wrong(name, "a name has letters, digits, '-', '_' and '.', at most 64".to_owned()));
        }
        if receivers.iter().take(at).any(|other| other.name == *name) {
            return Err(wrong(name, "there are two with this name; give each its own".to_owned()));
        }
        if notify.queue == 0 || notify.queue > 100_000 {
            return Err(wrong(name, "queue: write a number from 1 to 100000".to_owned()));
        }
        output::make(notify).map_err(|error| wrong(name, error.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
