//! Text of others on its way to the page.

use std::borrow::Cow;

use jiff::{Timestamp, tz::TimeZone};
use maud::{Markup, html};
use peripety_model::text::printable;

/// Characters of a sentence.
pub(crate) const SENTENCE: usize = 400;
/// Characters of a line of the kernel.
pub(crate) const LINE: usize = 1000;

/// As it may be shown, and not longer than `most` characters. What is returned is not escaped for HTML: `maud` does that.
pub(crate) fn shown(text: &str, most: usize) -> Cow<'_, str> {
    let text = printable(text);
    match text.char_indices().nth(most) {
        Some((at, _)) => {
            Cow::Owned(text.get(..at).unwrap_or_default().chars().chain(['…']).collect::<String>())
        }
        None => text,
    }
}

/// A sentence as it may be shown.
pub(crate) fn words(text: &str) -> Cow<'_, str> {
    shown(text, SENTENCE)
}

/// In no more columns than `room`, the middle left out: names differ at their ends.
pub(crate) fn squeezed(text: &str, room: usize) -> String {
    let text = printable(text);
    let wide = |c: char| if c.is_ascii() { 1 } else { 2 };
    if text.chars().map(wide).sum::<usize>() <= room {
        return text.into_owned();
    }
    let half = room.saturating_sub(1) / 2;
    let part = |chars: &mut dyn Iterator<Item = char>| {
        let mut used = 0;
        let take = |c: &char| {
            used += wide(*c);
            used <= half
        };
        chars.take_while(take).collect::<Vec<char>>()
    };
    let (head, mut tail) = (part(&mut text.chars()), part(&mut text.chars().rev()));
    tail.reverse();
    head.into_iter().chain(['…']).chain(tail).collect()
}

/// A time for people, with the exact one for programs.
pub(crate) fn time(at: Timestamp, zone: &TimeZone) -> Markup {
    html! { time datetime=(at) { (at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S")) } }
}

/// The time of day, with the day where that is not the one of `since`.
pub(crate) fn clock(at: Timestamp, since: Timestamp, zone: &TimeZone) -> Markup {
    let (local, from) = (at.to_zoned(zone.clone()), since.to_zoned(zone.clone()));
    let format = if local.date() == from.date() { "%H:%M:%S" } else { "%m-%d %H:%M:%S" };
    html! { time datetime=(at) { (local.strftime(format)) } }
}

/// `1 event`, `3 events`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_squeezed_in_the_middle_and_never_too_wide() {
        for (text, room, wanted) in [
            ("sda", 10, "sda"),
            ("vg-with-a-long-name/volume-0001", 15, "vg-with…me-0001"),
            ("日本語日本語", 7, "日…語"),
            ("a\u{202e}b", 20, "a\\u{202e}b"),
        ] {
            assert_eq!(squeezed(text, room), wanted);
        }
        assert_eq!(shown("abcdef", 3), "abc…");
        assert_eq!(shown("\u{1b}[2J", 90), "\\u{1b}[2J");
    }
}
