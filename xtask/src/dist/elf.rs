//! Which libraries programs need, and of which version at least: the versions of the symbols that they use.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::sh;

/// Debian's packages of libraries, by the library's name.
const LIBRARIES: &[(&str, &str)] = &[
    ("libc.so.6", "libc6"),
    ("libm.so.6", "libc6"),
    ("ld-linux-x86-64.so.2", "libc6"),
    ("ld-linux-aarch64.so.1", "libc6"),
    ("libgcc_s.so.1", "libgcc-s1"),
    ("libsystemd.so.0", "libsystemd0"),
];

/// Debian's dependencies of programs.
pub fn depends(programs: &[PathBuf]) -> Result<Vec<String>> {
    let mut needed: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for program in programs {
        for (library, versions) in libraries(program)? {
            let Some((_library, package)) = LIBRARIES.iter().find(|(name, _package)| *name == library) else {
                bail!("{} needs {library}; which package of Debian has it is not known", program.display());
            };
            let least = needed.entry(package).or_default();
            *least = versions.into_iter().chain([least.clone()]).max().unwrap_or_default();
        }
    }
    let shown = |(package, version): (&str, Vec<u32>)| {
        let version = version.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
        if version.is_empty() { package.to_owned() } else { format!("{package} (>= {version})") }
    };
    Ok(needed.into_iter().map(shown).collect())
}

/// The libraries of a program, with the versions of their symbols that it uses.
fn libraries(program: &Path) -> Result<Vec<(String, Vec<Vec<u32>>)>> {
    let show = |option: &str| {
        let mut readelf = Command::new("readelf");
        readelf.args(["--wide", option]).arg(program).env("LC_ALL", "C");
        sh::output(&mut readelf).with_context(|| format!("readelf cannot read {}", program.display()))
    };
    Ok(parse(&show("--dynamic")?, &show("--version-info")?))
}

fn parse(dynamic: &str, versions: &str) -> Vec<(String, Vec<Vec<u32>>)> {
    let between = |line: &str| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned());
    let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)")).filter_map(between);
    let mut libraries: Vec<_> = needed.map(|name| (name, Vec::new())).collect();
    let mut current = "";
    for line in versions.lines() {
        if let Some((_before, rest)) = line.split_once("File: ") {
            current = rest.split_whitespace().next().unwrap_or_default();
        } else if let Some((_before, rest)) = line.split_once("Name: ")
            && let Some((_library, used)) = libraries.iter_mut().find(|(name, _used)| name == current)
        {
            used.extend(numbers(rest.split_whitespace().next().unwrap_or_default()));
        }
    }
    libraries
}

/// `GLIBC_2.34` as numbers; none of a version that is a word.
fn numbers(version: &str) -> Option<Vec<u32>> {
    version.rsplit_once('_')?.1.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_version_of_each_library_counts() {
        let dynamic = " 0x01 (NEEDED)  Shared library: [libc.so.6]\n 0x0e (SONAME) [x]\n";
        let versions = "  000000: Version: 1  File: libc.so.6  Cnt: 2\n  0x0010:   Name: GLIBC_2.9  Flags: none  Version: 7\n\
                        \u{20} 0x0020:   Name: GLIBC_2.34  Flags: none  Version: 6\n  0x0030: Version: 1  File: libother.so.1  Cnt: 1\n\
                        \u{20} 0x0040:   Name: GLIBC_9.9  Flags: none\n";
        assert_eq!(parse(dynamic, versions), [("libc.so.6".to_owned(), vec![vec![2, 9], vec![2, 34]])]);
        assert!(numbers("GLIBC_2.34") > numbers("GLIBC_2.9"));
        assert_eq!(numbers("GLIBC_PRIVATE"), None);
    }
}
