//! What a query gives, in which order, from either source.

use std::collections::BTreeMap;

use jiff::{Span, Timestamp, ToSpan as _};

use super::{
    Filter,
    journald::{Direction, Position, ReadError, Reader, Skipped},
    revisions::Latest,
};
use crate::event::Event;

/// How far the clock may have been set back between an event and its entry in the journal.
fn margin() -> Span {
    5.minutes()
}

/// Which part of the answer, in which order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Select {
    /// Every revision, not only the last one of each event.
    pub all_revisions: bool,
    /// Only so many, the latest.
    pub lines: Option<usize>,
    /// The latest first.
    pub reverse: bool,
}

/// Takes events one by one; an error ends the query.
pub(crate) type Sink<'a> = dyn FnMut(Event) -> anyhow::Result<()> + 'a;

/// Gives the events of the journal to `sink` in the order of their time; says what was passed over.
///
/// Two passes, so that little but ids is held: which revision is the last, then those. A daemon that was killed reports the
/// last events once more when it starts again, with low revisions: what stands last in the journal need not be the last.
///
/// # Errors
///
/// The journal cannot be read, or `sink` fails.
pub fn from_journal(
    reader: &mut Reader,
    filter: &Filter,
    select: Select,
    sink: &mut Sink<'_>,
) -> anyhow::Result<Skipped> {
    let start = filter.since.and_then(|since| since.checked_sub(margin()).ok());
    let latest = if select.all_revisions { None } else { Some(latest(reader, start)?) };
    let skipped = reader.take_skipped();
    if !select.reverse && select.lines.is_none() {
        let mut order = InOrder::new(sink, false);
        reader.seek(&start.map_or(Position::Head, Position::Time))?;
        read(reader, Direction::Forward, None, latest, &mut |event| {
            if filter.matches(&event) { order.take(event).map(|()| true) } else { Ok(true) }
        })?;
        order.finish()?;
    } else if select.reverse {
        back(reader, filter, start, latest, select.lines, sink)?;
    } else {
        let mut kept = Vec::new();
        back(reader, filter, start, latest, select.lines, &mut |event| {
            kept.push(event);
            Ok(())
        })?;
        kept.into_iter().rev().try_for_each(sink)?;
    }
    let again = reader.take_skipped();
    // What is forged was met in both passes, what has broken JSON in the second only.
    Ok(Skipped { forged: skipped.forged.max(again.forged), corrupt: skipped.corrupt.max(again.corrupt) })
}

fn latest(reader: &mut Reader, start: Option<Timestamp>) -> Result<Latest, ReadError> {
    let mut latest = Latest::default();
    reader.seek(&start.map_or(Position::Head, Position::Time))?;
    reader.set_heads_only(true);
    while let Some(head) = reader.step(Direction::Forward)? {
        latest.note(head.id, head.revision);
    }
    reader.set_heads_only(false);
    Ok(latest)
}

/// The latest event first, at most `lines`.
fn back(
    reader: &mut Reader,
    filter: &Filter,
    start: Option<Timestamp>,
    latest: Option<Latest>,
    lines: Option<usize>,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    let mut left = lines.unwrap_or(usize::MAX);
    let mut enough = move |event, sink: &mut Sink<'_>| -> anyhow::Result<()> {
        if left > 0 {
            left -= 1;
            sink(event)?;
        }
        Ok(())
    };
    let mut met = 0;
    let wanted = lines.unwrap_or(usize::MAX).saturating_add(WINDOW);
    let mut limited = |event| enough(event, sink);
    let mut order = InOrder::new(&mut limited, true);
    reader.seek(&Position::Tail)?;
    read(reader, Direction::Back, start, latest, &mut |event| {
        if filter.matches(&event) {
            met += 1;
            order.take(event)?;
        }
        Ok(met < wanted)
    })?;
    order.finish()
}

/// Gives the wanted revisions to `take` until it has enough or there are no more after `start`.
fn read(
    reader: &mut Reader,
    direction: Direction,
    start: Option<Timestamp>,
    mut latest: Option<Latest>,
    take: &mut dyn FnMut(Event) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let first_us = start.map_or(i64::MIN, Timestamp::as_microsecond);
    while let Some(head) = reader.step(direction)?.filter(|head| head.written_us >= first_us) {
        if latest.as_mut().is_none_or(|latest| latest.take(head.id, head.revision))
            && let Some(event) = reader.event()
            && !take(event)?
        {
            break;
        }
    }
    Ok(())
}

/// Events that may wait to be brought into order: more than are ever written at one time for past failures.
const WINDOW: usize = 1024;

/// Brings events into the order of their time, as far as they are not more than [`WINDOW`] events out of it: an event is
/// written when it ends, which may be later than the beginning of others.
struct InOrder<'s, 'e> {
    waiting: BTreeMap<(Timestamp, u64), Event>,
    arrived: u64,
    latest_first: bool,
    sink: &'s mut Sink<'e>,
}

impl<'s, 'e> InOrder<'s, 'e> {
    fn new(sink: &'s mut Sink<'e>, latest_first: bool) -> Self {
        Self { waiting: BTreeMap::new(), arrived: 0, latest_first, sink }
    }

    fn take(&mut self, event: Event) -> anyhow::Result<()> {
        self.arrived += 1;
        // Of the same time, the one that was written first comes first.
        let nth = if self.latest_first { u64::MAX - self.arrived } else { self.arrived };
        self.waiting.insert((event.timestamp, nth), event);
        if self.waiting.len() > WINDOW { self.give() } else { Ok(()) }
    }

    fn give(&mut self) -> anyhow::Result<()> {
        let next = if self.latest_first { self.waiting.pop_last() } else { self.waiting.pop_first() };
        next.map_or(Ok(()), |(_, event)| (self.sink)(event))
    }

    fn finish(mut self) -> anyhow::Result<()> {
        while !self.waiting.is_empty() {
            self.give()?;
        }
        Ok(())
    }
}

/// Gives events that are all at hand to `sink`, in the order of their time.
///
/// # Errors
///
/// `sink` fails.
pub(crate) fn from_memory(
    events: Vec<Event>,
    filter: &Filter,
    select: Select,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    let mut wanted: Vec<Event> = events.into_iter().filter(|event| filter.matches(event)).collect();
    wanted.sort_by_key(|event| event.timestamp);
    let too_many = select.lines.map_or(0, |lines| wanted.len().saturating_sub(lines));
    wanted.drain(..too_many);
    if select.reverse {
        wanted.reverse();
    }
    wanted.into_iter().try_for_each(sink)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::fixture::sample;

    fn memory(select: Select) -> Vec<u128> {
        let events = (1..=4).map(|id| Event { event_id: uuid::Uuid::from_u128(id), ..sample() }).collect();
        let mut out = Vec::new();
        from_memory(events, &Filter::default(), select, &mut |event| {
            out.push(event.event_id.as_u128());
            Ok(())
        })
        .unwrap();
        out
    }

    #[test]
    fn events_come_in_the_order_of_their_time() {
        let at = |id: u128| Event {
            event_id: uuid::Uuid::from_u128(id),
            timestamp: Timestamp::from_second(id as i64).unwrap(),
            ..sample()
        };
        for latest_first in [false, true] {
            let mut out = Vec::new();
            let mut sink = |event: Event| {
                out.push(event.event_id.as_u128());
                Ok(())
            };
            let mut order = InOrder::new(&mut sink, latest_first);
            // Each up to 500 places away from where it belongs.
            let places: Vec<u128> = (0..10).flat_map(|k| (0..500).rev().map(move |n| k * 500 + n)).collect();
            let arrive: Box<dyn Iterator<Item = &u128>> =
                if latest_first { Box::new(places.iter().rev()) } else { Box::new(places.iter()) };
            arrive.for_each(|id| order.take(at(*id)).unwrap());
            order.finish().unwrap();
            if latest_first {
                out.reverse();
            }
            assert_eq!(out, (0..5000).collect::<Vec<_>>());
        }
    }

    #[test]
    fn lines_are_the_latest_in_either_order() {
        assert_eq!(memory(Select::default()), [1, 2, 3, 4]);
        assert_eq!(memory(Select { reverse: true, ..Select::default() }), [4, 3, 2, 1]);
        assert_eq!(memory(Select { lines: Some(2), ..Select::default() }), [3, 4]);
        assert_eq!(memory(Select { lines: Some(2), reverse: true, ..Select::default() }), [4, 3]);
        assert_eq!(memory(Select { lines: Some(0), ..Select::default() }), [0; 0]);
    }
}
