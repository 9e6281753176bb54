//! That something happened, from any source.

/// Who can have given a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Giver {
    /// Any program of this machine: a datagram.
    Anyone,
    /// Root alone: logs, the hook, the end of a process.
    Root,
}

/// What a source reports. All but [`Hint::Report`] only lead to a question to glusterd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A volume, a brick or a peer changed.
    Changed,
    /// Why a brick of this node is going to end.
    Reason {
        /// Its volume, where it is named.
        volume: Option<String>,
        /// Its directory.
        path: String,
        /// In words of GlusterFS.
        why: String,
    },
    /// The process of a brick of this node ended.
    Ended {
        /// Its volume.
        volume: String,
        /// Its directory.
        path: String,
    },
    /// Entries have to be healed, or were.
    Heal,
    /// What glusterd cannot be asked for.
    Report(Report),
}

/// What only its event reports. One with the same object and state as before is no change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// glusterd lost or regained the quorum of servers for a volume, and stops or starts its bricks.
    ServerQuorum {
        /// The volume.
        volume: String,
        /// Whether it was lost.
        lost: bool,
    },
    /// A geo-replication worker.
    GeoReplication {
        /// The volume.
        volume: String,
        /// `HOST::VOLUME` of the other side.
        to: String,
        /// Whether it stopped working.
        faulty: bool,
    },
    /// A rebalance.
    Rebalance {
        /// The volume.
        volume: String,
        /// How it is.
        state: Rebalance,
    },
    /// The scrubber of bitrot detection found a file whose content is not what was written.
    BadFile {
        /// `HOST:PATH`.
        brick: String,
        /// The file, below the brick.
        path: String,
        /// Its id.
        gfid: String,
    },
    /// More than the soft limit of a quota is used.
    Quota {
        /// The volume.
        volume: String,
        /// The directory.
        path: String,
        /// What is used, as GlusterFS writes it.
        usage: String,
    },
    /// A brick is nearly full, of space or inodes.
    Full {
        /// The client translator of the brick: `VOLUME-client-N`.
        brick: String,
        /// Percent that are used, as GlusterFS writes it.
        usage: String,
        /// Whether inodes are meant, not space.
        inodes: bool,
    },
    /// A volume has as many snapshots as it may have.
    SnapshotLimit {
        /// The volume.
        volume: String,
        /// Whether it is the hard limit.
        hard: bool,
    },
    /// The process of a brick could not be started.
    StartFailed {
        /// The volume.
        volume: String,
        /// `HOST:PATH`.
        brick: String,
    },
}

/// How a rebalance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebalance {
    /// It runs.
    Started,
    /// A person stopped it.
    Stopped,
    /// All was moved.
    Completed,
    /// It failed.
    Failed,
}
