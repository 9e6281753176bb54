//! One failure that a policy is about: whether to wait, to act or to leave it. Pure: time and the state of the array come in.

use std::{collections::BTreeMap, time::Duration};

use peripety_model::EventId;
use serde::{Deserialize, Serialize};

use crate::{
    config::{Action, FAILURES_MAX, Policy},
    plan::{Plan, plan},
    situation::Situation,
};

/// The longest pause between two tries.
const BACK_OFF_MAX: Duration = Duration::from_secs(3600);
/// How often the state is read while nothing but time has to pass: it may be over by itself, or get worse.
const LOOK: Duration = Duration::from_secs(30);

/// A failure that is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The policy.
    pub policy: String,
    /// The array, map or volume, by the name of its map or the kernel's.
    pub array: String,
    /// Type of the event.
    pub event_type: String,
    /// When it failed, in time since the machine started: each event once, also where a successor gets it again.
    failures: BTreeMap<EventId, Duration>,
    /// How often it was acted on.
    tries: u32,
    /// When the last one ended, or began if its end was not seen.
    tried_at: Option<Duration>,
    /// The one that runs.
    #[serde(default)]
    pub begun: Option<Begun>,
    /// What was said last, so that it is said once.
    #[serde(skip)]
    said: String,
}

/// An action that runs, as a process has to know it that comes after the one which began it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// All of it.
    pub plan: Plan,
    /// How many of its commands have begun.
    pub commands: usize,
    /// The process group of the last of them; none where nobody could write it down.
    pub group: Option<Group>,
    /// When it has to have ended.
    pub until: Duration,
}

/// A process group, by the process that leads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The number of both.
    pub pid: i32,
    /// When that process began, as `/proc` has it: its number may be another one's later.
    pub started: Option<u64>,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is over, or this policy does nothing about it: why.
    Leave(String),
    /// Look again after so long.
    Wait(Duration, String),
    /// Run this.
    Act(Plan),
}

impl Case {
    /// A failure at this time, by this event.
    pub fn new(policy: &Policy, array: &str, event_type: &str, event: EventId, at: Duration) -> Self {
        Self {
            policy: policy.name.clone(),
            array: array.to_owned(),
            event_type: event_type.to_owned(),
            failures: BTreeMap::from([(event, at)]),
            tries: 0,
            tried_at: None,
            begun: None,
            said: String::new(),
        }
    }

    /// It failed again; an event that is known changes nothing.
    pub fn again(&mut self, event: EventId, at: Duration) {
        self.failures.entry(event).or_insert(at);
        if self.failures.len() > FAILURES_MAX as usize {
            let oldest = self.failures.iter().min_by_key(|(_, at)| **at).map(|(event, _)| *event);
            oldest.and_then(|oldest| self.failures.remove(&oldest));
        }
    }

    /// An action begins: until it ends it counts as one that failed, for nobody may be there to see how it ended.
    pub fn begins(&mut self, plan: Plan, at: Duration, until: Duration) {
        self.tries = self.tries.saturating_add(1);
        self.tried_at = Some(at);
        self.begun = Some(Begun { plan, commands: 0, group: None, until });
    }

    /// It ended, well or not: where the array is not well by it, the next try waits.
    pub fn ended(&mut self, at: Duration) {
        self.tried_at = Some(at);
        self.begun = None;
    }

    /// Whether these words were not said before.
    pub fn is_new(&mut self, words: &str) -> bool {
        let new = self.said != words;
        words.clone_into(&mut self.said);
        new
    }

    /// What to do, as the array is now; none where it is there no more.
    pub fn decide(&self, policy: &Policy, of: Option<&Situation>, now: Duration) -> Decision {
        let Some(of) = of else { return Decision::Leave(format!("{} is there no more", self.array)) };
        if of.is_well() {
            return Decision::Leave(format!("{} is well again", of.name));
        }
        if of.busy {
            return Decision::Wait(LOOK, format!("{} is being worked on already", of.name));
        }
        if policy.action == Action::Tell {
            return Decision::Leave(format!(
                "policy '{}' does nothing about {}",
                policy.name, self.event_type
            ));
        }
        if let Some(left) =
            self.back_off(policy).and_then(|until| until.checked_sub(now)).filter(|left| !left.is_zero())
        {
            return Decision::Wait(
                left,
                match self.tries {
                    1 => "it was tried once and is not well: the next try waits".to_owned(),
                    tries => format!("it was tried {tries} times and is not well: the next try waits"),
                },
            );
        }
        let within = policy.within.unsigned_abs();
        let recent = self.failures.values().filter(|at| now.saturating_sub(**at) <= within).count();
        if let Some(least) = policy.failures.filter(|least| (recent as u64) < u64::from(*least)) {
            return Decision::Wait(within, format!("{recent} of {least} failures that it takes"));
        }
        let last = self.failures.values().max().copied().unwrap_or_default();
        let is_too_far = policy.out_of_sync.zip(of.out_of_sync).is_some_and(|(most, is)| is > most);
        let left = last.saturating_add(policy.wait.unsigned_abs()).saturating_sub(now);
        // What was tried once is not transient.
        if !left.is_zero() && !is_too_far && self.tried_at.is_none() {
            return Decision::Wait(
                left.min(LOOK),
                format!("it may be over by itself: {} s are left", left.as_secs()),
            );
        }
        match plan(policy, of, &self.event_type) {
            Ok(plan) => Decision::Act(plan),
            Err(why) => Decision::Leave(why),
        }
    }

    /// Until when nothing is tried again.
    fn back_off(&self, policy: &Policy) -> Option<Duration> {
        let tries = self.tries.checked_sub(1)?;
        let pause = policy.back_off.unsigned_abs().saturating_mul(1 << tries.min(16)).min(BACK_OFF_MAX);
        Some(self.tried_at?.saturating_add(pause))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::{config::Config, situation::tests::of};

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The event of a failure at this time.
    fn event(at: Duration) -> EventId {
        peripety_model::event_id("boot", "test", &at.as_secs().to_string())
    }

    fn case(policy: &Policy, at: Duration) -> Case {
        Case::new(policy, "vg-lv", "X", event(at), at)
    }

    fn again(case: &mut Case, at: Duration) {
        case.again(event(at), at);
    }

    fn begins(case: &mut Case, at: Duration) {
        case.begins(Plan { commands: Vec::new(), environment: Vec::new() }, at, at + s(600));
    }

    fn policy(rest: &str) -> Policy {
        let text = format!("[[policy]]\nname = \"p\"\ntypes = [\"*\"]\n{rest}\n");
        Config::parse(&text, Path::new("p")).unwrap().policy.remove(0)
    }

    fn dead(out_of_sync: u32) -> Situation {
        of("mirror", &format!("2 254:0 254:1 {}/100 1 AD 1 core", 100 - out_of_sync))
    }

    fn well() -> Situation {
        of("mirror", "2 254:0 254:1 100/100 1 AA 1 core")
    }

    fn is_wait(decision: &Decision) -> bool {
        matches!(decision, Decision::Wait(..))
    }

    #[test]
    fn a_leg_that_comes_back_within_the_wait_is_left_alone() {
        let policy = policy("wait = \"60s\"\naction = \"replace-leg\"");
        let case = case(&policy, s(100));
        assert!(
            matches!(case.decide(&policy, Some(&dead(1)), s(100)), Decision::Wait(left, _) if left == s(30))
        );
        assert!(
            matches!(case.decide(&policy, Some(&dead(1)), s(150)), Decision::Wait(left, _) if left == s(10))
        );
        assert!(
            matches!(case.decide(&policy, Some(&well()), s(150)), Decision::Leave(why) if why.contains("well again"))
        );
        assert!(matches!(case.decide(&policy, Some(&dead(1)), s(160)), Decision::Act(_)));
        // Someone else repairs it by then.
        let repaired = of("mirror", "2 254:0 254:1 30/100 1 AA 1 core");
        assert!(is_wait(&case.decide(&policy, Some(&repaired), s(160))));
        assert!(matches!(case.decide(&policy, None, s(160)), Decision::Leave(_)));
    }

    #[test]
    fn too_much_out_of_sync_ends_the_wait_and_each_failure_begins_it_anew() {
        let policy = policy("wait = \"1h\"\nout_of_sync = 5.0\naction = \"resync\"");
        let mut case = case(&policy, s(0));
        assert!(is_wait(&case.decide(&policy, Some(&dead(5)), s(10))));
        assert!(matches!(case.decide(&policy, Some(&dead(6)), s(10)), Decision::Act(_)));
        again(&mut case, s(3000));
        assert!(is_wait(&case.decide(&policy, Some(&dead(1)), s(3700))));
    }

    #[test]
    fn so_many_failures_in_a_time() {
        let policy = policy("failures = 3\nwithin = \"1h\"\naction = \"resync\"");
        let mut case = case(&policy, s(0));
        again(&mut case, s(10));
        assert!(is_wait(&case.decide(&policy, Some(&dead(1)), s(20))));
        again(&mut case, s(4000));
        assert!(is_wait(&case.decide(&policy, Some(&dead(1)), s(4000))), "the first two are too long ago");
        again(&mut case, s(4100));
        again(&mut case, s(4200));
        assert!(matches!(case.decide(&policy, Some(&dead(1)), s(4200)), Decision::Act(_)));
        // A successor gets the events again that were counted, and those of before in any order.
        let mut case: Case = serde_json::from_str(&serde_json::to_string(&case).unwrap()).unwrap();
        for at in [4200, 10, 4100, 0, 4000] {
            again(&mut case, s(at));
        }
        assert_eq!(case.failures.len(), 5);
        assert!(is_wait(&case.decide(&policy, Some(&dead(1)), s(7650))), "two within the hour");
    }

    #[test]
    fn an_action_that_fails_is_tried_after_ever_longer_times_also_by_a_successor() {
        let policy = policy("action = \"resync\"\nback_off = \"1min\"");
        let mut case = case(&policy, s(0));
        let mut now = s(0);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert!(matches!(case.decide(&policy, Some(&dead(1)), now), Decision::Act(_)));
            begins(&mut case, now);
            // Killed while it ran: what was written down when it began is all that is known.
            case = serde_json::from_str(&serde_json::to_string(&case).unwrap()).unwrap();
            let Decision::Wait(left, _) = case.decide(&policy, Some(&dead(1)), now) else {
                panic!("no wait")
            };
            pauses.push(left.as_secs());
            now += left;
        }
        assert_eq!(pauses, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        // Nor does it go on at once where the command had nothing to complain about.
        begins(&mut case, now);
        case.ended(now + s(5));
        assert!(is_wait(&case.decide(&policy, Some(&dead(1)), now + s(5))));
    }

    #[test]
    fn to_tell_is_to_do_nothing() {
        let policy = policy("");
        let case = case(&policy, s(0));
        assert!(matches!(case.decide(&policy, Some(&dead(1)), s(1_000_000)), Decision::Leave(_)));
    }

    proptest! {
        /// Whatever is said and whenever: nothing is run on what has no good member, or is being worked on.
        #[test]
        fn never_at_the_cost_of_the_last_copy(states in "[AFDSRU]{2,4}", synced in 0_u32..=100, action in 0_usize..4, at in 0_u64..100_000, tries in 0_u32..5) {
            let action = ["resync", "rewrite", "replace-leg", "extend"][action];
            let policy = policy(&format!("action = \"{action}\""));
            let legs: Vec<String> = (0..states.len()).map(|n| format!("254:{n}")).collect();
            let now = of("mirror", &format!("{} {} {synced}/100 1 {states} 1 core", states.len(), legs.join(" ")));
            let mut case = case(&policy, s(0));
            (0..tries).for_each(|_| begins(&mut case, s(0)));
            if let Decision::Act(_) = case.decide(&policy, Some(&now), s(at)) {
                prop_assert!(states.contains('A') && !now.busy && !now.is_well(), "{states} {synced}");
            }
        }
    }
}
