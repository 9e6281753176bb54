//! Lines of text that wait a little for the record of a probe, or for the other lines of their chain.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::key::Scope;
use crate::parser::RawEvent;

/// How long a line waits.
pub(super) const HOLD_NS: u64 = 100_000_000;
/// How many wait at a time.
const HELD_MAX: usize = 256;

/// A line that waits.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line {
    /// What it says.
    pub raw: RawEvent,
    /// About which device.
    pub scope: Scope,
    deadline_ns: u64,
    /// Since when it waits in this engine: what waited in another one may have its record there.
    #[serde(skip)]
    pub since_ns: Option<u64>,
}

/// The lines that wait, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct WaitingLines(VecDeque<Line>);

impl WaitingLines {
    /// Lets a line wait. Returns one that can wait no longer for lack of room.
    #[must_use]
    pub(super) fn push(&mut self, raw: RawEvent, scope: Scope, now_ns: u64) -> Option<Line> {
        let too_much = if self.0.len() >= HELD_MAX { self.0.pop_front() } else { None };
        let deadline_ns = now_ns.saturating_add(HOLD_NS);
        self.0.push_back(Line { raw, scope, deadline_ns, since_ns: Some(now_ns) });
        too_much
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes the lines about which `belongs` says so, oldest first.
    pub(super) fn take(&mut self, mut belongs: impl FnMut(&Line) -> bool) -> Vec<Line> {
        let mut taken = Vec::new();
        for line in std::mem::take(&mut self.0) {
            if belongs(&line) { taken.push(line) } else { self.0.push_back(line) }
        }
        taken
    }

    /// Whether one that waits is such a one.
    pub(super) fn any(&self, is: impl Fn(&Line) -> bool) -> bool {
        self.0.iter().any(is)
    }

    /// A line that waited for long enough by what is read, unless the oldest one must wait on.
    pub(super) fn expired(&mut self, read_ns: u64, waits_on: impl Fn(&Line) -> bool) -> Option<Line> {
        self.0.pop_front_if(|first| first.deadline_ns <= read_ns && !waits_on(first))
    }

    /// When the next line has waited for long enough.
    pub(super) fn next_deadline_ns(&self) -> Option<u64> {
        self.0.front().map(|line| line.deadline_ns)
    }
}
