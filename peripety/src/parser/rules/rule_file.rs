//! Rules as users write them: `[[collector_regexs]]` in TOML.

use std::{collections::BTreeMap, ops::Range};

use serde_json::Value as Json;
use toml::de::DeValue;

use super::{
    Example, Problem, RULES_MAX, Rule, capture, check,
    pattern::{Alphabet, Pattern},
    toml_doc::{Doc, Table, Value, join},
};
use crate::{
    event::{EventType, Facts, SUB_SYSTEMS, Severity, SubSystem, TYPES},
    parser::Tracepoint,
};

/// Who wrote a rule: users are informed what is wrong, and must name the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// peripety: tests hold that nothing is wrong with it.
    BuiltIn,
    /// A user.
    User,
}

/// Both spellings of the array of rules, each as the path of its tables.
const SPELLINGS: [&[&str]; 2] = [&["collector_regexs"], &["collector", "regexs"]];

const BUILT_IN_KEYS: &[&str] = &[
    "name",
    "identifier",
    "starts_with",
    "contains",
    "regex",
    "sub_system",
    "event_type",
    "severity",
    "facts",
    "extension",
    "examples",
    "state",
    "uncounted",
    "no_kdev",
    "seen_by",
];
/// A user's rule has all of them but the last three.
const KEYS: &[&str] = match BUILT_IN_KEYS {
    [users @ .., _uncounted, _no_kdev, _seen_by] => users,
    _ => &[],
};

/// How the keys of a table are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// As they are.
    Plain,
    /// Also as paths of facts, which TOML reads as tables: `scsi.tag = 12`.
    Paths,
}

/// Bytes of a text in a rule: more is no regular expression that a human wrote.
const TEXT_MAX: usize = 4096;

/// Reads the rules of a TOML text that has nothing else, with everything that is wrong. `file` names it in messages.
pub fn read_rules(file: &str, text: &str, author: Author) -> (Vec<Rule>, Vec<Problem>) {
    let (mut doc, table) = Doc::parse(text);
    doc.unknown_keys("", &table, &["collector_regexs", "collector"]);
    let rules = rules_of(&mut doc, &table, file, author);
    (rules, doc.into_problems())
}

/// Reads the rules of a text, in the order in which they stand there.
pub(crate) fn rules_of(doc: &mut Doc<'_>, top: &Table<'_>, file: &str, author: Author) -> Vec<Rule> {
    let mut found = Vec::new();
    for spelling in SPELLINGS {
        let (path, table, key) = match spelling {
            [outer, key] => {
                let Some(table) = doc.table("", top, outer) else { continue };
                doc.unknown_keys(outer, table, &[key]);
                (*outer, table, *key)
            }
            [key] => ("", top, *key),
            _ => continue,
        };
        let path_of_rule = join(path, key);
        found.extend(
            doc.tables(path, table, key).into_iter().map(|(table, at)| (path_of_rule.clone(), table, at)),
        );
    }
    found.sort_by_key(|(_, _, at)| *at);
    if let Some((path, _, at)) = found.get(RULES_MAX) {
        let what = format!("there are {} rules", found.len());
        doc.problem(
            *at,
            path.clone(),
            what,
            format!("at most {RULES_MAX} are taken; join some by alternatives (a|b)"),
        );
        found.truncate(RULES_MAX);
    }
    let mut rules: Vec<Rule> = Vec::new();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for (path, table, at) in found {
        let Some(rule) = Reader { doc, path: &path, table, at, file, author }.rule() else { continue };
        let line = doc.line(at);
        if let Some(first) = names.insert(rule.name.clone(), line) {
            let what = format!("the name '{}' is taken by the rule in line {first}", rule.name);
            doc.problem(at, join(&path, "name"), what, "give each rule a name of its own");
            continue;
        }
        rules.push(rule);
    }
    rules
}

struct Reader<'a, 'd, 't> {
    doc: &'a mut Doc<'d>,
    path: &'a str,
    table: &'a Table<'t>,
    at: usize,
    file: &'a str,
    author: Author,
}

impl Reader<'_, '_, '_> {
    fn rule(mut self) -> Option<Rule> {
        let known = if self.author == Author::BuiltIn { BUILT_IN_KEYS } else { KEYS };
        self.doc.unknown_keys(self.path, self.table, known);
        let origin = format!("{}:{}", self.file, self.doc.line(self.at));
        let no_kdev = self.author == Author::BuiltIn
            && self.doc.boolean(self.path, self.table, "no_kdev").unwrap_or_default();
        let uncounted = self.author == Author::BuiltIn
            && self.doc.boolean(self.path, self.table, "uncounted").unwrap_or_default();
        let seen_by = self.seen_by();
        let state = self.doc.boolean(self.path, self.table, "state").unwrap_or_default();
        let name = self.text("name").map_or_else(|| origin.clone(), |(name, _)| name);
        let identifiers = self.identifiers();
        let starts_with = self.starts_with();
        let contains = self.text("contains").map(|(text, _)| text);
        let regex = self.required("regex");
        let regex_names_it = regex.as_ref().is_some_and(|(regex, _)| regex.contains("<sub_system>"));
        let sub_system = self.sub_system(regex_names_it);
        let event_type = self.event_type();
        let severity = self.severity();
        let (facts, facts_text) = self.facts();
        let extension = self.extension();
        let examples = self.examples();
        let (regex, span) = regex?;
        self.captured_facts(&regex, &span)?;
        if self.author == Author::User {
            let beginnings =
                check::Beginnings { starts_with: starts_with.as_deref(), contains: contains.as_deref() };
            check::pattern(self.doc, &join(self.path, "regex"), &regex, span, &beginnings)?;
        }
        let event_type = event_type?;
        let alphabet = if self.author == Author::User { Alphabet::Unicode } else { Alphabet::Ascii };
        Some(Rule {
            name,
            identifiers: identifiers?,
            // An empty beginning fits every line and says as much as none.
            starts_with: starts_with.filter(|s| s.iter().all(|s| !s.is_empty())).unwrap_or_default(),
            contains,
            pattern: Pattern::new(&regex, alphabet),
            severity: severity?.or(event_type.info().map(|i| i.severity)).unwrap_or(Severity::Warning),
            event_type,
            sub_system: sub_system?,
            no_kdev,
            state,
            uncounted,
            seen_by,
            facts,
            facts_text,
            extension,
            examples,
            origin,
        })
    }

    /// The tracepoint that fires with the line.
    fn seen_by(&mut self) -> Option<Tracepoint> {
        if self.author == Author::User {
            return None;
        }
        let (name, span) = self.text("seen_by")?;
        let found = Tracepoint::named(&name);
        if found.is_none() {
            let names = Tracepoint::ALL.map(Tracepoint::as_str).join(", ");
            let what = format!("'{name}' is no tracepoint of a probe");
            self.problem(span.start, "seen_by", what, format!("use one of {names}"));
        }
        found
    }

    fn problem(&mut self, at: usize, key: &str, what: impl Into<String>, fix: impl Into<String>) {
        self.doc.problem(at, join(self.path, key), what, fix);
    }

    /// An optional text of sane length.
    fn text(&mut self, key: &str) -> Option<(String, Range<usize>)> {
        let (text, span) = self.doc.string(self.path, self.table, key)?;
        self.fits(key, &text, &span).then_some((text, span))
    }

    fn fits(&mut self, key: &str, text: &str, span: &Range<usize>) -> bool {
        let what = if text.len() > TEXT_MAX {
            format!("it has {} bytes", text.len())
        } else if text.is_empty() && key != "starts_with" {
            "it is empty".to_owned()
        } else {
            return true;
        };
        self.problem(span.start, key, what, format!("it takes 1 to {TEXT_MAX} bytes"));
        false
    }

    fn required(&mut self, key: &str) -> Option<(String, Range<usize>)> {
        if !self.table.contains_key(key) {
            self.problem(self.at, key, "the rule has none", format!("add {key} = \"…\""));
        }
        self.text(key)
    }

    /// The programs that the rule is about; nothing if one of them is none, for the rule would then be about the kernel.
    fn identifiers(&mut self) -> Option<Vec<String>> {
        let value = self.table.get("identifier");
        let Some(value) = value else { return Some(Vec::new()) };
        if value.get_ref().as_array().is_some_and(|names| names.is_empty()) {
            self.problem(
                value.span().start,
                "identifier",
                "the list is empty",
                "name a program, or leave the key out",
            );
        }
        let mut names = Vec::new();
        for (name, span) in self.doc.strings(self.path, self.table, "identifier") {
            let named =
                name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@'));
            if name.is_empty()
                || !named
                || name.len() > 64
                || ["kernel", "peripetyd"].contains(&name.as_str())
            {
                let fix = "give the name of a program, for example multipathd; a rule without it is about the kernel";
                self.problem(span.start, "identifier", format!("'{name}' is no name of a program"), fix);
                return None;
            }
            names.push(name);
        }
        (!names.is_empty()).then_some(names)
    }

    fn starts_with(&mut self) -> Option<Vec<String>> {
        self.table.get("starts_with")?;
        let mut beginnings = Vec::new();
        for (text, span) in self.doc.strings(self.path, self.table, "starts_with") {
            if self.fits("starts_with", &text, &span) {
                beginnings.push(text);
            }
        }
        Some(beginnings)
    }

    fn sub_system(&mut self, regex_names_it: bool) -> Option<SubSystem> {
        if regex_names_it && !self.table.contains_key("sub_system") {
            return Some(SubSystem::known("fs"));
        }
        let (name, span) = self.required("sub_system")?;
        let named = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if !named || name.len() > 64 {
            let fix = format!("use letters, digits and '-', for example one of {}", SUB_SYSTEMS.join(", "));
            self.problem(span.start, "sub_system", format!("'{name}' is no name"), fix);
            return None;
        }
        Some(SubSystem::new(&name))
    }

    fn event_type(&mut self) -> Option<EventType> {
        let (name, span) = self.required("event_type")?;
        let named = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if !named || name.len() > 64 {
            let upper = name.to_ascii_uppercase().replace([' ', '-'], "_");
            let known = TYPES.iter().find(|t| t.name == upper).map_or("MY_EVENT_TYPE", |t| t.name);
            let fix = format!("use capitals, digits and '_', for example {known}");
            self.problem(span.start, "event_type", format!("'{name}' is no name of a type"), fix);
            return None;
        }
        Some(EventType::new(name))
    }

    /// The rule's own severity: nothing if it is wrong, `Some(None)` if there is none.
    #[expect(clippy::option_option, reason = "wrong and absent are two things")]
    fn severity(&mut self) -> Option<Option<Severity>> {
        if !self.table.contains_key("severity") {
            return Some(None);
        }
        let (name, span) = self.text("severity")?;
        match name.parse() {
            Ok(severity) => Some(Some(severity)),
            Err(_) => {
                let names = Severity::ALL.map(Severity::as_str).join(", ");
                self.problem(
                    span.start,
                    "severity",
                    format!("'{name}' is no severity"),
                    format!("use one of {names}"),
                );
                None
            }
        }
    }

    /// Facts that the rule adds to each of its events.
    fn facts(&mut self) -> (Facts, BTreeMap<String, String>) {
        let (mut facts, mut texts) = (Facts::default(), BTreeMap::new());
        let Some(table) = self.doc.table(self.path, self.table, "facts") else { return (facts, texts) };
        for (path, value) in self.constants(&join(self.path, "facts"), table, &[], Keys::Paths) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if let Err(error) = facts.set_text(&path, &text) {
                self.no_fact(self.at, "facts", &error.0);
            }
            texts.insert(path, text);
        }
        (facts, texts)
    }

    /// Groups whose name has a dot fill the fact of that path: there must be one. A rule of peripety's own captures nothing
    /// else, so that its events say everything in types.
    fn captured_facts(&mut self, regex: &str, span: &Range<usize>) -> Option<()> {
        let names = regex.split("(?P<").skip(1).filter_map(|rest| rest.split_once('>').map(|(name, _)| name));
        let mut all_known = Some(());
        for name in names {
            let is_known = if name.contains('.') {
                Facts::is_field(name)
            } else {
                self.author == Author::User || capture::RESERVED.contains(&name)
            };
            if !is_known {
                self.no_fact(span.start, "regex", name);
                all_known = None;
            }
        }
        all_known
    }

    fn no_fact(&mut self, at: usize, key: &str, path: &str) {
        let like = Facts::nearest(path).map(|like| format!(" (perhaps {like})")).unwrap_or_default();
        let fix = format!("name a field of the event's facts{like}, as they stand in doc/event.schema.json");
        self.problem(at, key, format!("'{path}' is no fact"), fix);
    }

    fn extension(&mut self) -> BTreeMap<String, Json> {
        let Some(table) = self.doc.table(self.path, self.table, "extension") else { return BTreeMap::new() };
        self.constants(&join(self.path, "extension"), table, &[], Keys::Plain)
    }

    /// The plain values of a table, without the keys of `except`.
    fn constants(
        &mut self,
        path: &str,
        table: &Table<'_>,
        except: &[&str],
        keys: Keys,
    ) -> BTreeMap<String, Json> {
        let mut constants = BTreeMap::new();
        for (key, value) in table {
            let key: &str = key.get_ref();
            if except.contains(&key) {
                continue;
            }
            if let (Keys::Paths, Some(inner)) = (keys, value.get_ref().as_table()) {
                // A dotted key: `scsi.tag = 12`.
                let inner = self.constants(&join(path, key), inner, &[], Keys::Plain);
                constants.extend(inner.into_iter().map(|(field, value)| (format!("{key}.{field}"), value)));
                continue;
            }
            match plain(value) {
                Some(constant) => drop(constants.insert(key.to_owned(), constant)),
                None => self.doc.wrong_type(
                    &join(path, key),
                    value,
                    "text in quotes, a whole number, true or false",
                ),
            }
        }
        constants
    }

    fn examples(&mut self) -> Vec<Example> {
        let path = join(self.path, "examples");
        let Some(value) = self.table.get("examples") else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.doc.wrong_type(&path, value, "a list of lines: [\"line\", …]");
            return Vec::new();
        };
        let mut examples = Vec::new();
        for item in array {
            let at = self.doc.line(item.span().start);
            match item.get_ref() {
                DeValue::String(line) => {
                    examples.push(Example { line: line.to_string(), at, ..Example::default() })
                }
                DeValue::Table(table) => {
                    if !table.contains_key("line") {
                        self.doc.problem(
                            item.span().start,
                            join(&path, "line"),
                            "the example has none",
                            "add line = \"…\"",
                        );
                    }
                    let line = self.doc.string(&path, table, "line").map(|(line, _)| line);
                    let device = self.doc.string(&path, table, "device").map(|(device, _)| device);
                    let expect = self.constants(&path, table, &["line", "device", "kernel"], Keys::Paths);
                    examples.extend(line.map(|line| Example { line, device, expect, at }));
                }
                _ => self.doc.wrong_type(
                    &path,
                    item,
                    "a line in quotes or a table { line = \"…\", kdev = \"…\" }",
                ),
            }
        }
        examples
    }
}

fn plain(value: &Value<'_>) -> Option<Json> {
    match value.get_ref() {
        DeValue::String(text) => Some(Json::from(text.as_ref())),
        DeValue::Boolean(is) => Some(Json::from(*is)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Json::from)
            .or_else(|_| u64::from_str_radix(number.as_str(), number.radix()).map(Json::from))
            .ok(),
        _ => None,
    }
}
