//! Growing events as they grow: reported at first, when they doubled, when they got worse, and at last.

use std::collections::{HashMap, VecDeque};

use super::{Ansi, Style, head, printable, time};
use crate::event::{Event, EventId, EventType, Severity};

/// Growing events that are remembered.
const MOST: usize = 1024;

#[derive(Debug)]
struct Shown {
    count: u64,
    revision: u32,
    severity: Severity,
    event_type: EventType,
    msg: String,
}

impl Shown {
    /// It got worse, or later records reported better what it is.
    fn is_other(&self, event: &Event) -> bool {
        event.severity != self.severity
            || event.event_type != self.event_type
            || (event.count == self.count && event.msg != self.msg)
    }

    fn has_grown(&self, event: &Event) -> bool {
        event.count >= self.count.saturating_mul(2) || (event.is_final && event.count > self.count)
    }
}

/// What was reported about the events that still grow.
#[derive(Debug, Default)]
pub(crate) struct Live {
    reported: HashMap<EventId, Shown>,
    order: VecDeque<EventId>,
}

impl Live {
    /// What to print for this revision; none when it says nothing new enough: a storm of a million failures is some
    /// twenty lines.
    pub(crate) fn render(&mut self, event: &Event, style: &Style) -> Option<String> {
        let text = match self.reported.get(&event.event_id) {
            None => Some(super::event(event, style)),
            Some(reported) if event.revision <= reported.revision => return None,
            Some(reported) if reported.is_other(event) => Some(super::event(event, style)),
            Some(reported) if reported.has_grown(event) => Some(growth(event, style)),
            Some(_) => None,
        };
        if event.is_final {
            self.forget(event.event_id);
        } else if text.is_some() {
            self.remember(event);
        }
        text
    }

    /// Takes a revision as reported, and prints nothing.
    pub(crate) fn know(&mut self, event: &Event) {
        if !event.is_final {
            self.remember(event);
        }
    }

    fn remember(&mut self, event: &Event) {
        let reported = Shown {
            count: event.count,
            revision: event.revision,
            severity: event.severity,
            event_type: event.event_type.clone(),
            msg: event.msg.clone(),
        };
        if self.reported.insert(event.event_id, reported).is_none() {
            self.order.push_back(event.event_id);
            if self.order.len() > MOST
                && let Some(oldest) = self.order.pop_front()
            {
                self.reported.remove(&oldest);
            }
        }
    }

    fn forget(&mut self, id: EventId) {
        if self.reported.remove(&id).is_some() {
            self.order.retain(|other| *other != id);
        }
    }
}

/// One line: how far it has grown.
fn growth(event: &Event, style: &Style) -> String {
    let mut line = head(event, style);
    let said = if event.is_final {
        format!("x{} in all, from {}", event.count, clock(event, style))
    } else {
        format!("x{} so far", event.count)
    };
    line.push(&printable(&said), Ansi::new().bold(), style.colour);
    line.finish()
}

/// When it began; the day only where it is another one.
fn clock(event: &Event, style: &Style) -> String {
    let first = event.first_timestamp.to_zoned(style.zone.clone());
    let same_day = first.date() == event.last_timestamp.to_zoned(style.zone.clone()).date();
    if same_day { first.strftime("%H:%M:%S").to_string() } else { time(event.first_timestamp, style) }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::notifier::fixture::sample;

    fn style() -> Style {
        Style { width: Some(80), zone: TimeZone::UTC, ..Style::default() }
    }

    #[test]
    fn a_storm_is_a_few_lines() {
        let mut live = Live::default();
        let mut event = Event { count: 1, revision: 0, ..sample() };
        let mut out = live.render(&event, &style()).unwrap();
        for step in 1..=100 {
            event.revision = step;
            event.count = u64::from(step) * 1000;
            event.is_final = step == 100;
            // A message with the count in it does not make each revision another event.
            event.msg = format!("failed {} times", event.count);
            out.extend(live.render(&event, &style()));
        }
        assert!(live.reported.is_empty() && live.order.is_empty());
        assert_snapshot!(out);
    }

    #[test]
    fn changes_of_a_growing_event_are_shown() {
        let mut live = Live::default();
        let mut event = Event { count: 1, revision: 0, ..sample() };
        live.render(&event, &style()).unwrap();
        assert_eq!(live.render(&event, &style()), None, "the same revision again");
        event.revision = 1;
        event.msg = "now with the sense key".into();
        assert!(live.render(&event, &style()).unwrap().contains("sense key"));
        event.revision = 2;
        assert_eq!(live.render(&event, &style()), None, "nothing new");
        event.revision = 3;
        event.severity = Severity::Critical;
        assert!(live.render(&event, &style()).unwrap().contains("critical"));
        event.revision = 4;
        event.is_final = true;
        assert_eq!(live.render(&event, &style()), None);
        assert!(live.reported.is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut live = Live::default();
        for id in 0..5000 {
            let event = Event { event_id: uuid::Uuid::from_u128(id), ..sample() };
            live.render(&event, &style());
        }
        assert_eq!((live.reported.len(), live.order.len()), (MOST, MOST));
    }
}
