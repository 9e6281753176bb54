//! What comes from a host is checked before it is believed: size, form, and that it is about the host that sent it. Pure.

use std::sync::atomic::{AtomicU64, Ordering};

use peripety_forward::name::{INCIDENT, Sender, Subject, token};
use peripety_model::{Event, INCIDENT_SCHEMA_VERSION, Incident, SCHEMA_VERSION};
use serde::Serialize;

/// Bytes of a message. What forwarders send is far below.
pub const SIZE_MAX: usize = 512 << 10;

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// It is larger than [`SIZE_MAX`].
    #[error("it is too large")]
    Size,
    /// Its subject is none of a host, or does not say what is in it.
    #[error("its subject does not fit its content")]
    Subject,
    /// It is no event and no incident of a known form.
    #[error("it has no known form")]
    Schema,
    /// It is about another host than the one that sent it.
    #[error("it is about another host than the one that sent it")]
    Sender,
    /// Its id is not that of its content.
    #[error("its id does not fit its content")]
    Id,
}

/// What was refused, by why.
#[derive(Debug, Default, Serialize)]
pub struct Refused {
    size: AtomicU64,
    subject: AtomicU64,
    schema: AtomicU64,
    sender: AtomicU64,
    id: AtomicU64,
}

impl Refused {
    /// Counts one.
    pub fn count(&self, why: Reject) {
        let counter = match why {
            Reject::Size => &self.size,
            Reject::Subject => &self.subject,
            Reject::Schema => &self.schema,
            Reject::Sender => &self.sender,
            Reject::Id => &self.id,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a message is.
#[derive(Clone, Debug, PartialEq)]
pub enum Revision {
    /// A revision of an event.
    Event(Box<Event>),
    /// A revision of an incident.
    Incident(Box<Incident>),
}

/// A message that is what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// Who sent it: the server lets nobody else publish there.
    pub sender: Sender,
    /// What it is.
    pub revision: Revision,
}

/// Checks a message.
///
/// # Errors
/// Why it is refused.
pub fn check(subject: &str, id: Option<&str>, payload: &[u8]) -> Result<Checked, Reject> {
    if payload.len() > SIZE_MAX {
        return Err(Reject::Size);
    }
    let parsed = Subject::parse(subject).ok_or(Reject::Subject)?;
    let sender = parsed.sender;
    let (revision, host, own, number) = if parsed.sub_system == INCIDENT {
        let incident: Incident = serde_json::from_slice(payload).map_err(|_error| Reject::Schema)?;
        if incident.schema != INCIDENT_SCHEMA_VERSION {
            return Err(Reject::Schema);
        }
        let number = format!("{}.{}", incident.incident_id, incident.revision);
        let (host, own) = (token(&incident.hostname), sender.of_incident(&incident));
        (Revision::Incident(Box::new(incident)), host, own, number)
    } else {
        let event: Event = serde_json::from_slice(payload).map_err(|_error| Reject::Schema)?;
        if event.schema != SCHEMA_VERSION {
            return Err(Reject::Schema);
        }
        let number = format!("{}.{}", event.event_id, event.revision);
        let (host, own) = (token(&event.hostname), sender.of_event(&event));
        (Revision::Event(Box::new(event)), host, own, number)
    };
    if host != sender.host {
        return Err(Reject::Sender);
    }
    if own != subject {
        return Err(Reject::Subject);
    }
    if id.is_some_and(|id| id != number) {
        return Err(Reject::Id);
    }
    Ok(Checked { sender, revision })
}

#[cfg(test)]
mod tests {
    use peripety_model::EventType;
    use proptest::prelude::*;

    use super::*;

    fn event(host: &str) -> Event {
        let at = "2026-03-01T12:00:00Z".parse().unwrap();
        Event { hostname: host.to_owned(), ..Event::new(Default::default(), EventType::BLK_IO_ERROR, at) }
    }

    #[test]
    fn a_message_is_about_its_sender_and_is_what_its_subject_says() {
        let sender = Sender::new("north", "db1.x");
        let own = event("db1.x");
        let (subject, id) = (sender.of_event(&own), format!("{}.0", own.event_id));
        let json = |event: &Event| serde_json::to_vec(event).unwrap();
        let checked = check(&subject, Some(&id), &json(&own)).unwrap();
        assert_eq!(
            (checked.sender, checked.revision),
            (sender.clone(), Revision::Event(Box::new(own.clone())))
        );
        let of = |subject: &str, id: &str, payload: &[u8]| check(subject, Some(id), payload).unwrap_err();
        assert_eq!(of(&subject, &id, &json(&event("db2"))), Reject::Sender);
        assert_eq!(of(&subject.replace("error", "info"), &id, &json(&own)), Reject::Subject);
        assert_eq!(of(&subject.replace("BLK_IO_ERROR", "X"), &id, &json(&own)), Reject::Subject);
        assert_eq!(of("peripety.north", &id, &json(&own)), Reject::Subject);
        assert_eq!(of(&subject, "x.0", &json(&own)), Reject::Id);
        assert_eq!(of(&subject, &id, &json(&Event { schema: 2, ..own.clone() })), Reject::Schema);
        assert_eq!(of(&subject, &id, b"{\"schema\":1}"), Reject::Schema);
        assert_eq!(of(&subject, &id, &vec![b' '; SIZE_MAX + 1]), Reject::Size);
        let as_incident = subject.replace(".block.BLK_IO_ERROR", ".incident.open");
        assert_eq!(of(&as_incident, &id, &json(&own)), Reject::Schema);
    }

    proptest! {
        #[test]
        fn anything_is_taken_or_refused(subject in ".{0,80}", payload in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _either = check(&subject, None, &payload);
        }
    }
}
