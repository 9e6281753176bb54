//! Packages of other Debian suites, from the mirror that this machine uses, and without touching its own apt.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::announced;
use crate::sh;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The archive's address, as this machine's own sources have it.
pub fn archive() -> Result<String> {
    let files = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
    let text: String = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    archive_in(&text).with_context(|| format!("no Debian archive is named in {}", files.join(" or ")))
}

/// The first archive in a deb822 or one-line list that is not the one of security updates.
fn archive_in(sources: &str) -> Option<String> {
    let words = sources.lines().filter(|line| {
        let line = line.trim_start();
        line.starts_with("URIs:") || line.starts_with("deb ")
    });
    words
        .flat_map(str::split_whitespace)
        .find(|word| word.contains("://") && !word.contains("security"))
        .map(str::to_owned)
}

/// One suite.
pub struct Suite {
    dir: PathBuf,
    arch: &'static str,
}

impl Suite {
    /// Reads the suite's list of packages for an architecture, by Debian's name, into `dir`.
    pub fn open(suite: &str, arch: &'static str, dir: PathBuf) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(part)).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        let line = format!("deb [signed-by={KEYRING}] {} {suite} main\n", archive()?);
        fs::write(dir.join("sources.list"), line).context("writing a list of sources")?;
        let this = Self { dir, arch };
        announced(this.apt("apt-get").args(["-qq", "update"]))?;
        Ok(this)
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let mut option = |key: &str, value: &Path| {
            command.arg("-o").arg(format!("{key}={}", value.display()));
        };
        option("Dir::Etc::sourcelist", &self.dir.join("sources.list"));
        option("Dir::Etc::sourceparts", Path::new("/dev/null"));
        option("Dir::State::lists", &self.dir.join("lists"));
        option("Dir::Cache", &self.dir.join("cache"));
        // Nothing that is installed here matters.
        option("Dir::State::status", Path::new("/dev/null"));
        option("APT::Sandbox::User", Path::new("root"));
        option("Acquire::Languages", Path::new("none"));
        option("APT::Architecture", Path::new(self.arch));
        option("APT::Architectures", Path::new(self.arch));
        command
    }

    /// The kernel's parts: of its newest version, all packages that the meta package leads to.
    pub fn kernel_packages(&self) -> Result<Vec<String>> {
        let mut found: Vec<String> = Vec::new();
        let mut open = vec!["linux-image-amd64".to_owned()];
        while let Some(package) = open.pop() {
            let mut show = self.apt("apt-cache");
            let shown = sh::output(show.args(["show", "--no-all-versions", &package]))
                .with_context(|| format!("the suite has no package {package}"))?;
            for name in dependencies(&shown).filter(|name| is_kernel_part(name)) {
                if !found.iter().any(|known| known == name) {
                    found.push(name.to_owned());
                    open.push(name.to_owned());
                }
            }
        }
        if found.is_empty() {
            bail!("linux-image-amd64 leads to no kernel");
        }
        Ok(found)
    }

    /// The newest package with the kernel's sources.
    pub fn source_package(&self) -> Result<String> {
        let mut show = self.apt("apt-cache");
        let shown = sh::output(show.args(["show", "--no-all-versions", "linux-source"]))
            .context("the suite has no package linux-source")?;
        let found = dependencies(&shown).find(|name| name.starts_with("linux-source-"));
        found.map(str::to_owned).context("linux-source leads to no sources")
    }

    /// Brings packages into `dir`, unpacked.
    pub fn unpack(&self, packages: &[String], dir: &Path) -> Result<()> {
        let debs = self.dir.join("debs");
        let _it_may_not_be_there = fs::remove_dir_all(&debs);
        fs::create_dir_all(&debs).with_context(|| format!("cannot make {}", debs.display()))?;
        announced(self.apt("apt-get").args(["-qq", "download"]).args(packages).current_dir(&debs))?;
        for deb in fs::read_dir(&debs).with_context(|| format!("cannot read {}", debs.display()))? {
            announced(Command::new("dpkg-deb").arg("-x").arg(deb.context("a package")?.path()).arg(dir))?;
        }
        fs::remove_dir_all(&debs).context("removing packages that are unpacked")
    }
}

fn dependencies(shown: &str) -> impl Iterator<Item = &str> {
    let lines = shown
        .lines()
        .filter_map(|line| line.strip_prefix("Depends:").or_else(|| line.strip_prefix("Pre-Depends:")));
    lines.flat_map(|line| line.split(',')).filter_map(|one| one.split_whitespace().next())
}

/// Whether a package holds a kernel, and no helper of one: it has a version in its name.
fn is_kernel_part(name: &str) -> bool {
    ["linux-image-", "linux-binary-", "linux-modules-"].iter().any(|prefix| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_found_in_both_forms() {
        let deb822 = "Types: deb\n# http://old.example/x\nURIs: http://a.example/debian-security\n\nURIs: http://a.example/debian\n";
        assert_eq!(archive_in(deb822).as_deref(), Some("http://a.example/debian"));
        let one_line =
            "deb-src http://no.example/ x\ndeb [arch=amd64] http://b.example/debian bookworm main\n";
        assert_eq!(archive_in(one_line).as_deref(), Some("http://b.example/debian"));
        assert_eq!(archive_in("# nothing\n"), None);
    }

    #[test]
    fn a_meta_package_leads_to_the_kernel_and_to_no_helper() {
        let shown = "Package: x\nDepends: kmod, linux-base (>= 4.3~), linux-binary-7.2.13+deb14-amd64 (= 7.2.13-1), linux-modules-7.2.13+deb14-amd64\nBreaks: linux-image-1\n";
        let parts: Vec<_> = dependencies(shown).filter(|name| is_kernel_part(name)).collect();
        assert_eq!(parts, ["linux-binary-7.2.13+deb14-amd64", "linux-modules-7.2.13+deb14-amd64"]);
    }
}
