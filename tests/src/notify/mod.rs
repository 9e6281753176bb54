//! Notifications under test: the program, a daemon that hands out incidents, and servers of others that take them.

pub mod fake;
pub mod notifier;
pub mod servers;
