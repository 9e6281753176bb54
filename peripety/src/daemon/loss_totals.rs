//! What was lost since the daemon began, by place and reason (promise 1). Every loss is reported as an event; this is their sum.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use crate::event::{Event, EventId, EventType};

/// Kinds of losses that are distinguished; the rest stands under one name.
const ROWS_MAX: usize = 256;

/// What stands for all that is not distinguished.
pub(super) const OTHER: &str = "other";

/// Where a loss was, and why: what losses are counted by. `has_room` says whether there is room for one more.
pub(super) fn key(event: &Event, has_room: impl FnOnce(&(String, String)) -> bool) -> (String, String) {
    let loss = event.facts.loss.as_deref();
    let word = |text: Option<&String>| text.cloned().unwrap_or_else(|| "unknown".to_owned());
    let key =
        (word(loss.and_then(|loss| loss.source.as_ref())), word(loss.and_then(|loss| loss.reason.as_ref())));
    if has_room(&key) { key } else { (OTHER.to_owned(), OTHER.to_owned()) }
}

/// The sums.
#[derive(Debug, Default)]
pub(super) struct LossTotals {
    rows: BTreeMap<(String, String), Row>,
    /// What was counted of events that may still grow.
    open: HashMap<EventId, u64>,
}

#[derive(Debug, Default)]
struct Row {
    count: u64,
    /// The probe that counts what the lost lines are about.
    counted_by: Option<String>,
}

impl LossTotals {
    /// Takes note of an event, if it reports a loss.
    pub(super) fn note(&mut self, event: &Event) {
        if event.event_type != EventType::PERIPETY_EVENTS_LOST {
            return;
        }
        let before = if event.is_final {
            self.open.remove(&event.event_id)
        } else {
            self.open.insert(event.event_id, event.count)
        };
        let key = key(event, |key| self.rows.len() < ROWS_MAX || self.rows.contains_key(key));
        let row = self.rows.entry(key).or_default();
        row.count = row.count.saturating_add(event.count.saturating_sub(before.unwrap_or(0)));
        if let Some(probe) = event.facts.loss.as_ref().and_then(|loss| loss.counted_by.as_ref()) {
            row.counted_by = Some(probe.clone());
        }
    }

    /// For `prpt stats`.
    pub(super) fn to_json(&self) -> Value {
        let row = |((source, reason), row): (&(String, String), &Row)| json!({ "source": source, "reason": reason, "count": row.count, "counted_by": row.counted_by });
        self.rows.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::fixture::sample;

    #[test]
    fn a_loss_that_grows_counts_once() {
        let mut loss_totals = LossTotals::default();
        let mut event = sample();
        loss_totals.note(&event);
        event.event_type = EventType::PERIPETY_EVENTS_LOST;
        let loss = event.facts.loss.get_or_insert_default();
        (loss.source, loss.reason) = (Some("printk".to_owned()), Some("rate limit".to_owned()));
        for (count, is_final) in [(3, false), (10, false), (12, true), (5, true)] {
            (event.count, event.is_final) = (count, is_final);
            loss_totals.note(&event);
        }
        let reported =
            json!([{ "source": "printk", "reason": "rate limit", "count": 17, "counted_by": null }]);
        assert_eq!(loss_totals.to_json(), reported);
    }
}
