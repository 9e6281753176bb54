//! The last revision of each event, in the order in which the events began.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::event::{Event, EventId};

/// Events that may wait for an older one to end.
pub(super) const WAITING_MAX: usize = 16_384;

/// Holds events back until they grow no more, and until all that began before them are out.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// By the time of the first failure, and the order in which they came.
    waiting: BTreeMap<Place, Event>,
    place: HashMap<EventId, Place>,
    came: u64,
}

/// When an event began, whether it came of another one, and when it was reported. Many logs count time in seconds: what another
/// event led to comes after that.
type Place = (Timestamp, bool, u64);

impl Order {
    /// Takes a revision; gives events that are over.
    pub(super) fn push(&mut self, event: Event, out: &mut Vec<Event>) {
        let is_effect = event.root_cause_event_id.is_some();
        let place = self.place.entry(event.event_id).or_insert_with(|| {
            self.came += 1;
            (event.first_timestamp, is_effect, self.came)
        });
        if place.1 != is_effect {
            // What it came of was found after its first revision.
            self.waiting.remove(place);
            place.1 = is_effect;
        }
        let place = *place;
        self.waiting.insert(place, event);
        self.release(out);
    }

    fn release(&mut self, out: &mut Vec<Event>) {
        while let Some(first) = self.waiting.first_entry() {
            if !first.get().is_final {
                break;
            }
            let event = first.remove();
            self.place.remove(&event.event_id);
            out.push(event);
        }
        if self.waiting.len() >= WAITING_MAX {
            // An outage may last as long as the log: what is over goes out before it.
            let over: Vec<_> =
                self.waiting.iter().filter(|(_, event)| event.is_final).map(|(place, _)| *place).collect();
            let over = if over.is_empty() { self.waiting.keys().copied().collect() } else { over };
            for event in over.iter().filter_map(|place| self.waiting.remove(place)) {
                self.place.remove(&event.event_id);
                out.push(event);
            }
        }
    }

    /// Gives all that is left.
    pub(super) fn finish(&mut self, out: &mut Vec<Event>) {
        self.place.clear();
        out.extend(std::mem::take(&mut self.waiting).into_values());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::fixture::sample;

    fn event(id: u128, second: i64, is_final: bool) -> Event {
        let at = Timestamp::from_second(second).unwrap();
        Event { event_id: uuid::Uuid::from_u128(id), first_timestamp: at, is_final, ..sample() }
    }

    #[test]
    fn the_oldest_comes_first_and_each_once() {
        let (mut order, mut out) = (Order::default(), Vec::new());
        order.push(event(1, 10, false), &mut out);
        order.push(event(2, 11, true), &mut out);
        order.push(event(3, 9, true), &mut out);
        let ids = |out: &Vec<Event>| out.iter().map(|e| e.event_id.as_u128()).collect::<Vec<_>>();
        assert_eq!(ids(&out), [3]);
        order.push(event(1, 10, true), &mut out);
        assert_eq!(ids(&out), [3, 1, 2]);
        order.push(event(4, 12, false), &mut out);
        order.finish(&mut out);
        assert_eq!(ids(&out), [3, 1, 2, 4]);
    }

    #[test]
    fn of_two_that_began_in_the_same_second_the_cause_comes_first() {
        let (mut order, mut out) = (Order::default(), Vec::new());
        order.push(event(1, 10, false), &mut out);
        order.push(event(2, 10, false), &mut out);
        let effect = Event { root_cause_event_id: Some(uuid::Uuid::from_u128(2)), ..event(1, 10, true) };
        order.push(effect, &mut out);
        order.push(event(2, 10, true), &mut out);
        order.finish(&mut out);
        assert_eq!(out.iter().map(|e| e.event_id.as_u128()).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn one_that_never_ends_holds_up_no_more_than_so_many() {
        let (mut order, mut out) = (Order::default(), Vec::new());
        order.push(event(0, 0, false), &mut out);
        for id in 1..20_000 {
            order.push(event(id, i64::try_from(id).unwrap(), true), &mut out);
        }
        assert!(order.waiting.len() <= WAITING_MAX && out.len() > 10_000);
        order.push(event(0, 0, true), &mut out);
        order.finish(&mut out);
        let ids: std::collections::BTreeSet<_> = out.iter().map(|event| event.event_id).collect();
        assert_eq!((out.len(), ids.len()), (20_000, 20_000), "each is given once");
    }
}
