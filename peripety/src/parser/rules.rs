//! The engine of text rules: from a line of the kernel to a raw event.
//!
//! A rule names its lines by literal beginnings and by a regular expression; what the expression captures becomes the
//! event. peripety's own rules (`rules/*.toml`, one file per subsystem) have the very format that users write into
//! `/etc/peripetyd.conf`, so that any of them can be copied, changed and given back under its name.
//!
//! A line is looked at once from its beginning, as far as any rule begins so, and once as a whole for the parts of rules
//! that may begin as they like; expressions run only for the rules that are left, each in linear time, and are compiled
//! when a line first needs them.

mod built_in;
mod capture;
mod check;
mod example;
mod index;
mod kernel_text;
mod pattern;
mod quoted;
mod rule;
mod rule_file;
mod set;
pub(crate) mod toml_doc;

pub use example::{Example, ExampleError};
pub(crate) use index::Literals;
pub use pattern::Pattern;
pub(crate) use quoted::{begins_with_quoted, quoting_place};
pub use rule::Rule;
pub(crate) use rule_file::rules_of;
pub use rule_file::{Author, read_rules};
pub use set::RuleSet;
pub use toml_doc::Problem;

/// Rules that one configuration may have.
pub const RULES_MAX: usize = 1000;
