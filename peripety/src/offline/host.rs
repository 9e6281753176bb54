//! The log of one host: from its entries to events, boot by boot.

use std::collections::VecDeque;

use super::{
    Entry, Line,
    ahead::{Ahead, address},
    boot::{Boot, Break, started_by_rtc},
    devices::{Known, from_text},
    entry::Parsed,
    multiline::{Joiner, is_head},
    old,
};
use crate::{
    block::DeviceFacts as _,
    correlate::LiveSources,
    engine::{Engine, Settings},
    event::Event,
    parser::{
        RawEvent,
        rules::{RuleSet, begins_with_quoted},
    },
    record::{Body, LogRecord, Record},
};

/// Entries that wait for the line that reports the wall clock, and for how long: the kernel prints it in its first seconds.
const EARLY_MAX: usize = 8192;
const EARLY_US: u64 = 60_000_000;

/// Silence after which nothing is awaited any more of what was reported: more than the engine's own, and than clocks differ.
const REST_US: i64 = 30_000_000;

/// What is known before the log is read.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Devices, as a report's other files report them. They hold for the boot in which the report was made.
    pub devices: Known,
    /// Wall clock at the start of the boot, for logs that report only the time since then.
    pub started_us: Option<i64>,
    /// Id of the boot that a log without ids is of.
    pub boot_id: Option<String>,
    /// The host's name where the log has none.
    pub hostname: String,
}

/// All that counts of a record that says nothing of storage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    pub(super) uptime_us: Option<u64>,
    pub(super) wall_us: Option<i64>,
    pub(super) is_kernel: bool,
}

/// One host.
pub(super) struct Machine {
    rules: RuleSet,
    given: Given,
    boot: Option<Boot>,
    engine: Option<Engine>,
    known: Known,
    joiner: Joiner,
    ahead: Ahead,
    early: VecDeque<(Entry, u32)>,
    lines: u64,
    /// The kernel is one of those whose lines mean something else.
    is_old: bool,
    events: Vec<Event>,
    /// Entries of which the wall clock is not known.
    undated: u64,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("boot", &self.boot).finish_non_exhaustive()
    }
}

impl Machine {
    /// A host of which nothing was read yet.
    pub(super) fn new(rules: RuleSet, given: Given) -> Self {
        Self {
            rules,
            given,
            boot: None,
            engine: None,
            known: Known::default(),
            joiner: Joiner::default(),
            ahead: Ahead::default(),
            early: VecDeque::new(),
            lines: 0,
            is_old: false,
            events: Vec::new(),
            undated: 0,
        }
    }

    /// Takes an entry that came so many times; adds revisions of events to `out`.
    pub(super) fn push(&mut self, entry: Entry, times: u32, out: &mut Vec<Event>) {
        match self.boot.as_ref().map(|boot| boot.breaks(&entry.line())) {
            Some(None) => {}
            None => self.begin(&entry, Break::Boot),
            Some(Some(found)) => {
                self.end(out);
                self.begin(&entry, found);
            }
        }
        let Some(boot) = &mut self.boot else { return };
        if let Some(started) = started_by_rtc(&entry) {
            boot.set_started(started);
        }
        let waits = entry.uptime_us.is_some_and(|us| us < EARLY_US) && self.early.len() < EARLY_MAX;
        if !boot.knows_wall(entry.uptime_us, entry.wall_us) && waits {
            self.early.push_back((entry, times));
            return;
        }
        self.settle(out);
        self.take(entry, times, out);
    }

    /// Whether of a record that says nothing of storage nothing counts here but its time, with the boot's id that it has.
    pub(super) fn lets_pass(&self, line: &Line<'_>) -> bool {
        let (Some(boot), Some(engine)) = (&self.boot, &self.engine) else { return false };
        // Lines that may be of one record are joined, and the stack below a report is read, line by line.
        let is_read = line.is_kernel() && (!self.joiner.is_idle() || engine.reads_stack());
        !is_read
            && self.ahead.is_idle()
            && self.early.is_empty()
            && boot.knows_wall(line.uptime_us, line.wall_us)
            && boot.breaks(line).is_none()
    }

    /// Takes note of such a record, which came so many times; adds revisions of events to `out`.
    pub(super) fn pass(&mut self, passed: Passed, times: u32, out: &mut Vec<Event>) {
        let (Some(boot), Some(engine)) = (&mut self.boot, &mut self.engine) else { return };
        let Passed { uptime_us, wall_us, is_kernel } = passed;
        self.undated += u64::from(wall_us.is_none() && uptime_us.is_none());
        let now_ns = boot.stamp(uptime_us, wall_us).monotonic_ns.unwrap_or(0);
        self.lines += u64::from(times);
        let_time_pass(engine, now_ns, &self.known, &mut self.events);
        engine.pass(now_ns, is_kernel, &self.known, &mut self.events);
        if !self.events.is_empty() {
            self.hand_over(out);
        }
    }

    /// How many events are open, and lines and entries wait: what it has in memory.
    pub(super) fn kept(&self) -> usize {
        self.early.len() + self.engine.as_ref().map_or(0, |engine| engine.open_events() + engine.waiting())
    }

    /// Whether something is due when time goes on.
    pub(super) fn is_busy(&self) -> bool {
        self.engine.as_ref().is_some_and(|engine| engine.open_events() + engine.waiting() > 0)
    }

    /// Other hosts speak of this time of the wall clock. If this one was silent for long, what it reported is over.
    pub(super) fn rest(&mut self, wall_us: i64, out: &mut Vec<Event>) {
        let (Some(boot), Some(engine)) = (&self.boot, &mut self.engine) else { return };
        let Some(silent_us) = boot.silent_us(wall_us).filter(|us| *us > REST_US) else { return };
        if engine.open_events() + engine.waiting() == 0 {
            return;
        }
        let now_ns = boot.last_ns().saturating_add_signed(silent_us.saturating_mul(1000));
        let_time_pass(engine, now_ns, &self.known, &mut self.events);
        self.hand_over(out);
    }

    /// The next entry is of another boot, which may report its id.
    pub(super) fn reboot(&mut self, out: &mut Vec<Event>) {
        self.end(out);
        self.boot = None;
        self.is_old = false;
    }

    /// The log is over.
    pub(super) fn finish(&mut self, out: &mut Vec<Event>) {
        self.end(out);
    }

    /// Entries without a date.
    pub(super) fn undated(&self) -> u64 {
        self.undated
    }

    fn begin(&mut self, first: &Entry, why: Break) {
        let without_id = first.boot_id.is_none();
        let started = if first.wall_us.is_none() { self.given.started_us } else { None };
        let mut boot = Boot::new(first, started);
        if why == Break::Boot {
            // What a report reports devices holds for its own boot; a log that reports no boots is taken for that one.
            let current = match (&self.given.boot_id, &first.boot_id) {
                (Some(given), Some(reported)) => {
                    super::boot::plain_id(given) == super::boot::plain_id(reported)
                }
                _ => match (self.given.started_us, first.wall_us) {
                    // udev and syslog come up a little after the clock of the boot began to count.
                    (Some(started), Some(wall)) => wall >= started.saturating_sub(60_000_000),
                    _ => true,
                },
            };
            self.known = if current { self.given.devices.clone() } else { Known::default() };
            if let (true, true, Some(id)) = (current, without_id, &self.given.boot_id) {
                boot.id = super::boot::plain_id(id);
            }
        }
        let hostname = first.hostname.clone().unwrap_or_else(|| self.given.hostname.clone());
        let settings = Settings { boot_id: boot.id.clone(), hostname, live: LiveSources::text_only() };
        self.engine = Some(Engine::new(settings, self.rules.clone()));
        self.boot = Some(boot);
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        self.settle(out);
        let mut left = Vec::new();
        self.ahead.release(&mut left);
        for (entry, times) in left {
            self.join(entry, times, out);
        }
        let mut left = Vec::new();
        self.joiner.finish(&mut left);
        for entry in left {
            self.feed(entry, 1, out);
        }
        self.ahead = Ahead::default();
        if let Some(mut engine) = self.engine.take() {
            engine.finish(&self.known, &mut self.events);
        }
        self.hand_over(out);
    }

    /// The entries that waited for the wall clock wait no more.
    fn settle(&mut self, out: &mut Vec<Event>) {
        while let Some((entry, times)) = self.early.pop_front() {
            self.take(entry, times, out);
        }
    }

    fn take(&mut self, entry: Entry, times: u32, out: &mut Vec<Event>) {
        if self.ahead.may_pass(&entry.log.text) {
            return self.join(entry, times, out);
        }
        let mut ready = Vec::new();
        let known = &self.known;
        self.ahead.push(entry, times, |at| known.at(at).is_some(), &mut ready);
        for (entry, times) in ready {
            self.join(entry, times, out);
        }
    }

    fn join(&mut self, entry: Entry, times: u32, out: &mut Vec<Event>) {
        if !entry.is_kernel() || times > 1 {
            return self.feed(entry, times, out);
        }
        if self.joiner.is_idle() && (entry.log.fragment || !is_head(&entry.log.text)) {
            return self.feed(entry, 1, out);
        }
        let mut ready = Vec::new();
        let rules = &self.rules;
        let takes = |text: &str| {
            rules.rule_for(&LogRecord { text: text.to_owned(), ..LogRecord::default() }).is_some()
        };
        self.joiner.push(entry, &takes, &mut ready);
        for entry in ready {
            self.feed(entry, 1, out);
        }
    }

    fn feed(&mut self, entry: Entry, times: u32, out: &mut Vec<Event>) {
        let (Some(boot), Some(engine)) = (&mut self.boot, &mut self.engine) else { return };
        let (uptime_us, wall_us) = (entry.uptime_us, entry.wall_us);
        let dated = boot.knows_wall(uptime_us, wall_us) && (wall_us.is_some() || uptime_us.is_some());
        self.undated += u64::from(!dated);
        let time = boot.stamp(uptime_us, wall_us);
        if !entry.log.fragment && from_text::may_say(&entry.log) && !begins_with_quoted(&entry.log.text) {
            from_text::from_line(&mut self.known, &entry.log);
            name_ahead(&mut self.known, &self.ahead, &entry);
        }
        let now_ns = time.monotonic_ns.unwrap_or(0);
        let_time_pass(engine, now_ns, &self.known, &mut self.events);
        let Entry { log, numbered, mut parsed, .. } = entry;
        self.is_old |= old::shows(&log);
        if self.is_old
            && let Some(raw) = old::parse(&self.rules, &log, time)
        {
            parsed = Parsed::Yes(Some(Box::new(raw)));
        }
        let mut record = Record { time, body: Body::Log(log) };
        for left in (0..times).rev() {
            self.lines += 1;
            let Body::Log(log) = &mut record.body else { break };
            if !numbered || times > 1 {
                log.seq = self.lines;
            }
            let seq = log.seq;
            let this = if left == 0 { std::mem::take(&mut parsed) } else { parsed.clone() };
            match this {
                Parsed::Yes(raw) => {
                    let raw = raw.map(|raw| RawEvent { time, sequence: seq.to_string(), ..*raw });
                    engine.push_parsed(&record, raw, &self.known, &mut self.events);
                }
                Parsed::No => engine.push(&record, &self.known, &mut self.events),
            }
        }
        self.hand_over(out);
    }

    fn hand_over(&mut self, out: &mut Vec<Event>) {
        // A time since the boot that nobody reported is none.
        let real = self.boot.as_ref().is_none_or(Boot::has_uptime);
        out.extend(self.events.drain(..).map(|mut event| {
            if !real {
                event.monotonic_ns = None;
            }
            // The line that names the device may come after the one that says what happened to it.
            if event.block.is_none() && !event.kdev.is_empty() {
                event.block = self.known.by_name(&event.kdev, None);
            }
            // The same holds for the line that says how it is reached.
            if let Some(block) = &event.block
                && block.id.transport.is_none()
                && !block.id.transport_id.is_empty()
                && let Some(now) = self.known.by_name(&block.id.transport_id, None)
                && now.id.blk_path == block.id.blk_path
                && now.id.transport.is_some()
            {
                event.block = Some(now);
            }
            event
        }));
    }
}

/// The disk at the address of a line, where a later line names it.
fn name_ahead(known: &mut Known, ahead: &Ahead, entry: &Entry) {
    if entry.is_kernel()
        && let Some((at, _)) = address(&entry.log.text)
        && known.at(at).is_none()
        && let Some(name) = ahead.name(at)
    {
        known.set_hctl(name, at);
    }
}

/// As the daemon would: what is due before the next line is reported before it.
fn let_time_pass(engine: &mut Engine, now_ns: u64, known: &Known, events: &mut Vec<Event>) {
    while let Some(due) = engine.next_deadline_ns().filter(|due| *due <= now_ns) {
        let before = engine.open_events() + engine.waiting();
        engine.tick(due, known, events);
        if engine.next_deadline_ns() == Some(due) && engine.open_events() + engine.waiting() == before {
            break;
        }
    }
}
