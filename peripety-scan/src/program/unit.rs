//! One device that is scanned: when it goes on, and when it waits.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use peripety_model::text::printable;

use super::worker::{Answer, Worker};
use crate::{
    config::{Method, Scan},
    machine::Device,
    method::{self, Rested, Trouble},
    others::Counted,
    pass::{Kept, Step},
    report::What,
    status::{ScanStatus, State},
};

/// How often it is counted what others do.
const COUNT: Duration = Duration::from_secs(1);
/// How long a scan waits for others before it looks again.
const BUSY: Duration = Duration::from_secs(5);
/// How long it waits for an array that is busy, or for hours in which it may run.
const LATER: Duration = Duration::from_secs(60);
/// How long it waits after a failure.
const FAILED: Duration = Duration::from_secs(3600);

/// The time, by three clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Since the program began.
    pub(super) since: Duration,
    /// Of the day and year.
    pub(super) wall: Timestamp,
    /// Minute of the day, local.
    pub(super) minute: u16,
}

/// What it does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// The next step begins then.
    Ready { at: Duration },
    /// A step is done.
    Stepping { since: Duration },
    /// It goes on then, or a little later.
    Waiting { until: Duration },
}

/// What the program is to do for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    Step { from: u64, len: u64 },
    Rest,
}

/// One device that is scanned.
pub(super) struct Unit {
    /// What it is known by.
    pub(super) key: String,
    pub(super) device: Device,
    pub(super) scan: Scan,
    pub(super) method: Method,
    /// Disks below: two scans of one disk would make it seek.
    pub(super) disks: BTreeSet<String>,
    pub(super) worker: Option<Worker>,
    phase: Phase,
    why: Option<String>,
    /// It was reported that it cannot go on.
    stopped: bool,
    counted: Option<(Duration, Counted, u64)>,
    own: u64,
    rate: u64,
}

impl Unit {
    pub(super) fn new(
        key: String,
        device: Device,
        scan: Scan,
        method: Method,
        disks: BTreeSet<String>,
    ) -> Self {
        Self {
            key,
            device,
            scan,
            method,
            disks,
            worker: None,
            phase: Phase::Ready { at: Duration::ZERO },
            why: None,
            stopped: false,
            counted: None,
            own: 0,
            rate: 0,
        }
    }

    /// Whether it is in the middle of reading: nobody else may be on its disks.
    pub(super) fn is_active(&self) -> bool {
        !matches!(self.phase, Phase::Waiting { .. }) && self.worker.is_some()
    }

    /// What others did is counted on these: the array itself, for the reads of its check are not among its own; else the disks.
    fn counted_on(&self) -> Vec<&str> {
        match self.method {
            Method::MdCheck | Method::RaidCheck => vec![&self.device.name],
            Method::Read | Method::Scrub => self.disks.iter().map(String::as_str).collect(),
        }
    }

    /// When there is something to do for it.
    pub(super) fn due(&self) -> Option<Duration> {
        match self.phase {
            Phase::Ready { at } => Some(at),
            Phase::Stepping { since } if !self.stopped => Some(since.saturating_add(self.scan.timeout)),
            Phase::Stepping { .. } => None,
            Phase::Waiting { until } => Some(until),
        }
    }

    /// What is to be done now. `is_free`: no other scan is on its disks.
    pub(super) fn look(
        &mut self,
        now: Now,
        kept: &Kept,
        is_free: bool,
        count: impl Fn(&[&str]) -> Counted,
        say: &mut impl FnMut(What<'_>),
    ) -> Wish {
        match self.phase {
            Phase::Stepping { since } => {
                if !self.stopped && now.since.saturating_sub(since) >= self.scan.timeout {
                    let why = format!("a step has not come back for {} s", self.scan.timeout.as_secs());
                    self.stop(why, say);
                }
                return Wish::Nothing;
            }
            Phase::Ready { at } | Phase::Waiting { until: at } if now.since < at => return Wish::Nothing,
            Phase::Ready { .. } | Phase::Waiting { .. } => {}
        }
        if kept.pass.is_none() {
            let due = kept.due(self.scan.every, now.wall);
            if due > now.wall {
                let left = Duration::try_from(due.duration_since(now.wall)).unwrap_or(LATER);
                return self.wait(now, None, left.clamp(COUNT, FAILED));
            }
        }
        let goes_on = self.method == Method::RaidCheck && kept.pass.as_ref().is_some_and(|pass| pass.running);
        if goes_on {
            return self.step(now, kept);
        }
        if let Some(hours) = self.scan.hours.filter(|hours| !hours.have(now.minute)) {
            return self.wait(now, Some(format!("it is not within {hours}")), LATER);
        }
        if !is_free {
            return self.wait(now, Some("another scan reads the same disk".to_owned()), BUSY);
        }
        let counted = count(&self.counted_on());
        let Some((at, before, place)) = self.counted else {
            // What others do is known a moment later.
            self.counted = Some((now.since, counted, kept.pass.as_ref().map_or(0, |pass| pass.place)));
            self.own = 0;
            self.phase = Phase::Ready { at: now.since + COUNT };
            return Wish::Nothing;
        };
        let time = now.since.saturating_sub(at);
        if time >= COUNT {
            let here = kept.pass.as_ref().map_or(0, |pass| pass.place);
            let others = counted.rate_since(before, self.own, time);
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
            self.rate = here.saturating_sub(place).saturating_mul(1000) / millis;
            self.counted = Some((now.since, counted, here));
            self.own = 0;
            if others > self.scan.busy {
                return self.wait(now, Some("others use it".to_owned()), BUSY);
            }
        }
        self.step(now, kept)
    }

    fn step(&mut self, now: Now, kept: &Kept) -> Wish {
        self.why = None;
        self.phase = Phase::Stepping { since: now.since };
        let from = kept.pass.as_ref().map_or(0, |pass| pass.place);
        Wish::Step { from, len: method::step_len(self.method, self.scan.rate) }
    }

    /// It waits; the kernel is to do nothing meanwhile.
    fn wait(&mut self, now: Now, why: Option<String>, how_long: Duration) -> Wish {
        let was_active = self.is_active();
        self.why = why;
        self.rate = 0;
        self.counted = None;
        self.phase = Phase::Waiting { until: now.since.saturating_add(how_long) };
        if was_active { Wish::Rest } else { Wish::Nothing }
    }

    fn stop(&mut self, why: String, say: &mut impl FnMut(What<'_>)) {
        if !self.stopped {
            say(What::Stopped(&why));
        }
        self.stopped = true;
        self.rate = 0;
        self.why = Some(why);
    }

    /// Takes what became of an order.
    pub(super) fn take(&mut self, answer: Answer, now: Now, kept: &mut Kept, say: &mut impl FnMut(What<'_>)) {
        match answer {
            Answer::Rested(rested) => {
                self.move_to(rested, kept);
                if let Some(pass) = &mut kept.pass {
                    pass.running = false;
                }
            }
            Answer::Stepped(Ok(step)) => self.stepped(&step, now, kept, say),
            Answer::Stepped(Err(Trouble::NotNow(why, rested))) => {
                self.move_to(rested, kept);
                self.wait(now, Some(why), LATER);
            }
            Answer::Stepped(Err(Trouble::Gone)) => {
                self.wait(now, Some("the device is there no more".to_owned()), LATER);
            }
            Answer::Stepped(Err(Trouble::Failed(why))) => {
                self.wait(now, None, FAILED);
                self.stop(why, say);
            }
        }
    }

    fn move_to(&self, rested: Rested, kept: &mut Kept) {
        let Some(pass) = &mut kept.pass else { return };
        pass.errors = pass.errors.saturating_add(rested.errors);
        pass.place = rested.place.map_or(pass.place, |place| place.min(pass.total));
    }

    fn stepped(&mut self, step: &Step, now: Now, kept: &mut Kept, say: &mut impl FnMut(What<'_>)) {
        if std::mem::take(&mut self.stopped) {
            say(What::Resumed);
        }
        let Some(pass) = &mut kept.pass else { return };
        for bad in pass.take(step) {
            say(What::Bad(bad));
        }
        pass.running = self.method != Method::Read;
        if step.finished || pass.is_hopeless() {
            if let Some(done) = kept.finish(now.wall) {
                say(What::Done(&done));
            }
            self.wait(now, None, COUNT);
            return;
        }
        let Phase::Stepping { since } = self.phase else { return };
        let pause = match self.method {
            Method::Read => {
                self.own = self.own.saturating_add(step.bytes);
                if !step.bad.is_empty() {
                    // Its good blocks were read several times.
                    self.counted = None;
                }
                // From its beginning on: the time that the read took is part of the pause.
                let nanos = u128::from(method::step_len(self.method, self.scan.rate)) * 1_000_000_000
                    / u128::from(self.scan.rate.max(1));
                since.saturating_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
            }
            // What the scrub read is not known to the sector: others are counted while it rests.
            Method::Scrub => {
                self.counted = None;
                now.since
            }
            Method::MdCheck | Method::RaidCheck => now.since,
        };
        self.phase = Phase::Ready { at: pause };
    }

    /// How it is, for everybody.
    pub(super) fn status(&self, kept: &Kept, now: Now) -> ScanStatus {
        let pass = kept.pass.as_ref();
        let state = match self.phase {
            _ if self.stopped => State::Stopped,
            Phase::Waiting { .. } if pass.is_none() && self.why.is_none() => State::Done,
            Phase::Waiting { .. } => State::Waiting,
            Phase::Ready { .. } | Phase::Stepping { .. } => State::Running,
        };
        ScanStatus {
            device: printable(&self.device.path()).into_owned(),
            id: printable(&self.key).into_owned(),
            method: self.method,
            state,
            why: self.why.clone(),
            place: pass.map_or(0, |pass| pass.place),
            total: pass.map_or_else(|| self.device.bytes(), |pass| pass.total),
            rate: if state == State::Running { self.rate } else { 0 },
            began: pass.map(|pass| pass.began),
            next: pass.is_none().then(|| kept.due(self.scan.every, now.wall)),
            errors: pass.map_or(0, |pass| pass.errors),
            bad: pass.map(|pass| pass.bad.clone()).unwrap_or_default(),
            last: kept.last.clone(),
        }
    }
}

#[cfg(test)]
#[path = "unit_tests.rs"]
mod tests;
