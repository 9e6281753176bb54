//! Regular expressions that cost little: compiled when a line first needs them, and matched by bounded backtracking.
//!
//! The `regex` crate keeps several automata and caches for each expression, some 200 KiB for a rule of ours; all rules
//! together would be most of the daemon's memory in exchange for a speed that nobody needs at the rate of kernel text.
//! The backtracker of the same family visits each pair of state and place once, so its time is linear in the line, too.

use std::sync::{Arc, OnceLock};

use regex_automata::{
    Input, PatternID,
    nfa::thompson::{
        BuildError, Config, NFA,
        backtrack::{self, BoundedBacktracker, Cache},
    },
    util::syntax,
};

/// Bytes that a compiled expression may take.
pub(super) const COMPILED_MAX: usize = 1 << 18;

/// Bytes for the pairs of state and place that one search may visit: the largest expression on the longest record of
/// /dev/kmsg takes less. A longer line is not matched.
const VISITED_MAX: usize = 16 << 20;

/// What `.`, `\d` and `\w` mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// Bytes, and ASCII: for our own rules, which are about the kernel's English.
    Ascii,
    /// Characters: what users expect.
    Unicode,
}

/// A regular expression.
#[derive(Clone, Debug)]
pub struct Pattern(Arc<Lazy>);

#[derive(Debug)]
struct Lazy {
    source: String,
    alphabet: Alphabet,
    compiled: OnceLock<Option<Compiled>>,
}

impl Pattern {
    /// A pattern by its text, which is not looked at yet.
    pub fn new(source: &str, alphabet: Alphabet) -> Self {
        Self(Arc::new(Lazy { source: source.to_owned(), alphabet, compiled: OnceLock::new() }))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0.source
    }

    /// The named groups that took part in the first match, with their texts; none if there is no match.
    pub fn captures<'t>(&self, text: &'t str) -> Option<Vec<(&str, &'t str)>> {
        let Lazy { source, alphabet, compiled } = &*self.0;
        // What does not compile was refused before it became a rule.
        compiled.get_or_init(|| Compiled::new(source, *alphabet).ok()).as_ref()?.captures(text)
    }
}

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Compiled(BoundedBacktracker);

impl Compiled {
    pub(super) fn new(source: &str, alphabet: Alphabet) -> Result<Self, Box<BuildError>> {
        let unicode = alphabet == Alphabet::Unicode;
        let nfa = NFA::compiler()
            .configure(Config::new().utf8(unicode).nfa_size_limit(Some(COMPILED_MAX)))
            .syntax(syntax::Config::new().unicode(unicode).utf8(unicode))
            .build(source)?;
        let search = backtrack::Config::new().visited_capacity(VISITED_MAX);
        Ok(Self(BoundedBacktracker::builder().configure(search).build_from_nfa(nfa)?))
    }

    pub(super) fn group_names(&self) -> impl Iterator<Item = &str> {
        self.0.get_nfa().group_info().pattern_names(PatternID::ZERO).flatten()
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.0.try_is_match(&mut Cache::new(&self.0), Input::new(text)).unwrap_or(false)
    }

    fn captures<'t>(&self, text: &'t str) -> Option<Vec<(&str, &'t str)>> {
        let mut captures = self.0.create_captures();
        self.0.try_captures(&mut Cache::new(&self.0), text, &mut captures).ok()?;
        captures.is_match().then(|| {
            self.group_names()
                .filter_map(|name| Some((name, text.get(captures.get_group_by_name(name)?.range())?)))
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_took_part_are_given() {
        let pattern = Pattern::new(r"^a(?P<x>\d+)?(?:(?P<y>b)|(?P<z>c))$", Alphabet::Ascii);
        assert_eq!(pattern.captures("a12c"), Some(vec![("x", "12"), ("z", "c")]));
        assert_eq!(pattern.captures("ab"), Some(vec![("y", "b")]));
        assert_eq!(pattern.captures("ad"), None);
    }

    #[test]
    fn any_text_is_fit_for_both_alphabets() {
        for (alphabet, whole) in [(Alphabet::Ascii, None), (Alphabet::Unicode, Some("é"))] {
            let pattern = Pattern::new("(?P<x>.)$", alphabet);
            let groups = pattern.captures("naïvé").unwrap();
            assert_eq!(groups.first().map(|g| g.1), whole, "half a character is no text");
        }
    }

    #[test]
    fn time_is_linear_and_bounded() {
        let evil = Pattern::new("^(?P<x>(a*)*)*b$", Alphabet::Unicode);
        let start = std::time::Instant::now();
        assert_eq!(evil.captures(&"a".repeat(8192)), None);
        assert_eq!(evil.captures(&"a".repeat(100_000_000)), None);
        assert!(start.elapsed().as_secs() < 10);
    }
}
