//! Messages as people read them.

use jiff::Timestamp;
use peripety::internal::text::printable;
use peripety_model::Incident;

use crate::message::{Kind, Message};

/// Messages that stand in full when several are sent as one; the others have a line each.
const FULL_MAX: usize = 10;

/// One line.
pub(crate) fn title(message: &Message) -> String {
    let host = message.hostname();
    let (what, after) = match (&message.incident, &message.event) {
        (Some(incident), _) => (incident.title.clone(), incident.severity.as_str()),
        (None, Some(event)) => (event.msg.clone(), event.severity.as_str()),
        (None, None) => ("this is a test message of peripety; nothing is wrong".to_owned(), "test"),
    };
    let before = match message.kind {
        Kind::Opened => match message.incident.as_ref().map_or(1, |incident| incident.episodes) {
            0 | 1 => "",
            _ => "again: ",
        },
        Kind::Worse => "worse: ",
        Kind::Cause => "cause found: ",
        Kind::Resolved => "over: ",
        Kind::Merged => "part of another incident: ",
        Kind::Reminder => "still open: ",
        Kind::Test => "test: ",
        Kind::Event => "",
    };
    let text = format!("{host}: {before}{what} [{after}]");
    printable(&text).into_owned()
}

/// One line for several messages.
pub(crate) fn title_of_all(messages: &[&Message]) -> String {
    match messages {
        [one] => title(one),
        [] => String::new(),
        [first, ..] => {
            let worst = messages.iter().map(|m| m.severity()).min().unwrap_or_else(|| first.severity());
            let host = printable(first.hostname()).into_owned();
            format!("{host}: {} messages, the worst of severity {worst}", messages.len())
        }
    }
}

/// All that a person needs, in lines.
pub(crate) fn body(message: &Message) -> String {
    let mut lines = Vec::new();
    if let Some(incident) = &message.incident {
        of_incident(message, incident, &mut lines);
    } else if let Some(event) = &message.event {
        lines.push(event.msg.clone());
        lines.push(format!(
            "Type: {}, severity: {}, failures: {}",
            event.event_type, event.severity, event.count
        ));
        lines.push(format!("When: {}", span(event.first_timestamp, event.last_timestamp)));
        if let Some(block) = &event.block {
            let id = &block.id;
            let facts = [("", id.name()), ("wwid ", id.wwid.clone()), ("serial ", id.serial.clone())];
            lines.push(format!("Device: {}", known(&facts)));
        }
        lines.extend(event.raw_msgs.iter().take(5).map(|line| format!("Kernel: {line}")));
        lines.push(format!("More: prpt query --event-id {}", event.event_id));
    } else {
        lines.push(
            "This is a test message of peripety, sent by 'prpt notify test'. Nothing is wrong.".to_owned(),
        );
        lines.push(format!("Host: {}, time: {}", message.host, time(message.at)));
    }
    // What the kernel and devices say is not trusted with a terminal.
    lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n")
}

/// The same for several messages.
pub(crate) fn body_of_all(messages: &[&Message]) -> String {
    if let [one] = messages {
        return body(one);
    }
    let mut parts: Vec<String> =
        messages.iter().take(FULL_MAX).map(|m| format!("* {}\n{}", title(m), body(m))).collect();
    if messages.len() > FULL_MAX {
        let rest: Vec<String> = messages.iter().skip(FULL_MAX).map(|m| format!("* {}", title(m))).collect();
        parts.push(rest.join("\n"));
    }
    parts.join("\n\n")
}

fn of_incident(message: &Message, incident: &Incident, lines: &mut Vec<String>) {
    lines.push(incident.title.clone());
    let state = match message.kind {
        Kind::Merged => incident.superseded_by.map(|id| format!("part of incident {id}")),
        _ => None,
    };
    let state = state.unwrap_or_else(|| incident.state.as_str().to_owned());
    lines.push(format!("Severity: {}, state: {state}", incident.severity));
    lines.push(format!("When: {}", span(incident.opened, incident.resolved.unwrap_or(incident.updated))));
    if let Some(by) = &incident.resolved_by {
        lines.push(format!("Over because: {by}"));
    }
    let cause = &incident.cause;
    lines.push(format!("Cause: {} ({}, {})", cause.name, cause.kind.words(), cause.certainty.as_str()));
    if let Some(device) = &cause.device {
        let facts = [
            ("", device.path.clone()),
            ("wwid ", device.wwid.clone()),
            ("serial ", device.serial.clone()),
            ("", device.model.clone()),
            ("at ", device.place.clone()),
        ];
        lines.push(format!("Device: {}", known(&facts)));
    }
    let impact: Vec<&str> = incident.impact.kinds.iter().map(|kind| kind.words()).collect();
    if !impact.is_empty() {
        lines.push(format!("Impact: {}", impact.join(", ")));
    }
    if !incident.impact.mount_points.is_empty() {
        lines.push(format!("Mounted at: {}", incident.impact.mount_points.join(", ")));
    }
    lines.push(format!("Failures: {} in {} events", incident.failures, incident.event_count));
    lines.extend(incident.actions.iter().map(|action| format!("Do: {action}")));
    lines.push(format!("More: prpt explain {}", incident.incident_id));
}

fn known(facts: &[(&str, String)]) -> String {
    let known = facts.iter().filter(|(_, value)| !value.is_empty());
    known.map(|(what, value)| format!("{what}{value}")).collect::<Vec<_>>().join(", ")
}

fn span(from: Timestamp, to: Timestamp) -> String {
    if from == to { time(from) } else { format!("{} to {}", time(from), time(to)) }
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
