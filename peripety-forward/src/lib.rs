//! Forwards what peripetyd reports on one host to the fleet, and what forwarder and hub have in common.
//!
//! * [`name`]: subjects of the stream and keys of the tables; whatever a host is called is one token of them
//! * [`server`]: how the servers are reached, and by what right
//! * [`stream`]: the stream and the two tables, as they are made
//! * [`shared`]: which things are seen by many hosts: a table
//! * [`cluster`]: what is wrong with such a thing, as all its hosts report it; pure
//! * [`table`]: the same in the store, by compare-and-set
//! * [`host`]: what a host says of itself
//! * [`known`]: what the host knows of its own incidents; pure
//! * [`outbox`]: what is on its way, in order, until the stream has it
//! * [`program`]: the forwarder

#![warn(unreachable_pub)]

pub mod cluster;
pub mod host;
pub mod known;
pub mod name;
pub mod outbox;
pub mod program;
pub mod server;
pub mod shared;
pub mod stream;
pub mod table;
