//! Boots, by the names that journalctl gives them.

use std::{fs, str::FromStr};

use super::filter::same_boot;
use crate::roots::Roots;

/// Which boot is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Boot {
    /// Every one.
    All,
    /// 0 is the present one, -1 the one before; 1 is the oldest that the journal has, 2 the next.
    Offset(i64),
    /// By id: 32 hexadecimal digits.
    Id(String),
}

/// The text names no boot.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// It has no form of a boot's name.
    #[error(
        "'{0}' is no boot; write 'all', 0 for this boot, -1 for the one before, or a boot's id of 32 hexadecimal digits"
    )]
    Form(String),
    /// There is no such boot.
    #[error(
        "the journal has {have} boots, so there is no boot {offset}; 'journalctl --list-boots' shows them"
    )]
    Offset {
        /// What was asked for.
        offset: i64,
        /// What there is.
        have: usize,
    },
    /// It cannot be known here.
    #[error("boot {0} can only be found with the journal, and there is none; use --boot 0 or a boot's id")]
    NoJournal(i64),
}

impl FromStr for Boot {
    type Err = BootError;

    fn from_str(text: &str) -> Result<Self, BootError> {
        let trimmed = text.trim();
        if trimmed.eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        let id: String = trimmed.chars().filter(|c| *c != '-').collect();
        if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self::Id(id.to_ascii_lowercase()));
        }
        trimmed.parse().map(Self::Offset).map_err(|_no_number| BootError::Form(text.to_owned()))
    }
}

impl Boot {
    /// The boot's id; none for all. `boots` are those of the journal, oldest first, and are asked for only where needed.
    ///
    /// # Errors
    ///
    /// There is no such boot, or no journal to count in.
    pub fn id(
        &self,
        current: &str,
        boots: impl FnOnce() -> Option<Vec<String>>,
    ) -> Result<Option<String>, BootError> {
        let offset = match self {
            Self::All => return Ok(None),
            Self::Id(id) => return Ok(Some(id.clone())),
            Self::Offset(0) => return Ok(Some(current.to_owned())),
            Self::Offset(offset) => *offset,
        };
        let mut boots = boots().ok_or(BootError::NoJournal(offset))?;
        if !boots.iter().any(|boot| same_boot(boot, current)) {
            boots.push(current.to_owned());
        }
        let at = if offset > 0 {
            usize::try_from(offset).ok().map(|n| n - 1)
        } else {
            let back = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
            boots.len().checked_sub(1).and_then(|last| last.checked_sub(back))
        };
        let have = boots.len();
        at.and_then(|at| boots.get(at).cloned()).map(Some).ok_or(BootError::Offset { offset, have })
    }
}

/// Id of the present boot, 32 hexadecimal digits; empty when procfs does not report.
pub fn current(roots: &Roots) -> String {
    let text = fs::read_to_string(roots.procfs.join("sys/kernel/random/boot_id")).unwrap_or_default();
    text.trim().chars().filter(|c| *c != '-').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn id(text: &str, boots: &[&str]) -> Result<Option<String>, BootError> {
        text.parse::<Boot>()?.id(B, || Some(boots.iter().map(|b| (*b).to_owned()).collect()))
    }

    #[test]
    fn boots_are_counted_as_journalctl_counts() {
        for (text, boots, expected) in [
            ("0", &[A, B][..], B),
            ("-1", &[A, B], A),
            // The present boot has nothing in the journal yet.
            ("-1", &[A], A),
            ("1", &[A, B], A),
            ("2", &[A, B], B),
            ("AAAAAAAA-aaaa-aaaa-aaaa-aaaaaaaaaaaa", &[], A),
        ] {
            assert_eq!(id(text, boots).unwrap().as_deref(), Some(expected), "{text}");
        }
        assert_eq!(id("all", &[]).unwrap(), None);
    }

    #[test]
    fn what_is_no_boot_is_an_error() {
        for text in ["-2", "3", "-9223372036854775808", "9223372036854775807"] {
            assert!(matches!(id(text, &[A, B]), Err(BootError::Offset { have: 2, .. })), "{text}");
        }
        for text in ["", "last", "aaaa", "1.5", "99999999999999999999"] {
            assert!(matches!(id(text, &[]), Err(BootError::Form(_))), "{text}");
        }
        assert!(matches!(Boot::Offset(-1).id(B, || None), Err(BootError::NoJournal(-1))));
    }
}
