//! Text that others wrote, made fit for a terminal.

use std::borrow::Cow;

/// `text` with every control character (and the invisible ones that turn text around) written as an escape, so that
/// nothing a kernel message or a file name contains can command the terminal.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hidden(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// `json` (one document as text) with what [`printable`] hides written as JSON's own escapes: it reads back as the same.
pub(crate) fn printable_json(json: &str) -> Cow<'_, str> {
    // Layout has newlines only; inside of strings JSON has no control character below space.
    let raw = |c: char| c != '\n' && hidden(c);
    if !json.chars().any(raw) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if raw(c) {
            // JSON writes a character beyond the first 65,536 as a pair of surrogates.
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
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

fn hidden(c: char) -> bool {
    // Most text has none of them.
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control() || INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

#[cfg(test)]
mod tests {
    use super::{printable, printable_json};

    #[test]
    fn nothing_commands_the_terminal() {
        assert_eq!(printable("plain ünïcode"), "plain ünïcode");
        assert_eq!(printable("\x1b[2Jgone"), "\\u{1b}[2Jgone");
        assert_eq!(printable("two\nlines\ttab"), "two\\nlines\\ttab");
        assert_eq!(printable("\u{202e}reversed"), "\\u{202e}reversed");
    }

    #[test]
    fn whatever_is_not_seen_is_shown() {
        // UAX #9: all of Bidi_Control. UTS #39 and the notes on "Trojan Source": tags and selectors that carry text.
        let bidi =
            "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        let tags =
            ('\u{e0000}'..='\u{e007f}').chain('\u{e0100}'..='\u{e01ef}').chain('\u{fe00}'..='\u{fe0f}');
        let others = "\u{ad}\u{34f}\u{115f}\u{180e}\u{200b}\u{2028}\u{2029}\u{2060}\u{3164}\u{feff}\u{ffa0}\u{fff9}\u{1d173}\u{7f}\u{9b}";
        for c in bidi.chars().chain(tags).chain(others.chars()) {
            let text = format!("a{c}b");
            assert_eq!(printable(&text), format!("a\\u{{{:x}}}b", u32::from(c)));
            let json = serde_json::to_string(&text).unwrap();
            let shown = printable_json(&json);
            assert!(shown.is_ascii(), "{shown}");
            assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }
        for seen in ["ünïcode", "日本語", "שלום", "مرحبا", "한국어", "🦀", "é\u{301}", "→ “…” №"]
        {
            assert_eq!(printable(seen), seen);
        }
    }

    #[test]
    fn json_reads_back_as_the_same() {
        let value = serde_json::json!({ "a": "\u{7f}\u{9b}31m\u{202e}x\n\u{1b}\u{feff}ü" });
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let shown = printable_json(&text);
            assert!(!shown.chars().any(|c| c != '\n' && super::hidden(c)), "{shown}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}
