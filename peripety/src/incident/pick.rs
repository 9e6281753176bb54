//! Which incident a person means.

use crate::event::incident::Incident;

/// Whether a word means an incident: its id or the beginning of it, one of its events, a device, a mount point.
pub(crate) fn is_meant(incident: &Incident, wanted: &str) -> bool {
    let word = wanted.trim();
    if word.is_empty() {
        return false;
    }
    if let Ok(id) = uuid::Uuid::parse_str(word) {
        return incident.incident_id == id
            || incident.supersedes.contains(&id)
            || incident.events.iter().any(|member| member.event_id == id);
    }
    let is_id = word.len() >= 6 && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if is_id && incident.incident_id.hyphenated().to_string().starts_with(&word.to_ascii_lowercase()) {
        return true;
    }
    let name = word.strip_prefix("/dev/").unwrap_or(word);
    let is = |known: &String| {
        let short = known.strip_prefix("/dev/").unwrap_or(known);
        short == name || known == word
    };
    let device = incident.cause.device.as_ref();
    let facts = device.into_iter().flat_map(|d| [&d.path, &d.wwid, &d.serial]);
    is(&incident.cause.name)
        || facts.filter(|fact| !fact.is_empty()).any(is)
        || incident.impact.devices.iter().any(is)
        || incident
            .impact
            .mount_points
            .iter()
            .any(|point| point == word.trim_end_matches('/') || point == word)
        || incident.events.iter().any(|member| is(&member.device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{incident::Incidents, notifier::fixture::sample};

    #[test]
    fn an_incident_is_found_by_whatever_names_it() {
        let (mut stage, mut out) = (Incidents::default(), Vec::new());
        let mut event = sample();
        stage.push(&mut event, &mut out);
        let incident = &out[0];
        let id = incident.incident_id.to_string();
        for word in [
            &id,
            &id[..8],
            &event.event_id.to_string(),
            "/dev/vg0/data",
            "vg0/data",
            "/srv/data",
            "/srv/data/",
        ] {
            assert!(is_meant(incident, word), "{word}");
        }
        for word in ["", "sd", "/srv", "vg0", "12345678-0000-0000-0000-000000000000"] {
            assert!(!is_meant(incident, word), "{word}");
        }
    }
}
