//! Hints and snapshots in, changes out, and when to ask again. No clock: times are milliseconds of any clock that only goes
//! forward.

use std::collections::BTreeMap;

use crate::{
    change::{Change, Subject, What},
    diff::{self, Reasons},
    hint::{Giver, Hint},
    snapshot::{Brick, Snapshot, Status, Volume},
    store::Saved,
};

/// How long after the first hint glusterd is asked: several come for one thing.
const SETTLE_MS: u64 = 1_500;
/// How long a brick that went must stay away: those of a volume that is being stopped go up to 2 s before it is stopped.
const CONFIRM_MS: u64 = 4_000;
/// The same at the first look, when glusterd may just be starting its bricks.
const CONFIRM_FIRST_MS: u64 = 15_000;
/// How often it is asked for what anybody can have sent, where nothing changed.
const UNFOUNDED_MS: u64 = 15_000;
/// How often it is asked without a hint. Each question takes a lock in the cluster.
const REGULAR_MS: u64 = 600_000;
/// How often heal is asked for, while entries wait.
const HEAL_MS: u64 = 60_000;
/// How long after a brick came back.
const HEAL_SOON_MS: u64 = 10_000;
/// How long after its reason a brick ends, at most.
const REASON_MS: u64 = 120_000;
/// Times between questions that fail: from the one to the other.
const RETRY_MS: (u64, u64) = (3_000, 60_000);
/// How long glusterd may be silent before that is reported.
const SILENT_MS: u64 = 30_000;
/// Reports that are remembered; a cluster with more of them loses the memory of the first.
const REPORTS_MAX: usize = 10_000;

/// What is known, and what is to be asked.
#[derive(Debug, Default)]
pub struct Core {
    known: Option<Snapshot>,
    reports: BTreeMap<String, String>,
    /// Why bricks went, by volume (empty where it was not named) and path, and when that was reported.
    reasons: BTreeMap<(String, String), (String, u64)>,
    /// Bricks of this node whose process ended, by volume and path, since glusterd answered last.
    ended: Vec<(String, String)>,
    ask_at: u64,
    heal_at: u64,
    /// Whether the next question is for more than what anybody can have sent.
    asked_by_root: bool,
    /// Until when what anybody can have sent leads to no question: the last one for it found nothing.
    unfounded_until: u64,
    /// Since when a snapshot has bricks fewer than before.
    fewer_since: Option<u64>,
    failing_since: Option<u64>,
    retry_ms: u64,
    silence_reported: bool,
}

impl Core {
    /// Goes on with what was saved.
    pub fn new(saved: Saved) -> Self {
        Self {
            known: saved.snapshot,
            reports: saved.reports,
            silence_reported: saved.silent,
            ..Self::default()
        }
    }

    /// What is to be saved.
    pub fn save(&self) -> Saved {
        Saved { snapshot: self.known.clone(), reports: self.reports.clone(), silent: self.silence_reported }
    }

    /// The state that was reported last.
    pub fn known(&self) -> Option<&Snapshot> {
        self.known.as_ref()
    }

    /// When glusterd is to be asked.
    pub fn ask_at(&self) -> u64 {
        self.ask_at
    }

    /// The volumes of which heal is to be asked with the next question.
    pub fn heal_wanted(&self, now: u64) -> bool {
        now >= self.heal_at
    }

    /// Something happened.
    pub fn hint(&mut self, now: u64, giver: Giver, hint: Hint) -> Vec<Change> {
        self.ask_after(now, giver);
        match hint {
            Hint::Report(report) => {
                let (key, text) = (report.key(), report.to_string());
                if self.reports.get(&key) == Some(&text) {
                    return Vec::new();
                }
                // What begins by being well is no change.
                let first_and_well = !self.reports.contains_key(&key) && report.is_well();
                if self.reports.len() >= REPORTS_MAX {
                    self.reports.pop_first();
                }
                self.reports.insert(key, text);
                if first_and_well {
                    return Vec::new();
                }
                return vec![Change::of_node(report.subject(), What::Report(report))];
            }
            Hint::Reason { volume, path, why } => {
                self.reasons.insert((volume.unwrap_or_default(), path), (why, now));
            }
            Hint::Ended { volume, path } => self.ended.push((volume, path)),
            Hint::Heal => self.heal_at = self.heal_at.min(now + SETTLE_MS),
            Hint::Changed => {}
        }
        Vec::new()
    }

    fn ask_after(&mut self, now: u64, giver: Giver) {
        let mut at = now + SETTLE_MS;
        if giver == Giver::Anyone {
            at = at.max(self.unfounded_until);
        } else {
            self.asked_by_root = true;
        }
        // While glusterd does not answer, hints do not make it answer sooner.
        if self.failing_since.is_none() {
            self.ask_at = self.ask_at.min(at);
        }
    }

    /// glusterd answered; `time_s` is the time of day in seconds since 1970. Where the answer is not `complete`, which bricks run
    /// is not in it.
    pub fn snapshot(&mut self, now: u64, time_s: u64, mut snapshot: Snapshot, complete: bool) -> Vec<Change> {
        let mut changes = Vec::new();
        if std::mem::take(&mut self.silence_reported) {
            changes.push(Change::of_node(Subject::Daemon, What::Answers));
        }
        let asked_heal = complete && self.heal_wanted(now);
        self.carry(&mut snapshot, asked_heal);
        if complete {
            self.failing_since = None;
            self.retry_ms = 0;
            self.ended.clear();
            self.ask_at = now + REGULAR_MS;
        } else {
            let since = self.retry(now);
            self.carry_processes(&mut snapshot);
            if now >= since + CONFIRM_MS {
                self.end_bricks(&mut snapshot);
            }
        }
        if self.has_fewer_bricks(&snapshot) {
            let since = *self.fewer_since.get_or_insert(now);
            let confirm = if self.known.is_some() { CONFIRM_MS } else { CONFIRM_FIRST_MS };
            if now < since + confirm {
                self.ask_at = self.ask_at.min(since + confirm);
                return changes;
            }
        }
        if complete {
            self.fewer_since = None;
        }
        let found = diff::changes(self.known.as_ref(), &snapshot, &self.reasons(), time_s);
        let pending = snapshot.volumes.values().filter_map(|volume| volume.heal).any(|heal| heal.pending > 0);
        let away = snapshot.volumes.values().any(has_bricks_away);
        if asked_heal {
            self.heal_at = now + if pending || away { HEAL_MS } else { REGULAR_MS };
        }
        if complete {
            let by_root = std::mem::take(&mut self.asked_by_root);
            self.unfounded_until = if found.is_empty() && !by_root { now + UNFOUNDED_MS } else { 0 };
            let was_away = |known: &Snapshot| known.volumes.values().any(has_bricks_away);
            if self.known.as_ref().is_some_and(|known| was_away(known) != away) {
                self.heal_at = self.heal_at.min(now + HEAL_SOON_MS);
            }
            self.ask_at = self.ask_at.min(self.heal_at);
        }
        self.forget(now, &snapshot);
        self.known = Some(snapshot);
        changes.extend(found);
        changes
    }

    /// Which bricks run was not to be had, and the question took until `now`.
    pub fn later(&mut self, now: u64) {
        self.ask_at = now + self.retry_ms.max(RETRY_MS.0);
    }

    /// Asks again, later each time; since when it fails.
    fn retry(&mut self, now: u64) -> u64 {
        self.retry_ms = (self.retry_ms * 2).clamp(RETRY_MS.0, RETRY_MS.1);
        self.ask_at = now + self.retry_ms;
        *self.failing_since.get_or_insert(now)
    }

    /// Which bricks run is as it was.
    fn carry_processes(&self, snapshot: &mut Snapshot) {
        let Some(known) = &self.known else { return };
        for (name, volume) in &mut snapshot.volumes {
            let Some(before) = known.volumes.get(name).filter(|before| before.id == volume.id) else {
                continue;
            };
            for brick in &mut volume.bricks {
                let same = |b: &&Brick| b.node == brick.node && b.path == brick.path;
                if let Some(before) = before.bricks.iter().find(same) {
                    (brick.online, brick.port, brick.pid) = (before.online, before.port, before.pid);
                }
            }
        }
    }

    /// Bricks serve without glusterd, and end without it.
    fn end_bricks(&mut self, snapshot: &mut Snapshot) {
        for (name, path) in &self.ended {
            let volume = snapshot.volumes.get_mut(name).into_iter();
            let bricks = volume.flat_map(|volume| &mut volume.bricks);
            for brick in bricks.filter(|b| b.node == snapshot.node && b.path == *path) {
                brick.online = Some(false);
            }
        }
    }

    /// Takes over what this answer does not have: heal that was not asked for, and the device of a brick whose mount is gone.
    fn carry(&self, snapshot: &mut Snapshot, asked_heal: bool) {
        let Some(known) = &self.known else { return };
        for (name, volume) in &mut snapshot.volumes {
            let Some(before) = known.volumes.get(name).filter(|before| before.id == volume.id) else {
                continue;
            };
            if !asked_heal || (volume.heal.is_none() && volume.status == Status::Started) {
                volume.heal = volume.heal.or(before.heal);
            }
            for brick in &mut volume.bricks {
                let same = |b: &&Brick| b.node == brick.node && b.path == brick.path;
                if let Some(before) = before.bricks.iter().find(same)
                    && brick.online != Some(true)
                    && before.device.is_some()
                {
                    brick.device.clone_from(&before.device);
                }
            }
        }
    }

    /// Whether a brick that served serves no more, or at the first look one that should does not.
    fn has_fewer_bricks(&self, snapshot: &Snapshot) -> bool {
        snapshot.volumes.iter().filter(|(_, volume)| volume.status == Status::Started).any(
            |(name, volume)| {
                let before = self.known.as_ref().map(|known| known.volumes.get(name));
                volume.bricks.iter().filter(|brick| brick.online != Some(true)).any(|brick| match before {
                    None => brick.online == Some(false),
                    Some(before) => before
                        .into_iter()
                        .flat_map(|before| &before.bricks)
                        .any(|b| b.node == brick.node && b.path == brick.path && b.online == Some(true)),
                })
            },
        )
    }

    /// Reasons are of bricks that are away, or are going.
    fn forget(&mut self, now: u64, snapshot: &Snapshot) {
        let is_away = |path: &str| {
            let bricks = snapshot.volumes.values().flat_map(|volume| &volume.bricks);
            bricks.filter(|brick| brick.path == path).any(|brick| brick.online != Some(true))
        };
        self.reasons.retain(|(_, path), (_, at)| now < *at + REASON_MS || is_away(path));
    }

    fn reasons(&self) -> Reasons {
        self.reasons.iter().map(|(brick, (why, _))| (brick.clone(), why.clone())).collect()
    }

    /// glusterd of this node did not answer.
    pub fn failed(&mut self, now: u64, time_s: u64, why: &str) -> Vec<Change> {
        let since = self.retry(now);
        if now < since + SILENT_MS {
            return Vec::new();
        }
        let mut changes = Vec::new();
        if !std::mem::replace(&mut self.silence_reported, true) {
            changes.push(Change::of_node(Subject::Daemon, What::NoAnswer(why.to_owned())));
        }
        if let Some(mut snapshot) = self.known.clone().filter(|_| !self.ended.is_empty()) {
            self.end_bricks(&mut snapshot);
            self.ended.clear();
            changes.extend(diff::changes(self.known.as_ref(), &snapshot, &self.reasons(), time_s));
            self.known = Some(snapshot);
        }
        changes
    }
}

/// Whether something will have to be healed once they are back.
fn has_bricks_away(volume: &Volume) -> bool {
    volume.status == Status::Started
        && volume.set_size() > 1
        && volume.bricks.iter().any(|brick| brick.online != Some(true))
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
