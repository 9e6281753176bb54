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
    runner::{Ended, Hold, Running, State},
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
/// When a state that could not be read is read again, and when it is looked whether what runs has ended.
const AGAIN: Duration = Duration::from_secs(30);

/// All of them: one for each array.
pub(super) struct Cases {
    dir: PathBuf,
    dry_run: bool,
    cases: BTreeMap<String, Case>,
    due: BTreeMap<String, Duration>,
    running: BTreeMap<String, Running>,
    seen: Seen,
}

impl Cases {
    /// Those that an earlier process left, with what runs for them still.
    pub(super) fn new(dir: &Path, dry_run: bool) -> Self {
        let mut all = Self {
            dir: dir.to_owned(),
            dry_run,
            cases: BTreeMap::new(),
            due: BTreeMap::new(),
            running: BTreeMap::new(),
            seen: Seen::new(EVENTS_MAX),
        };
        // Those of a process that does something may be on their way.
        if !dry_run {
            let written = fs::read(all.path()).ok();
            all.cases = written.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        }
        for (array, case) in &all.cases {
            if let Some(begun) = &case.begun {
                say(&format!("{array}: it was interrupted, and may run still: {}", begun.plan));
                let running = Running::taken_over(Hold::path(dir, array));
                all.running.insert(array.clone(), running);
            } else {
                all.due.insert(array.clone(), Duration::ZERO);
            }
        }
        all
    }

    fn path(&self) -> PathBuf {
        self.dir.join("cases")
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
        for name in arrays_of(event) {
            let of = match look.situation(&name) {
                Ok(Some(of)) => of,
                Ok(None) => continue,
                Err(why) => return say(&format!("{name}: its state cannot be read: {why}")),
            };
            // A later revision says more of the same failures. Of what is stored only the last is there, so that is as good a
            // first; and the first may not say yet which array it is about.
            if !self.seen.is_new(event.event_id, u32::MAX) {
                return;
            }
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
                let hold = match Hold::take(&Hold::path(&self.dir, array)) {
                    Ok(Some(hold)) => Ok(hold),
                    Ok(None) => {
                        let why = "what was begun for it before runs still";
                        if case.is_new(why) {
                            say(&format!("{array}: waits: {why}"));
                        }
                        self.due.insert(array.to_owned(), now.saturating_add(AGAIN));
                        return;
                    }
                    Err(error) => Err(format!("nobody could know that it runs: {error}")),
                };
                say(&format!("{array}: runs: {plan}"));
                case.begins(plan, now, now.saturating_add(policy.timeout.unsigned_abs()));
                // Before it begins: who comes after a kill knows that it began.
                self.write_down();
                self.begin(array, hold, now);
            }
        }
    }

    fn begin(&mut self, array: &str, hold: Result<Hold, String>, now: Duration) {
        let Some(begun) = self.cases.get_mut(array).and_then(|case| case.begun.as_mut()) else { return };
        match hold.and_then(|hold| Running::begin(begun, hold)) {
            Ok(running) => {
                self.running.insert(array.to_owned(), running);
                self.write_down();
            }
            Err(why) => self.ended(array, &Ended::Badly(why), now),
        }
    }

    /// Says so, and ends the case.
    fn leave(&mut self, array: &str, words: &str) {
        say(&format!("{array}: {words}"));
        self.cases.remove(array);
        self.write_down();
    }

    fn look_at_running(&mut self, now: Duration) {
        let Self { running, cases, .. } = self;
        let mut states = Vec::new();
        for (array, running) in running {
            let begun = cases.get_mut(array).and_then(|case| case.begun.as_mut());
            let state = begun.map(|begun| running.look(begun, now));
            states.push((array.clone(), state.unwrap_or(State::Ended(Ended::Unseen))));
        }
        for (array, state) in states {
            match state {
                State::Runs => {}
                State::Next => self.write_down(),
                State::Ended(how) => {
                    self.running.remove(&array);
                    self.ended(&array, &how, now);
                }
            }
        }
    }

    fn ended(&mut self, array: &str, how: &Ended, now: Duration) {
        match how {
            Ended::Well => say(&format!("{array}: done; its state decides whether it is over")),
            Ended::Badly(why) => say(&format!("{array}: the action failed: {why}")),
            Ended::Unseen => say(&format!(
                "{array}: the action that was interrupted runs no more, and how it ended was not seen; its state decides \
                 whether it is over"
            )),
        }
        if let Some(case) = self.cases.get_mut(array) {
            case.ended(now);
        }
        self.due.insert(array.to_owned(), now);
        self.write_down();
    }

    /// Writes all of it in place of what was there, as a whole.
    fn write_down(&self) {
        if self.dry_run {
            return;
        }
        let path = self.path();
        let write = || -> io::Result<()> {
            let beside = path.with_extension("new");
            fs::write(&beside, serde_json::to_vec(&self.cases)?)?;
            fs::rename(&beside, &path)
        };
        if let Err(error) = write() {
            say(&format!(
                "cannot write {}: {error}; after a restart actions may come earlier",
                path.display()
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

    /// An array of md that lacks a member.
    fn degraded(dir: &Path) -> Look {
        let md = dir.join("class/block/md0/md");
        fs::create_dir_all(&md).unwrap();
        for (name, text) in
            [("level", "raid1"), ("array_state", "clean"), ("raid_disks", "2"), ("degraded", "1")]
        {
            fs::write(md.join(name), text).unwrap();
        }
        fs::write(dir.join("class/block/md0/dev"), "9:0").unwrap();
        Look::new(dir, dir)
    }

    fn failed(n: &str, event_type: EventType, revision: u32) -> Event {
        let mut event =
            Event::new(event_id("boot", "test", n), event_type, "2026-03-01T12:00:00Z".parse().unwrap());
        event.revision = revision;
        event.facts.md.get_or_insert_default().array = Some("md0".to_owned());
        event
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn until(what: impl Fn() -> bool) {
        let since = std::time::Instant::now();
        while !what() {
            assert!(since.elapsed() < s(20), "it never happened");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_process_that_comes_after_a_kill_neither_begins_anew_what_runs_nor_forgets_it() {
        let dir = tempfile::tempdir().unwrap();
        let look = degraded(dir.path());
        let (go, runs) = (dir.path().join("go"), dir.path().join("runs"));
        let script = format!(
            "echo x >> {}; for n in $(seq 2000); do [ -e {} ] && exit; sleep 0.01; done",
            runs.display(),
            go.display()
        );
        let text = format!(
            "[[policy]]\nname = \"p\"\ntypes = [\"*\"]\naction = \"run\"\ncommand = [\"/bin/sh\", \"-c\", \"{script}\"]\n"
        );
        let config = Config::parse(&text, Path::new("p")).unwrap();
        let count = || fs::read_to_string(&runs).unwrap_or_default().lines().count();
        let mut cases = Cases::new(dir.path(), false);
        cases.take(&config, &look, &failed("1", EventType::MD_DISK_FAILED, 0), s(1));
        cases.go_on(&config, &look, s(1));
        until(|| count() == 1);
        // Nothing of it is left but the command and the file.
        drop(cases);
        // Who only says what would be done has no part in it.
        assert!(Cases::new(dir.path(), true).cases.is_empty());
        let mut cases = Cases::new(dir.path(), false);
        // The daemon gives the event again that it has.
        cases.take(&config, &look, &failed("1", EventType::MD_DISK_FAILED, 0), s(1));
        for now in [10, 100, 400] {
            cases.go_on(&config, &look, s(now));
            assert!(cases.is_running() && count() == 1, "{now}");
        }
        // One whose file was lost does not begin it either.
        let written = fs::read(cases.path()).unwrap();
        fs::remove_file(cases.path()).unwrap();
        let mut forgetful = Cases::new(dir.path(), false);
        forgetful.take(&config, &look, &failed("1", EventType::MD_DISK_FAILED, 0), s(1));
        forgetful.go_on(&config, &look, s(400));
        assert!(!forgetful.is_running() && forgetful.due() == Some(s(400) + AGAIN));
        fs::write(cases.path(), written).unwrap();
        fs::write(&go, "").unwrap();
        until(|| Hold::take(&Hold::path(dir.path(), "md0")).unwrap().is_some());
        // It counts as a try, after which the next one waits.
        cases.go_on(&config, &look, s(401));
        assert!(!cases.is_running() && count() == 1 && cases.due() == Some(s(461)));
        cases.go_on(&config, &look, s(461));
        until(|| count() == 2);
    }

    #[test]
    fn an_event_begins_one_case_whichever_revision_is_the_first_that_comes() {
        let dir = tempfile::tempdir().unwrap();
        let text = "[[policy]]\nname = \"p\"\ntypes = [\"MD_*\"]\n";
        let config = Config::parse(text, Path::new("p")).unwrap();
        let look = degraded(dir.path());
        let mut cases = Cases::new(dir.path(), false);
        let second = s(1);
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
        let mut nameless = failed("3", EventType::MD_DISK_FAILED, 0);
        nameless.facts.md = None;
        cases.take(&config, &look, &nameless, second);
        assert!(cases.cases.is_empty());
        cases.take(&config, &look, &failed("3", EventType::MD_DISK_FAILED, 1), second);
        assert_eq!(cases.cases.len(), 1, "the array is known by the second revision");
    }
}
