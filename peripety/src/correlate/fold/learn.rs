//! What an event learns from further records about the same failure.

use super::{Fold, RAW_MSG_BYTES, RAW_MSGS_MAX};
use crate::{
    correlate::{fault::Fault, lasting},
    event::{EventType, Facts, Op},
    parser::{self, RawEvent},
};

impl Fold {
    /// Takes what another record about the same failure knows: its line, details that are new, its source.
    pub(in crate::correlate) fn learn(&mut self, raw: &RawEvent) {
        self.source(&raw.source);
        if let Some(line) = &raw.raw_msg {
            self.line(line);
        }
        // An outage is as bad as the worst that was said of it.
        let is_lasting = self.quiet_ns() > lasting::QUIET_NS;
        if is_lasting && raw.event_type == self.event.event_type && raw.severity < self.event.severity {
            self.event.severity = raw.severity;
            self.written = 0;
        }
        // What a line says of another request is not about the one that the event names.
        if !self.is_same_request(raw) {
            return;
        }
        self.event.facts.fill(&raw.facts);
        // Of attempts the latest one counts.
        if let (Some(known), Some(new)) = (&mut self.event.facts.nvme, &raw.facts.nvme)
            && new.attempt.is_some()
        {
            known.attempt = new.attempt;
        }
        if self.fewer_are_left(&raw.facts) {
            self.written = 0;
        }
        for (key, value) in &raw.extension {
            if !self.event.extension.contains_key(key) {
                self.event.extension.insert(key.clone(), value.clone());
            }
        }
        if let (Some(mine), Some(theirs)) = (&mut self.event.io, &raw.io) {
            mine.op = if mine.op == Op::Unknown { theirs.op } else { mine.op };
            mine.sector = mine.sector.or(theirs.sector);
            mine.nr_sectors = mine.nr_sectors.or(theirs.nr_sectors);
            mine.bad_lba = mine.bad_lba.or(theirs.bad_lba);
        } else if self.event.io.is_none() {
            self.event.io.clone_from(&raw.io);
        }
    }

    /// Takes how few paths or members were left when it was worst; whether fewer are left than before.
    fn fewer_are_left(&mut self, facts: &Facts) -> bool {
        let lower = |known: Option<&mut u32>, new: Option<u32>| match (known, new) {
            (Some(known), Some(new)) if new < *known => {
                *known = new;
                true
            }
            _ => false,
        };
        let mine = &mut self.event.facts;
        let paths = mine.mpath.as_mut().and_then(|mpath| mpath.valid_paths.as_mut());
        let members = mine.md.as_mut().and_then(|md| md.devices_left.as_mut());
        let fewer_paths = lower(paths, facts.mpath.as_ref().and_then(|mpath| mpath.valid_paths));
        lower(members, facts.md.as_ref().and_then(|md| md.devices_left)) || fewer_paths
    }

    fn is_same_request(&self, raw: &RawEvent) -> bool {
        let Some((io, sector)) = self.event.io.as_ref().and_then(|io| Some((io, io.sector?))) else {
            return true;
        };
        if io.op == Op::Flush {
            return true;
        }
        if let Some(other) = raw.io.as_ref().and_then(|io| io.sector) {
            return other == sector;
        }
        let command = parser::command(&raw.facts, raw.io.as_ref());
        command.is_none_or(|command| command.has(io.op, sector))
    }

    /// Keeps a line of the kernel, while there is room.
    pub(in crate::correlate) fn line(&mut self, line: &str) {
        if self.event.raw_msgs.len() >= RAW_MSGS_MAX {
            self.left_out += 1;
            return;
        }
        let end = line.floor_char_boundary(RAW_MSG_BYTES);
        self.event.raw_msgs.push(line.get(..end).unwrap_or_default().to_owned());
    }

    /// Makes the type more precise.
    pub(in crate::correlate) fn refine(&mut self, event_type: EventType, fault: Option<Fault>) {
        self.written = 0;
        if let Some(info) = event_type.info() {
            // A request did fail; the first line of a chain did not know yet how bad it is.
            let severity =
                if self.has_requests { self.event.severity.min(info.severity) } else { info.severity };
            self.event.severity = severity;
            self.event.sub_system = crate::event::SubSystem::known(info.sub_system);
        }
        self.event.event_type = event_type;
        self.fault = fault;
    }

    /// Takes the type that a line gives, if the line knows better.
    pub(in crate::correlate) fn refine_type(&mut self, raw: &RawEvent) {
        self.written = 0;
        self.event.severity = self.event.severity.min(raw.severity);
        self.event.event_type = raw.event_type.clone();
    }

    /// Takes the kernel's word for what a program has reported before.
    pub(in crate::correlate) fn kernel_knows_better(&mut self, raw: &RawEvent) {
        let [.., program] = self.counts;
        if program > 0 && !raw.program && self.event.event_type != raw.event_type {
            self.refine_type(raw);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        correlate::{cause::Node, event_builder},
        record::Stamp,
    };

    #[test]
    fn an_event_says_how_few_paths_were_left_when_it_was_worst() {
        let time = Stamp { monotonic_ns: Some(1), realtime_us: 1 };
        let failed = |left: u32| {
            let mut raw = RawEvent::new(time, "uevent", left.to_string(), EventType::DM_MPATH_PATH_FAILED);
            raw.facts.mpath.get_or_insert_default().valid_paths = Some(left);
            raw
        };
        let event = event_builder::event(&failed(2), None, "b", "h");
        let mut fold = Fold::new(event, Node::default());
        for left in [3, 1, 2] {
            fold.learn(&failed(left));
        }
        let left = fold.event().facts.mpath.as_deref().and_then(|mpath| mpath.valid_paths);
        assert_eq!(left, Some(1));
    }
}
