//! A log that is read on one thread, while another one puts together what it says: in order, and with a few batches in
//! memory and no more.

use std::{
    ops::ControlFlow,
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread,
};

use super::{
    Calendar, Input, Item, Line, Taker,
    entry::{Packed, Parsed},
    format::{Reported, read_into},
    silent::Silent,
};
use crate::{parser::rules::RuleSet, record::Stamp};

/// Batches that wait to be worked on.
const QUEUE: usize = 4;
/// Batches that wait where the other thread is the slower one.
const AHEAD: usize = 2;
/// What a batch has at most: records, and bytes of their texts.
const RECORDS_MAX: usize = 1024;
const BYTES_MAX: usize = 128 << 10;

/// Whether there is another processor to work on.
pub(crate) fn is_of_use() -> bool {
    thread::available_parallelism().is_ok_and(|processors| processors.get() > 1)
}

/// Reads a file of any format to its end, and gives what it has to `taker` on another thread. None if there can be no such
/// thread; then nothing was read.
pub(crate) fn read_beside<T: Taker + Send>(
    input: &mut Input<'_>,
    calendar: Calendar,
    silent: &Silent,
    taker: &mut T,
) -> Option<Reported> {
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(QUEUE);
        let (back, returned) = channel();
        let name = "events".to_owned();
        let work = move || take_all(&receiver, &back, taker);
        let other = match thread::Builder::new().name(name).spawn_scoped(scope, work) {
            Ok(other) => other,
            Err(error) => {
                tracing::debug!("no second thread, one reads all: {error}");
                return None;
            }
        };
        let batch = Batch::default();
        let mut batches =
            Batches { silent, rules: silent.rules(), batch, sender: Some(sender), returned, ahead: 0 };
        let reported = read_into(input, calendar, &mut batches);
        batches.send();
        drop(batches);
        if let Err(panic) = other.join() {
            std::panic::resume_unwind(panic);
        }
        Some(reported)
    })
}

fn take_all(batches: &Receiver<Batch>, back: &Sender<Batch>, taker: &mut dyn Taker) {
    for mut batch in batches {
        if batch.give(taker).is_break() {
            return;
        }
        batch.words.clear();
        batch.bytes = 0;
        // Who reads may have come to the end.
        let _no_more = back.send(batch);
    }
}

/// What a part of a file has.
#[derive(Debug, Default)]
struct Batch {
    /// The texts of the lines that say nothing, one after the other.
    words: String,
    steps: Vec<Step>,
    /// Bytes of the others.
    bytes: usize,
}

#[derive(Debug)]
enum Step {
    Item(Item),
    Silent(Packed),
}

impl Batch {
    fn add(&mut self, line: &Line<'_>, whole: &str) {
        self.steps.push(Step::Silent(Packed::of(line, whole, &mut self.words)));
    }

    fn is_full(&self) -> bool {
        self.steps.len() >= RECORDS_MAX || self.words.len() + self.bytes >= BYTES_MAX
    }

    /// Gives all to who takes it.
    fn give(&mut self, taker: &mut dyn Taker) -> ControlFlow<()> {
        let words = self.words.as_str();
        for step in self.steps.drain(..) {
            match step {
                Step::Item(item) => taker.take(item)?,
                Step::Silent(packed) => {
                    let line = packed.line(words);
                    if !taker.lets_pass(&line) {
                        taker.take(line.entry().into())?;
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// Puts what a file has into batches.
struct Batches<'s> {
    silent: &'s Silent,
    rules: RuleSet,
    batch: Batch,
    /// None once nobody takes anything any more.
    sender: Option<SyncSender<Batch>>,
    /// Batches that were worked on.
    returned: Receiver<Batch>,
    /// Batches that were not yet.
    ahead: usize,
}

impl Batches<'_> {
    fn send(&mut self) {
        let next = self.returned.try_recv();
        self.ahead = self.ahead.saturating_sub(usize::from(next.is_ok())) + 1;
        let batch = std::mem::replace(&mut self.batch, next.unwrap_or_default());
        if self.sender.as_ref().is_some_and(|sender| sender.send(batch).is_err()) {
            self.sender = None;
        }
    }
}

impl Taker for Batches<'_> {
    fn take(&mut self, mut item: Item) -> ControlFlow<()> {
        if let Item::Entry(entry) = &mut item
            && self.ahead > AHEAD
        {
            // The longer half of the work on a line that says something: for whoever has less to do.
            let time = Stamp { monotonic_ns: None, realtime_us: 0 };
            entry.parsed = Parsed::Yes(self.rules.parse(&entry.log, time).map(Box::new));
        }
        self.batch.bytes += match &item {
            Item::Entry(entry) | Item::Whole(entry) => entry.log.text.len(),
            Item::More(text) => text.len(),
            Item::Repeated(_) | Item::Boot(_) | Item::Nothing => 0,
        };
        self.batch.steps.push(Step::Item(item));
        if self.batch.is_full() {
            self.send();
        }
        if self.sender.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn passes(&mut self, line: &Line<'_>, whole: &str) -> bool {
        if self.sender.is_none() || !self.silent.is(line) {
            return false;
        }
        self.batch.add(line, whole);
        if self.batch.is_full() {
            self.send();
        }
        true
    }
}
