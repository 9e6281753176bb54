//! `/etc/peripety-hub.conf`, in TOML.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail};
use peripety::internal::secret::text_of;
use peripety_forward::server::Servers;
use peripety_notify::internal::{Notify, check_receivers};
use serde::Deserialize;

use crate::web;

/// Bytes of the file.
const FILE_MAX: u64 = 1 << 20;

/// The configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// The name of its place in the stream: hubs of one name share the messages, each other name gets all.
    #[serde(default = "name")]
    pub(super) name: String,
    /// Days that its own history goes back.
    #[serde(default = "year")]
    pub(super) days: u32,
    /// Copies, days and GiB of the stream.
    #[serde(default = "one")]
    pub(super) replicas: u8,
    #[serde(default = "quarter")]
    stream_days: u32,
    #[serde(default = "ten")]
    stream_gib: u32,
    pub(super) servers: Servers,
    #[serde(default)]
    pub(super) web: web::Config,
    #[serde(default)]
    pub(super) notify: Vec<Notify>,
}

fn name() -> String {
    "hub".to_owned()
}

const fn year() -> u32 {
    365
}

const fn one() -> u8 {
    1
}

const fn quarter() -> u32 {
    90
}

const fn ten() -> u32 {
    10
}

impl Config {
    /// Reads and checks a file.
    pub(super) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = text_of(path, FILE_MAX)
            .with_context(|| format!("cannot read {}; create it, or try --dev", path.display()))?;
        Self::from_text(path, &text)
    }

    fn from_text(path: &Path, text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
            anyhow::anyhow!("{}:{line}: {}", path.display(), error.message().trim().replace('\n', "; "))
        })?;
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if config.name.is_empty() || !config.name.chars().all(fits) {
            bail!("{}: name: it has letters, digits, '-' and '_'", path.display());
        }
        config.servers.check().with_context(|| path.display().to_string())?;
        if let Some(what) = config.web.wrong() {
            bail!("{}: [web]: {what}", path.display());
        }
        check_receivers(path, &config.notify)?;
        Ok(config)
    }

    /// Without a file, for a try.
    pub(super) fn dev() -> Self {
        Self {
            name: name(),
            days: year(),
            replicas: one(),
            stream_days: quarter(),
            stream_gib: one().into(),
            servers: Servers::default(),
            web: web::Config::default(),
            notify: Vec::new(),
        }
    }

    pub(super) fn stream_age(&self) -> Duration {
        Duration::from_secs(u64::from(self.stream_days) * 86_400)
    }

    pub(super) fn stream_bytes(&self) -> i64 {
        i64::from(self.stream_gib) << 30
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_configuration_and_what_is_wrong_is_said() {
        let example = include_str!("../../../dist/peripety-hub.conf").replace("#! ", "");
        let config = Config::from_text(Path::new("/c"), &example).unwrap();
        assert_eq!((config.web.token.len(), config.notify.len()), (2, 1));
        let wrong = |text: &str| format!("{:#}", Config::from_text(Path::new("/c"), text).err().unwrap());
        let servers = "[servers]\nurls = [\"nats://a:4222\"]\n";
        assert!(wrong("name = 1").starts_with("/c:1: "));
        assert!(wrong(&format!("name = \"a b\"\n{servers}")).contains("letters"));
        let open = wrong(&format!("{servers}[web]\nlisten = \"0.0.0.0:80\"\n"));
        assert!(open.contains("tokens") && open.contains("certificate"), "{open}");
    }
}
