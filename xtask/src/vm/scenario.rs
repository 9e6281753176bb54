//! Scenarios: what is done to a machine, and what peripety shall tell of it. One TOML file each, in `scenarios/`.

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
    /// Kernels it is for; all where empty.
    #[serde(default)]
    kernels: Vec<String>,
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
    #[serde(default = "four_minutes")]
    pub limit_s: u64,
    /// The events in `expect` begin in this order.
    #[serde(default)]
    pub ordered: bool,
    /// What must be told.
    #[serde(default)]
    pub expect: Vec<Expect>,
    /// What may be told beside it. Anything else of severity warning or worse is wrong.
    #[serde(default)]
    pub allow: Vec<Allow>,
}

fn four_minutes() -> u64 {
    240
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
/// machine told.
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
    #[test]
    fn every_scenario_can_be_read() {
        assert!(!super::all().unwrap().is_empty());
    }
}
