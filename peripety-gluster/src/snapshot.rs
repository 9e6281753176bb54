//! The state of a cluster as one node sees it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything that was asked for at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The UUID of this node (`/var/lib/glusterd/glusterd.info`).
    pub node: String,
    /// Volumes by name.
    pub volumes: BTreeMap<String, Volume>,
    /// The other nodes, by UUID.
    pub peers: BTreeMap<String, Peer>,
}

/// Whether a volume serves (`status` of `volume info`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Made, and never started.
    #[default]
    Created,
    /// It serves.
    Started,
    /// Stopped by a person.
    Stopped,
}

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its UUID.
    pub id: String,
    /// `typeStr`: Distribute, Replicate, Disperse, Distributed-Replicate …
    pub kind: String,
    /// Whether it serves.
    pub status: Status,
    /// How often its definition was changed: the same number on all nodes (`version` of `/var/lib/glusterd/vols/NAME/info`).
    pub version: u64,
    /// Copies of each file, arbiters among them; 1 without replication.
    pub replicas: u32,
    /// Bricks over which a file is dispersed; 0 without erasure coding.
    pub disperse: u32,
    /// How many of those may be missing.
    pub redundancy: u32,
    /// Snapshots.
    pub snapshots: u32,
    /// Bricks in their order: those of one set follow one another.
    pub bricks: Vec<Brick>,
    /// Options that were set.
    pub options: BTreeMap<String, String>,
    /// Entries that wait for heal, and those of them in split-brain; none where it was not asked for.
    pub heal: Option<Heal>,
}

/// What heal has still to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heal {
    /// Files and directories that differ between bricks.
    pub pending: u64,
    /// Those of which no copy is known to be the right one.
    pub split_brain: u64,
}

/// A brick.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brick {
    /// The node as the volume names it.
    pub host: String,
    /// The directory there.
    pub path: String,
    /// UUID of the node.
    pub node: String,
    /// Whether it keeps names only.
    pub arbiter: bool,
    /// Whether its process serves; none where its node did not answer.
    pub online: Option<bool>,
    /// TCP port.
    pub port: Option<u16>,
    /// Process on its node.
    pub pid: Option<i32>,
    /// The block device below it; of bricks of this node only.
    pub device: Option<Device>,
}

impl Brick {
    /// `HOST:PATH`, as GlusterFS writes it.
    pub fn name(&self) -> String {
        format!("{}:{}", self.host, self.path)
    }
}

/// The block device below a brick.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// `MAJOR:MINOR`.
    pub kdev: String,
    /// Its node in /dev.
    pub path: String,
    /// Type of the filesystem.
    pub filesystem: String,
    /// All devices below it, nearest first.
    pub below: Vec<String>,
}

/// Another node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name or address.
    pub host: String,
    /// Whether glusterd is connected to it.
    pub connected: bool,
}
