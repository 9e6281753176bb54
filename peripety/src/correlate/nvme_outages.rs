//! NVMe controllers in trouble: the kernel says "connected" of each controller that starts, also for the first time, and
//! only one that was in trouble can be back.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{
    block::Dev,
    checkpoint::Checkpoint,
    event::{Event, EventType, Nature},
};

/// Controllers that are remembered.
const MOST: usize = 256;

/// A controller in trouble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outage {
    controller: String,
    /// Since when; 0 where that is not known.
    since_ns: u64,
    /// It was reported as a path to a namespace.
    pub is_path: bool,
    /// The namespace.
    dev: Option<Dev>,
}

/// The controllers about which something was reported since they last worked.
#[derive(Debug, Default)]
pub(super) struct NvmeOutages {
    controllers: VecDeque<Outage>,
    /// Since they were last saved.
    changed: bool,
}

impl NvmeOutages {
    /// Takes note of an event that is about a controller.
    pub(super) fn note(&mut self, event: &Event) {
        let is_fault = event.event_type.info().is_none_or(|info| info.nature == Nature::Fault);
        if event.sub_system.as_str() != "nvme" || !is_fault {
            return;
        }
        let reported = event.facts.nvme.as_ref().and_then(|nvme| nvme.controller.clone());
        let Some(controller) = reported.or_else(|| controller(&event.kdev)) else { return };
        let is_path = event.event_type == EventType::NVME_PATH_FAILED;
        if let Some(known) = self.controllers.iter_mut().find(|known| known.controller == controller) {
            self.changed |= is_path && !known.is_path;
            known.is_path |= is_path;
            return;
        }
        if self.controllers.len() >= MOST {
            self.controllers.pop_front();
        }
        let dev = event.block.as_ref().map(|block| block.id.dev).filter(|dev| !dev.is_none());
        let since_ns = event.monotonic_ns.unwrap_or_default();
        self.controllers.push_back(Outage { controller, since_ns, is_path, dev });
        self.changed = true;
    }

    /// A controller works: the trouble that it was in before.
    pub(super) fn end(&mut self, controller: &str) -> Option<Outage> {
        let place = self.controllers.iter().position(|known| known.controller == controller)?;
        self.changed = true;
        self.controllers.remove(place)
    }

    /// Whether a controller was in trouble at `at_ns` already.
    pub(super) fn was_down(&self, controller: &str, at_ns: u64) -> bool {
        self.controllers.iter().any(|known| known.controller == controller && known.since_ns <= at_ns)
    }

    /// How many of the controllers by which a namespace is reached are in trouble as its paths.
    pub(super) fn paths_down(&self, dev: Dev) -> usize {
        self.controllers.iter().filter(|known| known.is_path && known.dev == Some(dev)).count()
    }
}

impl Checkpoint for NvmeOutages {
    type State = VecDeque<Outage>;

    fn save(&mut self, all: bool) -> Option<Self::State> {
        (std::mem::take(&mut self.changed) || all).then(|| self.controllers.clone())
    }

    fn restore(&mut self, state: Self::State) {
        self.controllers = state;
        self.controllers.truncate(MOST);
    }
}

/// The controller of `nvme0`, of the disk `nvme0n1`, and of `nvme2c0n1`, a path to a disk by controller 0.
pub(super) fn controller(kdev: &str) -> Option<String> {
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
    fn an_outage_survives_the_daemon() {
        let mut event = crate::notifier::fixture::sample();
        (event.sub_system, event.event_type) =
            (crate::event::SubSystem::known("nvme"), EventType::NVME_TIMEOUT);
        event.kdev = "nvme3".to_owned();
        let mut outages = NvmeOutages::default();
        outages.note(&event);
        let mut successor = crate::checkpoint::assert_survives(&mut outages);
        assert!(successor.end("nvme3").is_some() && successor.end("nvme3").is_none());
    }

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
