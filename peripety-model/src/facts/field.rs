//! How a field of a fact is read from the text that a rule captured, and the macro that declares facts.

use serde_json::Value;

use crate::{Dev, Hctl};

/// A value that a rule's capture can fill.
pub trait FromText: Sized {
    /// Reads the text; nothing where it does not say such a value.
    fn from_text(text: &str) -> Option<Self>;
}

/// A number as the kernel writes it: decimal, or hexadecimal after `0x`.
pub fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => u64::from_str_radix(hex, 16).ok(),
        None if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

/// A number that the kernel writes in hexadecimal without saying so.
pub(super) fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

macro_rules! unsigned {
    ($($int:ty),*) => { $(impl FromText for $int {
        fn from_text(text: &str) -> Option<Self> {
            number(text).and_then(|n| n.try_into().ok())
        }
    })* };
}
unsigned!(u8, u16, u32, u64);

macro_rules! signed {
    ($($int:ty),*) => { $(impl FromText for $int {
        fn from_text(text: &str) -> Option<Self> {
            match text.strip_prefix('-') {
                Some(positive) => number(positive).and_then(|n| <$int>::try_from(n).ok()).map(|n| -n),
                None => number(text.strip_prefix('+').unwrap_or(text)).and_then(|n| n.try_into().ok()),
            }
        }
    })* };
}
signed!(i32, i64);

impl FromText for f64 {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().filter(|n: &Self| n.is_finite())
    }
}

/// A part of a line that is there or not.
impl FromText for bool {
    fn from_text(text: &str) -> Option<Self> {
        Some(text != "false")
    }
}

impl FromText for String {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// Some drivers print the address with commas.
impl FromText for Hctl {
    fn from_text(text: &str) -> Option<Self> {
        text.replace(',', ":").parse().ok()
    }
}

impl FromText for Dev {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// No rule captures a list.
impl<T> FromText for Vec<T> {
    fn from_text(_text: &str) -> Option<Self> {
        None
    }
}

impl FromText for serde_json::Map<String, Value> {
    fn from_text(_text: &str) -> Option<Self> {
        None
    }
}

/// A set of facts about one subject: each field may be known or not.
pub trait Section: Default + PartialEq {
    /// Names of the fields.
    const FIELDS: &'static [&'static str];

    /// Fills a field by the text of a capture. Text that does not say such a value leaves it unknown.
    fn set_text(&mut self, field: &str, text: &str);

    /// Takes each field that is not known yet from another set of facts.
    fn fill(&mut self, other: &Self);
}

/// Declares a section of facts: a struct of optional fields that [`Section`] fills by name.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(default)]
        pub struct $name {
            $($(#[$field_doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)*
        }

        impl $crate::facts::field::Section for $name {
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];

            fn set_text(&mut self, field: &str, text: &str) {
                match field {
                    $(stringify!($field) => {
                        self.$field = <$type as $crate::facts::field::FromText>::from_text(text);
                    })*
                    _ => {}
                }
            }

            fn fill(&mut self, other: &Self) {
                $(if self.$field.is_none() {
                    self.$field.clone_from(&other.$field);
                })*
            }
        }
    };
}
pub(crate) use section;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_kernel_writes_them() {
        assert_eq!(
            (number("0x1f"), number("31"), number("-1"), number(""), number("0x")),
            (Some(31), Some(31), None, None, None)
        );
        assert_eq!(
            (i32::from_text("-110"), i64::from_text("5"), u8::from_text("256")),
            (Some(-110), Some(5), None)
        );
        assert_eq!(
            (hexadecimal("0012ab"), hexadecimal("0x0d"), hexadecimal("x")),
            (Some(0x12ab), Some(13), None)
        );
        assert_eq!(Hctl::from_text("2,0,1,4").map(|h| h.to_string()).as_deref(), Some("2:0:1:4"));
        assert_eq!((f64::from_text("85.16"), f64::from_text("nan")), (Some(85.16), None));
    }
}
