//! Writing events to journald, beside a bare loop that sends the same lines.

use anyhow::{Context as _, Result};
use peripety::internal::{
    Roots,
    event::Event,
    notifier::{
        Notifier as _,
        journald::{Journald, lines, present},
    },
    recording::Replay,
};
use serde_json::{Value, json};

use crate::paired::{Clock, Side, figure};

const EVENTS: u64 = 1000;

/// Events of a recorded incident.
fn events() -> Result<Vec<Event>> {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/recordings/ext4-on-failing-loop.jsonl.gz");
    let mut replay = Replay::open(&file).with_context(|| file.display().to_string())?;
    let mut events = Vec::new();
    while replay.step(&mut events)? {}
    Ok(events)
}

pub fn run() -> Result<Vec<Value>> {
    let roots = Roots::system();
    if !present(&roots) {
        return Ok(vec![
            json!({ "part": "journald", "what": "writing events", "skipped": "no journald runs" }),
        ]);
    }
    let events = events()?;
    let lines: Vec<Vec<String>> = events.iter().map(|event| Ok(lines(event)?)).collect::<Result<_>>()?;
    let mut notifier = Journald::new(&roots);
    let mut failed = 0;
    let count = usize::try_from(EVENTS).unwrap_or_default();
    let mut ours = || {
        for event in events.iter().cycle().take(count) {
            failed += u64::from(notifier.notify(event).is_err());
        }
    };
    let mut refused = 0;
    let mut bare = || {
        for lines in lines.iter().cycle().take(count) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            refused += u64::from(systemd::journal::send(&lines).is_err());
        }
    };
    let figure = figure(
        "journald",
        "writing events",
        EVENTS,
        Clock::Wall,
        Side { name: "from event to journald", run: &mut ours },
        Side { name: "a bare loop of sd_journal_sendv", run: &mut bare },
    );
    anyhow::ensure!(failed + refused == 0, "journald refused {} of the events", failed + refused);
    Ok(vec![figure])
}
