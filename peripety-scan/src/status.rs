//! What is published of all scans: a file of JSON that everybody may read.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    config::Method,
    pass::{Bad, Done},
};

/// The directory that it lies in.
pub const DIR: &str = "/run/peripety-scan";
/// Its name.
pub const FILE: &str = "status.json";
/// Bytes of it that are read.
const MAX: u64 = 16 << 20;

/// All scans.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The process that wrote it.
    pub pid: u32,
    /// When.
    pub written: Timestamp,
    /// The devices that are scanned.
    pub scans: Vec<ScanStatus>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScanStatus {
    /// The device: `/dev/sda`.
    pub device: String,
    /// What it is known by.
    pub id: String,
    /// How it is scanned.
    pub method: Method,
    /// What it does now.
    pub state: State,
    /// Why it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Bytes that are done of this pass.
    pub place: u64,
    /// Of so many.
    pub total: u64,
    /// Bytes per second just now.
    pub rate: u64,
    /// When this pass began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
    /// When the next pass begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// Errors of this pass.
    pub errors: u64,
    /// What cannot be read, the first of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bad: Vec<Bad>,
    /// The last pass that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Done>,
}

/// What a scan does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It reads.
    Running,
    /// It waits, and goes on by itself.
    Waiting,
    /// The device does not answer.
    Stopped,
    /// The next pass is not due yet.
    Done,
}

impl State {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
            Self::Done => "done",
        }
    }
}

impl Status {
    /// Reads it in its directory.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn read(dir: &Path) -> io::Result<Self> {
        let mut text = Vec::new();
        File::open(dir.join(FILE))?.take(MAX).read_to_end(&mut text)?;
        serde_json::from_slice(&text).map_err(io::Error::from)
    }
}
