//! What several objects' methods do.

use peripety::internal::follow::Request;
use peripety_client::Content;
use peripety_model::{Filter, Incident, incident::IncidentId};
use zbus::{Connection, message::Header};

use super::{detail::Detail, error::Refusal, who::Caller};

/// Bytes of what a person says.
const REASON_MAX: usize = 500;

/// An id.
///
/// # Errors
/// It is none.
pub(super) fn uuid(text: &str) -> Result<IncidentId, Refusal> {
    text.parse().map_err(|_| {
        Refusal::InvalidArgument(format!("'{}' is no id", text.chars().take(60).collect::<String>()))
    })
}

/// The latest revision of an incident, as JSON.
///
/// # Errors
/// The daemon does not answer, or knows none.
pub(super) async fn incident_json(detail: &Detail, id: IncidentId) -> Result<String, Refusal> {
    let is_it = move |content: &Content| match content {
        Content::Incident(incident) => incident.incident_id == id,
        _ => false,
    };
    let held = detail.stored(Filter::default(), 1, is_it).await?;
    if let Some(json) = held.into_iter().next_back() {
        return Ok(json);
    }
    // One that is open for long is no longer among the revisions that are held.
    let open = detail.open().await?.into_iter().find(|incident| incident.incident_id == id);
    let none =
        || Refusal::NotFound(format!("peripetyd holds no incident {id}; the journal may: prpt explain {id}"));
    json(&open.ok_or_else(none)?)
}

/// An incident, as JSON.
///
/// # Errors
/// It has no form in JSON.
pub(super) fn json(incident: &Incident) -> Result<String, Refusal> {
    serde_json::to_string(incident).map_err(|error| Refusal::Daemon(error.to_string()))
}

/// What a person does: `ack` or `resolve`. The answer of the daemon, as JSON.
///
/// # Errors
/// The caller may not, an argument is wrong, or the daemon refuses.
pub(super) async fn change(
    detail: &Detail,
    connection: &Connection,
    header: &Header<'_>,
    request: &str,
    target: &str,
    reason: &str,
) -> Result<String, Refusal> {
    let action = if request == "ack" { "org.peripety1.acknowledge" } else { "org.peripety1.resolve" };
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > REASON_MAX || target.is_empty() || target.len() > REASON_MAX {
        let why = format!("target and reason have from 1 to {REASON_MAX} bytes each");
        return Err(Refusal::InvalidArgument(why));
    }
    let caller = Caller::of(connection, header).await?;
    caller.may(connection, header, action).await?;
    detail
        .request(Request {
            request: request.to_owned(),
            target: Some(target.to_owned()),
            // To the daemon it is peripety-notify that asks.
            reason: Some(format!("{}: {reason}", caller.describe())),
            ..Request::default()
        })
        .await
}
