//! What is not over yet, and what runs for it. Written down before an action begins, so that a successor knows of it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use peripety_model::{Event, Nature};

use super::{
    beside::{arrays_of, is_monitored},
    runner::{Ended, Running},
    say,
};
use crate::{
    case::{Case, Decision},
    config::Config,
    look::Look,
    situation::Situation,
};

/// Cases at a time.
const CASES_MAX: usize = 1024;
/// When a state that could not be read is read again.
const AGAIN: Duration = Duration::from_secs(30);

/// All of them: one for each array.
pub(super) struct Cases {
    path: PathBuf,
    dry_run: bool,
    cases: BTreeMap<String, Case>,
    due: BTreeMap<String, Duration>,
    running: BTreeMap<String, Running>,
}

impl Cases {
    /// Those that an earlier process left.
    pub(super) fn new(dir: &Path, dry_run: bool) -> Self {
        let path = dir.join("cases");
        let cases: BTreeMap<String, Case> =
            fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let due = cases.keys().map(|array| (array.clone(), Duration::ZERO)).collect();
        Self { path, dry_run, cases, due, running: BTreeMap::new() }
    }

    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.due.values().min().copied()
    }

    /// Takes an event: a case begins, or goes on.
    pub(super) fn take(&mut self, config: &Config, look: &Look, event: &Event, now: Duration) {
        // A later revision says more of the same failures.
        if event.revision > 0 || event.event_type.info().is_none_or(|info| info.nature != Nature::Fault) {
            return;
        }
        let event_type = event.event_type.as_str();
        if config.find(event_type, &[]).is_none()
            && !config.policy.iter().any(|policy| !policy.devices.is_empty())
        {
            return;
        }
        for name in arrays_of(event) {
            let of = match look.situation(&name) {
                Ok(Some(of)) => of,
                Ok(None) => continue,
                Err(why) => return say(&format!("{name}: its state cannot be read: {why}")),
            };
            let names = names(&of);
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let Some(policy) = config.find(event_type, &names) else { return };
            self.due.insert(of.name.clone(), now);
            if let Some(case) = self.cases.get_mut(&of.name) {
                case.again(now);
            } else if self.cases.len() < CASES_MAX {
                say(&format!("{}: {event_type}, policy '{}'", of.name, policy.name));
                self.cases.insert(of.name.clone(), Case::new(policy, &of.name, event_type, now));
            }
            return self.write_down();
        }
    }

    /// Does what is due.
    pub(super) fn go_on(&mut self, config: &Config, look: &Look, now: Duration) {
        self.look_at_running(now);
        let due: Vec<String> =
            self.due.iter().filter(|(_, at)| **at <= now).map(|(array, _)| array.clone()).collect();
        for array in due {
            // One at a time.
            if self.running.contains_key(&array) {
                self.due.remove(&array);
                continue;
            }
            self.decide(&array, config, look, now);
        }
    }

    fn decide(&mut self, array: &str, config: &Config, look: &Look, now: Duration) {
        self.due.remove(array);
        let Some(case) = self.cases.get_mut(array) else { return };
        let Some(policy) = config.named(&case.policy) else {
            say(&format!("{array}: policy '{}' is there no more", case.policy));
            self.cases.remove(array);
            return self.write_down();
        };
        let of = match look.situation(array) {
            Ok(of) => of,
            Err(error) => {
                let why = error.to_string();
                if case.is_new(&why) {
                    say(&format!("{array}: its state cannot be read: {why}"));
                }
                self.due.insert(array.to_owned(), now.saturating_add(AGAIN));
                return;
            }
        };
        match case.decide(policy, of.as_ref(), now) {
            Decision::Leave(why) => {
                say(&format!("{array}: nothing is done: {why}"));
                self.cases.remove(array);
                self.write_down();
            }
            Decision::Wait(left, why) => {
                if case.is_new(&why) {
                    say(&format!("{array}: waits: {why}"));
                }
                self.due.insert(array.to_owned(), now.saturating_add(left));
            }
            Decision::Act(plan) => {
                let commands: Vec<String> = plan.commands.iter().map(|words| words.join(" ")).collect();
                let commands = commands.join("; ");
                if let Some(why) = of.as_ref().and_then(belongs_to_dmeventd) {
                    say(&format!("{array}: nothing is done: {why}"));
                    self.cases.remove(array);
                    return self.write_down();
                }
                if self.dry_run {
                    say(&format!("{array}: would run: {commands}"));
                    self.cases.remove(array);
                    return self.write_down();
                }
                let timeout = policy.timeout.unsigned_abs();
                case.begins(now);
                // Before it begins: who is killed after that knows that it began.
                self.write_down();
                say(&format!("{array}: runs: {commands}"));
                match Running::begin(plan, now.saturating_add(timeout)) {
                    Ok(running) => drop(self.running.insert(array.to_owned(), running)),
                    Err(why) => self.ended(array, &Ended::Badly(why), now),
                }
            }
        }
    }

    fn look_at_running(&mut self, now: Duration) {
        let ended: Vec<(String, Ended)> = self
            .running
            .iter_mut()
            .filter_map(|(array, running)| Some((array.clone(), running.look(now)?)))
            .collect();
        for (array, how) in ended {
            self.running.remove(&array);
            self.ended(&array, &how, now);
        }
    }

    fn ended(&mut self, array: &str, how: &Ended, now: Duration) {
        match how {
            Ended::Well => say(&format!("{array}: done; its state decides whether it is over")),
            Ended::Badly(why) => say(&format!("{array}: the action failed: {why}")),
        }
        if let Some(case) = self.cases.get_mut(array) {
            case.ended(now);
        }
        self.due.insert(array.to_owned(), now);
        self.write_down();
    }

    /// Writes all of it in place of what was there, as a whole.
    fn write_down(&self) {
        let write = || -> io::Result<()> {
            let beside = self.path.with_extension("new");
            fs::write(&beside, serde_json::to_vec(&self.cases)?)?;
            fs::rename(&beside, &self.path)
        };
        if let Err(error) = write() {
            say(&format!(
                "cannot write {}: {error}; after a restart actions may come earlier",
                self.path.display()
            ));
        }
    }
}

fn names(of: &Situation) -> Vec<String> {
    std::iter::once(of.name.clone()).chain(of.volume.clone()).collect()
}

/// Why dmeventd is the one to act on a volume.
fn belongs_to_dmeventd(of: &Situation) -> Option<String> {
    let volume = of.volume.as_deref()?;
    match is_monitored(volume) {
        Ok(false) => None,
        Ok(true) => Some(format!("dmeventd monitors {volume} and acts on it (lvs -o seg_monitor)")),
        Err(why) => Some(format!("it is not known whether dmeventd monitors {volume}: {why}")),
    }
}
