//! Text that others wrote, made fit for a terminal.

use std::borrow::Cow;

use peripety_model::text::is_hidden;
pub use peripety_model::text::printable;

/// `json` (one document as text) with what [`printable`] hides written as JSON's own escapes: it reads back as the same.
pub(crate) fn printable_json(json: &str) -> Cow<'_, str> {
    // Layout has newlines only; inside of strings JSON has no control character below space.
    let raw = |c: char| c != '\n' && is_hidden(c);
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

#[cfg(test)]
mod tests {
    use super::{printable, printable_json};

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
    }

    #[test]
    fn json_reads_back_as_the_same() {
        let value = serde_json::json!({ "a": "\u{7f}\u{9b}31m\u{202e}x\n\u{1b}\u{feff}ü" });
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let shown = printable_json(&text);
            assert!(!shown.chars().any(|c| c != '\n' && super::is_hidden(c)), "{shown}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}
