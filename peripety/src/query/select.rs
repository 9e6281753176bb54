//! What a query gives, in which order, from either source.

use jiff::{Span, ToSpan as _};

use super::{
    Filter,
    journald::{Direction, Position, ReadError, Reader, Skipped},
    latest::Latest,
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
pub type Sink<'a> = dyn FnMut(Event) -> anyhow::Result<()> + 'a;

/// Gives the events of the journal to `sink`; tells what was passed over.
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
    if !select.reverse && select.lines.is_none() {
        return forward(reader, filter, select, sink);
    }
    if select.reverse {
        back(reader, filter, select, sink)?;
    } else {
        let mut kept = Vec::new();
        back(reader, filter, select, &mut |event| {
            kept.push(event);
            Ok(())
        })?;
        kept.into_iter().rev().try_for_each(sink)?;
    }
    Ok(reader.take_skipped())
}

/// Two passes, so that nothing but ids is held: which revision is the last, then those.
fn forward(reader: &mut Reader, filter: &Filter, select: Select, sink: &mut Sink<'_>) -> anyhow::Result<Skipped> {
    let start = filter.since.and_then(|since| since.checked_sub(margin()).ok()).map_or(Position::Head, Position::Time);
    let mut latest = Latest::default();
    if !select.all_revisions {
        reader.seek(&start)?;
        while let Some(head) = reader.step(Direction::Forward)? {
            latest.note(head.id, head.revision);
        }
        // Counted again in the second pass.
        reader.take_skipped();
    }
    reader.seek(&start)?;
    while let Some(head) = reader.step(Direction::Forward)? {
        if (select.all_revisions || latest.take(head.id, head.revision))
            && let Some(event) = reader.event()
            && filter.matches(&event)
        {
            sink(event)?;
        }
    }
    Ok(reader.take_skipped())
}

/// From the latest on; the first revision that is met is the last.
fn back(reader: &mut Reader, filter: &Filter, select: Select, sink: &mut Sink<'_>) -> Result<(), anyhow::Error> {
    let first_us = filter.since.and_then(|since| since.checked_sub(margin()).ok()).map(|t| t.as_microsecond());
    let mut left = select.lines.unwrap_or(usize::MAX);
    let mut met = Latest::default();
    reader.seek(&Position::Tail)?;
    while left > 0 {
        let Some(head) = step_back(reader, first_us)? else { break };
        if (select.all_revisions || met.note(head.id, u32::MAX))
            && let Some(event) = reader.event()
            && filter.matches(&event)
        {
            sink(event)?;
            left -= 1;
        }
    }
    Ok(())
}

fn step_back(reader: &mut Reader, first_us: Option<i64>) -> Result<Option<super::journald::Head>, ReadError> {
    let head = reader.step(Direction::Back)?;
    Ok(head.filter(|head| first_us.is_none_or(|first| head.written_us >= first)))
}

/// Gives events that are all at hand, oldest first, to `sink`.
///
/// # Errors
///
/// `sink` fails.
pub fn from_memory(events: Vec<Event>, filter: &Filter, select: Select, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    let mut wanted: Vec<Event> = events.into_iter().filter(|event| filter.matches(event)).collect();
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
    fn lines_are_the_latest_in_either_order() {
        assert_eq!(memory(Select::default()), [1, 2, 3, 4]);
        assert_eq!(memory(Select { reverse: true, ..Select::default() }), [4, 3, 2, 1]);
        assert_eq!(memory(Select { lines: Some(2), ..Select::default() }), [3, 4]);
        assert_eq!(memory(Select { lines: Some(2), reverse: true, ..Select::default() }), [4, 3]);
        assert_eq!(memory(Select { lines: Some(0), ..Select::default() }), [0; 0]);
    }
}
