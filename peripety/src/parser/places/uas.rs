//! Hosts of UAS, each of which is a bridge with a disk: its driver names the disk of a command, and the host of a reset.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Hosts that are remembered.
const MOST: usize = 32;

/// Hosts with the disk that each has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hosts(VecDeque<(u32, String)>);

impl Hosts {
    /// `[sdb] tag#5 uas_eh_abort_handler 0 uas-tag 6 inflight: CMD OUT`, of a device of that host. Whether anything changed;
    /// nothing if it is no such line.
    pub(super) fn learn(&mut self, host: u32, said: &str) -> Option<bool> {
        let (disk, _) = said.strip_prefix('[')?.split_once("] ").filter(|(_, rest)| rest.contains(" uas"))?;
        let new = (host, disk.get(..disk.len().min(32))?.to_owned());
        let is_new = !self.0.contains(&new);
        if is_new {
            self.0.retain(|(of, _)| *of != host);
            if self.0.len() >= MOST {
                self.0.pop_front();
            }
            self.0.push_back(new);
        }
        Some(is_new)
    }

    /// The disk of a host.
    pub(super) fn disk(&self, host: u32) -> Option<&str> {
        self.0.iter().find(|(of, _)| *of == host).map(|(_, disk)| disk.as_str())
    }
}
