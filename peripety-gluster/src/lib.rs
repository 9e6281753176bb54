//! What GlusterFS knows of its volumes, bricks and peers.
//!
//! One process on each node asks glusterd for the state, compares it with the state before, and prints a line for each change.
//! peripetyd makes an event of each line (`rules/gluster.toml`): in the journal it stands beside the failure of the disk below
//! the brick, and in the same incident.
//!
//! * [`snapshot`]: the state of a cluster as one node sees it
//! * [`xml`]: what `gluster … --xml` prints
//! * [`hint`]: that something happened, from any of four sources: datagrams ([`datagram`]), hooks ([`hook`]), log lines
//!   ([`log`]) and the end of a brick's process. A hint never becomes a line by itself where the state can be asked for: so what
//!   three sources report is reported once
//! * [`change`], [`diff`]: what differs between two snapshots, and its line
//! * [`sets`]: which bricks keep the same data, and how many of them are needed
//! * [`core`]: hints and snapshots in, changes out; no clock, no I/O
//! * [`gluster`]: runs the command line tool, with time limits
//! * [`local`]: the block device below a brick
//! * [`follow`]: log files over their rotation
//! * [`store`]: the state over a restart
//! * [`program`]: the loop
//!
//! Numbers, texts and layouts are those of GlusterFS 10.3; it was tested with that version, three nodes.

pub mod change;
pub mod core;
pub mod datagram;
pub mod diff;
pub mod follow;
pub mod gluster;
pub mod hint;
pub mod hook;
pub mod local;
pub mod log;
pub mod program;
pub mod sets;
pub mod snapshot;
pub mod store;
pub mod xml;
