//! The JSON Schema of an event, from the types themselves.

use serde_json::Value;

use super::Event;

/// The schema that `doc/event.schema.json` holds.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(Event).to_value();
    // Optional keys that every event has all the same: what reads events may rely on them.
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let keys: Vec<Value> = properties
            .keys()
            .filter(|key| *key != "confirmed")
            .map(|key| Value::from(key.as_str()))
            .collect();
        if let Some(object) = schema.as_object_mut() {
            object.insert("required".to_owned(), keys.into());
            object.insert("title".to_owned(), "peripety event, schema version 1".into());
        }
    }
    schema
}

/// The schema that `doc/incident.schema.json` holds.
pub fn incident_json_schema() -> Value {
    let mut schema = schemars::schema_for!(super::Incident).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), "peripety incident, schema version 1".into());
    }
    schema
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::SCHEMA_VERSION;

    #[test]
    fn the_schema_that_is_checked_in_is_that_of_the_types() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../doc/event.schema.json");
        let now = format!("{:#}\n", json_schema());
        if std::env::var_os("PERIPETY_BLESS").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap();
        assert!(
            checked_in == now,
            "doc/event.schema.json differs from the types. Events are an API: a key may be added; if one changes or goes, \
             raise SCHEMA_VERSION (now {SCHEMA_VERSION}). Then run the tests once with PERIPETY_BLESS=1"
        );
    }

    #[test]
    fn the_schema_of_incidents_that_is_checked_in_is_that_of_the_types() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../doc/incident.schema.json");
        let now = format!("{:#}\n", incident_json_schema());
        if std::env::var_os("PERIPETY_BLESS").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap();
        assert!(
            checked_in == now,
            "doc/incident.schema.json differs from the types. Incidents are an API: a key may be added; if one changes or \
             goes, raise INCIDENT_SCHEMA_VERSION. Then run the tests once with PERIPETY_BLESS=1"
        );
    }

    #[test]
    fn every_key_of_an_event_is_required() {
        let schema = json_schema();
        let required = schema["required"].as_array().unwrap();
        for key in ["schema", "event_id", "final", "block", "io", "sector_ranges", "extension", "lost_before"]
        {
            assert!(required.contains(&key.into()), "{key}");
        }
    }
}
