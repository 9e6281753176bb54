//! journald's message catalog: what `journalctl -x` says below an event. Generated from the vocabulary.

use super::{journald::incident_message_id, plain::wrap};
use crate::event::{Nature, TYPES, TypeInfo, advice, incident::State, message_id};

/// Columns of the text, beside what journalctl puts before it.
const WIDTH: usize = 76;

/// The catalog, as it is checked in as dist/peripety.catalog and installed in /usr/lib/systemd/catalog.
pub fn catalog() -> String {
    let head = "# Made from the table of event types by the tests of peripety: PERIPETY_BLESS=1 cargo test catalog\n";
    let types = TYPES.iter().fold(head.to_owned(), |text, info| text + "\n" + &entry(info));
    STATES.iter().fold(types, |text, (state, words)| text + "\n" + &of_incident(*state, words))
}

/// What becomes of an incident.
const STATES: [(State, &str); 4] = [
    (
        State::Open,
        "An incident: one fault with all that came of it. It is open until all of that is proven to be over",
    ),
    (State::Recovering, "An incident is being mended: a rebuild or resync runs"),
    (State::Resolved, "An incident is over"),
    (State::Superseded, "An incident turned out to be part of another one, which goes on"),
];

fn of_incident(state: State, words: &str) -> String {
    format!(
        "-- {id}\n\
         Subject: incident {state}: @INCIDENT_CAUSE@\n\
         Defined-By: peripety\n\
         Support: https://github.com/cathay4t/peripety\n\
         Documentation: man:prpt(1)\n\
         \n\
         {words}.\n\
         Cause: @INCIDENT_CAUSE@ (@INCIDENT_CAUSE_KIND@, @INCIDENT_CERTAINTY@) @DEV_PATH@ @DEV_WWID@\n\
         \n\
         Its events, what it hurts, and what to do:\n  prpt explain @INCIDENT_ID@\n",
        id = incident_message_id(state).simple(),
        state = state.as_str(),
    )
}

fn entry(info: &TypeInfo) -> String {
    let nature = match info.nature {
        Nature::Fault => "A storage failure",
        Nature::Clears => "The end of an earlier storage failure",
        Nature::News => "Information about storage, not a failure",
    };
    let mut text = format!(
        "-- {id}\n\
         Subject: {name}: {meaning}\n\
         Defined-By: peripety\n\
         Support: https://github.com/cathay4t/peripety\n\
         Documentation: man:prpt(1)\n\
         \n\
         {nature} in @SUB_SYSTEM@, @COUNT@ time(s) so far.\n\
         Device: @DEV_PATH@ @DEV_WWID@\n\
         \n",
        id = message_id(info.name).simple(),
        name = info.name,
        meaning = info.meaning,
    );
    if let Some(advice) = advice(info.name) {
        let causes = format!("Likely causes: {}.", advice.causes.join("; "));
        for words in [&causes, &advice.check, &advice.first, &advice.avoid] {
            let words = words.replace("{device}", "@DEV_PATH@");
            text.push_str(&wrap(&words, WIDTH).join("\n"));
            text.push('\n');
        }
        text.push('\n');
    }
    text + "All that is known about it, and about the device it is on:\n  prpt query -v --event-id @EVENT_ID@\n"
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn the_checked_in_catalog_is_the_present_one() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/peripety.catalog");
        if std::env::var_os("PERIPETY_BLESS").is_some() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, catalog()).unwrap();
        }
        let checked_in = fs::read_to_string(&file).unwrap_or_default();
        assert!(checked_in == catalog(), "{} is old: PERIPETY_BLESS=1 cargo test catalog", file.display());
    }

    #[test]
    fn every_type_has_an_entry_of_its_own() {
        let text = catalog();
        let ids: BTreeSet<_> = text.lines().filter_map(|l| l.strip_prefix("-- ")).collect();
        assert_eq!(ids.len(), TYPES.len() + STATES.len());
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())));
    }
}
