//! The engine with what it works on: devices that it may ask about, events that wait to go out, counts of all of them.

use super::super::{clock, host::Host, loss_totals::LossTotals, self_events, tally::Tally};
use crate::{
    block::BlkCache,
    event::{Event, EventType},
    record::{Record, Stamp},
    recording::RecordedEngine,
};

/// From records to events that wait to be committed.
pub(super) struct Pipeline {
    pub(super) host: Host,
    pub(super) engine: RecordedEngine,
    pub(super) cache: BlkCache,
    /// Not written down yet.
    pub(super) events: Vec<Event>,
    pub(super) loss_totals: LossTotals,
    pub(super) tally: Tally,
    /// Something was read, or made, since the last commit.
    pub(super) changed: bool,
}

impl Pipeline {
    /// With nothing read; all is to be written down once.
    pub(super) fn new(host: Host, engine: RecordedEngine, cache: BlkCache) -> Self {
        Self {
            host,
            engine,
            cache,
            events: Vec::new(),
            loss_totals: LossTotals::default(),
            tally: Tally::default(),
            changed: true,
        }
    }

    /// Hands the engine a record.
    pub(super) fn push(&mut self, record: &Record) {
        self.changed = true;
        self.engine.push(record, &self.cache, &mut self.events);
    }

    /// Lets the engine do what is due.
    pub(super) fn tick(&mut self, now_ns: u64) {
        self.engine.tick(now_ns, &self.cache, &mut self.events);
    }

    /// Closes what is open.
    pub(super) fn finish(&mut self) {
        self.engine.finish(&self.cache, &mut self.events);
    }

    /// An event of the daemon itself, which no record made.
    pub(super) fn emit(&mut self, mut event: Event) {
        self.engine.said(&mut event);
        self.events.push(event);
    }

    /// The same, of a type and a text alone.
    pub(super) fn say(&mut self, event_type: EventType, msg: String) {
        tracing::info!("{msg}");
        self.emit(self_events::event(&self.host, event_type, msg, clock::now()));
    }

    /// One event for each block device.
    pub(super) fn list_devices(&mut self, now: Stamp) {
        for block in self.cache.all() {
            self.emit(self_events::blk_info(&self.host, block, now));
        }
    }
}
