//! Scenarios: what is done to a machine, and what peripety shall report. One TOML file each, in `scenarios/`.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::sh;

/// One scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name.
    #[serde(skip)]
    pub name: String,
    /// One line for `--list`.
    pub summary: String,
    /// What kernels cannot give of it.
    #[serde(default)]
    pub cannot: Vec<Cannot>,
    /// Disks of the machine, as files in its directory.
    #[serde(default)]
    pub disks: Vec<Disk>,
    /// More of qemu's arguments; `{dir}` is the machine's directory.
    #[serde(default)]
    pub qemu: Vec<String>,
    /// More of the kernel's command line.
    #[serde(default)]
    pub append: String,
    /// Files of the machine.
    #[serde(default)]
    pub files: Vec<Text>,
    /// What is done: lines of bash, with the helpers of `guest/agent.sh`.
    pub run: String,
    /// Seconds after which the machine is ended.
    #[serde(default = "eight_minutes")]
    pub limit_s: u64,
    /// The machine starts again when its guest says so, with what is on its disks.
    #[serde(default)]
    pub reboots: bool,
    /// Debian's suite of the root file system.
    #[serde(default = "usual_root")]
    pub root: String,
    /// Only on these kernels, where it says nothing about others.
    #[serde(default)]
    pub kernels: Vec<String>,
    /// The machine comes without peripety, and with its packages: this revision in `/root/packages/1`, the next in `/root/packages/2`.
    #[serde(default)]
    pub packages: bool,
    /// peripety-watch runs in it too, and peripety-policy and peripety-scan are there.
    #[serde(default)]
    pub watch: bool,
    /// The events in `expect` begin in this order.
    #[serde(default)]
    pub ordered: bool,
    /// What must be reported.
    #[serde(default)]
    pub expect: Vec<Expect>,
    /// The incidents that it must give, all of them: one that is listed here with no entry, and one too many, are wrong.
    #[serde(default, rename = "incident")]
    pub incidents: Vec<ExpectIncident>,
    /// What `prpt status` lists at the end, all of it: a pattern of each problem (`name: condition, condition`), or of the title of
    /// an incident that is of no problem. Not compared where it is not there.
    #[serde(default)]
    pub status: Option<Vec<String>>,
    /// What may be reported beside it. Anything else of severity warning or worse is wrong.
    #[serde(default)]
    pub allow: Vec<Allow>,
}

fn usual_root() -> String {
    super::root::USUAL.to_owned()
}

fn eight_minutes() -> u64 {
    480
}

/// A disk.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    pub name: String,
    pub mib: u64,
}

/// A file of the machine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub path: String,
    /// What is in it; or `from`.
    #[serde(default)]
    pub text: String,
    /// The file of the project that it is a copy of.
    #[serde(default)]
    pub from: Option<String>,
}

/// Events that must be there. Patterns have `*` for anything and `|` between alternatives, and `{name}` for a fact that the
/// machine reported.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Pattern of the event's type; with `device` it selects the events.
    #[serde(rename = "type")]
    pub kind: String,
    /// Pattern of `block.blk_path`, or `-` for an event with no device.
    #[serde(default)]
    pub device: Option<String>,
    /// Values that select the events, too; as `fields`.
    #[serde(default, rename = "where")]
    pub selected_by: std::collections::BTreeMap<String, String>,
    /// How many such events: `1`, `0..2`, `1..`.
    #[serde(default = "one")]
    pub events: String,
    /// Only on these kernels.
    #[serde(default)]
    pub kernels: Vec<String>,
    /// `count` of all these events together.
    #[serde(default)]
    pub count: Option<String>,
    /// Values at places of each event's JSON, by pointer: a pattern, or a range where it is a number.
    #[serde(default)]
    pub fields: std::collections::BTreeMap<String, String>,
    /// Type of the event that `root_cause_event_id` names.
    #[serde(default)]
    pub cause: Option<String>,
}

fn one() -> String {
    "1".to_owned()
}

/// An incident that must be there, superseded ones left out. Patterns as in [`Expect`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectIncident {
    /// Pattern of the name of its cause, and of nothing else: it selects the incident together with `event`.
    pub cause: String,
    /// Pattern of the type of the event that is the cause; `-` where a shared part is, that no event is about.
    pub event: String,
    /// Pattern of the kind of its cause.
    pub kind: String,
    /// Pattern of the worst harm.
    pub impact: String,
    /// Pattern of its state at the end.
    pub state: String,
    /// How often it happened.
    #[serde(default = "one")]
    pub episodes: String,
    /// Patterns of event types, each of which one of its events must have.
    #[serde(default)]
    pub has: Vec<String>,
    /// How many such incidents.
    #[serde(default = "one")]
    pub number: String,
    /// Only on these kernels.
    #[serde(default)]
    pub kernels: Vec<String>,
    /// Values at places of its JSON, as those of an event.
    #[serde(default)]
    pub fields: std::collections::BTreeMap<String, String>,
}

/// What some kernels cannot give, with the reason; expectations that name kernels leave it out there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cannot {
    pub kernels: Vec<String>,
    /// What is missing; the whole scenario where this is not there.
    #[serde(default)]
    pub what: Option<String>,
    pub because: String,
}

/// Events that may be there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub device: Option<String>,
    #[serde(default)]
    pub kernels: Vec<String>,
    /// Why it is no fault.
    #[serde(rename = "because")]
    pub _because: String,
}

impl Scenario {
    pub fn is_for(&self, kernel: &str) -> bool {
        is_listed(&self.kernels, kernel)
            && !self.cannot.iter().any(|c| c.what.is_none() && c.kernels.iter().any(|k| k == kernel))
    }
}

/// Whether a kernel is in a list, where an empty one means all.
pub fn is_listed(kernels: &[String], kernel: &str) -> bool {
    kernels.is_empty() || kernels.iter().any(|k| k == kernel)
}

/// All scenarios, by name.
pub fn all() -> Result<Vec<Scenario>> {
    let dir = sh::root().join("xtask/src/vm/scenarios");
    let mut files: Vec<_> = fs::read_dir(&dir)
        .with_context(|| format!("cannot read {}", dir.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

fn read(file: &Path) -> Result<Scenario> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut scenario: Scenario = toml::from_str(&text).with_context(|| format!("{}", file.display()))?;
    for copy in &mut scenario.files {
        if let Some(from) = &copy.from {
            let from = sh::root().join(from);
            copy.text =
                fs::read_to_string(&from).with_context(|| format!("cannot read {}", from.display()))?;
        }
    }
    scenario.name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(scenario)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    #[test]
    fn every_scenario_can_be_read() {
        assert!(!all().unwrap().is_empty());
    }

    #[test]
    fn what_is_not_expected_of_a_kernel_has_a_reason() {
        for scenario in all().unwrap() {
            let reasons: BTreeSet<_> = scenario.cannot.iter().flat_map(|c| &c.kernels).collect();
            for expect in scenario.expect.iter().filter(|e| !e.kernels.is_empty()) {
                let others = super::super::kernel::names().filter(|k| !is_listed(&expect.kernels, k));
                let same = |other: &&Expect| other.kind == expect.kind && other.device == expect.device;
                for kernel in others {
                    let elsewhere =
                        scenario.expect.iter().filter(same).any(|other| is_listed(&other.kernels, kernel));
                    assert!(
                        elsewhere || reasons.contains(&kernel.to_owned()),
                        "{} {kernel}: {} has no reason to be missing",
                        scenario.name,
                        expect.kind
                    );
                }
            }
        }
    }

    /// `PERIPETY_BLESS=1` writes the table into the document.
    #[test]
    fn the_page_about_kernels_has_the_reasons() {
        let file = sh::root().join("doc/kernels.md");
        let page = fs::read_to_string(&file).unwrap();
        let (before, rest) = page.split_once("<!-- scenarios -->").unwrap();
        let (is, after) = rest.split_once("<!-- /scenarios -->").unwrap();
        let mut should = "\n| scenario | kernels | cannot | for |\n|---|---|---|---|\n".to_owned();
        for scenario in all().unwrap() {
            for cannot in &scenario.cannot {
                let what = cannot.what.as_deref().unwrap_or("be played");
                let kernels = cannot.kernels.join(", ");
                should += &format!("| `{}` | {kernels} | {what} | {} |\n", scenario.name, cannot.because);
            }
        }
        if std::env::var_os("PERIPETY_BLESS").is_some() {
            fs::write(&file, format!("{before}<!-- scenarios -->{should}<!-- /scenarios -->{after}"))
                .unwrap();
        } else {
            assert_eq!(is, should, "PERIPETY_BLESS=1 mends {}", file.display());
        }
    }
}
