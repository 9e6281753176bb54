//! Text that others wrote, made fit to be shown.

use std::borrow::Cow;

/// `text` with every control character (and the invisible ones that turn text around) written as an escape, so that
/// nothing that a kernel message or a file name contains can command a terminal or hide on a page.
///
/// ```
/// use peripety_model::text::printable;
///
/// assert_eq!(printable("label \u{202e}gpj.exe"), "label \\u{202e}gpj.exe");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Characters that are not seen: they turn text around, hide in it, or carry other text. All that Unicode calls
/// Default_Ignorable_Code_Point, Bidi_Control or a format character without a glyph, and separators of lines.
const INVISIBLE: &[(char, char)] = &[
    ('\u{00ad}', '\u{00ad}'),   // soft hyphen
    ('\u{034f}', '\u{034f}'),   // combining grapheme joiner
    ('\u{061c}', '\u{061c}'),   // Arabic letter mark, which turns text around
    ('\u{115f}', '\u{1160}'),   // Hangul fillers
    ('\u{17b4}', '\u{17b5}'),   // Khmer inherent vowels
    ('\u{180b}', '\u{180f}'),   // Mongolian selectors and separator
    ('\u{200b}', '\u{200f}'),   // zero width, marks of direction
    ('\u{2028}', '\u{202e}'),   // separators, embeddings and overrides of direction
    ('\u{2060}', '\u{206f}'),   // joiners, isolates of direction, deprecated controls
    ('\u{3164}', '\u{3164}'),   // Hangul filler
    ('\u{fe00}', '\u{fe0f}'),   // variation selectors
    ('\u{feff}', '\u{feff}'),   // byte order mark
    ('\u{ffa0}', '\u{ffa0}'),   // Hangul filler
    ('\u{fff0}', '\u{fffb}'),   // interlinear annotations, and what is reserved for such
    ('\u{13430}', '\u{1343f}'), // Egyptian format controls
    ('\u{1bca0}', '\u{1bca3}'), // shorthand format controls
    ('\u{1d173}', '\u{1d17a}'), // musical format controls
    ('\u{e0000}', '\u{e0fff}'), // tags, variation selectors supplement, and what is reserved for such
];

/// Whether a character is not seen: a control character, or one that turns text around or hides in it.
pub fn is_hidden(c: char) -> bool {
    // Most text has none of them.
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control() || INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn nothing_commands_the_terminal() {
        assert_eq!(printable("plain ünïcode"), "plain ünïcode");
        assert_eq!(printable("\x1b[2Jgone"), "\\u{1b}[2Jgone");
        assert_eq!(printable("two\nlines\ttab"), "two\\nlines\\ttab");
        assert_eq!(printable("\u{202e}reversed"), "\\u{202e}reversed");
    }

    #[test]
    fn letters_of_all_scripts_are_seen() {
        for seen in ["ünïcode", "日本語", "שלום", "مرحبا", "한국어", "🦀", "é\u{301}", "→ “…” №"]
        {
            assert_eq!(printable(seen), seen);
        }
    }
}
