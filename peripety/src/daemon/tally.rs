//! Counts for metrics: failures by device, type, operation and errno, and losses. They only grow, also over a restart of the
//! daemon within a boot (promise 1), and are as exact as the counts of events, which are those of the kernel.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::loss_totals::{self, OTHER};
use crate::{
    checkpoint::Checkpoint,
    event::{Event, EventId, EventType, Nature, Op},
};

/// Rows that are distinguished; what is more is counted for the device alone, then for no device.
const ROWS_MAX: usize = 4096;
const DEVICES_MAX: usize = 2048;
/// Events that may grow.
const OPEN_MAX: usize = 65_536;

/// What failures are counted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Row {
    /// The kernel's name of the device.
    device: String,
    wwid: String,
    #[serde(rename = "type")]
    event_type: String,
    op: String,
    errno: String,
    /// A request failed that was made of the device, and not something above it.
    io: bool,
}

/// What changed, or all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedTally {
    rows: Vec<(Row, u64)>,
    losses: Vec<((String, String), u64)>,
    /// Of events that may grow, what is counted; none of one that is complete.
    open: Vec<(EventId, Option<u64>)>,
}

impl SavedTally {
    /// Takes what was written later.
    pub fn take(&mut self, later: Self) {
        fn merge<K: Ord, V>(mine: &mut Vec<(K, V)>, later: Vec<(K, V)>) {
            let mut all: BTreeMap<K, V> = std::mem::take(mine).into_iter().collect();
            all.extend(later);
            *mine = all.into_iter().collect();
        }
        merge(&mut self.rows, later.rows);
        merge(&mut self.losses, later.losses);
        merge(&mut self.open, later.open);
        self.open.retain(|(_, count)| count.is_some());
    }
}

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    rows: BTreeMap<Row, u64>,
    devices: BTreeSet<String>,
    losses: BTreeMap<(String, String), u64>,
    open: HashMap<EventId, u64>,
    changed_rows: BTreeSet<Row>,
    changed_losses: BTreeSet<(String, String)>,
    changed_open: BTreeSet<EventId>,
}

impl Tally {
    /// Takes note of an event on its way out.
    pub(super) fn note(&mut self, event: &Event) {
        let is_fault = event.event_type.info().is_none_or(|info| info.nature == Nature::Fault);
        if !is_fault {
            return;
        }
        let before = self.open.get(&event.event_id).copied().unwrap_or(0);
        let more = event.count.saturating_sub(before);
        if event.is_final {
            if self.open.remove(&event.event_id).is_some() {
                self.changed_open.insert(event.event_id);
            }
        } else if self.open.len() < OPEN_MAX || self.open.contains_key(&event.event_id) {
            self.open.insert(event.event_id, event.count);
            self.changed_open.insert(event.event_id);
        }
        if event.event_type == EventType::PERIPETY_EVENTS_LOST {
            let key =
                loss_totals::key(event, |key| self.losses.len() < ROWS_MAX || self.losses.contains_key(key));
            add(self.losses.entry(key.clone()).or_default(), more);
            self.changed_losses.insert(key);
            return;
        }
        let row = self.bounded(row(event));
        add(self.rows.entry(row.clone()).or_default(), more);
        self.changed_rows.insert(row);
    }

    /// The row that it is counted in.
    fn bounded(&mut self, mut row: Row) -> Row {
        let device = format!("{} {}", row.device, row.wwid);
        if self.devices.len() >= DEVICES_MAX && !self.devices.contains(&device) {
            (row.device, row.wwid) = (OTHER.to_owned(), String::new());
        } else {
            self.devices.insert(device);
        }
        if self.rows.len() >= ROWS_MAX && !self.rows.contains_key(&row) {
            (row.event_type, row.op, row.errno) = (OTHER.to_owned(), String::new(), String::new());
        }
        row
    }

    /// For the metrics.
    pub(super) fn to_json(&self) -> (Value, Value) {
        let failures = self.rows.iter().map(|(row, count)| {
            let mut json = serde_json::to_value(row).unwrap_or_default();
            if let Value::Object(all) = &mut json {
                all.insert("count".to_owned(), (*count).into());
            }
            json
        });
        let losses = self.losses.iter();
        let losses =
            losses.map(|((source, reason), n)| json!({ "source": source, "reason": reason, "count": n }));
        (failures.collect(), losses.collect())
    }
}

impl Checkpoint for Tally {
    type State = SavedTally;

    fn save(&mut self, all: bool) -> Option<SavedTally> {
        let rows = std::mem::take(&mut self.changed_rows);
        let losses = std::mem::take(&mut self.changed_losses);
        let open = std::mem::take(&mut self.changed_open);
        if all {
            return Some(SavedTally {
                rows: self.rows.iter().map(|(row, n)| (row.clone(), *n)).collect(),
                losses: self.losses.iter().map(|(key, n)| (key.clone(), *n)).collect(),
                open: self
                    .open
                    .iter()
                    .map(|(id, n)| (*id, Some(*n)))
                    .collect::<BTreeMap<_, _>>()
                    .into_iter()
                    .collect(),
            });
        }
        if rows.is_empty() && losses.is_empty() && open.is_empty() {
            return None;
        }
        let count = |row: Row| self.rows.get(&row).map(|n| (row.clone(), *n));
        let lost = |key: (String, String)| self.losses.get(&key).map(|n| (key.clone(), *n));
        Some(SavedTally {
            rows: rows.into_iter().filter_map(count).collect(),
            losses: losses.into_iter().filter_map(lost).collect(),
            open: open.into_iter().map(|id| (id, self.open.get(&id).copied())).collect(),
        })
    }

    fn restore(&mut self, state: SavedTally) {
        let devices = state.rows.iter().map(|(row, _)| format!("{} {}", row.device, row.wwid)).collect();
        *self = Self {
            devices,
            rows: state.rows.into_iter().collect(),
            losses: state.losses.into_iter().collect(),
            open: state.open.into_iter().filter_map(|(id, n)| Some((id, n?))).collect(),
            ..Self::default()
        };
    }
}

fn add(count: &mut u64, more: u64) {
    *count = count.saturating_add(more);
}

fn row(event: &Event) -> Row {
    let id = event.block.as_deref().map(|block| &block.id);
    let path = id.map_or(event.kdev.as_str(), |id| id.blk_path.as_str());
    let io = event.io.as_ref();
    let of_fs = event.event_type.info().is_some_and(|info| info.sub_system == "fs");
    let errno = io.and_then(|io| io.errno_name.clone().or_else(|| io.errno.map(|errno| errno.to_string())));
    Row {
        device: path.strip_prefix("/dev/").unwrap_or(path).to_owned(),
        wwid: id.map(|id| id.wwid.clone()).unwrap_or_default(),
        event_type: event.event_type.as_str().to_owned(),
        op: io.map_or("", |io| if io.op == Op::Unknown { "" } else { io.op.as_str() }).to_owned(),
        errno: errno.unwrap_or_default(),
        io: io.is_some() && !of_fs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{checkpoint::assert_survives, notifier::fixture::sample};

    fn counts(tally: &Tally) -> Vec<u64> {
        tally.rows.values().copied().collect()
    }

    #[test]
    fn an_event_that_grows_counts_once_also_over_a_restart() {
        let (mut tally, mut event) = (Tally::default(), sample());
        (event.count, event.is_final) = (3, false);
        tally.note(&event);
        event.count = 10;
        tally.note(&event);
        assert_eq!(counts(&tally), [10]);
        let mut tally = assert_survives(&mut tally);
        (event.count, event.is_final) = (12, true);
        tally.note(&event);
        assert_eq!((counts(&tally), tally.open.len()), (vec![12], 0));
        event.event_id = uuid::Uuid::from_u128(1);
        tally.note(&event);
        assert_eq!(counts(&tally), [24]);
    }

    #[test]
    fn what_is_written_in_parts_is_the_whole() {
        let (mut tally, mut event, mut saved) = (Tally::default(), sample(), SavedTally::default());
        for (n, is_final) in [(1, false), (5, false), (9, true)] {
            (event.count, event.is_final) = (n, is_final);
            tally.note(&event);
            saved.take(tally.save(false).unwrap());
        }
        event.event_type = EventType::PERIPETY_EVENTS_LOST;
        event.event_id = uuid::Uuid::from_u128(2);
        tally.note(&event);
        saved.take(tally.save(false).unwrap());
        assert_eq!(tally.save(false), None);
        assert_eq!(Some(saved), tally.save(true));
    }

    #[test]
    fn rows_are_bounded_and_no_failure_goes_uncounted() {
        let (mut tally, mut event) = (Tally::default(), sample());
        event.count = 1;
        for n in 0..10_000_u128 {
            event.event_id = uuid::Uuid::from_u128(n);
            event.block = None;
            event.kdev = format!("sd{}", n % 5000);
            event.event_type = EventType::new(format!("MINE_{}", n % 7));
            tally.note(&event);
        }
        assert!(tally.rows.len() <= ROWS_MAX + DEVICES_MAX + 8, "{}", tally.rows.len());
        assert_eq!(counts(&tally).iter().sum::<u64>(), 10_000);
    }
}
