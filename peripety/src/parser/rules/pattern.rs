//! Regular expressions that cost little: compiled when a line first needs them, and matched by bounded backtracking.
//!
//! The `regex` crate keeps several automata and caches for each expression, some 200 KiB for a rule of ours; all rules
//! together would be most of the daemon's memory in exchange for a speed that nobody needs at the rate of kernel text.
//! The backtracker of the same family visits each pair of state and place once, so its time is linear in the line, too.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use regex_automata::{
    Input, PatternID,
    nfa::thompson::{
        BuildError, Config, NFA,
        backtrack::{self, BoundedBacktracker, Cache},
    },
    util::{primitives::NonMaxUsize, syntax},
};
use regex_syntax::hir::{Hir, HirKind};

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
    /// Text that every line has which it takes.
    needle: OnceLock<Option<memchr::memmem::Finder<'static>>>,
    compiled: OnceLock<Option<Compiled>>,
}

impl Pattern {
    /// A pattern by its text, which is not looked at yet.
    pub fn new(source: &str, alphabet: Alphabet) -> Self {
        Self(Arc::new(Lazy {
            source: source.to_owned(),
            alphabet,
            needle: OnceLock::new(),
            compiled: OnceLock::new(),
        }))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0.source
    }

    /// Whether the text has what every text has that it takes.
    pub(super) fn may_take(&self, text: &str) -> bool {
        let Lazy { source, needle, .. } = &*self.0;
        let needle = needle.get_or_init(|| needle_of(source));
        needle.as_ref().is_none_or(|needle| needle.find(text.as_bytes()).is_some())
    }

    /// The named groups that took part in the first match, with their texts; none if there is no match.
    pub(super) fn captures<'t>(&self, text: &'t str, memory: &mut Memory) -> Option<Vec<(&str, &'t str)>> {
        let Lazy { source, alphabet, compiled, .. } = &*self.0;
        // What does not compile was refused before it became a rule.
        compiled.get_or_init(|| Compiled::new(source, *alphabet).ok()).as_ref()?.captures(text, memory)
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

    #[cfg(test)]
    pub(super) fn nfa(&self) -> &NFA {
        self.0.get_nfa()
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.0.try_is_match(&mut Cache::new(&self.0), Input::new(text)).unwrap_or(false)
    }

    fn captures<'t>(&self, text: &'t str, memory: &mut Memory) -> Option<Vec<(&str, &'t str)>> {
        let Memory { cache, slots } = memory;
        let cache = match cache {
            Some(cache) => {
                cache.reset(&self.0);
                cache
            }
            None => cache.insert(Cache::new(&self.0)),
        };
        let info = self.0.get_nfa().group_info();
        slots.clear();
        slots.resize(info.slot_len(), None);
        self.0.try_search_slots(cache, &Input::new(text), slots).ok()??;
        let at = |slot: usize| slots.get(slot).copied().flatten().map(NonMaxUsize::get);
        let part = |index| {
            let (start, end) = info.slots(PatternID::ZERO, index)?;
            text.get(at(start)?..at(end)?)
        };
        let names = info.pattern_names(PatternID::ZERO).enumerate();
        Some(names.filter_map(|(index, name)| Some((name?, part(index)?))).collect())
    }
}

/// Memory that a search needs and the next one uses again.
#[derive(Debug, Default)]
pub(super) struct Memory {
    cache: Option<Cache>,
    slots: Vec<Option<NonMaxUsize>>,
}

/// Memory of a set of rules: who finds it taken makes its own.
#[derive(Debug, Default)]
pub(super) struct Scratch(Mutex<(Memory, Vec<u32>)>);

impl Scratch {
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Memory, &mut Vec<u32>) -> T) -> T {
        match self.0.try_lock() {
            Ok(mut memory) => {
                let (memory, places) = &mut *memory;
                work(memory, places)
            }
            Err(std::sync::TryLockError::Poisoned(memory)) => {
                let mut memory = PoisonError::into_inner(memory);
                let (memory, places) = &mut *memory;
                work(memory, places)
            }
            Err(std::sync::TryLockError::WouldBlock) => work(&mut Memory::default(), &mut Vec::new()),
        }
    }
}

/// Fewer bytes than this say too little of a line.
const NEEDLE_MIN: usize = 3;

/// The longest text that every line has which the expression takes.
fn needle_of(source: &str) -> Option<memchr::memmem::Finder<'static>> {
    let hir = regex_syntax::parse(source).ok()?;
    let mut longest: &[u8] = &[];
    let mut open: Vec<&Hir> = vec![&hir];
    while let Some(hir) = open.pop() {
        match hir.kind() {
            HirKind::Literal(literal) if literal.0.len() > longest.len() => longest = &literal.0,
            HirKind::Concat(parts) => open.extend(parts),
            HirKind::Capture(group) => open.push(&group.sub),
            HirKind::Repetition(repetition) if repetition.min > 0 => open.push(&repetition.sub),
            _ => {}
        }
    }
    (longest.len() >= NEEDLE_MIN).then(|| memchr::memmem::Finder::new(longest).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    trait Taken {
        fn taken<'t>(&self, text: &'t str) -> Option<Vec<(&str, &'t str)>>;
    }

    impl Taken for Pattern {
        fn taken<'t>(&self, text: &'t str) -> Option<Vec<(&str, &'t str)>> {
            self.captures(text, &mut Memory::default())
        }
    }

    #[test]
    fn what_every_line_has_is_looked_for_first() {
        let needle = |source| needle_of(source).map(|n| String::from_utf8_lossy(n.needle()).into_owned());
        assert_eq!(
            needle(r"^sd (?P<x>\d+): (?:longer text)+ (?:a very long choice|b)$").as_deref(),
            Some("longer text")
        );
        assert_eq!(needle("^(?:abcdef)?x(?:y|z)*$"), None);
        assert_eq!(needle("^(?:abcdef|ghijkl)$"), None);
        assert_eq!(needle("(?i)abcdef"), None);
    }

    #[test]
    fn groups_that_took_part_are_given() {
        let pattern = Pattern::new(r"^a(?P<x>\d+)?(?:(?P<y>b)|(?P<z>c))$", Alphabet::Ascii);
        assert_eq!(pattern.taken("a12c"), Some(vec![("x", "12"), ("z", "c")]));
        assert_eq!(pattern.taken("ab"), Some(vec![("y", "b")]));
        assert_eq!(pattern.taken("ad"), None);
    }

    #[test]
    fn any_text_is_fit_for_both_alphabets() {
        for (alphabet, whole) in [(Alphabet::Ascii, None), (Alphabet::Unicode, Some("é"))] {
            let pattern = Pattern::new("(?P<x>.)$", alphabet);
            let groups = pattern.taken("naïvé").unwrap();
            assert_eq!(groups.first().map(|g| g.1), whole, "half a character is no text");
        }
    }

    #[test]
    fn time_is_linear_and_bounded() {
        let evil = Pattern::new("^(?P<x>(a*)*)*b$", Alphabet::Unicode);
        let start = std::time::Instant::now();
        assert_eq!(evil.taken(&"a".repeat(8192)), None);
        assert_eq!(evil.taken(&"a".repeat(100_000_000)), None);
        assert!(start.elapsed().as_secs() < 10);
    }
}
