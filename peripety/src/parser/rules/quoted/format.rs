//! How a line is printed: the kernel's words, and what it puts between them.

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The kernel's own words.
    Words(String),
    /// What the kernel puts in: one or more signs of a class.
    Kernel(Class),
    /// What a user chose.
    User(User),
}

/// What the kernel puts into a line of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Number,
    Hex,
    Fill,
    Letter,
    /// Name of a function, module or driver.
    Word,
    /// Name of a block device.
    Dev,
    Hctl,
    /// At least three letters in lower case.
    Lower,
}

/// What a user may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    Comm,
    Netdev,
    Prefix,
    Text,
}

const NAMES: &[(&str, Part)] = &[
    ("number", Part::Kernel(Class::Number)),
    ("hex", Part::Kernel(Class::Hex)),
    ("fill", Part::Kernel(Class::Fill)),
    ("letter", Part::Kernel(Class::Letter)),
    ("word", Part::Kernel(Class::Word)),
    ("dev", Part::Kernel(Class::Dev)),
    ("hctl", Part::Kernel(Class::Hctl)),
    ("words", Part::Kernel(Class::Lower)),
    ("comm", Part::User(User::Comm)),
    ("netdev", Part::User(User::Netdev)),
    ("prefix", Part::User(User::Prefix)),
    ("text", Part::User(User::Text)),
];

impl Class {
    /// Whether a byte is one of the class.
    pub(super) const fn has(self, byte: u8) -> bool {
        match self {
            Self::Number => byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit() || byte == b'x',
            Self::Fill => byte == b' ',
            Self::Letter => byte.is_ascii_alphabetic() || byte == b'?',
            Self::Word => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'),
            Self::Dev => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'!'),
            Self::Hctl => byte.is_ascii_digit() || byte == b':',
            Self::Lower => byte.is_ascii_lowercase(),
        }
    }

    /// How many there are at least.
    pub(super) const fn least(self) -> usize {
        match self {
            Self::Lower => 3,
            Self::Hctl => 7,
            _ => 1,
        }
    }

    /// How many there are at most.
    pub(super) const fn most(self) -> usize {
        match self {
            Self::Letter => 1,
            Self::Lower => 3,
            _ => 64,
        }
    }
}

impl User {
    /// Whether a character may be in it.
    pub(super) fn has(self, c: char) -> bool {
        match self {
            Self::Netdev => !c.is_whitespace() && !matches!(c, '/' | ':'),
            Self::Comm | Self::Prefix | Self::Text => c != '\0',
        }
    }

    /// How many characters it has at most.
    pub(super) const fn most(self) -> usize {
        match self {
            Self::Comm | Self::Netdev => 15,
            Self::Prefix => 127,
            Self::Text => usize::MAX,
        }
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format(pub(super) Vec<Part>);

impl Format {
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = line;
        while let Some((words, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a '{' without '}'")?;
            if !words.is_empty() {
                parts.push(Part::Words(words.to_owned()));
            }
            let known = NAMES.iter().find(|(known, _)| *known == name);
            parts.push(known.ok_or_else(|| format!("no such part: {name}"))?.1.clone());
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Words(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// What the place is known by: all before the first text of a user that has no bound; a name, and what comes after it,
    /// belongs to it.
    pub(super) fn head(&self) -> &[Part] {
        let mut names = 0;
        let ends = |part: &Part| match part {
            Part::User(User::Text) => true,
            Part::User(_) => {
                names += 1;
                names > 1
            }
            _ => false,
        };
        let end = self.0.iter().position(ends).unwrap_or(self.0.len());
        self.0.get(..end).unwrap_or_default()
    }
}

/// Whether a text begins as `head` says.
pub(super) fn begins(head: &[Part], text: &str) -> bool {
    let Some((first, rest)) = head.split_first() else { return true };
    match first {
        Part::Words(words) => text.strip_prefix(words.as_str()).is_some_and(|text| begins(rest, text)),
        Part::Kernel(class) => {
            let bytes = text.bytes().take(class.most()).take_while(|byte| class.has(*byte)).count();
            // What comes next may be of the same class: `ata1.00`.
            (class.least()..=bytes)
                .rev()
                .any(|bytes| text.get(bytes..).is_some_and(|text| begins(rest, text)))
        }
        Part::User(user) => {
            let mut text = text;
            for _ in 0..user.most() {
                if begins(rest, text) {
                    return true;
                }
                match one(text) {
                    Some((c, after)) if user.has(c) => text = after,
                    _ => return false,
                }
            }
            begins(rest, text)
        }
    }
}

/// The first character of a text: what a log has in its place counts as one, `\x0a` and `#012`.
fn one(text: &str) -> Option<(char, &str)> {
    let escaped = |mark: &str, digits: usize, radix: u32| {
        let (code, after) = text.strip_prefix(mark)?.split_at_checked(digits)?;
        Some((char::from_u32(u32::from_str_radix(code, radix).ok()?)?, after))
    };
    if let Some(found) = escaped("\\x", 2, 16).or_else(|| escaped("#", 3, 8)) {
        return Some(found);
    }
    let mut chars = text.chars();
    Some((chars.next()?, chars.as_str()))
}
