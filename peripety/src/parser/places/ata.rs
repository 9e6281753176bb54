//! Ports of SATA controllers, as far as their boot was seen: an empty port says "link down" when its controller starts, and
//! one with a disk "link up". Neither is an event; of a port that was up, both are.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{
    event::EventType,
    parser::{Kdev, RawEvent},
};

/// Ports that are remembered.
const MOST: usize = 256;

/// Ports that were announced and of which nothing else was said yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AtaPorts(VecDeque<String>);

impl AtaPorts {
    /// `ata1: SATA max UDMA/133 abar m2048@0xf7f36000 port 0xf7f36100 irq 31`. Whether anything changed.
    pub(super) fn learn(&mut self, text: &str) -> bool {
        if !text.starts_with("ata") {
            return false;
        }
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

    /// Ends the start of the port that a line is about: the first that is said of it, an error before all, does. Whether it
    /// was still starting.
    pub(super) fn end_start(&mut self, raw: &RawEvent) -> bool {
        let Kdev::Name(name) = &raw.kdev else { return false };
        let port = name.split('.').next().unwrap_or(name);
        let at = self.0.iter().position(|known| known == port);
        at.and_then(|at| self.0.remove(at)).is_some()
    }
}

/// Ports whose disk is woken, as the kernel of a NAS says: until the disk answers its link is slow, and is reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waking(VecDeque<String>);

impl Waking {
    /// `ata4: wake up from deepsleep, reset link now`, `ata4: wake up successful, the reset fail can be ignored`. Whether
    /// anything changed.
    pub(super) fn learn(&mut self, text: &str) -> bool {
        let Some((port, said)) = text.strip_prefix("ata").and_then(|_| text.split_once(": wake up ")) else {
            return false;
        };
        let at = self.0.iter().position(|known| known == port);
        match at {
            Some(at) if said.starts_with("successful") => self.0.remove(at).is_some(),
            None if said.starts_with("from deepsleep") && is_port(port) && self.0.len() < MOST => {
                self.0.push_back(port.to_owned());
                true
            }
            _ => false,
        }
    }

    /// Whether what a line says is a part of waking.
    pub(super) fn hides(&self, raw: &RawEvent) -> bool {
        let Kdev::Name(name) = &raw.kdev else { return false };
        let port = name.split('.').next().unwrap_or(name);
        let is_part = [EventType::ATA_LINK_RESET, EventType::ATA_LINK_UP].contains(&raw.event_type);
        is_part && self.0.iter().any(|known| known == port)
    }
}

fn is_port(name: &str) -> bool {
    let digits = name.strip_prefix("ata").unwrap_or_default();
    !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit())
}
