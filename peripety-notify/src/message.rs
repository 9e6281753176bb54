//! A message: what one receiver gets once.

use jiff::Timestamp;
use peripety_model::{Event, Incident, Severity};
use serde::{Deserialize, Serialize};

/// Events of an incident that a message carries.
const MEMBERS_MAX: usize = 16;

/// Why there is a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// An incident opened, or opened again.
    Opened,
    /// It became worse.
    Worse,
    /// Another cause is known.
    Cause,
    /// It is over.
    Resolved,
    /// It turned out to be part of another one.
    Merged,
    /// It is still open.
    Reminder,
    /// An event.
    Event,
    /// Somebody tries out whether messages arrive.
    Test,
}

impl Kind {
    /// The name in JSON and in variables.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Worse => "worse",
            Self::Cause => "cause",
            Self::Resolved => "resolved",
            Self::Merged => "merged",
            Self::Reminder => "reminder",
            Self::Event => "event",
            Self::Test => "test",
        }
    }
}

/// What one receiver gets once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Message {
    /// The same however often it is sent: the id of the incident or event, its revision, and why.
    pub(crate) id: String,
    /// What it is about, the same for all messages of an incident.
    pub(crate) subject: String,
    /// Why.
    pub(crate) kind: Kind,
    /// When it was decided.
    pub(crate) at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) incident: Option<Box<Incident>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<Box<Event>>,
    /// Which reminder it is, from 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) reminder: u32,
    /// The host, where there is neither incident nor event.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) host: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// An incident with as many of its events as a message has.
pub(crate) fn cut(incident: &Incident) -> Box<Incident> {
    let events = incident.events.iter().take(MEMBERS_MAX).cloned().collect();
    let whole = Incident { events: Vec::new(), ..incident.clone() };
    Box::new(Incident { events, ..whole })
}

impl Message {
    /// About an incident.
    pub(crate) fn of_incident(kind: Kind, incident: &Incident, at: Timestamp) -> Self {
        let subject = incident.incident_id.to_string();
        let incident = cut(incident);
        Self {
            id: format!("{subject}.{}.{}", incident.revision, kind.as_str()),
            subject,
            kind,
            at,
            incident: Some(incident),
            event: None,
            reminder: 0,
            host: String::new(),
        }
    }

    /// About an incident that is still open.
    pub(crate) fn reminder(incident: &Incident, number: u32, at: Timestamp) -> Self {
        let message = Self::of_incident(Kind::Reminder, incident, at);
        Self { id: format!("{}.{number}", message.id), reminder: number, ..message }
    }

    /// About an event.
    pub(crate) fn of_event(event: Event, at: Timestamp) -> Self {
        let subject = event.event_id.to_string();
        let id = format!("{subject}.{}.event", event.revision);
        let event = Some(Box::new(event));
        Self { id, subject, kind: Kind::Event, at, incident: None, event, reminder: 0, host: String::new() }
    }

    /// That somebody tries it out.
    pub(crate) fn test(host: &str, at: Timestamp) -> Self {
        let subject = format!("test-{}", at.as_nanosecond());
        let (kind, host) = (Kind::Test, host.to_owned());
        Self { id: subject.clone(), subject, kind, at, incident: None, event: None, reminder: 0, host }
    }

    /// How bad.
    pub(crate) fn severity(&self) -> Severity {
        let incident = self.incident.as_ref().map(|incident| incident.severity);
        incident.or_else(|| self.event.as_ref().map(|event| event.severity)).unwrap_or(Severity::Notice)
    }

    /// The host it is about.
    pub(crate) fn hostname(&self) -> &str {
        let incident = self.incident.as_ref().map(|incident| incident.hostname.as_str());
        incident.or_else(|| self.event.as_ref().map(|event| event.hostname.as_str())).unwrap_or(&self.host)
    }

    /// Whether what it is about asks for attention after it.
    pub(crate) fn is_open(&self) -> bool {
        match self.kind {
            Kind::Opened | Kind::Worse | Kind::Cause | Kind::Reminder => true,
            Kind::Resolved | Kind::Merged | Kind::Event | Kind::Test => false,
        }
    }

    /// The device at fault, by its shortest name; empty if there is none.
    pub(crate) fn device(&self) -> &str {
        let incident = self.incident.as_ref().map(|incident| incident.cause.name.as_str());
        incident.or_else(|| self.event.as_ref().map(|event| event.kdev.as_str())).unwrap_or_default()
    }

    /// What happened: the type of the event, or of the incident's first one.
    pub(crate) fn event_type(&self) -> &str {
        if let Some(event) = &self.event {
            return event.event_type.as_str();
        }
        let Some(incident) = &self.incident else { return "PERIPETY_TEST" };
        let cause = incident.events.iter().find(|member| Some(member.event_id) == incident.cause.event_id);
        cause.or_else(|| incident.events.first()).map_or("", |member| member.event_type.as_str())
    }
}

/// An incident, for tests.
#[cfg(test)]
pub(crate) fn sample() -> Incident {
    use peripety_model::incident::{Cause, CauseKind, Certainty, Impact, ImpactKind, Part, State};
    let at = Timestamp::from_second(1_790_000_000).unwrap_or_default();
    Incident {
        schema: 1,
        incident_id: peripety_model::EventId::from_u128(7),
        revision: 0,
        state: State::Open,
        superseded_by: None,
        supersedes: Vec::new(),
        severity: Severity::Error,
        title: "sdf: unreadable sectors".to_owned(),
        hostname: "db1".to_owned(),
        boot_id: "0123456789abcdef0123456789abcdef".to_owned(),
        opened: at,
        updated: at,
        resolved: None,
        resolved_by: None,
        episodes: 1,
        cause: Cause {
            event_id: None,
            name: "sdf".to_owned(),
            part: Part::Device,
            device: None,
            kind: CauseKind::Medium,
            certainty: Certainty::Certain,
            rules: Vec::new(),
        },
        impact: Impact {
            kinds: vec![ImpactKind::DataAtRisk],
            mount_points: vec!["/srv/data".to_owned()],
            ..Impact::default()
        },
        events: Vec::new(),
        event_count: 1,
        failures: 3,
        conditions: Vec::new(),
        actions: vec!["read the disk's own log".to_owned()],
        early_signs: Vec::new(),
        progress: None,
        needs_acknowledgement: false,
        acknowledged: None,
    }
}
