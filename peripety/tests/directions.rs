//! Modules use each other in one direction: the list in ARCHITECTURE.md.

#![expect(clippy::unwrap_used, reason = "this is a test; clippy knows that of functions marked so only")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Not modules of this crate's own, or used everywhere: other crates under a short name.
const CRATES: &[&str] = &["block", "checked", "event", "files", "replace"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The documented order.
fn order() -> Vec<String> {
    let text = fs::read_to_string(root().join("../../ARCHITECTURE.md")).unwrap();
    let (_, list) = text.split_once("```directions\n").unwrap();
    let (list, _) = list.split_once("```").unwrap();
    list.lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

/// The code without comments, text, and what is compiled for tests only.
fn code(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        if line.starts_with("#[cfg(test)]") {
            // Tests stand last in a file, or are a file of their own.
            let mut rest = text.split("#[cfg(test)]\nmod tests {");
            return strip(rest.next().unwrap_or_default());
        }
        out.push_str(line);
        out.push('\n');
    }
    strip(&out)
}

fn strip(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// First parts of all paths that begin with `crate::`.
fn uses(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect()
    };
    for (_, after) in code.match_indices("crate::").map(|(at, what)| (at, &code[at + what.len()..])) {
        let Some(list) = after.strip_prefix('{') else {
            found.insert(word(after));
            continue;
        };
        let mut depth = 0;
        let mut first = true;
        for (at, c) in list.char_indices() {
            if first {
                found.insert(word(&list[at..]));
                first = false;
            }
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    found.insert(word(&list[at + 1..]));
                }
                _ => {}
            }
        }
    }
    found.remove("");
    found
}

/// Whether a file is compiled for tests only: the file that declares it says so.
fn is_test(file: &Path) -> bool {
    let name = file.file_stem().unwrap().to_string_lossy();
    let named = ["tests", "fixture", "golden"].contains(&name.as_ref()) || name.ends_with("_tests");
    let module = format!("#[cfg(test)]\nmod {name};");
    let parent = file.parent().unwrap();
    let owners = [parent.join("mod.rs"), parent.with_extension("rs")];
    let below = parent.file_name().is_some_and(|dir| dir == "tests");
    let declared =
        owners.iter().filter_map(|owner| fs::read_to_string(owner).ok()).any(|o| o.contains(&module));
    named || below || declared
}

fn module(file: &Path) -> String {
    let below = file.strip_prefix(root()).unwrap();
    below.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

#[test]
fn no_module_uses_one_that_comes_after_it() {
    let order = order();
    let place: BTreeMap<&str, usize> = order.iter().enumerate().map(|(n, name)| (name.as_str(), n)).collect();
    let mut found = Vec::new();
    files(&root(), &mut found);
    let (mut wrong, mut arrows) = (Vec::new(), BTreeSet::new());
    for file in found.iter().filter(|file| !is_test(file)) {
        let from = module(file);
        if ["lib", "bin"].contains(&from.as_str()) {
            continue;
        }
        let Some(own) = place.get(from.as_str()) else {
            wrong.push(format!("{from} is not in the list"));
            continue;
        };
        for to in uses(&code(&fs::read_to_string(file).unwrap())) {
            match place.get(to.as_str()) {
                _ if CRATES.contains(&to.as_str()) => {}
                Some(other) if other > own => wrong.push(format!("{from} uses {to}: {}", file.display())),
                Some(_) => {
                    arrows.insert((from.clone(), to));
                }
                None => wrong.push(format!("{to} is not in the list: {}", file.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "against ARCHITECTURE.md:\n{}", wrong.join("\n"));
    // The scanner sees what is there.
    for (from, to) in
        [("daemon", "collector"), ("correlate", "parser"), ("cli", "query"), ("engine", "correlate")]
    {
        assert!(arrows.contains(&(from.to_owned(), to.to_owned())), "{from} uses {to}");
    }
}

#[test]
fn every_module_of_the_list_is_there() {
    for name in order() {
        let is = root().join(format!("{name}.rs")).exists() || root().join(&name).is_dir();
        assert!(is, "{name}");
    }
}

#[test]
fn lists_and_nested_paths_are_read() {
    let found = uses(
        "use crate::{\n    a::{B, c::D},\n    e_f::G, h,\n};\nlet x = crate::i::j(); pub(crate) fn k() {}",
    );
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "e_f", "h", "i"]);
}
