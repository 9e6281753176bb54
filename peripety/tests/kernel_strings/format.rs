//! A format of the kernel: from it to lines, and from a line back to it.

use regex::Regex;

/// A part of a format.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    /// The conversion without `%`: `llu`, `#x`, `pg`.
    Value(String),
}

/// A format string as the table has it: escapes are two characters, and words of its arguments may stand after the end.
#[derive(Clone, Debug)]
pub struct Format(Vec<Part>);

impl Format {
    pub fn new(text: &str) -> Self {
        let text = text.rfind("\\n").map_or(text, |end| &text[..end]);
        let text = text.replace("\\n", "\n").replace("\\t", "\t").replace("\\\"", "\"");
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find('%') {
            plain.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                plain.push('%');
                rest = after;
                continue;
            }
            let length = conversion(rest);
            parts.extend((!plain.is_empty()).then(|| Part::Text(std::mem::take(&mut plain))));
            parts.push(Part::Value(rest[..length].to_owned()));
            rest = &rest[length..];
        }
        plain.push_str(rest);
        parts.extend((!plain.is_empty()).then_some(Part::Text(plain)));
        Self(parts)
    }

    /// A line of this format: the first `%s` becomes `first`, all others `rest`.
    pub fn line(&self, first: &str, rest: &str) -> String {
        let mut words = std::iter::once(first).chain(std::iter::repeat(rest));
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Value(spec) if spec.ends_with('s') && !spec.starts_with('p') => {
                    words.next().unwrap_or_default().to_owned()
                }
                Part::Value(spec) => value(spec).to_owned(),
            })
            .collect()
    }

    pub fn has_words(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Value(s) if s.ends_with('s') && !s.starts_with('p')))
    }

    /// The longest plain part: what a line must have.
    pub fn longest(&self) -> &str {
        let texts = self.0.iter().filter_map(|p| if let Part::Text(t) = p { Some(t.trim()) } else { None });
        texts.max_by_key(|t| t.len()).unwrap_or_default()
    }

    /// Takes the lines of this format after any beginning.
    pub fn regex(&self) -> Regex {
        let last = self.0.len().saturating_sub(1);
        let body: String = self
            .0
            .iter()
            .enumerate()
            .map(|(place, part)| match part {
                // After a last value these may be words of the arguments.
                Part::Text(text) if place == last && place > 0 => {
                    format!("(?:{})?", regex::escape(text.trim_end()))
                }
                Part::Text(text) => regex::escape(text),
                Part::Value(spec) => match spec.chars().last() {
                    Some('d' | 'i' | 'u') => r"\s*-?\d+".to_owned(),
                    Some('x' | 'X') => r"\s*(?:0x)?[0-9a-fA-F]+".to_owned(),
                    Some('c') => ".".to_owned(),
                    _ => ".*".to_owned(),
                },
            })
            .collect();
        Regex::new(&format!(r"(?s)^.*?{body}\s*$")).unwrap()
    }
}

/// Length of the conversion at the start of `text`.
fn conversion(text: &str) -> usize {
    let flags =
        text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || "#-+ .*".contains(c)).len();
    let tail = &text[flags..];
    if let Some(letters) = tail.strip_prefix('p') {
        return flags
            + 1
            + letters.chars().take_while(char::is_ascii_alphanumeric).take(pointer(tail)).count();
    }
    let sizes = tail.len() - tail.trim_start_matches(['l', 'h', 'z', 't', 'L']).len();
    (flags + sizes + 1).min(text.len())
}

/// How many letters follow a `%p`.
fn pointer(tail: &str) -> usize {
    const LONG: [&str; 8] = ["pISpsc", "pISpc", "pISp", "pIS", "pOFn", "ptSp", "pUb", "pI6"];
    LONG.iter().find(|name| tail.starts_with(**name)).map_or_else(
        || {
            usize::from(tail[1..].starts_with([
                'g', 'U', 'S', 's', 'V', 'e', 'M', 'R', 'd', 'D', 'a', 'h', 'x', 'K', 'F', 'B',
            ]))
        },
        |name| name.len() - 1,
    )
}

fn value(spec: &str) -> &'static str {
    match spec {
        "pg" => "sda",
        "pU" | "pUb" => "3b1c9a0e-93a7-4d9a-9c2c-2f6b9f2f1a11",
        "pe" => "-EIO",
        "pS" | "ps" | "pF" | "pB" => "some_function+0x10/0x20 [module]",
        "pV" => "words",
        _ if spec.starts_with('p') => "00000000a1b2c3d4",
        _ => match (spec.chars().last(), spec.starts_with('#')) {
            (Some('x' | 'X'), true) => "0x1a",
            (Some('x'), false) => "1a",
            (Some('X'), false) => "1A",
            (Some('c'), _) => "c",
            _ => "5",
        },
    }
}
