//! NVMe controllers in trouble: the kernel says "connected" of each controller that starts, also for the first time, and
//! only one that was in trouble can be back.

use std::collections::VecDeque;

use crate::event::{Event, Nature};

/// Controllers that are remembered.
const MOST: usize = 256;

/// The controllers about which something was told since they last worked.
#[derive(Debug, Default)]
pub struct Outages {
    controllers: VecDeque<String>,
    /// Since they were last saved.
    changed: bool,
}

impl Outages {
    /// Takes note of an event that is about a controller.
    pub fn note(&mut self, event: &Event) {
        let is_fault = event.event_type.info().is_none_or(|info| info.nature == Nature::Fault);
        if event.sub_system.as_str() != "nvme" || !is_fault {
            return;
        }
        let told = event.extension.get("controller").and_then(|name| name.as_str()).map(str::to_owned);
        let Some(controller) = told.or_else(|| controller(&event.kdev)) else { return };
        if self.controllers.contains(&controller) {
            return;
        }
        if self.controllers.len() >= MOST {
            self.controllers.pop_front();
        }
        self.controllers.push_back(controller);
        self.changed = true;
    }

    /// A controller works: whether it was in trouble before.
    pub fn end(&mut self, controller: &str) -> bool {
        let before = self.controllers.len();
        self.controllers.retain(|known| known != controller);
        let ended = self.controllers.len() != before;
        self.changed |= ended;
        ended
    }

    /// All of them, if they changed since the last call.
    pub fn changed(&mut self, all: bool) -> Option<&VecDeque<String>> {
        (std::mem::take(&mut self.changed) || all).then_some(&self.controllers)
    }

    /// Takes in what was saved.
    pub fn restore(&mut self, saved: VecDeque<String>) {
        self.controllers = saved;
        self.controllers.truncate(MOST);
    }
}

/// The controller of `nvme0`, of the disk `nvme0n1`, and of `nvme2c0n1`, a path to a disk by controller 0.
fn controller(kdev: &str) -> Option<String> {
    let number = |text: &str| {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text.get(..digits).filter(|digits| !digits.is_empty()).map(str::to_owned)
    };
    let rest = kdev.strip_prefix("nvme")?;
    let first = number(rest)?;
    let path = rest.get(first.len()..)?.strip_prefix('c').and_then(number);
    Some(format!("nvme{}", path.unwrap_or(first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_is_found_in_every_name_of_its_disks() {
        for (name, is) in [
            ("nvme0", Some("nvme0")),
            ("nvme10n1", Some("nvme10")),
            ("nvme2c5n1", Some("nvme5")),
            ("nvme", None),
            ("sda", None),
        ] {
            assert_eq!(controller(name).as_deref(), is, "{name}");
        }
    }
}
