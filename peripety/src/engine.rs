//! The pure core: records and time go in, events come out. It has no clock and no I/O (promise 8).
//!
//! Time comes from records and from [`Engine::tick`]. What is waited for (the words of a driver, a line of text, the next
//! update of a storm, its end) is done by the first record or tick after its time; [`Engine::next_deadline_ns`] says when a
//! tick is needed, and says nothing while nothing is open, so that an idle daemon sleeps (promise 5).

#[cfg(test)]
mod chains;
#[cfg(test)]
mod doubt;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod impact;
#[cfg(test)]
mod late;
#[cfg(test)]
mod links;
#[cfg(test)]
mod program_tests;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod status;
#[cfg(test)]
mod tests;

use crate::{
    block::DeviceFacts,
    checkpoint::Checkpoint as _,
    correlate::correlator::{Context, Correlator},
    event::{Event, EventType},
    parser::{Kdev, farewell, health, places::Places, report, stack::StackReader, status::Mappings, uevent},
    record::{Body, LogRecord, Record, Stamp},
};

pub use crate::{
    correlate::{LiveSources, Saved},
    parser::{RawEvent, rules::RuleSet},
};

/// What an engine is reported when it is made.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Boot that the records are of, 32 hexadecimal digits.
    pub boot_id: String,
    /// Host that the records are of.
    pub hostname: String,
    /// Which sources deliver.
    pub live: LiveSources,
}

/// Makes a raw event of a line of text.
pub trait TextParser: Send {
    /// What a line says; nothing if no rule is about it.
    fn parse(&self, record: &LogRecord, time: Stamp) -> Option<RawEvent>;
}

/// Understands no line.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoText;

impl TextParser for NoText {
    fn parse(&self, _record: &LogRecord, _time: Stamp) -> Option<RawEvent> {
        None
    }
}

impl TextParser for RuleSet {
    fn parse(&self, record: &LogRecord, time: Stamp) -> Option<RawEvent> {
        Self::parse(self, record, time)
    }
}

/// Turns records into events.
pub struct Engine {
    correlator: Correlator,
    rules: Box<dyn TextParser>,
    stacks: StackReader,
    places: Places,
    mappings: Mappings,
}

impl Engine {
    /// An engine with nothing open.
    pub fn new(settings: Settings, rules: impl TextParser + 'static) -> Self {
        Self {
            correlator: Correlator::new(settings.boot_id, settings.hostname, settings.live),
            rules: Box::new(rules),
            stacks: StackReader::default(),
            places: Places::default(),
            mappings: Mappings::default(),
        }
    }

    /// Other rules from now on.
    pub fn set_rules(&mut self, rules: impl TextParser + 'static) {
        self.rules = Box::new(rules);
    }

    /// Probes were attached, or are gone.
    pub fn set_live_sources(&mut self, live: LiveSources) {
        self.correlator.set_live(live);
    }

    /// Takes a record; adds the events that are due to `out`.
    pub fn push(&mut self, record: &Record, facts: &dyn DeviceFacts, out: &mut Vec<Event>) {
        self.take(record, None, facts, out);
    }

    /// The same of a line of which the rules of this engine were asked already.
    pub(crate) fn push_parsed(
        &mut self,
        record: &Record,
        parsed: Option<RawEvent>,
        facts: &dyn DeviceFacts,
        out: &mut Vec<Event>,
    ) {
        self.take(record, Some(parsed), facts, out);
    }

    #[expect(clippy::option_option, reason = "not asked, and nothing, are two things")]
    fn take(
        &mut self,
        record: &Record,
        parsed: Option<Option<RawEvent>>,
        facts: &dyn DeviceFacts,
        out: &mut Vec<Event>,
    ) {
        let cx = &mut Context { facts, out };
        let time = record.time;
        let now_ns = time.monotonic_ns.unwrap_or(0);
        // The daemon has read the ring up to the time of a line of the kernel.
        let all_read = matches!(&record.body, Body::Log(line) if line.identifier.is_none());
        self.correlator.advance(now_ns, all_read, cx);
        match &record.body {
            Body::Kernel(record) => self.correlator.kernel(record, time, cx),
            Body::Log(line) => {
                self.places.learn(line);
                if let Some(said) = farewell(line) {
                    self.correlator.farewell(&said, time, cx);
                }
                let raw = match parsed.unwrap_or_else(|| self.rules.parse(line, time)) {
                    Some(raw) => {
                        if raw.event_type == EventType::TASK_BLOCKED {
                            self.stacks.skip();
                        }
                        self.stacks.note_reported(line, time);
                        Some(raw)
                    }
                    None => self.stacks.push(line, time).or_else(|| self.places.said(line, time)),
                };
                if let Some(raw) = raw {
                    let (first, second) = self.places.pass(raw);
                    for raw in [first, second].into_iter().flatten() {
                        self.correlator.text(raw, cx);
                    }
                }
            }
            Body::Uevent(event) => {
                if let Some(raw) = uevent::parse(event, time) {
                    if let (true, Kdev::Dev(dev)) =
                        (raw.event_type == EventType::BLK_DEVICE_REMOVED, &raw.kdev)
                    {
                        self.mappings.forget(*dev);
                    }
                    self.correlator.uevent(raw, cx);
                }
            }
            Body::Filesystem(failure) => {
                self.correlator.report(report::parse(failure, time), cx);
            }
            Body::Map(map) => {
                for raw in self.mappings.map(map, time) {
                    self.correlator.status(&raw, cx);
                }
            }
            Body::Array(array) => {
                for raw in self.mappings.array(array, time) {
                    self.correlator.status(&raw, cx);
                }
            }
            Body::Health(snapshot) => self.correlator.status(&health::parse(snapshot, time), cx),
            Body::Lost(lost) => self.correlator.lost(lost, time, cx),
            Body::Missed(missed) => self.correlator.missed(missed, time, cx),
        }
        // What waits for nothing is out at once.
        self.correlator.advance(now_ns, all_read, cx);
    }

    /// Takes a line of text that says nothing to any parser, of the kernel or of a program: time goes on to `now_ns`.
    pub(crate) fn pass(
        &mut self,
        now_ns: u64,
        of_kernel: bool,
        facts: &dyn DeviceFacts,
        out: &mut Vec<Event>,
    ) {
        self.correlator.advance(now_ns, of_kernel, &mut Context { facts, out });
    }

    /// Whether the lines of the kernel that come next may be the stack of a report.
    pub(crate) fn reads_stack(&self) -> bool {
        self.stacks.is_open()
    }

    /// Sets how bad it is what no record reports, and the daemon saw by itself: as of what is reported.
    pub(crate) fn weigh_seen(&self, event: &mut Event, facts: &dyn DeviceFacts) {
        self.correlator.weigh_seen(event, facts);
    }

    /// Lets time go on to `now_ns` (CLOCK_MONOTONIC), when the ring was read; adds the events that are due to `out`.
    pub fn tick(&mut self, now_ns: u64, facts: &dyn DeviceFacts, out: &mut Vec<Event>) {
        self.correlator.advance(now_ns, true, &mut Context { facts, out });
    }

    /// When the next tick is needed (CLOCK_MONOTONIC; the past means now). None: not before the next record.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.correlator.next_deadline_ns()
    }

    /// Writes what waits and closes what is open: at shutdown, or at the end of a recording.
    pub fn finish(&mut self, facts: &dyn DeviceFacts, out: &mut Vec<Event>) {
        self.correlator.finish(&mut Context { facts, out });
    }

    /// Notes what changed since the last call, or everything: what [`Saved`] takes. One line of JSON each.
    ///
    /// # Errors
    /// Something has no JSON.
    pub fn save(&mut self, all: bool, mut each: impl FnMut(String)) -> Result<(), serde_json::Error> {
        if let Some(known) = self.places.save(all) {
            each(Saved::note_places(known)?);
        }
        for noted in self.mappings.save(all).unwrap_or_default() {
            each(Saved::note_mapping(noted)?);
        }
        self.correlator.save(all, &mut each)
    }

    /// Goes on from what another engine saved. To be called before the first record.
    pub fn restore(&mut self, mut saved: Saved) {
        if let Some(known) = saved.take_places() {
            self.places.restore(known);
        }
        self.mappings.restore(saved.take_mappings());
        self.correlator.restore(saved);
    }

    /// How many events may still grow.
    pub fn open_events(&self) -> usize {
        self.correlator.open_folds()
    }

    /// How many commands and lines wait for what others say of them.
    pub fn waiting(&self) -> usize {
        self.correlator.waiting()
    }
}
