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

use peripety::recording::Replay;

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
