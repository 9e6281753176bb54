//! Checks the links between the pages: each leads to a page that is there, and to a place in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::sh;

/// How many wrong links are named.
const NAMED: usize = 20;

/// Gives the number of pages.
pub(super) fn check(html: &Path) -> Result<usize> {
    let mut texts = BTreeMap::new();
    for file in sh::files(html)?.into_iter().filter(|file| file.extension().is_some_and(|e| e == "html")) {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        texts.insert(file, text);
    }
    let places: BTreeMap<&PathBuf, BTreeSet<&str>> =
        texts.iter().map(|(file, text)| (file, values(text, "id").collect())).collect();
    let mut wrong = Vec::new();
    for (file, text) in &texts {
        // What is printed is all pages in one: its links are those of the others.
        let is_own = !["print.html", "toc.html", "404.html"].iter().any(|name| file.ends_with(name));
        for link in values(text, "href").chain(values(text, "src")).filter(|_| is_own) {
            if let Some(why) = fault(file, link, &places) {
                let page = file.strip_prefix(html).unwrap_or(file);
                wrong.push(format!("{}: {link}: {why}", page.display()));
            }
        }
    }
    if !wrong.is_empty() {
        wrong.sort();
        wrong.dedup();
        let shown = wrong.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join("\n  ");
        bail!("{} links are wrong:\n  {shown}", wrong.len());
    }
    Ok(texts.len())
}

/// What is wrong with a link of a page.
fn fault(file: &Path, link: &str, places: &BTreeMap<&PathBuf, BTreeSet<&str>>) -> Option<String> {
    if link.contains("://") || link.starts_with("data:") || link.starts_with("mailto:") || link.is_empty() {
        return None;
    }
    let (path, place) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { file.to_path_buf() } else { normal(&file.parent()?.join(path)) };
    let target = if target.is_dir() { target.join("index.html") } else { target };
    if !target.is_file() {
        return Some("no such file".to_owned());
    }
    let ids = places.get(&target)?;
    (!place.is_empty() && !ids.contains(place)).then(|| "no such place on that page".to_owned())
}

/// Without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

/// The values of an attribute in a page.
fn values<'t>(text: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let start = format!(" {name}=\"");
    let mut rest = text;
    std::iter::from_fn(move || {
        let at = rest.find(&start)?;
        let (value, after) = rest.get(at + start.len()..)?.split_once('"')?;
        rest = after;
        Some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_no_file_and_to_no_place_are_wrong() {
        let dir = std::env::temp_dir().join(format!("peripety-links-{}", std::process::id()));
        fs::create_dir_all(dir.join("types")).unwrap();
        fs::write(dir.join("a.html"), "<h1 id=\"top\">a</h1> <a href=\"types/b.html#here\">b</a>").unwrap();
        fs::write(dir.join("types/b.html"), "<h1 id=\"here\">b</h1> <a href=\"../a.html#top\">a</a>")
            .unwrap();
        let right = check(&dir);
        fs::write(dir.join("c.html"), "<a href=\"d.html\">d</a> <a href=\"a.html#bottom\">a</a>").unwrap();
        let wrong = check(&dir);
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(right.unwrap(), 2);
        let wrong = wrong.unwrap_err().to_string();
        assert!(wrong.contains("c.html: d.html: no such file"), "{wrong}");
        assert!(
            wrong.contains("c.html: a.html#bottom: no such place") && wrong.starts_with("2 links"),
            "{wrong}"
        );
    }
}
