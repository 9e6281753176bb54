//! Events of a log that was written down: dmesg, /dev/kmsg, journalctl (text, JSON, export), syslog.
//!
//! ```
//! use peripety::log::Log;
//!
//! let text = "[ 1201.5] sd 2:0:0:0: [sdc] tag#11 FAILED Result: hostbyte=DID_OK driverbyte=DRIVER_OK cmd_age=0s\n\
//!             [ 1201.5] sd 2:0:0:0: [sdc] tag#11 Sense Key : Medium Error [current]\n\
//!             [ 1201.5] sd 2:0:0:0: [sdc] tag#11 Add. Sense: Unrecovered read error\n\
//!             [ 1201.5] sd 2:0:0:0: [sdc] tag#11 CDB: Read(10) 28 00 00 10 10 10 00 00 08 00\n\
//!             [ 1201.5] critical medium error, dev sdc, sector 1052688 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2\n";
//! let events = Log::new(text.as_bytes()).events()?;
//! // Five lines, one failure.
//! let [event] = events.as_slice() else { panic!("{events:?}") };
//! assert_eq!((event.event_type.as_str(), event.kdev.as_str()), ("SCSI_MEDIUM_ERROR", "sdc"));
//! assert_eq!(event.sector_ranges[0].start.0, 1_052_688);
//! # Ok::<(), peripety::log::ReadError>(())
//! ```

use std::{
    io::{self, Read},
    ops::ControlFlow,
};

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    engine::RuleSet,
    event::Event,
    offline::{ByHost, Calendar, Given, Input, Item, Line, Logs, Taker, read_into, unpack},
};

/// The log cannot be read to its end.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the log: {0}")]
pub struct ReadError(#[from] io::Error);

/// A log; gzip, bzip2, xz and zstd are unpacked.
pub struct Log<R> {
    from: R,
    rules: RuleSet,
    given: Given,
    zone: TimeZone,
    newest: Timestamp,
}

impl<R: Read> Log<R> {
    /// A log of any format that `prpt parse` knows; times without a zone are UTC, dates without a year are of the last
    /// twelve months.
    pub fn new(from: R) -> Self {
        Self {
            from,
            rules: RuleSet::built_in(),
            given: Given::default(),
            zone: TimeZone::UTC,
            newest: Timestamp::now(),
        }
    }

    /// Other rules than the built-in ones.
    pub fn rules(mut self, rules: RuleSet) -> Self {
        self.rules = rules;
        self
    }

    /// The host's name, where the log has none.
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.given.hostname = hostname.into();
        self
    }

    /// When the machine booted, for a log that reports only the time since then.
    pub fn booted(mut self, at: Timestamp) -> Self {
        self.given.started_us = Some(at.as_microsecond());
        self
    }

    /// Time zone of the log, and a time after its last line, by which a year is found for dates without one.
    pub fn calendar(mut self, zone: TimeZone, newest: Timestamp) -> Self {
        (self.zone, self.newest) = (zone, newest);
        self
    }

    /// All events, each as it was at its end.
    ///
    /// # Errors
    ///
    /// The log cannot be read to its end, or not be unpacked.
    pub fn events(self) -> Result<Vec<Event>, ReadError> {
        let mut events = Vec::new();
        self.for_each(|event| events.push(event))?;
        Ok(events)
    }

    /// Hands over each event when it is over, in the order in which they began: memory stays bounded whatever the log is.
    ///
    /// # Errors
    ///
    /// The log cannot be read to its end, or not be unpacked; the events until there were handed over.
    pub fn for_each(self, mut each: impl FnMut(Event)) -> Result<(), ReadError> {
        let logs = Logs::new(self.rules, self.given, false);
        let mut incidents = ByHost::only_events();
        let mut each = |mut event: Event| {
            incidents.push(&mut event);
            each(event);
        };
        let mut input = Input::new(unpack(self.from)?);
        let mut events = Events { logs, out: Vec::new(), each: &mut each };
        read_into(&mut input, Calendar::new(self.zone, self.newest), &mut events);
        let Events { mut logs, mut out, .. } = events;
        logs.finish(&mut out);
        out.drain(..).for_each(&mut each);
        input.into_failure().map_or(Ok(()), |error| Err(error.into()))
    }
}

/// Makes events of what a log has.
struct Events<'e> {
    logs: Logs,
    out: Vec<Event>,
    each: &'e mut dyn FnMut(Event),
}

impl Taker for Events<'_> {
    fn take(&mut self, item: Item) -> ControlFlow<()> {
        self.logs.push(item, &mut self.out);
        self.out.drain(..).for_each(&mut self.each);
        ControlFlow::Continue(())
    }

    fn passes(&mut self, line: &Line<'_>, _whole: &str) -> bool {
        let is_passed = self.logs.passes(line, &mut self.out);
        self.out.drain(..).for_each(&mut self.each);
        is_passed
    }
}
