//! What is known of GlusterFS: volumes, bricks, peers.

use super::field::section;

section! {
    /// A volume of GlusterFS, one of its bricks, or a peer.
    GlusterFacts {
        /// Name of the volume.
        volume: String,
        /// The brick: `HOST:PATH`, or the client translator that stands for it (`VOLUME-client-N`).
        brick: String,
        /// The other node, as the cluster names it.
        peer: String,
        /// Option of the volume that was set or reset.
        option: String,
        /// Its value.
        value: String,
        /// Bricks with the same data that serve.
        bricks_up: u32,
        /// Bricks with the same data.
        bricks: u32,
        /// How many of them are needed to take writes.
        bricks_needed: u32,
        /// Files and directories that wait for heal, or are in split-brain.
        entries: u64,
        /// `HOST::VOLUME` that a geo-replication copies to.
        replicates_to: String,
        /// A file below the brick.
        file: String,
        /// Its id in the volume.
        gfid: String,
        /// The id of an event that each node of the cluster reports: who gets it from several keeps one.
        cluster_event: String,
        /// What GlusterFS says beyond this.
        message: String,
    }
}
