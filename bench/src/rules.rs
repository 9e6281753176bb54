//! All rules on a mixed log, beside one regular expression after the other.

use std::hint::black_box;

use anyhow::{Context as _, Result};
use peripety::internal::{
    parser::rules::RuleSet,
    record::{LogRecord, Stamp},
};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::paired::{Clock, Side, figure};

/// What else the kernel says.
const OTHERS: &[&str] = &[
    "usb 1-1: new high-speed USB device number 3 using xhci_hcd",
    "audit: type=1400 audit(1700000000.123:45): apparmor=\"STATUS\" operation=\"profile_load\"",
    "e1000e 0000:00:1f.6 eth0: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx",
    "systemd[1]: Started Daily apt download activities.",
    "IPv6: ADDRCONF(NETDEV_CHANGE): eth0: link becomes ready",
    "sd 0:0:0:0: [sda] Write Protect is off",
    "TCP: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies.",
    "perf: interrupt took too long (2503 > 2500), lowering kernel.perf_event_max_sample_rate to 79750",
];

/// Each rule's own examples, and so many lines of others after each.
fn log(set: &RuleSet, others_each: usize) -> Vec<LogRecord> {
    let examples = set.rules().iter().filter(|rule| rule.identifiers.is_empty());
    let examples = examples.flat_map(|rule| rule.examples.iter().map(|example| example.line.as_str()));
    let mut others = OTHERS.iter().copied().cycle();
    let mut lines = Vec::new();
    for example in examples {
        lines.push(example);
        lines.extend(others.by_ref().take(others_each));
    }
    lines
        .into_iter()
        .map(|text| LogRecord { level: 3, text: text.to_owned(), ..LogRecord::default() })
        .collect()
}

pub fn run() -> Result<Vec<Value>> {
    let set = RuleSet::built_in();
    // A machine whose disk fails, and the worst that a log can be.
    let logs = [("one line in ten is about storage", 9), ("every line is about storage", 0)];
    logs.into_iter().map(|(what, others)| on(&set, &log(&set, others), what)).collect()
}

fn on(set: &RuleSet, log: &[LogRecord], what: &str) -> Result<Value> {
    let expressions: Vec<Regex> = set
        .rules()
        .iter()
        .map(|rule| {
            RegexBuilder::new(rule.pattern.as_str()).unicode(true).build().with_context(|| rule.name.clone())
        })
        .collect::<Result<_>>()?;
    let time = Stamp { monotonic_ns: Some(1), realtime_us: 1 };
    let mut ours = || {
        for line in log {
            let _event = black_box(set.parse(black_box(line), time));
        }
    };
    let mut one_by_one = || {
        for line in log {
            let _groups = black_box(expressions.iter().find_map(|e| e.captures(black_box(&line.text))));
        }
    };
    // Both compile when they are first used.
    ours();
    one_by_one();
    Ok(figure(
        "rules",
        &format!("{} rules on {} lines, {what}", set.rules().len(), log.len()),
        log.len() as u64,
        Clock::Cpu,
        Side { name: "from line to raw event", run: &mut ours },
        Side { name: "one expression after the other", run: &mut one_by_one },
    ))
}
