//! The vocabulary of event types: one table, from which names, default severities and documentation follow.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use super::Severity;

/// What an event type says about the state of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Something is wrong.
    Fault,
    /// Something that was wrong is right again: it clears the fault before it.
    Clears,
    /// Worth knowing, neither good nor bad.
    News,
}

/// One row of the vocabulary.
#[derive(Debug)]
pub struct TypeInfo {
    /// The name on the wire. Once released it never changes its meaning.
    pub name: &'static str,
    /// The subsystem it belongs to; `fs` stands for every filesystem by its own name (ext4, xfs, btrfs …).
    pub sub_system: &'static str,
    /// The severity where nothing is known about the impact.
    pub severity: Severity,
    /// A fault, the end of one, or neither.
    pub nature: Nature,
    /// What happened, in words.
    pub meaning: &'static str,
}

/// Types that came after the first release, each with the version that brought it.
const NEWER: &[(&str, &str)] = &[];

impl TypeInfo {
    /// The version of peripety since which there is this type.
    pub fn since(&self) -> &'static str {
        NEWER.iter().find(|(name, _)| *name == self.name).map_or("0.1.0", |(_, version)| version)
    }
}

/// The name of an event type: one of the table below, or one that a user's rule introduced.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct EventType(Cow<'static, str>);

impl EventType {
    /// A type by name; any name is taken, [`EventType::info`] says whether it is one of peripety's own.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self(name.into())
    }

    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The row of the vocabulary; none for a type that a user's rule introduced.
    pub fn info(&self) -> Option<&'static TypeInfo> {
        info(&self.0)
    }
}

/// The row of the vocabulary with this name, in any case.
pub fn info(name: &str) -> Option<&'static TypeInfo> {
    TYPES.iter().find(|t| t.name.eq_ignore_ascii_case(name))
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! event_types {
    ($($name:ident $sub_system:literal $severity:ident $nature:ident $meaning:literal;)*) => {
        impl EventType {
            $(#[doc = $meaning] pub const $name: Self = Self(Cow::Borrowed(stringify!($name)));)*
        }

        /// The whole vocabulary, grouped by subsystem.
        pub static TYPES: &[TypeInfo] = &[
            $(TypeInfo {
                name: stringify!($name),
                sub_system: $sub_system,
                severity: Severity::$severity,
                nature: Nature::$nature,
                meaning: $meaning,
            },)*
        ];
    };
}

mod table;

pub use self::table::TYPES;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_well_formed() {
        let mut seen = BTreeSet::new();
        for t in TYPES {
            assert!(seen.insert(t.name), "{} stands twice", t.name);
            assert!(
                t.name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
                "{}",
                t.name
            );
            assert!(!t.meaning.is_empty());
        }
    }

    #[test]
    fn what_clears_is_no_fault_itself() {
        for t in TYPES {
            match t.nature {
                Nature::Fault => assert!(t.severity <= Severity::Warning, "{}", t.name),
                Nature::Clears | Nature::News => assert!(t.severity >= Severity::Notice, "{}", t.name),
            }
        }
    }

    #[test]
    fn a_users_own_type_is_kept_as_it_is() {
        let own = EventType::new("MY_ARRAY_BEEPS");
        assert_eq!(own.as_str(), "MY_ARRAY_BEEPS");
        assert!(own.info().is_none());
        assert_eq!(EventType::new("fs_error").info().map(|t| t.name), Some("FS_ERROR"));
    }
}
