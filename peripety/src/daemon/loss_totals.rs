//! What was lost since the daemon began, by place and reason (promise 1). Every loss is reported as an event; this is their sum.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use crate::event::{Event, EventId, EventType};

/// Kinds of losses that are distinguished; the rest stands under one name.
const ROWS_MAX: usize = 256;

/// The book of losses.
#[derive(Debug, Default)]
pub(super) struct Ledger {
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

impl Ledger {
    /// Takes note of an event, if it reports a loss.
    pub(super) fn note(&mut self, event: &Event) {
        if event.event_type != EventType::PERIPETY_EVENTS_LOST {
            return;
        }
        let loss = event.facts.loss.as_deref().cloned().unwrap_or_default();
        let word = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
        let before = if event.is_final {
            self.open.remove(&event.event_id)
        } else {
            self.open.insert(event.event_id, event.count)
        };
        let mut key = (word(loss.source), word(loss.reason));
        if self.rows.len() >= ROWS_MAX && !self.rows.contains_key(&key) {
            key = ("other".to_owned(), "other".to_owned());
        }
        let row = self.rows.entry(key).or_default();
        row.count = row.count.saturating_add(event.count.saturating_sub(before.unwrap_or(0)));
        if loss.counted_by.is_some() {
            row.counted_by = loss.counted_by;
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
        let mut ledger = Ledger::default();
        let mut event = sample();
        ledger.note(&event);
        event.event_type = EventType::PERIPETY_EVENTS_LOST;
        let loss = event.facts.loss.get_or_insert_default();
        (loss.source, loss.reason) = (Some("printk".to_owned()), Some("rate limit".to_owned()));
        for (count, is_final) in [(3, false), (10, false), (12, true), (5, true)] {
            (event.count, event.is_final) = (count, is_final);
            ledger.note(&event);
        }
        let reported =
            json!([{ "source": "printk", "reason": "rate limit", "count": 17, "counted_by": null }]);
        assert_eq!(ledger.to_json(), reported);
    }
}
