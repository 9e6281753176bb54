//! How bad an event is, by its impact on users and not by the level the kernel printed it at.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};

/// Severity with the names and order of RFC 5424, section 6.2.1; the number is syslog's, 0 being the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// 0: the system is unusable.
    Emergency,
    /// 1: action must be taken at once.
    Alert,
    /// 2: data or service is lost.
    Critical,
    /// 3: something failed.
    Error,
    /// 4: something may fail.
    Warning,
    /// 5: normal but significant.
    Notice,
    /// 6: informational.
    Info,
    /// 7: of use to developers only.
    Debug,
}

impl Severity {
    /// All severities, worst first.
    pub const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
    ];

    /// The name used in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::Alert => "alert",
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// Syslog's number, 0 (emergency) to 7 (debug): journald's `PRIORITY`.
    pub const fn number(self) -> u8 {
        match self {
            Self::Emergency => 0,
            Self::Alert => 1,
            Self::Critical => 2,
            Self::Error => 3,
            Self::Warning => 4,
            Self::Notice => 5,
            Self::Info => 6,
            Self::Debug => 7,
        }
    }

    /// Whether this is as bad as `floor` or worse.
    pub fn at_least(self, floor: Self) -> bool {
        self <= floor
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is no severity.
#[derive(Debug, thiserror::Error)]
#[error(
    "'{0}' is no severity; use emergency, alert, critical, error, warning, notice, info, debug or a number from 0 to 7"
)]
pub struct UnknownSeverity(pub String);

impl FromStr for Severity {
    type Err = UnknownSeverity;

    /// Reads a name in any case, its usual short form (`err`, `warn`, `crit`, `emerg`) or syslog's number.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.trim().to_ascii_lowercase();
        let long = match lower.as_str() {
            "emerg" | "panic" => "emergency",
            "crit" => "critical",
            "err" => "error",
            "warn" => "warning",
            "information" | "informational" => "info",
            other => other,
        };
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == long || s.number().to_string() == long)
            .ok_or_else(|| UnknownSeverity(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Severity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_number_reads_back_in_any_case() {
        for s in Severity::ALL {
            assert_eq!(s.as_str().parse::<Severity>().unwrap(), s);
            assert_eq!(s.as_str().to_uppercase().parse::<Severity>().unwrap(), s);
            assert_eq!(s.number().to_string().parse::<Severity>().unwrap(), s);
        }
        assert!("ctritical".parse::<Severity>().is_err());
        assert!("".parse::<Severity>().is_err());
    }

    #[test]
    fn worse_is_at_least_as_bad() {
        assert!(Severity::Critical.at_least(Severity::Warning));
        assert!(Severity::Warning.at_least(Severity::Warning));
        assert!(!Severity::Info.at_least(Severity::Warning));
    }
}
