//! The pages as mdBook takes them: those that people wrote, those of tables, and documents of `doc/`.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result, bail};

use super::{
    DOCUMENTS,
    types::{self, Type},
};
use crate::sh;

/// Where files of the repository can be read that are no pages.
const SOURCE: &str = "https://github.com/cathay4t/peripety/blob/main";
/// Stands for the pages of event types in the list of chapters.
const HERE: &str = "<!-- types -->";
/// How names of event types begin that are written in pages and no types: fields of the journal, settings, variables.
const NO_TYPES: [&str; 3] = ["CAP_", "CONFIG_", "PERIPETY_BLESS"];

/// Writes all that mdBook needs into a directory.
pub(super) fn assemble(types: &[Type], dir: &Path) -> Result<()> {
    let from = sh::root().join("doc/manual");
    let src = dir.join("src");
    write(&dir.join("book.toml"), &read(&from.join("book.toml"))?)?;
    for file in sh::files(&from.join("theme"))? {
        let to = dir.join("theme").join(file.strip_prefix(from.join("theme")).unwrap_or(&file));
        write(&to, &read(&file)?)?;
    }
    let names: BTreeSet<&str> = types.iter().map(|info| info.name.as_str()).collect();
    for file in sh::files(&from.join("src"))? {
        let place = file.strip_prefix(from.join("src")).unwrap_or(&file);
        let mut text = read(&file)?;
        if place == Path::new("SUMMARY.md") {
            text = text.replace(HERE, summary(types).trim_end());
        } else {
            text = linked(&text, &names, &up(place)).with_context(|| place.display().to_string())?;
        }
        write(&src.join(place), &text)?;
    }
    for info in types {
        let page = linked(&types::page(info), &names, "../types/")?;
        write(&src.join(format!("types/{}.md", info.name)), &page)?;
    }
    for (name, of) in types::by_subsystem(types) {
        write(&src.join(format!("types/{name}.md")), &types::subsystem(name, &of))?;
    }
    write(&src.join("types/index.md"), &types::index(types))?;
    write(&src.join("conditions.md"), &linked(&types::conditions(types), &names, "types/")?)?;
    for name in DOCUMENTS {
        let text = read(&sh::root().join(format!("doc/{name}.md")))?;
        write(&src.join(format!("reference/{name}.md")), &with_links_to_source(&text))?;
    }
    Ok(())
}

/// From a page to the pages of types.
fn up(place: &Path) -> String {
    "../".repeat(place.components().count().saturating_sub(1)) + "types/"
}

/// The chapters of event types.
fn summary(types: &[Type]) -> String {
    let mut text = String::new();
    for (sub_system, types) in types::by_subsystem(types) {
        let _written = writeln!(text, "  - [{sub_system}](types/{sub_system}.md)");
        for info in types {
            let _written = writeln!(text, "    - [{0}](types/{0}.md)", info.name);
        }
    }
    text
}

/// Links each name of an event type that stands as code outside of examples to its page.
fn linked(text: &str, names: &BTreeSet<&str>, to_types: &str) -> Result<String> {
    let mut out = String::new();
    let mut in_example = false;
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        in_example ^= is_fence;
        if is_fence || in_example || line.starts_with('#') {
            let line = if is_fence { line.replace(",run", "") } else { line.to_owned() };
            let _written = writeln!(out, "{line}");
            continue;
        }
        for (n, part) in line.split('`').enumerate() {
            let is_code = n % 2 == 1;
            if is_code && names.contains(part) {
                let _written = write!(out, "[`{part}`]({to_types}{part}.md)");
            } else if is_code && looks_like_a_type(part, names) {
                bail!("`{part}` is no event type: {line}");
            } else {
                let quote = if is_code { "`" } else { "" };
                let _written = write!(out, "{quote}{part}{quote}");
            }
        }
        out.push('\n');
    }
    Ok(out)
}

/// Whether it begins as the names of types do, and could be one.
fn looks_like_a_type(word: &str, names: &BTreeSet<&str>) -> bool {
    let letters = |c: char| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit();
    let first = word.split('_').next().unwrap_or_default();
    word.contains('_')
        && word.chars().all(letters)
        && !NO_TYPES.iter().any(|start| word.starts_with(start))
        && names.iter().any(|name| name.split('_').next() == Some(first))
}

/// Links of a document of `doc/` to what is no page lead to the source.
fn with_links_to_source(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, (target, after))) =
        rest.split_once("](").and_then(|(before, rest)| Some((before, rest.split_once(')')?)))
    {
        let (file, _) = target.split_once('#').unwrap_or((target, ""));
        let is_page = DOCUMENTS.iter().any(|name| file == format!("{name}.md")) || file.is_empty();
        let target = if is_page || target.contains("://") {
            target.to_owned()
        } else if let Some(from_root) = target.strip_prefix("../") {
            format!("{SOURCE}/{from_root}")
        } else {
            format!("{SOURCE}/doc/{target}")
        };
        let _written = write!(out, "{before}]({target})");
        rest = after;
    }
    out + rest
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn write(file: &Path, text: &str) -> Result<()> {
    let dir = file.parent().unwrap_or(file);
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types_are_linked_and_wrong_ones_refused() {
        let names = BTreeSet::from(["FS_SHUTDOWN", "MD_DISK_FAILED"]);
        let text = "An `FS_SHUTDOWN` of `prpt`, `CAP_BPF`, `MAIN_PID`.\n```console\n$ a `FS_SHUTDOWN`\n```\n";
        let expected = "An [`FS_SHUTDOWN`](../types/FS_SHUTDOWN.md) of `prpt`, `CAP_BPF`, `MAIN_PID`.\n```console\n$ a `FS_SHUTDOWN`\n```\n";
        assert_eq!(linked(text, &names, "../types/").unwrap(), expected);
        assert!(linked("`FS_SHUTDWN`", &names, "").unwrap_err().to_string().contains("is no event type"));
    }

    #[test]
    fn what_is_no_page_is_linked_to_the_source() {
        let text = "[a](kernels.md#x) [b](event.schema.json) [c](../dist/x.conf) [d](https://example.com)";
        let expected = format!(
            "[a](kernels.md#x) [b]({SOURCE}/doc/event.schema.json) [c]({SOURCE}/dist/x.conf) [d](https://example.com)"
        );
        assert_eq!(with_links_to_source(text), expected);
    }
}
