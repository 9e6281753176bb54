//! The state of each failure, the worst first: `prpt query -J | cargo run -p peripety-model --example worst`
//!
//! An event that grows is written again with a higher revision: the highest one is its state.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _},
};

use peripety_model::{Event, EventId};

#[expect(clippy::print_stdout, reason = "that is what the example is for")]
fn main() -> io::Result<()> {
    let mut latest: BTreeMap<EventId, Event> = BTreeMap::new();
    for line in io::stdin().lock().lines() {
        let Ok(event) = serde_json::from_str::<Event>(&line?) else { continue };
        let known = latest.get(&event.event_id).map(|known| known.revision);
        if known.is_none_or(|known| known <= event.revision) {
            latest.insert(event.event_id, event);
        }
    }
    let mut events: Vec<_> = latest.into_values().collect();
    events.sort_by_key(|event| (event.severity, event.first_timestamp));
    for event in events {
        println!("{:9} {:6} x {} {}", event.severity, event.count, event.event_type.as_str(), event.msg);
    }
    Ok(())
}
