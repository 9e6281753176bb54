//! The machine, and what was not seen.

use maud::{Markup, html};

use crate::{budget::fitting, text::words};

/// Rows of one machine or file.
const ROWS_MAX: usize = 200;
/// Bytes of all of them.
const BYTES_MAX: usize = 100 << 10;

/// What is known of a machine or of a file that was read: names and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Of what: `db1`, `messages.gz`.
    pub of: String,
    /// Name and value.
    pub rows: Vec<(String, String)>,
}

/// Something that was not seen, or that cannot be known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    /// What, in a few words: `probes`, `kernel text`, `journal`.
    pub what: String,
    /// Why, and what it means.
    pub why: String,
    /// How many records, where they were counted.
    pub count: Option<u64>,
}

pub(crate) fn machine(all: &[Facts]) -> Markup {
    let one = |facts: &Facts| {
        html! {
            @if !facts.of.is_empty() { h4 { (words(&facts.of)) } }
            dl {
                @for (name, value) in facts.rows.iter().take(ROWS_MAX) { dt { (words(name)) } dd { (words(value)) } }
            }
        }
    };
    let (kept, left) = fitting(BYTES_MAX, all.iter().map(one));
    html! {
        @for facts in kept { (facts) }
        @if left > 0 { p { "And " (left) " more." } }
    }
}

pub(crate) fn unseen(all: &[Unseen]) -> Markup {
    let one = |one: &Unseen| {
        html! {
            li {
                strong { (words(&one.what)) }
                @if let Some(count) = one.count { " (" (count) ")" }
                ": " (words(&one.why))
            }
        }
    };
    let (kept, left) = fitting(BYTES_MAX, all.iter().map(one));
    html! {
        @if all.is_empty() {
            p { "Nothing is known to be missing: no record was lost, and all that was to be read was read." }
        } @else {
            ul {
                @for one in kept { (one) }
                @if left > 0 { li { "and " (left) " more" } }
            }
        }
    }
}
