//! The status of a map or an array as it is handed on: the kernel's lines, each with its target.

use std::path::Path;

use peripety_model::Dev;
use serde::{Deserialize, Serialize};

use super::{MdArray, Status, decode};
use crate::{attr, files::Files};

/// A map, with those of its targets whose status says something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapStatus {
    /// Its number.
    pub dev: Dev,
    /// Its name: `vg-lv`.
    pub name: String,
    /// Its UUID (DM_UUID); empty where it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uuid: String,
    /// Its targets.
    pub targets: Vec<TargetLine>,
}

/// A target of a map, with its status line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetLine {
    /// First sector of the map that it is for.
    pub start: u64,
    /// How many sectors.
    pub len: u64,
    /// `mirror`, `thin-pool` …
    pub target: String,
    /// Its status, as the kernel has it.
    pub line: String,
    /// The members of an array in order, where the line does not name them; none where one is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub legs: Vec<Option<Dev>>,
}

impl TargetLine {
    /// What the line says; none where it is of no form that is known.
    pub fn decode(&self) -> Option<Status> {
        decode(&self.target, &self.line)
    }
}

/// An array of md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrayStatus {
    /// Its number.
    pub dev: Dev,
    /// Its kernel name: `md0`.
    pub name: String,
    /// What sysfs shows of it.
    pub array: MdArray,
}

impl ArrayStatus {
    /// Reads the array of this name below `/sys/class/block` or `/sys/block`; none when there is none, or it does not run.
    pub fn read(files: &Files, block: &Path, name: &str) -> Option<Self> {
        let dir = block.join(name);
        let array = MdArray::read(files, &dir)?;
        let dev = attr::parsed(files, &dir.join("dev"))?;
        Some(Self { dev, name: name.to_owned(), array })
    }
}
