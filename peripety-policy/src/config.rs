//! Policies: `/etc/peripety-policy.conf`, in TOML; `[[policy]]` for each.

use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use peripety_model::name_fits;
use serde::{Deserialize, Deserializer, de::Error as _};

/// Where they are.
pub const PATH: &str = "/etc/peripety-policy.conf";
/// Bytes of the file.
const FILE_MAX: u64 = 1 << 20;
/// Policies.
const POLICIES_MAX: usize = 256;
/// Failures of an array that are remembered, so that a policy can ask for as many.
pub(crate) const FAILURES_MAX: u32 = 64;

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
    /// Others than root can write it: what stands in it is run as root.
    #[error("{}: others than root may write it, and what it says is run as root; chown root: and chmod go-w it", path.display())]
    Writable {
        /// The file.
        path: PathBuf,
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
    /// A policy is not right.
    #[error("{}: policy '{name}': {what}", path.display())]
    Policy {
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
pub struct Config {
    /// The policies; the first that fits an event is taken.
    #[serde(default)]
    pub policy: Vec<Policy>,
}

/// What is done about failures of some types.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its name, in messages.
    pub name: String,
    /// Types of events that it is about; `*` stands for anything.
    pub types: Vec<String>,
    /// Arrays, maps and volumes by name (`vg-lv`, `vg/lv`, `md0`); all if there are none.
    #[serde(default)]
    pub devices: Vec<String>,
    /// How long to wait: the failure may be over by itself. From the latest failure on.
    #[serde(default, deserialize_with = "duration")]
    pub wait: SignedDuration,
    /// Do not wait any longer once so much is out of sync, in percent.
    #[serde(default)]
    pub out_of_sync: Option<f64>,
    /// Act only after so many failures …
    #[serde(default)]
    pub failures: Option<u32>,
    /// … within this time.
    #[serde(default = "day", deserialize_with = "duration")]
    pub within: SignedDuration,
    /// What is done.
    #[serde(default)]
    pub action: Action,
    /// The program of `run`, with its arguments.
    #[serde(default)]
    pub command: Vec<String>,
    /// How long it may take; it is ended then, and that is a failure.
    #[serde(default = "ten_minutes", deserialize_with = "duration")]
    pub timeout: SignedDuration,
    /// How long to wait after an action failed; twice as long after each that follows, up to an hour.
    #[serde(default = "minute", deserialize_with = "duration")]
    pub back_off: SignedDuration,
}

/// What a policy does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing but to say what is wrong.
    #[default]
    Tell,
    /// Bring the leg in sync again, which was gone for a while.
    Resync,
    /// Write what could not be read anew from a good copy.
    Rewrite,
    /// Take another disk in place of the failed one.
    ReplaceLeg,
    /// Give a pool or snapshot more room.
    Extend,
    /// Run a program.
    Run,
}

fn minute() -> SignedDuration {
    SignedDuration::from_mins(1)
}

fn ten_minutes() -> SignedDuration {
    SignedDuration::from_mins(10)
}

fn day() -> SignedDuration {
    SignedDuration::from_hours(24)
}

/// `90s`, `10min`, `2 hours`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed: Result<SignedDuration, _> = text.parse();
    let duration =
        parsed.map_err(|_| D::Error::custom(format!("'{text}' is no time, like '90s' or '10min'")))?;
    if duration.is_negative() {
        return Err(D::Error::custom(format!("'{text}' is negative")));
    }
    Ok(duration)
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, others than root could have written it, or a policy is not right.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        use std::{io::Read as _, os::unix::fs::MetadataExt as _};
        let failed = |source| ConfigError::Read { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        // A user's own, to be checked, is run by nobody.
        if meta.uid() == 0 && meta.mode() & 0o022 != 0 {
            return Err(ConfigError::Writable { path: path.to_owned() });
        }
        let mut text = String::new();
        file.take(FILE_MAX).read_to_string(&mut text).map_err(failed)?;
        Self::parse(&text, path)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// It is no configuration, or a policy is not right.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
            ConfigError::Text { path: path.to_owned(), line, what: error.message().to_owned() }
        })?;
        if config.policy.len() > POLICIES_MAX {
            let what = format!("more than {POLICIES_MAX} policies");
            return Err(ConfigError::Text { path: path.to_owned(), line: 1, what });
        }
        for (n, policy) in config.policy.iter().enumerate() {
            let twice = config.policy.iter().take(n).any(|other| other.name == policy.name);
            let wrong = if twice { Some("another one has that name".to_owned()) } else { policy.wrong() };
            if let Some(what) = wrong {
                return Err(ConfigError::Policy { path: path.to_owned(), name: policy.name.clone(), what });
            }
        }
        Ok(config)
    }

    /// Whether any policy is about events of this type, of whichever array.
    pub fn is_about(&self, event_type: &str) -> bool {
        self.policy.iter().any(|policy| policy.is_about_type(event_type))
    }

    /// The policy about an event of this type, of an array with these names.
    pub fn find(&self, event_type: &str, names: &[&str]) -> Option<&Policy> {
        self.policy.iter().find(|policy| policy.is_about(event_type, names))
    }

    /// The policy with this name.
    pub fn named(&self, name: &str) -> Option<&Policy> {
        self.policy.iter().find(|policy| policy.name == name)
    }
}

impl Policy {
    fn wrong(&self) -> Option<String> {
        let known =
            |pattern: &String| peripety_model::TYPES.iter().any(|known| name_fits(pattern, known.name));
        if let Some(unknown) = self.types.iter().find(|pattern| !known(pattern)) {
            return Some(format!("no event has the type '{unknown}'; 'prpt types' lists them"));
        }
        if self.types.is_empty() {
            return Some("types names no type of events".to_owned());
        }
        match (self.action, self.command.first()) {
            (Action::Run, None) => return Some("action 'run' needs a command".to_owned()),
            (Action::Run, Some(program)) if !program.starts_with('/') => {
                return Some(format!("the command '{program}' has to be an absolute path"));
            }
            (Action::Run, Some(_)) | (_, None) => {}
            (_, Some(_)) => return Some("command is for action 'run' only".to_owned()),
        }
        if self.out_of_sync.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
            return Some("out_of_sync is a percentage, 0 to 100".to_owned());
        }
        if self.failures.is_some_and(|least| !(1..=FAILURES_MAX).contains(&least)) {
            return Some(format!("failures is at least 1 and at most {FAILURES_MAX}"));
        }
        self.timeout.is_zero().then(|| "timeout is more than nothing".to_owned())
    }

    fn is_about_type(&self, event_type: &str) -> bool {
        self.types.iter().any(|pattern| name_fits(pattern, event_type))
    }

    fn is_about(&self, event_type: &str, names: &[&str]) -> bool {
        self.is_about_type(event_type)
            && (self.devices.is_empty()
                || self.devices.iter().any(|pattern| names.iter().any(|name| name_fits(pattern, name))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("p.conf")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_policy_with_its_defaults() {
        let config = parse(
            "[[policy]]\nname = \"a\"\ntypes = [\"DM_MIRROR_*\"]\nwait = \"90s\"\naction = \"resync\"\n",
        )
        .unwrap();
        let policy = &config.policy[0];
        assert_eq!(
            (policy.wait.as_secs(), policy.timeout.as_secs(), policy.action),
            (90, 600, Action::Resync)
        );
        assert!(config.find("DM_MIRROR_LEG_FAILED", &["vg-lv"]).is_some());
        assert!(config.find("MD_DISK_FAILED", &["md0"]).is_none());
        assert!(config.is_about("DM_MIRROR_LEG_FAILED") && !config.is_about("MD_DISK_FAILED"));
        assert!(parse("").unwrap().policy.is_empty());
    }

    #[test]
    fn what_is_wrong_says_where_and_what_to_do() {
        let policy = |rest: &str| parse(&format!("[[policy]]\nname = \"a\"\n{rest}\n")).unwrap_err();
        for (rest, words) in [
            ("types = [\"DM_MIRRROR\"]", "p.conf: policy 'a': no event has the type 'DM_MIRRROR'"),
            ("types = []", "names no type"),
            ("types = [\"*\"]\naction = \"run\"", "needs a command"),
            ("types = [\"*\"]\naction = \"run\"\ncommand = [\"x\"]", "absolute path"),
            ("types = [\"*\"]\ncommand = [\"/x\"]", "for action 'run' only"),
            ("types = [\"*\"]\nwait = \"soon\"", "p.conf:4: 'soon' is no time"),
            ("types = [\"*\"]\nwat = \"1s\"", "unknown field `wat`"),
            ("types = [\"*\"]\nout_of_sync = 120", "percentage"),
            ("types = [\"*\"]\nfailures = 0", "at least 1"),
            ("types = [\"*\"]\nfailures = 65", "at most 64"),
            ("types = [\"*\"]\n[[policy]]\nname = \"a\"\ntypes = [\"*\"]", "another one has that name"),
        ] {
            let error = policy(rest);
            assert!(error.contains(words), "{rest}: {error}");
        }
    }
}
