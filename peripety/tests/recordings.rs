//! Recorded incidents give the events that they gave (promise 8).
//!
//! `tests/recordings/NAME.jsonl.gz` was made by `peripetyd --record`; `NAME.events.jsonl` is what comes of it. After a change
//! that is meant: `PERIPETY_BLESS=1 cargo test -p peripety --test recordings`, then read the difference.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is a test; clippy knows that of functions marked so only"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use peripety::internal::{recording::Replay, state::Table};

fn recordings() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/recordings");
    let mut files: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".jsonl.gz"));
    files.sort();
    files
}

/// All revisions, as `prpt replay --all-revisions --format Json` prints them.
fn replay(file: &Path) -> String {
    let (mut replay, mut events) = (Replay::open(file).unwrap(), Vec::new());
    while replay.step(&mut events).unwrap_or_else(|error| panic!("{}: {error}", file.display())) {}
    let notes = replay.notes();
    assert!(notes.missing == 0 && notes.torn == 0 && !notes.cut, "{}: {notes:?}", file.display());
    events.iter().map(|event| format!("{}\n", serde_json::to_string(event).unwrap())).collect()
}

#[test]
fn every_recording_gives_the_events_that_it_gave() {
    let files = recordings();
    assert!(!files.is_empty());
    for file in files {
        let golden = PathBuf::from(file.to_string_lossy().replace(".jsonl.gz", ".events.jsonl"));
        let events = replay(&file);
        if std::env::var_os("PERIPETY_BLESS").is_some() {
            fs::write(&golden, &events).unwrap();
        }
        let wanted = fs::read_to_string(&golden).unwrap_or_default();
        for (nth, (got, want)) in events.lines().zip(wanted.lines()).enumerate() {
            assert_eq!(got, want, "event {nth} of {}", file.display());
        }
        assert_eq!(events.lines().count(), wanted.lines().count(), "{}", file.display());
    }
}

/// The conditions that were open at any time, in the order in which they came, and those that are open at the end.
fn conditions(name: &str) -> (Vec<String>, Vec<String>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/recordings").join(name);
    let (mut replay, mut events) = (Replay::open(&file).unwrap(), Vec::new());
    while replay.step(&mut events).unwrap() {}
    let (mut table, mut all) = (Table::default(), Vec::new());
    let open = |table: &Table| -> Vec<String> {
        table.conditions().iter().map(|c| format!("{} {}", c.condition, c.device.name)).collect()
    };
    for event in &events {
        table.apply(event);
        all.extend(open(&table));
    }
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|condition| seen.insert(condition.clone()));
    (all, open(&table))
}

#[test]
fn what_is_wrong_is_known_and_what_is_right_again_too() {
    let (all, left) = conditions("md-raid1-6.12.jsonl.gz");
    assert!(all.contains(&"array_degraded md0".to_owned()), "{all:?}");
    assert!(all.contains(&"device_offline sda".to_owned()), "{all:?}");
    assert!(!left.iter().any(|condition| condition.starts_with("array")), "{left:?}");
    let (all, left) = conditions("ext4-on-failing-loop.jsonl.gz");
    for wanted in ["filesystem_shut_down loop0", "filesystem_read_only loop1", "journal_aborted loop1"] {
        assert!(all.contains(&wanted.to_owned()), "{wanted}: {all:?}");
    }
    assert!(
        !left.iter().any(|condition| condition.ends_with("loop1") && !condition.starts_with("device")),
        "{left:?}"
    );
}
