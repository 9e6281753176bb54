//! One failure that repeats: an event that grows.

mod learn;

use peripety_common::Kind;

use serde::{Deserialize, Serialize};

use super::{
    cause::Node,
    crowd::Crowd,
    fault::Fault,
    impact::{self, Known},
    key::FoldKey,
    lasting, message,
    ranges::Ranges,
};
use crate::{
    event::{
        Errno, Event, Extent, Io, Op, Sector, Severity,
        facts::{CountFacts, ImpactFacts},
    },
    parser::{errno, source_name},
    record::Stamp,
};

/// Lines of the kernel that an event keeps.
pub(super) const RAW_MSGS_MAX: usize = 8;
/// Bytes of each of them.
pub(super) const RAW_MSG_BYTES: usize = 1024;

/// What is added for a human.
const NOT_CONFIRMED: &str = " (not confirmed: no probe saw it)";

/// Who reports a failure. The same failures may be reported by all of them: the best of them is right, not the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A probe: exact.
    Probe = 0,
    /// A uevent.
    Uevent = 1,
    /// A line of text about what a live probe counts.
    Text = 2,
    /// A line of text about what no live probe counts.
    TextAlone = 3,
    /// A program, which says what it found and does not count.
    Program = 4,
}

/// One failure and its repetitions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Fold {
    /// The event as it was opened, with what was learned since.
    event: Box<Event>,
    counts: [u64; 5],
    last: Stamp,
    ranges: Ranges,
    /// Bit by bit the probes that reported it.
    probes: u32,
    left_out: u64,
    retried: u64,
    missed: u64,
    /// The fault that the driver named.
    pub fault: Option<Fault>,
    /// Whether it counts failed requests, and not what drivers said of commands.
    pub has_requests: bool,
    /// Whether it is reported once, and waits for where it was mounted.
    #[serde(default)]
    pub waits_for_mount: bool,
    /// Those for which it stands, where it stands for many.
    #[serde(default)]
    pub crowd: Option<Box<Crowd>>,
    /// How often it was written since it changed in more than numbers.
    #[serde(default)]
    pub written: u32,
    /// Whether that was reported when it began: it may fail yet.
    #[serde(default)]
    pub only_begun: bool,
    /// Whether it was said that the state of which it reports is over.
    #[serde(default)]
    pub ended: bool,
    /// What it has learned of its impact.
    #[serde(default)]
    pub known: Known,
    /// How often sense data said that a path is not the active one, and how often something else.
    #[serde(default)]
    senses: (u64, u64),
    /// Until when it may be given a cause, though it was written as the root of its incident; 0 if not.
    #[serde(default)]
    pub root_until_ns: u64,
    /// An event that is closed names it as its root: it stays one.
    #[serde(default)]
    pub stays_root: bool,
    /// Its place among the devices, for finding causes.
    pub node: Node,
    /// Keys it is found by; whether the index still points here is for the table to know.
    pub keys: Vec<FoldKey>,
}

impl Fold {
    /// Opens with an event that stands for its first failure.
    pub(super) fn new(event: Event, node: Node) -> Self {
        let last = Stamp { monotonic_ns: event.monotonic_ns, realtime_us: event.timestamp.as_microsecond() };
        let mut ranges = Ranges::default();
        if let Some(io) = &event.io
            && let Some(sector) = io.sector
        {
            ranges.insert(sector, io.nr_sectors.unwrap_or(1));
        }
        Self {
            event: Box::new(event),
            counts: [0; 5],
            last,
            ranges,
            probes: 0,
            left_out: 0,
            retried: 0,
            missed: 0,
            fault: None,
            has_requests: false,
            waits_for_mount: false,
            crowd: None,
            written: 0,
            only_begun: false,
            ended: false,
            known: Known::default(),
            senses: (0, 0),
            root_until_ns: 0,
            stays_root: false,
            node,
            keys: Vec::with_capacity(4),
        }
    }

    /// One more failure: numbers only.
    pub(super) fn add(&mut self, origin: Origin, count: u64, time: Stamp, sectors: Option<(Sector, u32)>) {
        self.count(origin, count);
        let later = match (time.monotonic_ns, self.last.monotonic_ns) {
            (Some(new), Some(old)) => new >= old,
            _ => time.realtime_us >= self.last.realtime_us,
        };
        if later {
            self.last = time;
        }
        self.ended = false;
        if let Some((start, count)) = sectors {
            self.ranges.insert(start, count);
        }
    }

    /// One of them took so long.
    pub(super) fn took_ms(&mut self, ms: u64) {
        let block = self.event.facts.block.get_or_insert_default();
        block.took_ms = block.took_ms.max(Some(ms));
    }

    /// Takes in how the sectors of one more failure are meant: what is vague stays so.
    pub(super) fn extent(&mut self, extent: Option<Extent>) {
        if let (Some(io), Some(extent)) = (&mut self.event.io, extent)
            && io.extent != Some(Extent::Within)
        {
            io.extent = Some(extent);
        }
    }

    /// More pages were lost.
    pub(super) fn lost_pages(&mut self, pages: u64) {
        if let Some(io) = &mut self.event.io {
            io.lost_pages = Some(io.lost_pages.unwrap_or(0).saturating_add(pages));
        }
    }

    /// Counts failures by who reported them.
    pub(super) fn count(&mut self, origin: Origin, count: u64) {
        let [probe, uevent, text, text_alone, program] = &mut self.counts;
        let counter = match origin {
            Origin::Probe => probe,
            Origin::Uevent => uevent,
            Origin::Text => text,
            Origin::TextAlone => text_alone,
            Origin::Program => program,
        };
        *counter = counter.saturating_add(count);
    }

    /// The lines that were taken for failures from before the probe are about what the probe counts.
    pub(super) fn text_is_of_probe(&mut self) {
        let [_, _, text, text_alone, _] = &mut self.counts;
        *text = text.saturating_add(std::mem::take(text_alone));
    }

    /// How many failures there were. What a probe counted is exact, and text adds nothing to it but what came before the
    /// probe; else who reported more saw more.
    pub(super) fn total(&self) -> u64 {
        let [probe, uevent, text, text_alone, program] = self.counts;
        let reported = if probe > 0 { probe } else { text };
        reported.saturating_add(text_alone).max(uevent).max(program)
    }

    /// How many failed requests are counted for no more than their lines of text, though a probe counts them, too.
    pub(super) fn counted_by_text(&self) -> u64 {
        let [probe, _, text, ..] = self.counts;
        if self.has_requests && probe == 0 { text } else { 0 }
    }

    /// When the latest was.
    pub(super) fn last(&self) -> Stamp {
        self.last
    }

    /// The event as it was opened.
    pub(super) fn event(&self) -> &Event {
        &self.event
    }

    /// The event, to add what was learned.
    pub(super) fn event_mut(&mut self) -> &mut Event {
        &mut self.event
    }

    /// Moves its first failure in time: the clock of text is not exact, and no effect is before its cause.
    pub(super) fn first_at(&mut self, first_ns: u64) {
        let by_ns = i128::from(first_ns) - i128::from(self.node.first_ns);
        let by_us = i64::try_from(by_ns / 1000).unwrap_or_default();
        let was = self.event.first_timestamp.as_microsecond();
        let first = Stamp { monotonic_ns: Some(first_ns), realtime_us: was.saturating_add(by_us) };
        self.event.first_timestamp = super::event_builder::wall_clock(first);
        let is_one = self.last.monotonic_ns.is_none_or(|last| last == self.node.first_ns);
        if is_one || self.last.monotonic_ns.is_some_and(|last| last < first_ns) {
            self.last = first;
        }
        self.node.first_ns = first_ns;
    }

    /// The errno of its requests: as it was reported, or as its type says.
    pub(super) fn errno(&self) -> Option<Errno> {
        let reported = self.event.io.as_ref().and_then(|io| io.errno);
        reported.or_else(|| errno::of_block_type(&self.event.event_type))
    }

    /// Whether a probe reported it.
    pub(super) fn has_probe(&self) -> bool {
        self.probes != 0
    }

    /// After how long without a failure it is over.
    pub(super) fn quiet_ns(&self) -> u64 {
        lasting::quiet_ns(&self.event.event_type, self.ended)
    }

    /// Whether it is about peripety itself, and part of no incident.
    pub(super) fn is_own(&self) -> bool {
        self.event.event_type.info().is_some_and(|info| info.sub_system == "peripety")
    }

    /// Its place among the devices, by what is known of the failure now.
    pub(super) fn node_learns(&mut self) {
        self.node.learn(&self.event);
    }

    /// Notes what sense data said: that a path is not the one in use now, or anything else.
    pub(super) fn sensed(&mut self, is_path_state: bool) {
        let (states, others) = &mut self.senses;
        let counter = if is_path_state { states } else { others };
        *counter = counter.saturating_add(1);
    }

    /// Whether nothing failed: a path that is not the active one answered that it is not.
    pub(super) fn is_path_state(&self) -> bool {
        self.senses.0 > 0 && self.senses.1 == 0
    }

    /// Whether it has been written already.
    pub(super) fn is_out(&self) -> bool {
        self.event.revision > 0
    }

    /// Notes that a probe reported it. O(1), and no work but for the first time.
    pub(super) fn reported_by(&mut self, kind: Kind) {
        let bit = 1u32 << (kind.number() & 31);
        if self.probes & bit == 0 {
            self.probes |= bit;
            self.confirm();
            self.source(source_name(kind));
        }
    }

    /// It did happen, or nothing speaks against it any more.
    pub(super) fn confirm(&mut self) {
        if !self.event.confirmed {
            self.event.confirmed = true;
            self.written = 0;
        }
    }

    /// Notes a source.
    pub(super) fn source(&mut self, source: &str) {
        if !self.event.sources.iter().any(|s| s == source) {
            self.written = 0;
            self.event.sources.push(source.to_owned());
        }
    }

    /// Notes commands that failed and were sent again.
    pub(super) fn retried(&mut self, commands: u64) {
        self.retried = self.retried.saturating_add(commands);
    }

    /// Whether commands at that place failed, or flushes did.
    pub(super) fn is_about(&self, op: Op, sector: Option<Sector>) -> bool {
        let same = self.event.io.as_ref().is_some_and(|io| io.op == op);
        same && (op == Op::Flush || sector.is_some_and(|sector| self.has_sector(sector)))
    }

    /// Whether its one failure was the flush before a write at this sector.
    pub(super) fn is_flush_before(&self, sector: Sector) -> bool {
        let flush = |io: &Io| io.op == Op::Flush && io.sector == Some(sector) && io.nr_sectors == Some(0);
        self.total() == 1 && self.event.io.as_ref().is_some_and(flush)
    }

    /// Its one failure was the flush before a write: it is one of that write.
    pub(super) fn was_flush_of_write(&mut self, sector: Option<Sector>, nr_sectors: u32) {
        if let Some(io) = &mut self.event.io {
            io.op = Op::Write;
            io.nr_sectors = Some(nr_sectors);
        }
        if let Some(sector) = sector {
            self.ranges.insert(sector, nr_sectors);
        }
    }

    /// From now on it counts requests that failed in the end; the commands that it counted were attempts at them, and so
    /// many of them the last ones, of which the requests failed.
    pub(super) fn request_failed(&mut self, errno: Errno, last: u64) {
        self.retried(self.total().saturating_sub(last));
        self.written = 0;
        self.counts = [0; 5];
        self.has_requests = true;
        let event = &mut self.event;
        if let Some(impact) = &mut event.facts.impact {
            impact.tried_again = None;
        }
        if let Some(io) = &mut event.io {
            io.errno = Some(errno);
            io.errno_name = errno.name().map(str::to_owned);
        }
        let usual = event.event_type.info().map_or(event.severity, |info| info.severity);
        event.severity = event.severity.min(usual).min(Severity::Error);
    }

    /// Counts failures that only the kernel side's counters know: of their sectors nothing is known.
    pub(super) fn missed(&mut self, failures: u64) {
        self.missed = self.missed.saturating_add(failures);
    }

    /// Whether a sector is among those that failed.
    pub(super) fn has_sector(&self, sector: Sector) -> bool {
        self.ranges.contains(sector)
    }

    /// The event as it stands now. The next one has a higher revision.
    pub(super) fn render(&mut self, is_final: bool) -> Event {
        let mut event = (*self.event).clone();
        event.count = self.total();
        event.timestamp = super::event_builder::wall_clock(self.last);
        event.last_timestamp = event.timestamp;
        event.monotonic_ns = self.last.monotonic_ns;
        event.sector_ranges = self.ranges.as_slice().to_vec();
        event.is_final = is_final;
        // A flush is of the whole cache: what stands in its request is no place.
        if let Some(io) = event.io.as_mut().filter(|io| io.op == Op::Flush) {
            (io.sector, io.nr_sectors, io.extent) = (None, None, None);
            event.sector_ranges.clear();
        }
        let not_zero = |number: u64| (number != 0).then_some(number);
        let counts = CountFacts {
            retried_commands: not_zero(self.retried),
            details_missing: not_zero(self.missed),
            raw_msgs_left_out: not_zero(self.left_out),
            ranges_coarsened: self.ranges.coarsened().then_some(true),
        };
        event.facts.counts = (counts != CountFacts::default()).then(|| Box::new(counts));
        if let Some(crowd) = &self.crowd {
            // Each of its members reports its own.
            if let Some(io) = &mut event.io {
                io.lost_pages = None;
            }
            event.facts.group = Some(Box::new(crowd.facts()));
        }
        impact::weigh(&mut event, Known { has_requests: self.has_requests, ..self.known });
        if !event.confirmed {
            event.severity = event.severity.max(Severity::Warning);
        }
        if is_final
            && self.known.watched
            && self.known.settled
            && let Some(impact) = event.facts.impact.as_mut().filter(|impact| impact.tried_again.is_some())
        {
            // No request failed of it.
            impact.succeeded = Some(true);
        }
        if event.facts.impact.as_deref() == Some(&ImpactFacts::default()) {
            event.facts.impact = None;
        }
        event.msg = message::compose(&event);
        if !event.confirmed {
            event.msg.push_str(NOT_CONFIRMED);
        }
        self.written = self.written.saturating_add(1);
        self.event.revision += 1;
        event
    }
}
