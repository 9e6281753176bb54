//! The methods.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use peripety_block::{BlkInfo, ResolveError};
use peripety_model::{Filter, Incident};
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::timeout};

use super::{Answer, INTERFACES, Service};
use crate::{
    event::EventId,
    notifier::socket::{
        self, Position, Request,
        feed::{self, Feed, Wanted},
    },
    varlink::{Call, Failure, Parameters, failure, invalid, no_method, of_every_service},
};

/// Names that are resolved at the same time: a path may hang as long as its filesystem does.
const RESOLVING_MAX: usize = 4;
const RESOLVING: Duration = Duration::from_secs(5);
/// How many are being resolved in this process. Threads that hang outlive their client.
static RESOLVING_NOW: AtomicUsize = AtomicUsize::new(0);

type Answered = Result<Answer, Failure>;

fn one(value: Value) -> Answered {
    Ok(Answer::One(value))
}

/// Answers a call.
pub(super) async fn answer(service: &Service<'_>, mut call: Call) -> Answered {
    if let Some(answer) = of_every_service(&mut call, "peripetyd", &INTERFACES) {
        return answer.map(Answer::One);
    }
    let mut parameters = Parameters::of(&mut call);
    match call.method.rsplit_once('.').unwrap_or_default() {
        ("io.peripety.Events", "Subscribe") => subscribe(service, &call, parameters, false),
        ("io.peripety.Incidents", "Subscribe") => subscribe(service, &call, parameters, true),
        ("io.peripety.Events", "Query") => {
            let filter = filter(&mut parameters)?;
            parameters.end()?;
            expect_more(&call)?;
            let wanted = Wanted { filter, events: true, ..Wanted::default() };
            Ok(Answer::Held(Box::new(Feed::open(service.memory, wanted).0)))
        }
        ("io.peripety.Events", "Get") => {
            let id: String = parameters.required("event_id")?;
            parameters.end()?;
            let stored = id.parse::<EventId>().ok().and_then(|id| service.memory.latest(id));
            match stored.as_ref().and_then(|stored| serde_json::from_slice(&stored.line).ok()) {
                Some(event) => one(event),
                None => Err(failure("io.peripety.Events.NoSuchEvent", json!({ "event_id": id }))),
            }
        }
        ("io.peripety.Incidents", "List") => {
            let filter = filter(&mut parameters)?;
            parameters.end()?;
            let incidents = incidents(service).await?;
            let wanted: Vec<Incident> = incidents.into_iter().filter(|i| filter.takes_incident(i)).collect();
            one(json!({ "incidents": wanted }))
        }
        ("io.peripety.Incidents", "Explain") => explain(service, parameters).await,
        ("io.peripety.Incidents", "Acknowledge") => {
            person(service, parameters, "ack", "io.peripety.Incidents.Refused").await
        }
        ("io.peripety.Block", "Resolve") => resolve(service, parameters).await,
        ("io.peripety.Block", "List") => {
            parameters.end()?;
            let all = service.answers.devices().map(|devices| devices.all()).unwrap_or_default();
            let all: Vec<&BlkInfo> = all.iter().map(AsRef::as_ref).collect();
            one(json!({ "devices": all }))
        }
        ("io.peripety.Daemon", method @ ("Status" | "Stats" | "Probes" | "Configuration")) => {
            parameters.end()?;
            let (request, name) = match method {
                "Status" => ("status", "status"),
                "Stats" => ("stats", "stats"),
                "Probes" => ("probes", "probes"),
                _ => ("config", "configuration"),
            };
            let answer = ask(service, &Request { request: request.to_owned(), ..Request::default() }).await;
            one(json!({ name: answer.map_err(|why| refused("io.peripety.Daemon.Refused", &why))? }))
        }
        ("io.peripety.Daemon", "Resolve") => {
            person(service, parameters, "resolve", "io.peripety.Daemon.Refused").await
        }
        _ => Err(no_method(&call.method)),
    }
}

fn refused(error: &'static str, why: &str) -> Failure {
    failure(error, json!({ "why": why }))
}

fn expect_more(call: &Call) -> Result<(), Failure> {
    if call.more { Ok(()) } else { Err(failure("org.varlink.service.ExpectedMore", json!({}))) }
}

fn filter(parameters: &mut Parameters) -> Result<Filter, Failure> {
    let filter: Filter = parameters.optional("filter")?.unwrap_or_default();
    if filter.too_long().is_some() { Err(invalid("filter")) } else { Ok(filter) }
}

fn subscribe(service: &Service<'_>, call: &Call, mut parameters: Parameters, incidents: bool) -> Answered {
    let filter = filter(&mut parameters)?;
    let after: Option<Position> = parameters.optional("after")?;
    let stored: Option<bool> = parameters.optional("stored")?;
    parameters.end()?;
    expect_more(call)?;
    let number = after.as_ref().map(|place| feed::number(service.memory, place));
    let wanted = Wanted { filter, events: !incidents, incidents, after: number };
    let (mut feed, begin) = Feed::open(service.memory, wanted);
    if stored == Some(false) {
        feed.skip_stored();
    }
    let first = feed.first(begin);
    Ok(Answer::Follow(Box::new(feed), first))
}

/// Asks what the socket's other protocol asks.
async fn ask(service: &Service<'_>, request: &Request) -> Result<Value, String> {
    let answer = socket::ask(service.answers, request, service.peer).await;
    answer.unwrap_or_else(|| Err("peripetyd does not know that".to_owned()))
}

async fn person(
    service: &Service<'_>,
    mut parameters: Parameters,
    request: &str,
    error: &'static str,
) -> Answered {
    let (target, reason) = (parameters.required("target")?, parameters.required("reason")?);
    parameters.end()?;
    let answer = ask(service, &Request::of_person(request, target, reason)).await;
    one(json!({ "answer": answer.map_err(|why| refused(error, &why))? }))
}

async fn incidents(service: &Service<'_>) -> Result<Vec<Incident>, Failure> {
    let request = Request { request: "status".to_owned(), ..Request::default() };
    let mut status =
        ask(service, &request).await.map_err(|why| refused("io.peripety.Incidents.Refused", &why))?;
    let incidents = status.get_mut("incidents").map(Value::take).unwrap_or_default();
    Ok(serde_json::from_value(incidents).unwrap_or_default())
}

async fn explain(service: &Service<'_>, mut parameters: Parameters) -> Answered {
    let target: String = parameters.required("target")?;
    parameters.end()?;
    let none = || failure("io.peripety.Incidents.NoSuchIncident", json!({ "target": target }));
    if target.is_empty() {
        return Err(none());
    }
    let of_device = Filter { devices: vec![target.clone()], ..Filter::default() };
    let of_place = Filter { mount_points: vec![target.clone()], ..Filter::default() };
    let by_id = |incident: &Incident| {
        incident.incident_id.hyphenated().to_string().starts_with(&target)
            || incident.events.iter().any(|member| member.event_id.hyphenated().to_string() == target)
    };
    let all = incidents(service).await?;
    let found = all
        .iter()
        .find(|incident| by_id(incident))
        .or_else(|| all.iter().find(|i| of_device.takes_incident(i) || of_place.takes_incident(i)));
    let incident = found.ok_or_else(none)?;
    let stored = incident.events.iter().filter_map(|member| service.memory.latest(member.event_id));
    let events: Vec<Value> = stored.filter_map(|stored| serde_json::to_value(&*stored.event).ok()).collect();
    one(json!({ "incident": incident, "events": events }))
}

/// Counts a name that is being resolved, for as long as that takes.
struct Resolving;

impl Resolving {
    fn begin() -> Option<Self> {
        let more = |now: usize| (now < RESOLVING_MAX).then_some(now + 1);
        RESOLVING_NOW.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self)
    }
}

impl Drop for Resolving {
    fn drop(&mut self) {
        RESOLVING_NOW.fetch_sub(1, Ordering::Relaxed);
    }
}

/// In a thread of its own: a path may lie on a filesystem that does not answer.
async fn resolve(service: &Service<'_>, mut parameters: Parameters) -> Answered {
    let name: String = parameters.required("name")?;
    parameters.end()?;
    let busy = || failure("io.peripety.Block.Busy", json!({ "most": RESOLVING_MAX }));
    let devices = service.answers.devices().ok_or_else(busy)?;
    let counted = Resolving::begin().ok_or_else(busy)?;
    let (found, result) = oneshot::channel();
    let wanted = name.clone();
    std::thread::Builder::new()
        .name("resolve".to_owned())
        .spawn(move || {
            let _the_client_may_be_gone = found.send(devices.resolve(&wanted));
            drop(counted);
        })
        .map_err(|_no_thread| busy())?;
    match timeout(RESOLVING, result).await {
        Ok(Ok(Ok(device))) => one(json!({ "device": device.as_ref() })),
        Ok(Ok(Err(error))) => Err(unresolved(&name, &error)),
        Ok(Err(_)) => Err(busy()),
        Err(_) => Err(failure("io.peripety.Block.Timeout", json!({ "seconds": RESOLVING.as_secs() }))),
    }
}

fn unresolved(name: &str, error: &ResolveError) -> Failure {
    let kind = match error {
        ResolveError::Empty => return invalid("name"),
        ResolveError::Unknown { .. } | ResolveError::Stat { .. } => "io.peripety.Block.UnknownDevice",
        ResolveError::Ambiguous { .. } => "io.peripety.Block.AmbiguousDevice",
        ResolveError::NoDevice { .. } | ResolveError::NotBlock { .. } | ResolveError::Controller { .. } => {
            "io.peripety.Block.NotABlockDevice"
        }
    };
    failure(kind, json!({ "name": name, "message": error.to_string() }))
}
