//! Numbers of a standard that have names: in JSON each is an object of its number and its name, whoever reported it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The form in JSON: the number decides, the name is for readers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Named {
    /// The number in the standard.
    pub code: u8,
    /// Its name.
    #[serde(default)]
    pub name: Cow<'static, str>,
}

/// Declares a number that has a name.
macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $lookup:expr, $reverse:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(from = "crate::facts::code::Named", into = "crate::facts::code::Named")]
        pub struct $name(
            /// The number.
            pub u8,
        );

        impl $name {
            /// The name; the number in hexadecimal for one that has none.
            pub fn name(self) -> std::borrow::Cow<'static, str> {
                let lookup: fn(u8) -> std::borrow::Cow<'static, str> = $lookup;
                lookup(self.0)
            }
        }

        impl From<$name> for crate::facts::code::Named {
            fn from(code: $name) -> Self {
                Self { code: code.0, name: code.name() }
            }
        }

        impl From<crate::facts::code::Named> for $name {
            fn from(named: crate::facts::code::Named) -> Self {
                Self(named.code)
            }
        }

        impl crate::facts::field::FromText for $name {
            fn from_text(text: &str) -> Option<Self> {
                let reverse: fn(&str) -> Option<u8> = $reverse;
                reverse(text).map(Self)
            }
        }
    };
}
pub(crate) use code;

/// The number as text, where it has no name.
pub(super) fn unnamed(number: impl std::fmt::LowerHex) -> Cow<'static, str> {
    Cow::Owned(format!("{number:#04x}"))
}

/// Names of the bits that are set, the highest first.
pub(super) fn bits(number: u8, names: &[(u8, &'static str)]) -> Cow<'static, str> {
    let set: Vec<&str> = names.iter().filter(|(bit, _)| number & bit != 0).map(|(_, name)| *name).collect();
    Cow::Owned(set.join(" "))
}

/// A number after which a kernel built with names prints the name, and one without the number.
pub(super) fn byte(text: &str) -> Option<u8> {
    super::field::number(text).and_then(|n| n.try_into().ok())
}
