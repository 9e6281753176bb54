//! What changed, and the line that says it. `peripety/rules/gluster.toml` reads these lines: who changes one changes the other.

use std::fmt;

use uuid::Uuid;

use crate::{
    hint::{Rebalance, Report},
    sets::Standing,
    snapshot::Device,
};

/// A change of the state of this node or of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is about: the volume with `volume NAME`, the peer with `peer HOST`.
    pub subject: Subject,
    /// What happened.
    pub what: What,
    /// The id of a cluster's event, which is the same on each node that reports it; none for what this node alone reports.
    pub cluster_event: Option<Uuid>,
}

/// What a change is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A volume by its name.
    Volume(String),
    /// Another node.
    Peer(String),
    /// glusterd of this node.
    Daemon,
    /// A brick whose volume was not named.
    Brick(String),
}

/// What happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A volume is new.
    Created {
        /// Its type.
        kind: String,
        /// How many bricks it has.
        bricks: usize,
    },
    /// It serves.
    Started,
    /// A person stopped it.
    Stopped,
    /// It is gone.
    Deleted,
    /// An option was set, or reset.
    Option {
        /// Its name.
        name: String,
        /// Its value; none when it was reset.
        value: Option<String>,
    },
    /// A brick belongs to it now.
    BrickAdded(String),
    /// A brick belongs to it no more.
    BrickRemoved(String),
    /// It has so many snapshots now.
    Snapshots(u32),
    /// A brick of this node does not serve.
    BrickDown {
        /// `HOST:PATH`.
        brick: String,
        /// Why, where GlusterFS reported it.
        why: Option<String>,
        /// How its set is.
        set: Standing,
        /// What is below it.
        device: Option<Device>,
    },
    /// A brick of this node serves again.
    BrickUp {
        /// `HOST:PATH`.
        brick: String,
        /// How its set is.
        set: Standing,
        /// What is below it.
        device: Option<Device>,
    },
    /// A set of bricks has fewer than it needs.
    QuorumLost {
        /// Its first brick.
        first: String,
        /// How it is.
        set: Standing,
    },
    /// It has as many as it needs again.
    QuorumMet {
        /// Its first brick.
        first: String,
        /// How it is.
        set: Standing,
    },
    /// A peer was added.
    PeerAdded,
    /// A peer was removed.
    PeerRemoved,
    /// glusterd is connected to it again.
    PeerConnected,
    /// glusterd is not connected to it.
    PeerDisconnected,
    /// Entries wait for heal.
    HealPending(u64),
    /// None waits any more.
    Healed,
    /// Entries are in split-brain.
    SplitBrain(u64),
    /// None is any more.
    SplitBrainEnded,
    /// glusterd does not answer.
    NoAnswer(String),
    /// It does again.
    Answers,
    /// What only its event reports.
    Report(Report),
}

impl Change {
    /// A change that this node reports.
    pub fn of_node(subject: Subject, what: What) -> Self {
        Self { subject, what, cluster_event: None }
    }

    /// A change that each node reports. `occurrence` is the same on all of them: the volume's id, what it is, and the version of
    /// the volume's definition.
    pub fn of_cluster(subject: Subject, what: What, occurrence: &str) -> Self {
        let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("gluster:{occurrence}").as_bytes());
        Self { subject, what, cluster_event: Some(id) }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Subject::Volume(name) => write!(f, "volume {name}: ")?,
            Subject::Peer(host) => write!(f, "peer {host}: ")?,
            Subject::Brick(brick) => write!(f, "brick {brick}: ")?,
            Subject::Daemon => write!(f, "glusterd: ")?,
        }
        write!(f, "{}", self.what)?;
        self.cluster_event.map_or(Ok(()), |id| write!(f, "; cluster event {id}"))
    }
}

/// `; 2 of 3 bricks with its data are up, 2 needed; device 8:16`
fn around(f: &mut fmt::Formatter<'_>, set: Standing, device: Option<&Device>) -> fmt::Result {
    let Standing { up, of, needed } = set;
    let enough = if set.serves() { "enough" } else { "not enough" };
    write!(f, "; {up} of {of} bricks with this data are up, {needed} needed: {enough}")?;
    device.map_or(Ok(()), |device| write!(f, "; device {}", device.kdev))
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { kind, bricks } => write!(f, "created, {kind} of {bricks} bricks"),
            Self::Started => write!(f, "started"),
            Self::Stopped => write!(f, "stopped"),
            Self::Deleted => write!(f, "deleted"),
            Self::Option { name, value: Some(value) } => write!(f, "option {name} set to '{value}'"),
            Self::Option { name, value: None } => write!(f, "option {name} reset"),
            Self::BrickAdded(brick) => write!(f, "brick {brick} added"),
            Self::BrickRemoved(brick) => write!(f, "brick {brick} removed"),
            Self::Snapshots(count) => write!(f, "has {count} snapshots"),
            Self::BrickDown { brick, why, set, device } => {
                write!(f, "brick {brick} is down")?;
                if let Some(why) = why {
                    write!(f, ": {why}")?;
                }
                around(f, *set, device.as_ref())
            }
            Self::BrickUp { brick, set, device } => {
                write!(f, "brick {brick} is up")?;
                around(f, *set, device.as_ref())
            }
            Self::QuorumLost { first, set } => {
                write!(f, "the bricks with {first} have no quorum")?;
                around(f, *set, None)
            }
            Self::QuorumMet { first, set } => {
                write!(f, "the bricks with {first} have quorum again")?;
                around(f, *set, None)
            }
            Self::PeerAdded => write!(f, "added to the cluster"),
            Self::PeerRemoved => write!(f, "removed from the cluster"),
            Self::PeerConnected => write!(f, "connected"),
            Self::PeerDisconnected => write!(f, "disconnected"),
            Self::HealPending(entries) => write!(f, "{entries} entries wait for heal"),
            Self::Healed => write!(f, "no entry waits for heal"),
            Self::SplitBrain(entries) => write!(f, "{entries} entries are in split-brain"),
            Self::SplitBrainEnded => write!(f, "no entry is in split-brain"),
            Self::NoAnswer(why) => write!(f, "does not answer: {why}"),
            Self::Answers => write!(f, "answers again"),
            Self::Report(report) => report.fmt(f),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServerQuorum { lost: true, .. } => {
                write!(f, "quorum of servers lost, bricks of this node are stopped")
            }
            Self::ServerQuorum { .. } => write!(f, "quorum of servers regained"),
            Self::GeoReplication { to, faulty: true, .. } => write!(f, "geo-replication to {to} is faulty"),
            Self::GeoReplication { to, .. } => write!(f, "geo-replication to {to} is active"),
            Self::Rebalance { state, .. } => match state {
                Rebalance::Started => write!(f, "rebalance started"),
                Rebalance::Stopped => write!(f, "rebalance stopped"),
                Rebalance::Completed => write!(f, "rebalance completed"),
                Rebalance::Failed => write!(f, "rebalance failed"),
            },
            Self::BadFile { path, gfid, .. } => write!(f, "file {path} is corrupt (gfid {gfid})"),
            Self::Quota { path, usage, .. } => {
                write!(f, "{usage} of the quota of {path} are used, more than its soft limit")
            }
            Self::Full { usage, inodes: false, .. } => write!(f, "{usage} % of its space are used"),
            Self::Full { usage, .. } => write!(f, "{usage} % of its inodes are used"),
            Self::SnapshotLimit { hard: true, .. } => write!(f, "has as many snapshots as it may have"),
            Self::SnapshotLimit { .. } => write!(f, "has nearly as many snapshots as it may have"),
            Self::StartFailed { brick, .. } => write!(f, "brick {brick} could not be started"),
        }
    }
}

impl Report {
    /// What it is about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::ServerQuorum { volume, .. }
            | Self::GeoReplication { volume, .. }
            | Self::Rebalance { volume, .. }
            | Self::Quota { volume, .. }
            | Self::SnapshotLimit { volume, .. }
            | Self::StartFailed { volume, .. } => Subject::Volume(volume.clone()),
            Self::BadFile { brick, .. } | Self::Full { brick, .. } => Subject::Brick(brick.clone()),
        }
    }

    /// Whether it says that nothing is wrong.
    pub fn is_well(&self) -> bool {
        matches!(self, Self::ServerQuorum { lost: false, .. } | Self::GeoReplication { faulty: false, .. })
    }

    /// Of reports with the same key only one whose text differs from the last is a change.
    pub fn key(&self) -> String {
        match self {
            Self::ServerQuorum { volume, .. } => format!("server-quorum {volume}"),
            Self::GeoReplication { volume, to, .. } => format!("geo-replication {volume} {to}"),
            Self::Rebalance { volume, .. } => format!("rebalance {volume}"),
            Self::BadFile { brick, gfid, .. } => format!("bad-file {brick} {gfid}"),
            Self::Quota { volume, path, .. } => format!("quota {volume} {path}"),
            Self::Full { brick, inodes, .. } => format!("full {brick} {inodes}"),
            Self::SnapshotLimit { volume, hard } => format!("snapshots {volume} {hard}"),
            Self::StartFailed { volume, brick } => format!("start {volume} {brick}"),
        }
    }
}
