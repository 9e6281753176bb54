//! What to do about an event of each type: `advice.toml`, a table for the journal's catalog and for `prpt`.

use std::{collections::BTreeMap, sync::OnceLock};

use serde::Deserialize;

/// Advice about a type of event, for whoever is on call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Advice {
    types: Vec<String>,
    /// Likely causes, the likeliest first.
    pub causes: Vec<String>,
    /// How to distinguish them.
    pub check: String,
    /// What to do first.
    pub first: String,
    /// What not to do.
    pub avoid: String,
}

#[derive(Deserialize)]
struct Table {
    advice: Vec<Advice>,
}

/// The advice about a type; none for what asks for nothing to be done.
pub fn advice(event_type: &str) -> Option<&'static Advice> {
    static BY_TYPE: OnceLock<BTreeMap<String, Advice>> = OnceLock::new();
    let read = || {
        let table: Table =
            toml::from_str(include_str!("advice.toml")).unwrap_or(Table { advice: Vec::new() });
        let rows = table.advice.into_iter();
        rows.flat_map(|row| row.types.clone().into_iter().map(move |name| (name, row.clone()))).collect()
    };
    BY_TYPE.get_or_init(read).get(event_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Nature, TYPES, info};

    #[test]
    fn every_fault_has_advice_and_every_advice_a_type() {
        let table: Table = toml::from_str(include_str!("advice.toml")).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for name in table.advice.iter().flat_map(|row| &row.types) {
            assert!(info(name).is_some(), "{name} is no type");
            assert!(seen.insert(name), "{name} stands twice");
        }
        for fault in TYPES.iter().filter(|t| t.nature == Nature::Fault) {
            assert!(advice(fault.name).is_some(), "{} has no advice", fault.name);
        }
    }
}
