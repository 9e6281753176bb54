//! All that is known about an event, as rows of name and value.

use serde_json::Value;

use super::{Style, time};
use crate::{
    block::{BlkId, Identity},
    event::{Errno, Event, Io, SectorRange},
    text::printable,
};

/// Entries of a list that are shown; the rest is counted.
const MOST: usize = 8;

pub(super) fn lines(event: &Event, style: &Style) -> Vec<(String, String)> {
    let mut rows = Rows::default();
    let last = if event.is_final { ", final" } else { "" };
    rows.add("event", format!("{} revision {}{last}", event.event_id, event.revision));
    rows.add("cause", event.root_cause_event_id.map(|id| id.to_string()).unwrap_or_default());
    rows.add("incident", event.incident_id.map(|id| id.to_string()).unwrap_or_default());
    rows.add("part", format!("{} on {}", event.sub_system, event.hostname));
    if event.count > 1 {
        let (first, last) = (time(event.first_timestamp, style), time(event.last_timestamp, style));
        rows.add("count", format!("{} from {first} to {last}", event.count));
    }
    if let Some(block) = &event.block {
        rows.add("device", device(&block.id));
        for owner in block.owners.iter().take(MOST) {
            rows.add("made of", device(owner));
        }
        for holder in block.holders.iter().take(MOST) {
            rows.add("used by", device(holder));
        }
        let more = block.owners.len().saturating_sub(MOST) + block.holders.len().saturating_sub(MOST);
        rows.add("", if more > 0 { format!("and {more} devices more") } else { String::new() });
    } else {
        rows.add("device", event.kdev.clone());
    }
    rows.add("request", event.io.as_ref().map(request).unwrap_or_default());
    rows.add("sectors", sectors(&event.sector_ranges));
    rows.add(
        "lost",
        if event.lost_before > 0 {
            format!("{} records before this", event.lost_before)
        } else {
            String::new()
        },
    );
    for (path, value) in event.facts.rows() {
        rows.add(&path, value);
    }
    for (key, value) in &event.extension {
        rows.add(key, text(value));
    }
    rows.add("sources", event.sources.join(", "));
    for raw in &event.raw_msgs {
        rows.add("kernel", raw.clone());
    }
    rows.0
}

#[derive(Default)]
struct Rows(Vec<(String, String)>);

impl Rows {
    fn add(&mut self, name: &str, value: String) {
        if !value.is_empty() {
            self.0.push((printable(name).into_owned(), printable(&value).into_owned()));
        }
    }
}

fn device(id: &BlkId) -> String {
    let mut words = vec![id.name()];
    let mut word = |name: &str, value: &str| {
        if !value.is_empty() {
            words.push(format!("{name}{value}"));
        }
    };
    if id.blk_path != id.name() {
        word("", &id.blk_path);
    }
    if !id.dev.is_none() {
        word("", &id.dev.to_string());
    }
    word(
        "",
        match id.identity {
            Identity::Live => "",
            Identity::Removed => "(removed)",
            Identity::Unknown => "(only the name is known)",
        },
    );
    word("wwid ", &id.wwid);
    word("", &id.vendor);
    word("", &id.model);
    word("serial ", &id.serial);
    word("at ", &id.transport_id);
    word("", &id.fs_type);
    word("uuid ", &id.uuid);
    word("label ", &id.label);
    word("on ", &id.mount_points.join(", "));
    words.join(" ")
}

fn request(io: &Io) -> String {
    let mut words = vec![io.op.as_str().to_owned()];
    if let Some(n) = io.nr_sectors {
        words.push(format!("of {n} sectors"));
    }
    if let Some(sector) = io.sector {
        words.push(format!("at {sector}"));
    }
    match (&io.errno_name, io.errno.map(Errno::raw)) {
        (Some(name), Some(number)) => words.push(format!("failed with {name} ({number})")),
        (None, Some(number)) => words.push(format!("failed with errno {number}")),
        (Some(name), None) => words.push(format!("failed with {name}")),
        (None, None) => {}
    }
    if let Some(lba) = io.bad_lba {
        words.push(format!("the bad block is {lba}"));
    }
    words.join(" ")
}

fn sectors(ranges: &[SectorRange]) -> String {
    let mut words: Vec<_> = ranges
        .iter()
        .take(MOST)
        .map(|r| if r.start == r.end { r.start.to_string() } else { format!("{}-{}", r.start, r.end) })
        .collect();
    if ranges.len() > MOST {
        words.push(format!("and {} ranges more", ranges.len() - MOST));
    }
    words.join(" ")
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
