//! What is not over yet, and what runs for it. Written down before an action begins, so that a successor knows of it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use peripety_client::Seen;
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
/// Events whose later revisions are known as such.
const EVENTS_MAX: usize = 4096;
/// When a state that could not be read is read again.
const AGAIN: Duration = Duration::from_secs(30);

/// All of them: one for each array.
pub(super) struct Cases {
    path: PathBuf,
    dry_run: bool,
    cases: BTreeMap<String, Case>,
    due: BTreeMap<String, Duration>,
    running: BTreeMap<String, Running>,
    seen: Seen,
}

impl Cases {
    /// Those that an earlier process left.
    pub(super) fn new(dir: &Path, dry_run: bool) -> Self {
        let path = dir.join("cases");
        let cases: BTreeMap<String, Case> =
            fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let due = cases.keys().map(|array| (array.clone(), Duration::ZERO)).collect();
        Self { path, dry_run, cases, due, running: BTreeMap::new(), seen: Seen::new(EVENTS_MAX) }
    }

    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.due.values().min().copied()
    }

    /// Takes an event that happened at this time: a case begins, or goes on.
    pub(super) fn take(&mut self, config: &Config, look: &Look, event: &Event, at: Duration) {
        let event_type = event.event_type.as_str();
        let is_fault = event.event_type.info().is_some_and(|info| info.nature == Nature::Fault);
        if !is_fault || !config.is_about(event_type) {
            return;
        }
        // A later revision says more of the same failures. Of what is stored only the last is there, so that is as good a first.
        if !self.seen.is_new(event.event_id, u32::MAX) {
            return;
        }
        for name in arrays_of(event) {
            let of = match look.situation(&name) {
                Ok(Some(of)) => of,
                Ok(None) => continue,
                Err(why) => return say(&format!("{name}: its state cannot be read: {why}")),
            };
            let Some(policy) = config.find(event_type, &of.names()) else { return };
            self.due.insert(of.name.clone(), at);
            if let Some(case) = self.cases.get_mut(&of.name) {
                case.again(event.event_id, at);
            } else if self.cases.len() < CASES_MAX {
                say(&format!("{}: {event_type}, policy '{}'", of.name, policy.name));
                let case = Case::new(policy, &of.name, event_type, event.event_id, at);
                self.cases.insert(of.name, case);
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
            let why = format!("policy '{}' is there no more", case.policy);
            return self.leave(array, &why);
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
            Decision::Leave(why) => self.leave(array, &format!("nothing is done: {why}")),
            Decision::Wait(left, why) => {
                if case.is_new(&why) {
                    say(&format!("{array}: waits: {why}"));
                }
                self.due.insert(array.to_owned(), now.saturating_add(left));
            }
            Decision::Act(plan) => {
                if let Some(why) = of.as_ref().and_then(belongs_to_dmeventd) {
                    return self.leave(array, &format!("nothing is done: {why}"));
                }
                if self.dry_run {
                    return self.leave(array, &format!("would run: {plan}"));
                }
                let timeout = policy.timeout.unsigned_abs();
                case.begins(now);
                // Before it begins: who is killed after that knows that it began.
                self.write_down();
                say(&format!("{array}: runs: {plan}"));
                match Running::begin(plan, now.saturating_add(timeout)) {
                    Ok(running) => drop(self.running.insert(array.to_owned(), running)),
                    Err(why) => self.ended(array, &Ended::Badly(why), now),
                }
            }
        }
    }

    /// Says so, and ends the case.
    fn leave(&mut self, array: &str, words: &str) {
        say(&format!("{array}: {words}"));
        self.cases.remove(array);
        self.write_down();
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

/// Why dmeventd is the one to act on a volume.
fn belongs_to_dmeventd(of: &Situation) -> Option<String> {
    let volume = of.volume.as_deref()?;
    match is_monitored(volume) {
        Ok(false) => None,
        Ok(true) => Some(format!("dmeventd monitors {volume} and acts on it (lvs -o seg_monitor)")),
        Err(why) => Some(format!("it is not known whether dmeventd monitors {volume}: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use peripety_model::{EventType, event_id};

    use super::*;

    #[test]
    fn an_event_begins_one_case_whichever_revision_is_the_first_that_comes() {
        let dir = tempfile::tempdir().unwrap();
        let md = dir.path().join("class/block/md0/md");
        fs::create_dir_all(&md).unwrap();
        for (name, text) in
            [("level", "raid1"), ("array_state", "clean"), ("raid_disks", "2"), ("degraded", "1")]
        {
            fs::write(md.join(name), text).unwrap();
        }
        fs::write(dir.path().join("class/block/md0/dev"), "9:0").unwrap();
        let text = "[[policy]]\nname = \"p\"\ntypes = [\"MD_*\"]\n";
        let config = Config::parse(text, Path::new("p")).unwrap();
        let look = Look::new(dir.path(), dir.path());
        let failed = |n: &str, event_type: EventType, revision: u32| {
            let mut event =
                Event::new(event_id("boot", "test", n), event_type, "2026-03-01T12:00:00Z".parse().unwrap());
            event.revision = revision;
            event.facts.md.get_or_insert_default().array = Some("md0".to_owned());
            event
        };
        let mut cases = Cases::new(dir.path(), false);
        let second = Duration::from_secs(1);
        // Of a stored event only the last revision is there.
        cases.take(&config, &look, &failed("1", EventType::MD_DISK_FAILED, 4), second);
        assert_eq!((cases.cases.len(), cases.due()), (1, Some(second)));
        cases.go_on(&config, &look, second);
        assert!(cases.cases.is_empty(), "the policy does nothing");
        cases.take(&config, &look, &failed("1", EventType::MD_DISK_FAILED, 5), second);
        assert!(cases.cases.is_empty());
        for other in [EventType::DM_MIRROR_LEG_FAILED, EventType::MD_RECOVERY_DONE] {
            cases.take(&config, &look, &failed("2", other, 0), second);
            assert!(cases.cases.is_empty(), "no policy is about it, or it is no failure");
        }
        cases.take(&config, &look, &failed("3", EventType::MD_DISK_FAILED, 0), second);
        assert_eq!(cases.cases.len(), 1);
    }
}
