//! Ports of SATA controllers, as far as their boot was seen: an empty port says "link down" when its controller starts, and
//! one with a disk "link up". Neither is an event; of a port that was up, both are.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::parser::{Kdev, RawEvent};

/// Ports that are remembered.
const MOST: usize = 256;

/// Ports that were announced and of which nothing else was said yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AtaPorts(VecDeque<String>);

impl AtaPorts {
    /// `ata1: SATA max UDMA/133 abar m2048@0xf7f36000 port 0xf7f36100 irq 31`. Whether anything changed.
    pub(super) fn learn(&mut self, text: &str) -> bool {
        let Some((port, said)) = text.split_once(": ") else { return false };
        if !said.starts_with("SATA max ") || !is_port(port) || self.0.iter().any(|known| known == port) {
            return false;
        }
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(port.to_owned());
        true
    }

    /// Whether a line about a link is the first that is said of its port. Anything else that is said of the port, an error
    /// before all, ends its start.
    pub(super) fn is_start(&mut self, raw: &RawEvent, is_link: bool) -> bool {
        let Kdev::Name(name) = &raw.kdev else { return false };
        let port = name.split('.').next().unwrap_or(name);
        let Some(at) = self.0.iter().position(|known| known == port) else { return false };
        self.0.remove(at);
        is_link
    }
}

fn is_port(name: &str) -> bool {
    let digits = name.strip_prefix("ata").unwrap_or_default();
    !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit())
}
