//! The checkpoint of the engine: a daemon that comes after one that was killed goes on where that was (promise 1).
//!
//! It is a sequence of notes, each of which replaces an earlier one about the same thing. After each visit to its sources the
//! daemon writes what changed, which in a storm is little; all of it is written when the logbook is written anew. Stores of
//! their own say by [`Checkpoint`] what changed. Causes are not written: they are found again from what is open.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    correlator::Correlator,
    fold::Fold,
    fold_table::SavedSlot,
    key::FoldKey,
    left::Degraded,
    nvme_outages::Outage,
    pending_commands::{At, Pending},
    waiting_lines::WaitingLines,
};
use crate::{
    checkpoint::Checkpoint,
    parser::{places::Known, status::Noted as Mapping},
};

/// One note.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Note<S, W> {
    /// What is in a slot of the table now; nothing if it is free.
    Slot(u32, Option<S>),
    /// What waits now.
    Waiting(W),
    /// Lost writes of inodes that were reported.
    Inodes(Vec<(FoldKey, u64)>),
    /// What programs have said of the state of devices.
    ReportedStates(Vec<(u64, u64, bool)>),
    /// Controllers in trouble.
    NvmeOutages(VecDeque<Outage>),
    /// What is left of maps and arrays.
    Left(VecDeque<Degraded>),
    /// Failures that text stood for.
    TextCounts(Vec<(FoldKey, u64, u64)>),
    /// Records lost since the last event.
    LostBefore(u64),
    /// Where storage is plugged in.
    Places(Box<Known>),
    /// How a map or an array was last.
    Mapping(Box<Mapping>),
    /// An incident: of the stage behind the engine.
    Incident(Box<serde_json::Value>),
}

#[derive(Default, Serialize, Deserialize)]
struct Waiting<H> {
    words: Vec<((u32, At), Pending)>,
    lines: H,
}

/// What notes say in the end.
#[derive(Default)]
pub struct Saved {
    slots: BTreeMap<u32, SavedSlot<Fold>>,
    waiting: Waiting<WaitingLines>,
    inodes: Vec<(FoldKey, u64)>,
    reported_states: Vec<(u64, u64, bool)>,
    nvme_outages: VecDeque<Outage>,
    left: VecDeque<Degraded>,
    text_counts: Vec<(FoldKey, u64, u64)>,
    lost_before: u64,
    places: Option<Known>,
    mappings: Vec<Mapping>,
    incidents: BTreeMap<String, serde_json::Value>,
}

impl Saved {
    /// The incidents, for the stage behind the engine.
    pub fn take_incidents(&mut self) -> Vec<serde_json::Value> {
        std::mem::take(&mut self.incidents).into_values().collect()
    }

    /// Where storage is plugged in, for the parsers in front of correlation.
    pub fn take_places(&mut self) -> Option<Known> {
        self.places.take()
    }

    /// How maps and arrays were last, for the parsers in front of correlation.
    pub(crate) fn take_mappings(&mut self) -> Vec<Mapping> {
        std::mem::take(&mut self.mappings)
    }

    /// A note of how a map or an array was last.
    ///
    /// # Errors
    /// It has no JSON.
    pub(crate) fn note_mapping(mapping: Mapping) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Note::<(), ()>::Mapping(Box::new(mapping)))
    }

    /// A note of where storage is plugged in.
    ///
    /// # Errors
    /// It has no JSON.
    pub fn note_places(known: Known) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Note::<(), ()>::Places(Box::new(known)))
    }

    /// Takes in a note.
    ///
    /// # Errors
    /// It is no note, or one of another version.
    pub fn take(&mut self, note: &str) -> Result<(), serde_json::Error> {
        match serde_json::from_str(note)? {
            Note::Slot(number, Some(slot)) => {
                self.slots.insert(number, slot);
            }
            Note::Slot(number, None) => {
                self.slots.remove(&number);
            }
            Note::Waiting(waiting) => self.waiting = waiting,
            Note::Inodes(mut inodes) => self.inodes.append(&mut inodes),
            Note::ReportedStates(said) => self.reported_states = said,
            Note::NvmeOutages(outages) => self.nvme_outages = outages,
            Note::Left(left) => self.left = left,
            Note::TextCounts(counts) => self.text_counts = counts,
            Note::LostBefore(count) => self.lost_before = count,
            Note::Places(known) => self.places = Some(*known),
            Note::Mapping(mapping) => self.mappings.push(*mapping),
            Note::Incident(case) => {
                let id = case.pointer("/incident/incident_id").map(ToString::to_string).unwrap_or_default();
                self.incidents.insert(id, *case);
            }
        }
        Ok(())
    }

    /// Forgets the counts of lost writes: the probes are others, and count from zero again.
    pub fn forget_counts(&mut self) {
        self.inodes.clear();
    }

    /// How many events are open.
    pub fn open_events(&self) -> usize {
        self.slots.len()
    }
}

/// What was noted last, where noting it again would be idle.
#[derive(Debug, Default)]
pub(super) struct Noted {
    waiting: bool,
    lost_before: u64,
}

impl Correlator {
    /// Notes what changed since the last call, or everything; one line of JSON each.
    ///
    /// # Errors
    /// Something has no JSON.
    pub(crate) fn save(&mut self, all: bool, each: &mut dyn FnMut(String)) -> Result<(), serde_json::Error> {
        type Full<S, H> = Note<S, Waiting<H>>;
        let mut note =
            |note: &Full<SavedSlot<std::borrow::Cow<'_, Fold>>, &WaitingLines>| -> Result<(), serde_json::Error> {
                each(serde_json::to_string(note)?);
                Ok(())
            };
        for number in self.table.take_changed(all) {
            note(&Note::Slot(number, self.table.saved(number)))?;
        }
        let waits = !self.pending.is_empty() || !self.waiting_lines.is_empty();
        if waits || self.noted.waiting {
            let words = self.pending.iter().copied().collect();
            note(&Note::Waiting(Waiting { words, lines: &self.waiting_lines }))?;
        }
        if let Some(inodes) = self.writeback_counts.save(all) {
            note(&Note::Inodes(inodes))?;
        }
        if let Some(said) = self.reported_states.save(all) {
            note(&Note::ReportedStates(said))?;
        }
        if let Some(outages) = self.nvme_outages.save(all) {
            note(&Note::NvmeOutages(outages))?;
        }
        if let Some(left) = self.left.save(all) {
            note(&Note::Left(left))?;
        }
        if let Some(counts) = self.text_counts.save(all) {
            note(&Note::TextCounts(counts))?;
        }
        if self.lost_before != self.noted.lost_before || all {
            note(&Note::LostBefore(self.lost_before))?;
        }
        self.noted = Noted { waiting: waits, lost_before: self.lost_before };
        Ok(())
    }

    /// Goes on from what was saved. To be called before the first record.
    pub(crate) fn restore(&mut self, saved: Saved) {
        self.writeback_counts.restore(saved.inodes);
        for (key, word) in saved.waiting.words {
            self.pending.restore(key, word);
        }
        self.waiting_lines = saved.waiting.lines;
        self.reported_states.restore(saved.reported_states);
        self.nvme_outages.restore(saved.nvme_outages);
        self.left.restore(saved.left);
        self.text_counts.restore(saved.text_counts);
        self.lost_before = saved.lost_before;
        self.table.restore(saved.slots.into_values().collect());
        let mut roots = Vec::new();
        for place in self.table.oldest_first() {
            let Some(fold) = self.table.get(place) else { continue };
            let last_ns = fold.last().monotonic_ns.unwrap_or(fold.node.first_ns);
            self.causes.remember(&fold.node, fold.event(), Some(place), last_ns);
            if fold.root_until_ns > 0 {
                roots.push((fold.root_until_ns, place));
            }
        }
        roots.sort_by_key(|(until_ns, _)| *until_ns);
        for (until_ns, place) in roots {
            self.roots.note(place, until_ns);
        }
    }
}
