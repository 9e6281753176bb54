//! Whether a machine gave what a scenario expects.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    events::Given,
    scenario::{Expect, Scenario, is_listed},
};

/// Severities from warning on.
const GRAVE: &[&str] = &["emergency", "alert", "critical", "error", "warning"];

/// All that is wrong, one line each.
pub fn check(scenario: &Scenario, kernel: &str, given: &Given) -> Result<Vec<String>> {
    let mut wrong = of_the_machine(given);
    let mut claimed = vec![false; given.events.len()];
    let mut last_start = String::new();
    for expect in scenario.expect.iter().filter(|e| is_listed(&e.kernels, kernel)) {
        let what = described(expect, &given.facts);
        let found: Vec<_> = (given.events.iter().zip(&mut claimed))
            .filter(|(event, is_claimed)| !**is_claimed && expected(expect, event, &given.facts))
            .map(|(event, is_claimed)| {
                *is_claimed = true;
                event
            })
            .collect();
        if !Range::parse(&expect.events)?.has(found.len() as f64) {
            wrong.push(format!("{what}: {} events, expected {}", found.len(), expect.events));
        }
        if let Some(count) = &expect.count {
            let total: u64 = found.iter().filter_map(|event| event["count"].as_u64()).sum();
            if !Range::parse(&filled(count, &given.facts))?.has(total as f64) {
                wrong.push(format!("{what}: count {total}, expected {count}"));
            }
        }
        for event in &found {
            for (pointer, pattern) in &expect.fields {
                let pattern = filled(pattern, &given.facts);
                let value = &at(event, pointer);
                if !fits(&pattern, value) {
                    wrong.push(format!("{what}: {pointer} is {value}, expected {pattern}"));
                }
            }
            if let Some(cause) = &expect.cause {
                let id = &event["root_cause_event_id"];
                let found = given.events.iter().find(|e| !id.is_null() && &e["event_id"] == id);
                let named = found.map_or("none", |e| e["event_type"].as_str().unwrap_or_default());
                if !matches(cause, named) {
                    wrong.push(format!("{what}: its cause is {named}, expected {cause}"));
                }
            }
        }
        if scenario.ordered
            && let Some(first) = found.first()
        {
            let start = first["first_timestamp"].as_str().unwrap_or_default();
            if start < last_start.as_str() {
                wrong.push(format!("{what}: begins at {start}, before what is expected before it"));
            }
            last_start = start.to_owned();
        }
    }
    let allowed = |event: &Value| {
        let mut allow = scenario.allow.iter().filter(|a| is_listed(&a.kernels, kernel));
        allow.any(|a| selects(&a.kind, a.device.as_deref(), event, &given.facts))
    };
    for (event, _claimed) in given.events.iter().zip(claimed).filter(|(_event, claimed)| !claimed) {
        if GRAVE.contains(&text(event, "/severity")) && !allowed(event) {
            wrong.push(format!("not expected: {}", short(event)));
        }
    }
    wrong.extend(of_incidents(scenario, kernel, given)?);
    wrong.extend(of_status(scenario, given));
    Ok(wrong)
}

/// Where the incidents differ from those that the scenario must give.
fn of_incidents(scenario: &Scenario, kernel: &str, given: &Given) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let mut claimed = vec![false; given.incidents.len()];
    for expect in scenario.incidents.iter().filter(|e| is_listed(&e.kernels, kernel)) {
        let (cause, event) = (filled(&expect.cause, &given.facts), filled(&expect.event, &given.facts));
        let what = format!("incident of {cause} ({event})");
        // Two devices of one name have different ids.
        let wwid = expect.fields.get("/cause/device/wwid").map(|wwid| filled(wwid, &given.facts));
        let mut found = Vec::new();
        for (incident, is_claimed) in given.incidents.iter().zip(&mut claimed) {
            if !*is_claimed
                && matches(&cause, text(incident, "/cause/name"))
                && matches(&event, cause_type(incident))
                && wwid.as_ref().is_none_or(|wwid| matches(wwid, text(incident, "/cause/device/wwid")))
            {
                *is_claimed = true;
                found.push(incident);
            }
        }
        if !Range::parse(&expect.number)?.has(found.len() as f64) {
            wrong.push(format!("{what}: {} incidents, expected {}", found.len(), expect.number));
        }
        for incident in found {
            let mut fields = expect.fields.clone();
            for (pointer, pattern) in [
                ("/cause/kind", &expect.kind),
                ("/impact/kinds/0", &expect.impact),
                ("/state", &expect.state),
                ("/episodes", &expect.episodes),
            ] {
                fields.insert(pointer.to_owned(), pattern.clone());
            }
            for (pointer, pattern) in &fields {
                let pattern = filled(pattern, &given.facts);
                let value = &at(incident, pointer);
                if !fits(&pattern, value) {
                    wrong.push(format!("{what}: {pointer} is {value}, expected {pattern}"));
                }
            }
            let types = at(incident, "/events/*/event_type");
            let types: Vec<&str> = types.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            for pattern in &expect.has {
                if !types.iter().any(|kind| matches(pattern, kind)) {
                    wrong.push(format!("{what}: none of its events is {pattern}: {types:?}"));
                }
            }
        }
    }
    for (incident, _claimed) in given.incidents.iter().zip(claimed).filter(|(_incident, claimed)| !claimed) {
        let title = text(incident, "/title");
        wrong.push(format!("incident of {} not expected: {title}", text(incident, "/cause/name")));
    }
    Ok(wrong)
}

/// The type of the event that is an incident's cause.
fn cause_type(incident: &Value) -> &str {
    let Some(id) = incident.pointer("/cause/event_id") else { return "-" };
    let mut events = incident["events"].as_array().into_iter().flatten();
    events.find(|event| &event["event_id"] == id).map_or("-", |event| text(event, "/event_type"))
}

/// Where the status differs from what the scenario leaves behind.
fn of_status(scenario: &Scenario, given: &Given) -> Vec<String> {
    let Some(expected) = &scenario.status else { return Vec::new() };
    let mut listed: Vec<&String> = given.status.iter().collect();
    let mut wrong = Vec::new();
    for pattern in expected {
        let pattern = filled(pattern, &given.facts);
        match listed.iter().position(|problem| matches(&pattern, problem)) {
            Some(place) => drop(listed.remove(place)),
            None => wrong.push(format!("status: {pattern} is not listed")),
        }
    }
    wrong.extend(listed.iter().map(|problem| format!("status: lists {problem}, which is not expected")));
    wrong
}

/// What holds in every scenario.
fn of_the_machine(given: &Given) -> Vec<String> {
    let mut wrong = Vec::new();
    if given.script != 0 {
        wrong.push(format!("the scenario's script ended with {}: see given/script.log", given.script));
    }
    if !given.replay_diff.is_empty() {
        wrong.push("a replay of the recording gives other events: see given/replay.diff".to_owned());
    }
    for (key, good) in [("ActiveState", "active"), ("NRestarts", "0")] {
        let is = given.service.get(key).map_or("", String::as_str);
        if is != good {
            wrong.push(format!("peripetyd: {key} is {is:?}, expected {good}: see given/daemon.log"));
        }
    }
    wrong
}

fn described(expect: &Expect, facts: &BTreeMap<String, String>) -> String {
    match &expect.device {
        Some(device) => format!("{} of {}", expect.kind, filled(device, facts)),
        None => expect.kind.clone(),
    }
}

fn short(event: &Value) -> String {
    let device = event.pointer("/block/blk_path").and_then(Value::as_str).unwrap_or("no device");
    format!(
        "{} {} {device} x{}: {}",
        text(event, "/severity"),
        text(event, "/event_type"),
        event["count"],
        text(event, "/msg")
    )
}

fn text<'a>(event: &'a Value, pointer: &str) -> &'a str {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Whether an expectation is about this event.
fn expected(expect: &Expect, event: &Value, facts: &BTreeMap<String, String>) -> bool {
    selects(&expect.kind, expect.device.as_deref(), event, facts)
        && expect
            .selected_by
            .iter()
            .all(|(pointer, pattern)| fits(&filled(pattern, facts), &at(event, pointer)))
}

fn selects(kind: &str, device: Option<&str>, event: &Value, facts: &BTreeMap<String, String>) -> bool {
    let path = event.pointer("/block/blk_path").and_then(Value::as_str).unwrap_or("-");
    matches(kind, text(event, "/event_type"))
        && device.is_none_or(|pattern| matches(&filled(pattern, facts), path))
}

/// The value at a place of an event. A `*` in the pointer stands for all members of a list, whose values come sorted.
fn at(event: &Value, pointer: &str) -> Value {
    let Some((list, rest)) = pointer.split_once("/*") else {
        return event.pointer(pointer).cloned().unwrap_or(Value::Null);
    };
    let members = event.pointer(list).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut values: Vec<_> = members.iter().map(|member| at(member, rest)).collect();
    values.sort_by_key(Value::to_string);
    Value::Array(values)
}

/// `{name}` replaced by the fact of that name; one that is not there stays, and fits nothing.
fn filled(pattern: &str, facts: &BTreeMap<String, String>) -> String {
    facts.iter().fold(pattern.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// Whether a value of JSON fits: a number in a range, a list by any of its members or all joined, text by pattern.
fn fits(pattern: &str, value: &Value) -> bool {
    match value {
        Value::Number(n) => Range::parse(pattern).is_ok_and(|range| n.as_f64().is_some_and(|n| range.has(n))),
        Value::String(s) => matches(pattern, s),
        Value::Array(list) => {
            let texts: Vec<_> =
                list.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect();
            matches(pattern, &texts.join(","))
        }
        Value::Null => matches(pattern, "-"),
        other => matches(pattern, &other.to_string()),
    }
}

/// `*` stands for anything, `|` for or.
fn matches(pattern: &str, text: &str) -> bool {
    pattern.split('|').any(|one| glob(one.as_bytes(), text.as_bytes()))
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|at| text.get(at..).is_some_and(|text| glob(rest, text))),
        Some((c, rest)) => text.split_first().is_some_and(|(t, text)| c == t && glob(rest, text)),
    }
}

/// `3`, `3..`, `3..5` with both ends in it.
struct Range(f64, f64);

impl Range {
    fn parse(text: &str) -> Result<Self> {
        let number =
            |text: &str| text.trim().parse::<f64>().with_context(|| format!("{text:?} is no number"));
        Ok(match text.split_once("..") {
            None => Self(number(text)?, number(text)?),
            Some((low, "")) => Self(number(low)?, f64::INFINITY),
            Some((low, high)) => Self(number(low)?, number(high)?),
        })
    }

    fn has(&self, n: f64) -> bool {
        (self.0..=self.1).contains(&n)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scenario(text: &str) -> Scenario {
        toml::from_str(text).unwrap()
    }

    fn given(events: Vec<Value>) -> Given {
        let service = [("ActiveState", "active"), ("NRestarts", "0")];
        Given {
            events,
            incidents: Vec::new(),
            facts: [("disk".to_owned(), "sda".to_owned())].into(),
            service: service.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            replay_diff: String::new(),
            status: vec!["sda: disk_failing".to_owned()],
            script: 0,
        }
    }

    #[test]
    fn a_star_in_a_pointer_gives_what_all_members_have_sorted() {
        let event =
            json!({ "block": { "owners": [{ "blk_path": "/dev/sdb" }, { "blk_path": "/dev/sda" }] } });
        let owners = at(&event, "/block/owners/*/blk_path");
        assert!(fits("/dev/sda,/dev/sdb", &owners));
        assert!(!fits("/dev/sda", &owners));
        assert!(fits("", &at(&event, "/block/holders/*/blk_path")));
    }

    fn event(kind: &str, device: &str, count: u64) -> Value {
        json!({ "event_type": kind, "severity": "error", "count": count, "event_id": kind, "block": { "blk_path": device } })
    }

    #[test]
    fn what_is_expected_passes_and_each_difference_is_told() {
        let scene = scenario(
            "summary = ''\nrun = ''\n[[expect]]\ntype = 'A'\ndevice = '/dev/{disk}'\ncount = '2..3'\nfields = { '/severity' = 'error' }\n",
        );
        let wrong = |events| check(&scene, "6.1", &given(events)).unwrap();
        assert!(wrong(vec![event("A", "/dev/sda", 2)]).is_empty());
        assert_eq!(wrong(vec![]).len(), 2);
        assert_eq!(wrong(vec![event("A", "/dev/sda", 4)]).len(), 1);
        assert_eq!(wrong(vec![event("A", "/dev/sda", 1), event("A", "/dev/sda", 1)]).len(), 1);
        let other_device = wrong(vec![event("A", "/dev/sda", 2), event("A", "/dev/sdb", 2)]);
        assert!(
            matches!(other_device.as_slice(), [one] if one.starts_with("not expected: error A /dev/sdb"))
        );
    }

    #[test]
    fn the_status_lists_what_is_wrong_and_nothing_else() {
        let wrong = |status: &str| {
            let scene = scenario(&format!("summary = ''\nrun = ''\n{status}"));
            check(&scene, "6.1", &given(Vec::new())).unwrap()
        };
        assert!(wrong("").is_empty() && wrong("status = ['{disk}: disk_*']").is_empty());
        assert_eq!(wrong("status = []"), ["status: lists sda: disk_failing, which is not expected"]);
        assert_eq!(
            wrong("status = ['{disk}: disk_*', 'sdb: disk_*']"),
            ["status: sdb: disk_* is not listed"]
        );
    }

    #[test]
    fn incidents_are_those_that_are_expected_and_no_others() {
        let scene = scenario(
            "summary = ''\nrun = ''\n[[incident]]\ncause = '{disk}'\nevent = 'A'\nkind = 'medium'\nimpact = 'data_at_risk'\nstate = 'open'\nhas = ['B*']\n",
        );
        let incident = |name: &str, state: &str, also: &str| {
            json!({
                "title": name, "state": state, "episodes": 1,
                "cause": { "name": name, "kind": "medium", "event_id": "1" },
                "impact": { "kinds": ["data_at_risk"] },
                "events": [{ "event_id": "1", "event_type": "A" }, { "event_id": "2", "event_type": also }],
            })
        };
        let wrong = |incidents| check(&scene, "6.1", &Given { incidents, ..given(Vec::new()) }).unwrap();
        assert!(wrong(vec![incident("sda", "open", "BB")]).is_empty());
        assert_eq!(wrong(vec![]), ["incident of sda (A): 0 incidents, expected 1"]);
        assert_eq!(wrong(vec![incident("sda", "resolved", "C")]).len(), 2);
        let more = wrong(vec![incident("sda", "open", "BB"), incident("sdb", "open", "BB")]);
        assert_eq!(more, ["incident of sdb not expected: sdb"]);
    }

    #[test]
    fn patterns_and_ranges() {
        assert!(matches("SCSI_*|ATA_*", "ATA_TIMEOUT") && !matches("SCSI_*", "ATA_TIMEOUT"));
        assert!(fits("1..2", &json!(2)) && !fits("1..2", &json!(3)) && fits("live|-", &Value::Null));
        assert!(fits("*/mnt*", &json!(["/", "/mnt"])));
    }
}
