//! What somebody asked to go, and what went: requests that were still under way fail of that, and that is no failure.

use std::collections::VecDeque;

use super::{
    cause::SLACK_NS,
    fold::Fold,
    layer::{Answer, Layer},
    nvme_outages::controller,
};
use crate::{
    block::{BlkInfo, BlkType, Dev, Transport},
    event::EventType,
    parser::Farewell,
};

/// How long before the removal is announced a request may fail of it: the device is taken down first.
const BEFORE_NS: u64 = 2_000_000_000;
/// How long after it was said, or announced.
const AFTER_NS: u64 = 10_000_000_000;
/// What is remembered.
const MOST: usize = 256;

#[derive(Debug)]
struct Gone {
    /// The device.
    dev: Option<Dev>,
    /// The NVMe controller, or the kernel's name of the device.
    name: String,
    /// Name of the NVMe subsystem that the controller is of.
    nqn: String,
    at_ns: u64,
    /// How long before that a request may have failed of it.
    before_ns: u64,
    /// When another device got its number.
    until_ns: u64,
    /// The kernel says that it was asked for. Else it just went, with no trouble before.
    asked: bool,
}

/// What went of late.
#[derive(Debug, Default)]
pub(super) struct Asked(VecDeque<Gone>);

impl Asked {
    /// The kernel says that somebody asked for it.
    pub(super) fn note(&mut self, said: &Farewell<'_>, block: Option<&BlkInfo>, at_ns: u64) {
        // A controller is not the namespace that it leads to.
        let dev = block.map(|b| b.id.dev).filter(|dev| said.nqn.is_empty() && !dev.is_none());
        let (name, nqn) = (said.name.to_owned(), said.nqn.to_owned());
        // Its line is printed before it takes the device down, but for md, which stops no array that somebody uses.
        let before_ns = if name.starts_with("md") { 0 } else { SLACK_NS };
        self.push(Gone { dev, name, nqn, at_ns, before_ns, until_ns: u64::MAX, asked: true });
    }

    /// A device went.
    pub(super) fn went(&mut self, dev: Dev, at_ns: u64) {
        self.push(Gone {
            dev: Some(dev),
            name: String::new(),
            nqn: String::new(),
            at_ns,
            before_ns: BEFORE_NS,
            until_ns: u64::MAX,
            asked: false,
        });
    }

    /// A device came: the numbers of device-mapper, loop and md devices are given again at once.
    pub(super) fn came(&mut self, dev: Dev, at_ns: u64) {
        for gone in self.0.iter_mut().filter(|gone| gone.dev == Some(dev) && gone.at_ns < at_ns) {
            gone.until_ns = gone.until_ns.min(at_ns);
        }
    }

    fn push(&mut self, gone: Gone) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(gone);
    }

    /// Whether what a fold reports comes of something that went: by request (true), or without a word (false).
    pub(super) fn covers(&self, fold: &Fold) -> Option<bool> {
        if self.0.is_empty() || !is_consequence(fold) {
            return None;
        }
        let first_ns = fold.node.first_ns;
        let found = self.0.iter().filter(|gone| {
            first_ns.saturating_add(gone.before_ns) >= gone.at_ns
                && first_ns <= gone.at_ns.saturating_add(AFTER_NS)
                && first_ns < gone.until_ns
        });
        found.filter(|gone| self.is_of(gone, fold)).map(|gone| gone.asked).max()
    }

    fn is_of(&self, gone: &Gone, fold: &Fold) -> bool {
        let event = fold.event();
        let block = event.block.as_deref();
        if let (Some(dev), Some(of)) = (gone.dev, fold.node.dev) {
            let is_part = block.is_some_and(|b| b.id.blk_type == BlkType::Partition);
            return dev == of || (is_part && fold.node.owners.contains(&dev));
        }
        if gone.name.is_empty() {
            return false;
        }
        let named = event.facts.nvme.as_ref().and_then(|nvme| nvme.controller.as_deref());
        if event.kdev == gone.name || named == Some(gone.name.as_str()) {
            return true;
        }
        // A namespace: of the one controller by which it is reached, or of all of them, which were all asked to go.
        match block.and_then(|b| b.id.transport.as_ref().map(|way| (way, b.id.paths))) {
            Some((Transport::Nvme { subsystem_nqn, .. }, Some(paths))) => {
                let all = self.0.iter().filter(|g| g.asked && !g.nqn.is_empty() && g.nqn == *subsystem_nqn);
                !gone.nqn.is_empty() && all.count() >= paths as usize
            }
            Some((Transport::Nvme { controller, subsystem_nqn, .. }, None)) => {
                *controller == gone.name || (!gone.nqn.is_empty() && *subsystem_nqn == gone.nqn)
            }
            _ => controller(&event.kdev).is_some_and(|name| name == gone.name),
        }
    }
}

/// Whether it is what becomes of requests to a device that goes.
fn is_consequence(fold: &Fold) -> bool {
    let failed = &fold.node.failed;
    match failed.layer {
        Layer::Way | Layer::NoAnswer | Layer::GivenUp => true,
        Layer::Command => failed.answer != Answer::Given || fold.event().sub_system.as_str() == "nbd",
        Layer::Request => failed.answer != Answer::Given,
        // What was cached for it can be written no more.
        Layer::Cache => fold.event().event_type == EventType::BLK_BUFFER_IO_ERROR,
        _ => fold.event().event_type == EventType::BLK_CAPACITY_CHANGED,
    }
}
