//! Which objects there are, and what becomes of them: pure. Devices that had an event, incidents that are open.

use std::collections::BTreeMap;

use peripety_model::{
    Event, Incident,
    incident::{IncidentId, State},
};

use super::{names, view::Block};

/// Devices that are kept; of more the one goes whose latest event is the oldest.
const BLOCKS_MAX: usize = 256;
/// Incidents that are kept, as many as the daemon lists.
const INCIDENTS_MAX: usize = 256;

/// The objects.
#[derive(Debug, Default)]
pub(super) struct Tree {
    blocks: BTreeMap<String, Block>,
    incidents: BTreeMap<IncidentId, Box<Incident>>,
}

/// What is to be done on the bus, in this order.
#[derive(Debug, PartialEq)]
pub(super) enum Change {
    AddBlock(Block),
    UpdateBlock(Block),
    RemoveBlock(String),
    AddIncident(Box<Incident>, String),
    UpdateIncident(Box<Incident>, String),
    RemoveIncident(String),
    /// An event, and the object of its device.
    Occurred(Box<Event>, String),
    Opened(Box<Incident>),
    Changed(Box<Incident>),
    Resolved(Box<Incident>),
}

impl Tree {
    /// Takes a revision of an event.
    pub(super) fn take_event(&mut self, event: &Event) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut path = names::NONE.to_owned();
        if let Some((name, mut block)) = Block::of(event) {
            path.clone_from(&block.path);
            block.incidents = self.incidents_of(&block);
            match self.blocks.get(&name) {
                // A late revision of an older event does not hide the latest one.
                Some(old) if old.is_same(&block) && old.last.at > block.last.at => {
                    block.last = old.last.clone()
                }
                _ => {}
            }
            match self.blocks.insert(name.clone(), block.clone()) {
                Some(old) if !old.is_same(&block) => {
                    changes.extend([Change::RemoveBlock(old.path), Change::AddBlock(block)]);
                }
                Some(old) if old == block => {}
                Some(_) => changes.push(Change::UpdateBlock(block)),
                None => {
                    changes.extend(self.make_room(&name));
                    changes.push(Change::AddBlock(block));
                }
            }
        }
        changes.push(Change::Occurred(Box::new(event.clone()), path));
        changes
    }

    fn make_room(&mut self, but: &str) -> Option<Change> {
        if self.blocks.len() <= BLOCKS_MAX {
            return None;
        }
        let others = self.blocks.iter().filter(|(name, _)| *name != but);
        let oldest = others.min_by_key(|(_, block)| (!block.incidents.is_empty(), block.last.at));
        let name = oldest.map(|(name, _)| name.clone())?;
        self.blocks.remove(&name).map(|block| Change::RemoveBlock(block.path))
    }

    /// Takes a revision of an incident.
    pub(super) fn take_incident(&mut self, incident: &Incident) -> Vec<Change> {
        let mut changes = self.keep(incident);
        if !changes.is_empty() {
            changes.extend(self.link());
        }
        changes
    }

    fn keep(&mut self, incident: &Incident) -> Vec<Change> {
        let known = self.incidents.get(&incident.incident_id);
        if known.is_some_and(|known| known.revision >= incident.revision) {
            return Vec::new();
        }
        let (is_known, path) = (known.is_some(), names::incident(incident.incident_id));
        let boxed = || Box::new(incident.clone());
        let mut changes = Vec::new();
        if incident.state.is_open() {
            if !is_known && self.incidents.len() >= INCIDENTS_MAX {
                // It has its signals all the same.
                return vec![Change::Opened(boxed())];
            }
            self.incidents.insert(incident.incident_id, boxed());
            let block = self.block_of(incident);
            changes.extend(if is_known {
                [Change::UpdateIncident(boxed(), block), Change::Changed(boxed())]
            } else {
                [Change::AddIncident(boxed(), block), Change::Opened(boxed())]
            });
        } else {
            changes.push(Change::Resolved(boxed()));
            if self.incidents.remove(&incident.incident_id).is_some() {
                changes.push(Change::RemoveIncident(path));
            }
        }
        changes
    }

    /// All that is open, as the daemon lists it: what is not among it ended unseen.
    pub(super) fn sync(&mut self, open: &[Incident]) -> Vec<Change> {
        let gone = |id: &&IncidentId| !open.iter().any(|incident| incident.incident_id == **id);
        let ended: Vec<IncidentId> = self.incidents.keys().filter(gone).copied().collect();
        let mut changes = Vec::new();
        for id in ended {
            if let Some(mut incident) = self.incidents.remove(&id) {
                incident.state = State::Resolved;
                changes.extend([Change::Resolved(incident), Change::RemoveIncident(names::incident(id))]);
            }
        }
        for incident in open.iter().filter(|incident| incident.state.is_open()) {
            changes.extend(self.keep(incident));
        }
        changes.extend(self.link());
        changes
    }

    /// Open incidents, the worst of them first.
    pub(super) fn open(&self) -> Vec<&Incident> {
        let mut all: Vec<&Incident> = self.incidents.values().map(|incident| &**incident).collect();
        all.sort_by_key(|incident| incident.severity.number());
        all
    }

    fn incidents_of(&self, block: &Block) -> Vec<String> {
        let about = self.incidents.values().filter(|incident| block.is_part_of(incident));
        about.map(|incident| names::incident(incident.incident_id)).collect()
    }

    /// The object of the device that is the cause.
    fn block_of(&self, incident: &Incident) -> String {
        let found = self.blocks.values().find(|block| block.is_cause_of(incident));
        found.map_or_else(|| names::NONE.to_owned(), |block| block.path.clone())
    }

    /// Devices whose incidents changed.
    fn link(&mut self) -> Vec<Change> {
        let now: Vec<(String, Vec<String>)> =
            self.blocks.iter().map(|(name, block)| (name.clone(), self.incidents_of(block))).collect();
        let mut changes = Vec::new();
        for (name, incidents) in now {
            if let Some(block) = self.blocks.get_mut(&name)
                && block.incidents != incidents
            {
                block.incidents = incidents;
                changes.push(Change::UpdateBlock(block.clone()));
            }
        }
        changes
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
