//! The API: JSON.

use jiff::Timestamp;
use peripety_model::IncidentId;
use serde_json::{Value, json};

use super::routes::{Answer, Asked, openapi as described};
use crate::{
    fleet::Grouping,
    store::{Act, StoreError, Stored},
};

/// Rows of a list, by default and at most.
const LIMIT: (usize, usize) = (1000, 10_000);
/// Bytes of a reason.
const REASON_MAX: usize = 1000;

fn done<T: Into<Answer>>(result: Result<Value, T>) -> Answer {
    match result {
        Ok(value) => Answer::json(&value),
        Err(error) => error.into(),
    }
}

pub(super) fn id(text: &str) -> Result<IncidentId, Answer> {
    text.parse().map_err(|_error| Answer::wrong("400 Bad Request", "give the id of an incident: a UUID"))
}

pub(super) fn status(asked: &Asked<'_>, _: &[String]) -> Answer {
    let shared = asked.shared;
    let fleet = shared.fleet();
    Answer::json(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "taken": shared.taken,
        "refused": shared.refused,
        "trouble": shared.trouble(),
        "open": fleet.open().len(),
        "clusters": fleet.clusters().len(),
        "hosts": fleet.hosts().len(),
    }))
}

pub(super) fn incidents(asked: &Asked<'_>, _: &[String]) -> Answer {
    let limit = asked.query("limit").and_then(|limit| limit.parse().ok()).unwrap_or(LIMIT.0).min(LIMIT.1);
    let (host, text) = (asked.query("host"), asked.query("q"));
    if asked.query("state").as_deref() != Some("all") {
        let fleet = asked.shared.fleet();
        let fits = |open: &&&crate::fleet::Open| {
            host.as_ref().is_none_or(|host| open.host == *host)
                && text.as_ref().is_none_or(|text| open.title.contains(text.as_str()))
        };
        let open = fleet.open();
        let shown: Vec<_> = open.iter().filter(fits).take(limit).collect();
        return Answer::json(&json!({ "incidents": shown, "open": open.len() }));
    }
    let mut found = Vec::new();
    let result = asked.shared.store.each_incident(|stored| {
        if fits(&stored, host.as_deref(), text.as_deref()) {
            found.push(stored);
        }
        found.len() < limit
    });
    done(result.map(|()| {
        found.sort_by_key(|stored| std::cmp::Reverse(stored.incident.opened));
        json!({ "incidents": found })
    }))
}

/// Whether what was asked for stands in it: title, device, model, host.
fn fits(stored: &Stored, host: Option<&str>, text: Option<&str>) -> bool {
    let incident = &stored.incident;
    let device =
        incident.cause.device.iter().flat_map(|device| [&device.wwid, &device.serial, &device.model]);
    let mut all = [&incident.title, &incident.hostname, &incident.cause.name].into_iter().chain(device);
    host.is_none_or(|host| incident.hostname == host)
        && text.is_none_or(|text| all.any(|one| one.contains(text)))
}

pub(super) fn incident(asked: &Asked<'_>, parts: &[String]) -> Answer {
    let id = match id(parts.first().map_or("", String::as_str)) {
        Ok(id) => id,
        Err(answer) => return answer,
    };
    let store = &asked.shared.store;
    let read = || -> Result<Option<Value>, StoreError> {
        let Some(stored) = store.incident(id)? else { return Ok(None) };
        let (events, acknowledged) = (store.events(id)?, store.acknowledged(id)?);
        Ok(Some(json!({ "site": stored.site, "cluster": stored.cluster, "incident": stored.incident,
            "events": events, "acknowledged": acknowledged })))
    };
    match read() {
        Ok(Some(value)) => Answer::json(&value),
        Ok(None) => Answer::wrong("404 Not Found", "there is no such incident"),
        Err(error) => error.into(),
    }
}

/// Writes down that somebody knows of an incident.
pub(super) fn note(asked: &Asked<'_>, target: &str, reason: &str) -> Result<(), Answer> {
    let id = id(target)?;
    if reason.trim().is_empty() || reason.len() > REASON_MAX {
        return Err(Answer::wrong("400 Bad Request", "give a reason of at most 1000 bytes"));
    }
    if asked.shared.store.incident(id)?.is_none() {
        return Err(Answer::wrong("404 Not Found", "there is no such incident"));
    }
    let act = act(asked, "acknowledge", target, reason);
    Ok(asked.shared.store.acknowledge(id, &act)?)
}

fn act(asked: &Asked<'_>, what: &str, target: &str, reason: &str) -> Act {
    let text = |text: &str| text.trim().to_owned();
    let (by, target, reason) = (text(asked.who), text(target), text(reason));
    Act { by, at: Timestamp::now(), what: what.to_owned(), target, reason }
}

pub(super) fn acknowledge(asked: &Asked<'_>, parts: &[String]) -> Answer {
    let body: Value = serde_json::from_slice(asked.body).unwrap_or_default();
    let reason = body.get("reason").and_then(Value::as_str).unwrap_or_default();
    match note(asked, parts.first().map_or("", String::as_str), reason) {
        Ok(()) => Answer::json(&json!({ "acknowledged": true })),
        Err(answer) => answer,
    }
}

pub(super) fn clusters(asked: &Asked<'_>, _: &[String]) -> Answer {
    if asked.query("state").as_deref() == Some("all") {
        return done(asked.shared.store.clusters().map(|clusters| json!({ "clusters": clusters })));
    }
    Answer::json(&json!({ "clusters": asked.shared.fleet().clusters() }))
}

pub(super) fn hosts(asked: &Asked<'_>, _: &[String]) -> Answer {
    Answer::json(&json!({ "hosts": asked.shared.fleet().hosts() }))
}

pub(super) fn forget(asked: &Asked<'_>, parts: &[String]) -> Answer {
    let key = parts.first().map_or("", String::as_str);
    if !asked.shared.fleet().hosts().contains_key(key) {
        return Answer::wrong("404 Not Found", "there is no such host; its key is SITE.HOST");
    }
    let act = act(asked, "forget", key, "");
    if let Err(error) = asked.shared.store.forget(key, &act) {
        return error.into();
    }
    asked.shared.fleet().forget(key, act.at);
    Answer::json(&json!({ "forgotten": key }))
}

pub(super) fn conditions(asked: &Asked<'_>, _: &[String]) -> Answer {
    Answer::json(&json!({ "conditions": asked.shared.fleet().conditions(Timestamp::now()) }))
}

pub(super) fn device(asked: &Asked<'_>, _: &[String]) -> Answer {
    let wwid = asked.query("wwid").unwrap_or_default();
    done(asked.shared.store.device(&wwid).map(|found| json!({ "wwid": wwid, "incidents": found })))
}

pub(super) fn groups(asked: &Asked<'_>, _: &[String]) -> Answer {
    let (mut grouping, now) = (Grouping::default(), Timestamp::now());
    let result = asked.shared.store.each_incident(|stored| {
        grouping.add(&stored, now);
        true
    });
    done(result.map(|()| json!({ "groups": grouping.groups() })))
}

pub(super) fn audit(asked: &Asked<'_>, _: &[String]) -> Answer {
    done(asked.shared.store.audit(LIMIT.0).map(|acts| json!({ "acts": acts })))
}

pub(super) fn openapi(_: &Asked<'_>, _: &[String]) -> Answer {
    Answer::json(&described())
}
