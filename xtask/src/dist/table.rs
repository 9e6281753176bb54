//! The table of packages.

use std::fs;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::sh;

/// All packages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    pub homepage: String,
    /// Name and address.
    pub maintainer: String,
    #[serde(rename = "package")]
    pub packages: Vec<Package>,
}

/// One package.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    pub name: String,
    pub summary: String,
    pub description: String,
    pub license: String,
    /// The unit that is enabled, started, and started again by an upgrade.
    pub service: String,
    /// The unit of its sockets, which is stopped before it.
    pub socket: Option<String>,
    /// Directories that the program makes; they go with the package.
    pub state: Vec<String>,
    /// Run before the files are removed.
    pub before_removal: Option<String>,
    /// Its ELF files: they say which libraries the package needs.
    pub programs: Vec<String>,
    /// Other packages of the table that are needed in the same version.
    #[serde(default)]
    pub needs_same: Vec<String>,
    pub deb_recommends: Option<String>,
    pub rpm_recommends: Option<String>,
    #[serde(rename = "file")]
    pub files: Vec<Entry>,
    #[serde(default, rename = "directory")]
    pub directories: Vec<String>,
}

/// A file, or several.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub from: String,
    pub to: String,
    #[serde(default = "readable")]
    pub mode: u32,
    #[serde(default)]
    pub gzip: bool,
    #[serde(default)]
    pub config: bool,
    pub only: Option<Format>,
}

/// Formats of packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Deb,
    Rpm,
}

const fn readable() -> u32 {
    0o644
}

impl Table {
    pub fn read() -> Result<Self> {
        let file = sh::root().join("dist/package/packages.toml");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        toml::from_str(&text).with_context(|| format!("{}", file.display()))
    }
}

impl Package {
    /// The unit of its sockets as a word before the service.
    pub fn socket_word(&self) -> String {
        self.socket.as_ref().map(|socket| format!("{socket} ")).unwrap_or_default()
    }
}

/// A template of `dist/package`, its `@NAMES@` filled in.
pub fn filled(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let file = sh::root().join("dist/package").join(template);
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut text = values.iter().fold(text, |text, (name, value)| text.replace(&format!("@{name}@"), value));
    // A line that stood for something that this package has not.
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_man_page_unit_and_licence_is_in_a_package() {
        let table = Table::read().unwrap();
        let entries: Vec<&str> =
            table.packages.iter().flat_map(|p| &p.files).map(|entry| entry.from.as_str()).collect();
        let has = |name: &str| {
            entries.iter().any(|from| match from.split_once('*') {
                Some((start, end)) => name.starts_with(start) && name.ends_with(end),
                None => *from == name,
            })
        };
        for dir in ["doc/man", "dist"] {
            for entry in fs::read_dir(sh::root().join(dir)).unwrap().flatten() {
                // libperipety has no package yet: `cargo xtask capi` lays it out.
                if entry.file_type().unwrap().is_file() && entry.file_name() != "libperipety.3" {
                    let name = format!("{dir}/{}", entry.file_name().to_string_lossy());
                    assert!(has(&name), "{name} is in no package");
                }
            }
        }
        assert!(["LICENSE-MIT", "LICENSE-APACHE", "LICENSE-GPL-2.0"].iter().all(|name| has(name)));
    }
}
