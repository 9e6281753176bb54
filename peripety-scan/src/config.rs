//! What is scanned and how: `/etc/peripety-scan.conf`, in TOML; `[[scan]]` for each group of devices.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use peripety_model::name_fits;
use serde::{Deserialize, Serialize};

use crate::{
    amount::{rate_of, time_of},
    hours::{Hours, hours_of},
};

/// Where it is.
pub const PATH: &str = "/etc/peripety-scan.conf";
/// Bytes of the file.
const FILE_MAX: u64 = 1 << 20;
/// Tables of it.
const SCANS_MAX: usize = 256;

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
}

/// The configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The first that fits a device is taken; a device that none fits is not scanned.
    #[serde(default)]
    pub scan: Vec<Scan>,
}

/// How some devices are scanned.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scan {
    /// Devices by name (`sda`, `vg/lv`, `/dev/disk/by-id/…`), by WWID, by kind (`scsi`, `nvme`, `md` …); `*` stands for anything.
    pub devices: Vec<String>,
    /// How they are scanned.
    #[serde(default)]
    pub method: Wanted,
    /// How fast at most, in bytes per second.
    #[serde(default = "default_rate", deserialize_with = "rate_of")]
    pub rate: u64,
    /// A pass begins so long after the one before began.
    #[serde(default = "default_every", deserialize_with = "time_of")]
    pub every: Duration,
    /// Only in these hours of a day.
    #[serde(default, deserialize_with = "hours_of")]
    pub hours: Option<Hours>,
    /// It waits while others read or write more than so many bytes per second.
    #[serde(default = "default_busy", deserialize_with = "rate_of")]
    pub busy: u64,
    /// How long a read may take before the device counts as one that does not answer.
    #[serde(default = "default_timeout", deserialize_with = "time_of")]
    pub timeout: Duration,
}

/// How a device is to be scanned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// What verifies most: an array is checked, a btrfs scrubbed, anything else read.
    #[default]
    Auto,
    /// By the kernel's check of arrays.
    Check,
    /// By the scrub of btrfs.
    Scrub,
    /// By plain reads.
    Read,
}

/// How a device is scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// All of it is read.
    Read,
    /// md compares all copies, or data and parity.
    MdCheck,
    /// The same, by a message to a map of dm-raid.
    RaidCheck,
    /// btrfs compares all that it stores with its checksums.
    Scrub,
}

impl Method {
    /// What it did, for "read 4.0 TB".
    pub const fn past(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::MdCheck | Self::RaidCheck => "checked",
            Self::Scrub => "scrubbed",
        }
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::MdCheck | Self::RaidCheck => "check",
            Self::Scrub => "scrub",
        }
    }
}

const fn default_rate() -> u64 {
    20_000_000
}

const fn default_every() -> Duration {
    Duration::from_secs(30 * 86_400)
}

const fn default_busy() -> u64 {
    256_000
}

const fn default_timeout() -> Duration {
    Duration::from_secs(120)
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is no configuration.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Read { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut text = String::new();
        file.take(FILE_MAX).read_to_string(&mut text).map_err(failed)?;
        Self::parse(&text, path)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// It is no configuration.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let wrong = |line, what| ConfigError::Text { path: path.to_owned(), line, what };
        let config: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
            wrong(line, error.message().to_owned())
        })?;
        if config.scan.len() > SCANS_MAX {
            return Err(wrong(1, format!("more than {SCANS_MAX} tables [[scan]]")));
        }
        if config.scan.iter().any(|scan| scan.devices.is_empty()) {
            return Err(wrong(1, "a table [[scan]] names no devices; devices = [\"*\"] are all".to_owned()));
        }
        Ok(config)
    }

    /// The table about a device with these names, and whether it names the device by more than `*`.
    pub fn find(&self, names: &[&str]) -> Option<(&Scan, bool)> {
        let fitting = |scan: &Scan| {
            let patterns =
                scan.devices.iter().filter(|pattern| names.iter().any(|name| name_fits(pattern, name)));
            patterns.map(|pattern| pattern != "*").max()
        };
        self.scan.iter().find_map(|scan| fitting(scan).map(|named| (scan, named)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("s.conf")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_table_with_its_defaults_and_one_that_says_all() {
        let config = parse(
            "[[scan]]\ndevices = [\"sd*\"]\nmethod = \"read\"\nrate = \"5 MB/s\"\nevery = \"7 days\"\nhours = \"22:00-06:00\"\n\
             busy = \"1 MB/s\"\ntimeout = \"10s\"\n[[scan]]\ndevices = [\"*\", \"loop0\"]\n",
        )
        .unwrap();
        let [first, second] = config.scan.as_slice() else { panic!("{config:?}") };
        assert_eq!(
            (first.rate, first.every.as_secs(), first.busy, first.timeout.as_secs()),
            (5_000_000, 604_800, 1_000_000, 10)
        );
        assert!(first.method == Wanted::Read && first.hours.is_some());
        assert_eq!(
            (second.rate, second.every.as_secs(), second.method),
            (20_000_000, 2_592_000, Wanted::Auto)
        );
        let named = |names: &[&str]| config.find(names).map(|(scan, named)| (scan.rate, named));
        assert_eq!(named(&["sda"]), Some((5_000_000, true)));
        assert_eq!(named(&["nvme0n1"]), Some((20_000_000, false)));
        assert_eq!(named(&["loop0"]), Some((20_000_000, true)));
        assert!(parse("").unwrap().find(&["sda"]).is_none());
    }

    #[test]
    fn what_is_wrong_says_where() {
        for (text, words) in [
            ("[[scan]]\ndevices = []", "names no devices"),
            ("[[scan]]\n", "missing field `devices`"),
            ("[[scan]]\ndevices = [\"*\"]\nrate = \"fast\"", "s.conf:3: 'fast' is no rate, like '20 MB/s'"),
            ("[[scan]]\ndevices = [\"*\"]\nevery = \"0s\"", "is no time"),
            ("[[scan]]\ndevices = [\"*\"]\nevery = \"-1 day\"", "is no time"),
            ("[[scan]]\ndevices = [\"*\"]\nhours = \"night\"", "are no hours of a day"),
            ("[[scan]]\ndevices = [\"*\"]\nmethod = \"guess\"", "unknown variant"),
            ("[[scan]]\ndevices = [\"*\"]\nspeed = 1", "unknown field `speed`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
