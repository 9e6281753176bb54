//! The engine with an ear at it.

use std::{io, path::Path, time::Duration};

use jiff::Timestamp;

use super::{
    Entry, Recorder, Start,
    entry::{BYTE_ORDER, FORMAT},
    facts::{FactsRecorder, Known},
    rules,
};
use crate::{
    block::DeviceFacts,
    correlate::{LiveSources, Saved},
    engine::{Engine, Settings},
    event::{Event, incident::Incident},
    incident::{Case, Incidents, Limits},
    parser::rules::{Rule, RuleSet},
    record::Record,
    state::Condition,
};

/// An engine whose input is recorded, if that is wanted.
pub(crate) struct RecordedEngine {
    engine: Engine,
    incidents: Incidents,
    /// Revisions of incidents that nobody has taken yet.
    revisions: Vec<Incident>,
    tape: Option<Tape>,
}

struct Tape {
    recorder: Recorder,
    known: Known,
    /// What is in force, to be said again after a loss.
    rules: String,
    limits: Limits,
    live: LiveSources,
}

impl Tape {
    fn write(&mut self, entry: &Entry) {
        if !self.recorder.record(entry) {
            self.known = Known::default();
            self.recorder.record(&Entry::Rules(self.rules.clone()));
            self.recorder.record(&Entry::Limits(self.limits.clone()));
            self.recorder.record(&Entry::Live(self.live));
        }
    }
}

impl RecordedEngine {
    /// An engine with peripety's rules and a user's; recorded to `file`, if there is one.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn new(settings: Settings, user_rules: &[Rule], file: Option<&Path>) -> io::Result<Self> {
        let tape = file.map(|file| begin(file, &settings, user_rules)).transpose()?;
        let engine = Engine::new(settings, RuleSet::with_user_rules(user_rules.to_vec()));
        Ok(Self { engine, incidents: Incidents::default(), revisions: Vec::new(), tape })
    }

    /// The recorder, for its counters.
    pub(crate) fn recorder(&self) -> Option<&Recorder> {
        self.tape.as_ref().map(|tape| &tape.recorder)
    }

    /// Other rules of the user from now on.
    pub(crate) fn set_rules(&mut self, user_rules: &[Rule]) {
        if let Some(tape) = &mut self.tape {
            tape.rules = text_of(user_rules);
            let entry = Entry::Rules(tape.rules.clone());
            tape.write(&entry);
        }
        self.engine.set_rules(RuleSet::with_user_rules(user_rules.to_vec()));
    }

    /// Other limits of early signs from now on.
    pub(crate) fn set_limits(&mut self, limits: &Limits) {
        if let Some(tape) = self.tape.as_mut().filter(|tape| tape.limits != *limits) {
            tape.limits = limits.clone();
            tape.write(&Entry::Limits(limits.clone()));
        }
        self.incidents.set_limits(limits.clone());
    }

    /// Probes were attached, or are gone.
    pub(crate) fn set_live_sources(&mut self, live: LiveSources) {
        if let Some(tape) = &mut self.tape {
            tape.live = live;
            tape.write(&Entry::Live(live));
        }
        self.engine.set_live_sources(live);
    }

    /// As [`Engine::push`].
    pub(crate) fn push(&mut self, record: &Record, facts: &dyn DeviceFacts, out: &mut Vec<Event>) {
        let before = out.len();
        let engine = &mut self.engine;
        match &mut self.tape {
            None => engine.push(record, facts, out),
            Some(tape) => {
                let listening = FactsRecorder::new(facts, &mut tape.known);
                engine.push(record, &listening, out);
                let changes = listening.into_changes();
                tape.write(&Entry::push(record, changes));
                if tape.known.prune() {
                    tape.write(&Entry::Forget);
                }
            }
        }
        self.group(out, before);
    }

    /// As [`Engine::tick`].
    pub(crate) fn tick(&mut self, now_ns: u64, facts: &dyn DeviceFacts, out: &mut Vec<Event>) {
        let before = out.len();
        let engine = &mut self.engine;
        match &mut self.tape {
            None => engine.tick(now_ns, facts, out),
            Some(tape) => {
                let listening = FactsRecorder::new(facts, &mut tape.known);
                engine.tick(now_ns, &listening, out);
                let facts = listening.into_changes();
                tape.write(&Entry::Tick { ns: now_ns, facts });
            }
        }
        self.group(out, before);
        self.incidents.tick(now_ns, &mut self.revisions);
    }

    /// As [`Engine::finish`].
    pub(crate) fn finish(&mut self, facts: &dyn DeviceFacts, out: &mut Vec<Event>) {
        let before = out.len();
        let engine = &mut self.engine;
        match &mut self.tape {
            None => engine.finish(facts, out),
            Some(tape) => {
                let listening = FactsRecorder::new(facts, &mut tape.known);
                engine.finish(&listening, out);
                let facts = listening.into_changes();
                tape.write(&Entry::Finish { facts });
            }
        }
        self.group(out, before);
        self.incidents.finish(&mut self.revisions);
    }

    /// Gives the events from `from` on their incidents.
    fn group(&mut self, out: &mut [Event], from: usize) {
        if let Some(new) = out.get_mut(from..) {
            self.incidents.push_all(new, &mut self.revisions);
        }
    }

    /// As of [`Engine::weigh_seen`]. It is recorded with the event, once that is said.
    pub(crate) fn weigh_seen(&self, event: &mut Event, facts: &dyn DeviceFacts) {
        self.engine.weigh_seen(event, facts);
    }

    /// Notes an event that the daemon says by itself.
    pub(crate) fn said(&mut self, event: &mut Event) {
        if let Some(tape) = &mut self.tape {
            tape.write(&Entry::Said(Box::new(event.clone())));
        }
        self.incidents.push(event, &mut self.revisions);
    }

    /// A look at sysfs and mountinfo showed that conditions are over.
    pub(crate) fn looked(&mut self, over: &[Condition], us: i64) {
        if over.is_empty() {
            return;
        }
        if let Some(tape) = &mut self.tape {
            tape.write(&Entry::Looked { us, over: over.to_vec() });
        }
        if let Ok(at) = Timestamp::from_microsecond(us) {
            self.incidents.looked(over, at, &mut self.revisions);
        }
    }

    /// Revisions of incidents since the last call.
    pub(crate) fn take_incidents(&mut self) -> Vec<Incident> {
        std::mem::take(&mut self.revisions)
    }

    /// The incidents as they are.
    pub(crate) const fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// Goes on with incidents of an earlier boot. To be called before the first record.
    pub(crate) fn restore_incidents(&mut self, cases: Vec<Case>) {
        if cases.is_empty() {
            return;
        }
        if let Some(tape) = &mut self.tape {
            tape.write(&Entry::Open(cases.iter().filter_map(note_of).collect()));
        }
        self.incidents.restore(cases);
    }

    /// As [`Engine::save`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn save(&mut self, all: bool, mut each: impl FnMut(String)) -> Result<(), serde_json::Error> {
        self.incidents.save(all).into_iter().filter_map(note_of).for_each(&mut each);
        self.engine.save(all, each)
    }

    /// As [`Engine::restore`].
    pub(crate) fn restore(&mut self, mut saved: Saved) {
        let cases = cases_of(saved.take_incidents());
        self.engine.restore(saved);
        if let Some(tape) = &mut self.tape {
            let mut notes: Vec<String> = cases.iter().filter_map(note_of).collect();
            // What was just read from JSON has JSON.
            let _always_ok = self.engine.save(true, |note| notes.push(note));
            tape.write(&Entry::Open(notes));
        }
        self.incidents.restore(cases);
    }

    /// As [`Engine::next_deadline_ns`].
    pub(crate) fn next_deadline_ns(&self) -> Option<u64> {
        [self.engine.next_deadline_ns(), self.incidents.next_deadline_ns()].into_iter().flatten().min()
    }

    /// Lets what waits reach the file, for a short while.
    pub(crate) fn close(&self, patience: Duration) {
        if let Some(tape) = &self.tape
            && !tape.recorder.close(patience)
        {
            let (file, counters) = (tape.recorder.path().display(), tape.recorder.counters());
            tracing::warn!(?counters, "the recording {file} is not whole");
        }
    }
}

/// The incidents of notes, the oldest first. What is of another version is left out.
pub(super) fn cases_of(notes: Vec<serde_json::Value>) -> Vec<Case> {
    let mut cases: Vec<Case> =
        notes.into_iter().filter_map(|note| serde_json::from_value(note).ok()).collect();
    cases.sort_by_key(|case| (case.incident.opened, case.incident.incident_id));
    cases
}

/// How an incident is noted among the notes of the engine.
fn note_of(case: &Case) -> Option<String> {
    serde_json::to_string(&serde_json::json!({ "incident": case })).ok()
}

fn begin(file: &Path, settings: &Settings, user_rules: &[Rule]) -> io::Result<Tape> {
    let mut tape = Tape {
        recorder: Recorder::start(file)?,
        known: Known::default(),
        rules: text_of(user_rules),
        limits: Limits::default(),
        live: settings.live,
    };
    tape.write(&Entry::Start(Start {
        peripety_recording: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot_id: settings.boot_id.clone(),
        hostname: settings.hostname.clone(),
        byte_order: BYTE_ORDER.to_owned(),
        own_rules: rules::own().to_owned(),
    }));
    if !user_rules.is_empty() {
        let entry = Entry::Rules(tape.rules.clone());
        tape.write(&entry);
    }
    tape.write(&Entry::Live(settings.live));
    Ok(tape)
}

fn text_of(rules: &[Rule]) -> String {
    // Rules were read from TOML, so they are TOML.
    rules::write(rules).unwrap_or_else(|error| {
        tracing::error!("the recording lacks the rules of the configuration: {error}");
        String::new()
    })
}
