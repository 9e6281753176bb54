//! A health snapshot as one line: what is bad first, then what is worth knowing.

use peripety_block::health::takes_commands;

use crate::event::facts::HealthFacts;

/// The line. What is as it should be is left out, but for that the disk says so.
pub(super) fn words(facts: Option<&HealthFacts>) -> String {
    let Some(facts) = facts else { return "its state is not known".to_owned() };
    let mut words = Vec::new();
    match (facts.failing, &facts.failing_because) {
        (Some(true), Some(why)) => words.push(format!("the disk says that it fails: {why}")),
        (Some(true), None) => words.push("the disk says that it fails".to_owned()),
        (Some(false), _) => words.push("the disk says that it is well".to_owned()),
        (None, _) => {}
    }
    words.extend(counts(facts));
    words.extend(facts.state.clone().filter(|state| !takes_commands(state)));
    words.extend(facts.link.clone());
    words.extend(facts.temperature.map(|celsius| format!("{celsius} °C")));
    words.extend(facts.power_on_hours.map(|hours| format!("{hours} h")));
    words.extend(facts.not_read.clone());
    if words.is_empty() { "nothing can be read of its state".to_owned() } else { words.join(", ") }
}

fn counts(facts: &HealthFacts) -> impl Iterator<Item = String> {
    let many = |number: Option<u64>, what: &str| {
        number.filter(|number| *number > 0).map(|number| format!("{number} {what}"))
    };
    let failed = facts.commands_failed.filter(|failed| *failed > 0).map(|failed| match facts.commands {
        Some(all) => format!("{failed} of {all} commands failed"),
        None => format!("{failed} commands failed"),
    });
    [
        many(facts.reallocated_sectors, "reallocated sectors"),
        many(facts.pending_sectors, "pending sectors"),
        many(facts.offline_uncorrectable, "sectors unreadable in its own test"),
        many(facts.uncorrected_errors, "uncorrected errors"),
        many(facts.interface_errors, "interface errors"),
        many(facts.unsafe_shutdowns, "unsafe shutdowns"),
        facts.used_percent.filter(|used| *used >= 80).map(|used| format!("{used} % of its life used")),
        // Without spare blocks it says that it fails; one that is made up has none, and is well.
        facts
            .spare_percent
            .filter(|spare| *spare < 50 && (*spare > 0 || facts.failing == Some(true)))
            .map(|spare| format!("{spare} % of its spare blocks left")),
        failed,
        many(facts.commands_timed_out, "commands timed out"),
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bad_comes_first_and_what_is_well_is_left_out() {
        let facts = HealthFacts {
            failing: Some(true),
            failing_because: Some("SMART attribute 5 has reached its threshold".to_owned()),
            reallocated_sectors: Some(1208),
            pending_sectors: Some(0),
            commands: Some(1000),
            commands_failed: Some(3),
            temperature: Some(41),
            used_percent: Some(3),
            state: Some("running".to_owned()),
            link: Some("SATA 3.0 Gbps of 6.0 Gbps".to_owned()),
            ..HealthFacts::default()
        };
        assert_eq!(
            words(Some(&facts)),
            "the disk says that it fails: SMART attribute 5 has reached its threshold, 1208 reallocated sectors, \
             3 of 1000 commands failed, SATA 3.0 Gbps of 6.0 Gbps, 41 °C"
        );
        assert_eq!(words(Some(&HealthFacts::default())), "nothing can be read of its state");
    }
}
