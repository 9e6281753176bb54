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
pub fn printable_json(json: &str) -> Cow<'_, str> {
    // Layout has newlines only; inside of strings JSON has no control character below space.
    let raw = |c: char| c != '\n' && hidden(c);
    if !json.chars().any(raw) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if raw(c) { out.push_str(&format!("\\u{:04x}", u32::from(c))) } else { out.push(c) }
    }
    Cow::Owned(out)
}

fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
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
    fn json_reads_back_as_the_same() {
        let value = serde_json::json!({ "a": "\u{7f}\u{9b}31m\u{202e}x\n\u{1b}\u{feff}ü" });
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let shown = printable_json(&text);
            assert!(!shown.chars().any(|c| c != '\n' && super::hidden(c)), "{shown}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}
