//! Lines in which the kernel prints a user's text: they never start a match (promise 7).
//!
//! An ordinary user chooses the name of a process that crashes, the options of a mount in a user namespace, the strings of
//! a device that is plugged in. `rules/quoted.toml` lists the places of the kernel that print such text.

mod format;

use std::{collections::BTreeMap, sync::OnceLock};

use aho_corasick::AhoCorasick;
use serde::Deserialize;

use super::{Rule, index::first_of};
use format::{Format, Part};

/// So much of a line is looked at for what comes after a name: the longest that may begin a line is a firewall's prefix.
const WINDOW: usize = 1024;

/// A place of the kernel that prints a user's text.
#[derive(Debug)]
pub(super) struct Place {
    line: String,
    /// What the place is known by.
    head: Vec<Part>,
    /// The longest of the kernel's words in the head.
    needle: String,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Places {
    places: Vec<Place>,
    /// Those whose lines begin with the kernel's words, by their first byte.
    by_first: BTreeMap<u8, Vec<usize>>,
    /// Those whose lines begin otherwise, with what finds their needles.
    others: Needles,
    /// Those of them with needles that few lines have.
    rare: Needles,
    /// Those with the others.
    common: Vec<usize>,
}

/// Places by their needles.
#[derive(Debug, Default)]
struct Needles {
    automaton: Option<AhoCorasick>,
    /// Finds out whether there is any, which is quicker.
    any: Option<AhoCorasick>,
    /// The places of each needle.
    places: Vec<usize>,
}

impl Needles {
    fn new(places: Vec<usize>, all: &[Place]) -> Self {
        let needles = || places.iter().filter_map(|number| all.get(*number)).map(|place| &place.needle);
        Self { automaton: AhoCorasick::new(needles()).ok(), any: first_of(needles()), places }
    }

    /// The first of these places, in the order of the needles in a line, that is one of its lines; each is asked once.
    fn first<'p>(&self, line: &[u8], is: impl Fn(&usize) -> Option<&'p Place>) -> Option<&'p Place> {
        if self.any.as_ref().is_some_and(|any| !any.is_match(line)) {
            return None;
        }
        let mut asked = 0_u128;
        let mut found = self.automaton.as_ref()?.find_overlapping_iter(line);
        found.find_map(|hit| {
            let needle = hit.pattern().as_usize();
            let bit = 1_u128.checked_shl(u32::try_from(needle).unwrap_or(u32::MAX)).unwrap_or(0);
            if asked & bit != 0 {
                return None;
            }
            asked |= bit;
            is(self.places.get(needle)?)
        })
    }
}

/// A needle of fewer bytes is in most lines.
const RARE_MIN: usize = 3;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    places: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    line: String,
    #[expect(dead_code, reason = "for who reads the file")]
    kernel: String,
}

/// The table, as it is built in.
const TABLE: &str = include_str!("../../../rules/quoted.toml");

/// The places of the kernel.
pub(super) fn places() -> &'static Places {
    static MADE: OnceLock<Places> = OnceLock::new();
    // A test holds that the table can be read.
    MADE.get_or_init(|| Places::read(TABLE).unwrap_or_else(|_| Places::new(Vec::new())))
}

/// How the lines look of which this is one, if the kernel prints a user's text in them.
pub(crate) fn quoting_place(text: &str) -> Option<&'static str> {
    places().of(text).map(|place| place.line.as_str())
}

/// Whether a line begins with such a text: then nothing in it is the kernel's for sure.
pub(crate) fn begins_with_quoted(text: &str) -> bool {
    places().find(text, |place| matches!(place.head.first(), Some(Part::User(_)))).is_some()
}

impl Places {
    fn read(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
        let place = |row: Row| {
            let format = Format::parse(&row.line).map_err(|e| format!("{}: {e}", row.line))?;
            let head = format.head().to_vec();
            let words = head.iter().filter_map(|part| match part {
                Part::Words(words) => Some(words.as_str()),
                _ => None,
            });
            let needle = words.max_by_key(|words| words.len()).unwrap_or_default().to_owned();
            if needle.is_empty() {
                return Err(format!("{}: nothing of the kernel's own", row.line));
            }
            Ok(Place { line: row.line, head, needle })
        };
        Ok(Self::new(file.places.into_iter().map(place).collect::<Result<_, _>>()?))
    }

    fn new(places: Vec<Place>) -> Self {
        let mut by_first: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
        let mut others = Vec::new();
        for (number, place) in places.iter().enumerate() {
            match place.head.first() {
                Some(Part::Words(words)) => {
                    by_first.entry(words.bytes().next().unwrap_or(0)).or_default().push(number);
                }
                _ => others.push(number),
            }
        }
        let is_rare =
            |number: &usize| places.get(*number).is_some_and(|place| place.needle.len() >= RARE_MIN);
        let (rare, common) = others.iter().copied().partition(is_rare);
        let (others, rare) = (Needles::new(others, &places), Needles::new(rare, &places));
        Self { places, by_first, others, rare, common }
    }

    /// A place that may have printed a line; none if the line quotes nobody.
    pub(super) fn of<'a>(&'a self, text: &str) -> Option<&'a Place> {
        self.find(text, |_| true)
    }

    /// The same among those that are wanted: a name of a process may read like the beginning of another place, so that a line
    /// may be of several.
    pub(super) fn find<'a>(&'a self, text: &str, wanted: impl Fn(&Place) -> bool) -> Option<&'a Place> {
        let at = |number: &usize| {
            self.places.get(*number).filter(|place| wanted(place) && format::begins(&place.head, text))
        };
        let first = text.bytes().next()?;
        if let Some(place) = self.by_first.get(&first).into_iter().flatten().find_map(at) {
            return Some(place);
        }
        let window = text.as_bytes().get(..WINDOW.min(text.len()))?;
        if self.common.iter().any(|number| at(number).is_some()) {
            return self.others.first(window, at);
        }
        self.rare.first(window, at)
    }
}

impl Place {
    /// Whether a rule is about this very place, and says so: only then it gets the place's lines.
    pub(super) fn is_meant_by(&self, rule: &Rule) -> bool {
        let begins = match self.head.as_slice() {
            [Part::Words(words)] => rule.starts_with.iter().any(|start| start.starts_with(words)),
            _ => false,
        };
        begins || rule.contains.as_ref().is_some_and(|part| part.contains(&self.needle))
    }
}

#[cfg(test)]
mod generate;
#[cfg(test)]
mod reach;
#[cfg(test)]
mod tests;
