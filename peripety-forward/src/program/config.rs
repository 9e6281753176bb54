//! `/etc/peripety-forward.conf`, in TOML.

use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use peripety::internal::secret::text_of;
use serde::Deserialize;

use crate::server::Servers;

/// Bytes of the file.
const FILE_MAX: u64 = 1 << 20;

/// The configuration is wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigError {
    #[error("{}: cannot read it: {source}; create it, or name another file with --config", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}:{line}: {what}", path.display())]
    Text { path: PathBuf, line: usize, what: String },
    #[error("{}: {what}", path.display())]
    Value { path: PathBuf, what: String },
}

/// With what a forwarder begins that has no place yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Begin {
    /// All that the journal has.
    #[default]
    Stored,
    /// What happens now.
    Now,
}

/// The configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Where this host is: the second token of all subjects.
    pub(super) site: String,
    /// The host's name, if it is not that of the machine.
    pub(super) host: Option<String>,
    /// How often the host says that it lives.
    #[serde(default = "half_a_minute")]
    pub(super) heartbeat: SignedDuration,
    #[serde(default)]
    pub(super) begin: Begin,
    pub(super) servers: Servers,
}

const fn half_a_minute() -> SignedDuration {
    SignedDuration::from_secs(30)
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// What is wrong first.
    pub(super) fn load(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        Self::from_text(path, &text_of(path, FILE_MAX).map_err(read)?)
    }

    fn from_text(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            ConfigError::Text {
                path: path.to_owned(),
                line: 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count(),
                what: error.message().trim().replace('\n', "; "),
            }
        })?;
        let wrong = |what: String| Err(ConfigError::Value { path: path.to_owned(), what });
        if config.site.is_empty() {
            return wrong("site: write where this host is, as in site = \"berlin\"".to_owned());
        }
        if config.heartbeat < SignedDuration::from_secs(1) || config.heartbeat > SignedDuration::from_hours(1)
        {
            return wrong("heartbeat: write a duration from 1s to 1h".to_owned());
        }
        if let Err(error) = config.servers.check() {
            return wrong(error.to_string());
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_file_says_where_and_what_would_be_right() {
        let load = |text: &str| Config::from_text(Path::new("/c"), text);
        let wrong = |text: &str| load(text).err().map(|error| error.to_string()).unwrap_or_default();
        let servers = "[servers]\nurls = [\"nats://127.0.0.1:4222\"]\n";
        assert!(load(&format!("site = \"a\"\n{servers}")).is_ok());
        assert!(wrong(servers).contains("missing field `site`"));
        assert!(wrong(&format!("site = \"a\"\nheartbeat = \"2h\"\n{servers}")).contains("1s to 1h"));
        assert!(wrong(&format!("site = \"a\"\nhots = \"x\"\n{servers}")).starts_with("/c:2: unknown field"));
        assert!(wrong(&format!("site = \"\"\n{servers}")).contains("berlin"));
    }

    #[test]
    fn the_example_is_a_configuration() {
        let example = include_str!("../../../dist/peripety-forward.conf");
        let config = Config::from_text(Path::new("/c"), &example.replace("#! ", "")).unwrap();
        assert_eq!(config.begin, Begin::Stored);
    }
}
