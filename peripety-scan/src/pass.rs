//! How far a scan is: what is kept over a restart, and what becomes of it with each step. Pure.

use std::time::Duration;

use jiff::Timestamp;
use peripety_model::{Errno, Sector, Sectors};
use serde::{Deserialize, Serialize};

use crate::config::Method;

/// Ranges of one pass that are kept one by one.
pub const BAD_MAX: usize = 64;
/// A device of which so many reads in a pass failed is failing as a whole: more reads would wear it before its data are saved.
pub const FAILED_READS_MAX: u64 = 32;

/// Sectors of 512 bytes that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bad {
    /// The first.
    pub sector: Sector,
    /// How many.
    pub count: Sectors,
    /// What the kernel answered.
    pub errno: Errno,
}

/// One pass over a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// How it is scanned.
    pub method: Method,
    /// When it began.
    pub began: Timestamp,
    /// How far it is, in bytes.
    pub place: u64,
    /// How far it goes.
    pub total: u64,
    /// Bytes that were read, or compared.
    pub bytes: u64,
    /// Errors: ranges that cannot be read, sectors that differ, what a scrub found.
    pub errors: u64,
    /// Errors that were mended from a copy.
    pub corrected: u64,
    /// Reads that failed.
    pub failed_reads: u64,
    /// What cannot be read, as much of it as is kept.
    pub bad: Vec<Bad>,
    /// Whether the kernel was asked to do it, and has to be asked to stop.
    pub running: bool,
}

/// A pass that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How it was scanned.
    pub method: Method,
    /// Bytes that were read, or compared.
    pub bytes: u64,
    /// Errors.
    pub errors: u64,
    /// Errors that were mended from a copy.
    pub corrected: u64,
    /// Whether it went to the end: not, where too much could not be read.
    pub complete: bool,
}

impl Done {
    /// How long it took.
    pub fn took(&self) -> Duration {
        Duration::try_from(self.ended.duration_since(self.began)).unwrap_or_default()
    }
}

/// What is kept of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The pass that is not over.
    #[serde(default)]
    pub pass: Option<Pass>,
    /// The one before.
    #[serde(default)]
    pub last: Option<Done>,
}

/// What one step brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Where the next begins, in bytes.
    pub next: u64,
    /// How far it goes, where that is known by now only.
    pub total: Option<u64>,
    /// Bytes that were read, or compared.
    pub bytes: u64,
    /// What cannot be read.
    pub bad: Vec<Bad>,
    /// Further errors.
    pub errors: u64,
    /// Errors that were mended.
    pub corrected: u64,
    /// Whether the end was reached.
    pub finished: bool,
}

impl Kept {
    /// When the next pass is due: at once where there was none, or the clock was set back before it.
    pub fn due(&self, every: Duration, now: Timestamp) -> Timestamp {
        let last = self.last.as_ref().map(|last| last.began).filter(|began| *began <= now);
        last.map_or(now, |began| began.checked_add(every).unwrap_or(Timestamp::MAX))
    }

    /// The pass that is to go on, or a new one. What was kept and cannot be so (of another size or method, or beyond the end)
    /// is begun anew.
    pub fn pass(&mut self, method: Method, total: u64, now: Timestamp) -> &mut Pass {
        let fits = |pass: &Pass| {
            let same_size = method != Method::Read || pass.total == total;
            pass.method == method && same_size && pass.place <= pass.total && pass.began <= now
        };
        let kept = self.pass.take().filter(fits);
        self.pass.insert(kept.unwrap_or_else(|| Pass {
            method,
            began: now,
            place: 0,
            total,
            bytes: 0,
            errors: 0,
            corrected: 0,
            failed_reads: 0,
            bad: Vec::new(),
            running: false,
        }))
    }

    /// The pass is over.
    pub fn finish(&mut self, now: Timestamp) -> Option<Done> {
        let pass = self.pass.take()?;
        let done = Done {
            began: pass.began,
            ended: now.max(pass.began),
            method: pass.method,
            bytes: pass.bytes,
            errors: pass.errors,
            corrected: pass.corrected,
            complete: !pass.is_hopeless(),
        };
        self.last = Some(done.clone());
        Some(done)
    }
}

impl Pass {
    /// Takes what a step brought; gives what of it was not known yet.
    pub fn take(&mut self, step: &Step) -> Vec<Bad> {
        self.total = step.total.unwrap_or(self.total);
        self.place = step.next.min(self.total);
        self.bytes = self.bytes.saturating_add(step.bytes);
        self.corrected = self.corrected.saturating_add(step.corrected);
        self.failed_reads = self.failed_reads.saturating_add(u64::from(!step.bad.is_empty()));
        let mut new = Vec::new();
        for bad in &step.bad {
            // After a kill a piece is read once more.
            if self.bad.contains(bad) {
                continue;
            }
            if self.bad.len() < BAD_MAX {
                self.bad.push(*bad);
            }
            self.errors = self.errors.saturating_add(1);
            new.push(*bad);
        }
        self.errors = self.errors.saturating_add(step.errors);
        new
    }

    /// Whether so much could not be read that it is given up.
    pub const fn is_hopeless(&self) -> bool {
        self.failed_reads >= FAILED_READS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const BEGIN: &str = "2026-03-01T00:00:00Z";

    #[test]
    fn a_pass_goes_on_where_it_was_and_ends_with_a_result() {
        let mut kept = Kept::default();
        let now = time(BEGIN);
        let month = Duration::from_secs(30 * 86_400);
        assert_eq!(kept.due(month, now), now);
        let pass = kept.pass(Method::Read, 1 << 20, now);
        let bad = Bad { sector: Sector(8), count: Sectors(8), errno: Errno::EIO };
        let step = Step { next: 65_536, bytes: 61_440, bad: vec![bad], ..Step::default() };
        assert_eq!(pass.take(&step), [bad]);
        assert_eq!(pass.take(&step), [], "a second time after a kill");
        assert_eq!((pass.place, pass.errors, pass.bad.len()), (65_536, 1, 1));
        // The same device, later.
        let later = time("2026-03-10T00:00:00Z");
        assert_eq!(kept.pass(Method::Read, 1 << 20, later).place, 65_536);
        kept.pass(Method::Read, 1 << 20, later).take(&Step {
            next: 1 << 20,
            finished: true,
            ..Step::default()
        });
        let done = kept.finish(later).unwrap();
        assert_eq!((done.errors, done.complete, done.took().as_secs()), (1, true, 9 * 86_400));
        assert!(kept.pass.is_none() && kept.due(month, later) == time("2026-03-31T00:00:00Z"));
        // The clock was set back: nobody waits for years.
        assert_eq!(kept.due(month, time("2020-01-01T00:00:00Z")), time("2020-01-01T00:00:00Z"));
    }

    #[test]
    fn what_cannot_be_of_this_device_is_begun_anew() {
        let now = time(BEGIN);
        let pass = |change: fn(&mut Pass)| {
            let mut kept = Kept::default();
            let pass = kept.pass(Method::Read, 1 << 20, now);
            pass.place = 4096;
            change(pass);
            kept.pass(Method::Read, 1 << 20, now).place
        };
        assert_eq!(pass(|_| {}), 4096);
        assert_eq!(pass(|pass| pass.place = u64::MAX), 0);
        assert_eq!(pass(|pass| pass.total = 1 << 30), 0);
        assert_eq!(pass(|pass| pass.method = Method::Scrub), 0);
        assert_eq!(pass(|pass| pass.began = Timestamp::MAX), 0);
    }

    #[test]
    fn what_fails_everywhere_is_given_up_and_what_is_kept_is_bounded() {
        let mut kept = Kept::default();
        let now = time(BEGIN);
        for n in 0..FAILED_READS_MAX {
            let pass = kept.pass(Method::Read, 1 << 40, now);
            assert!(!pass.is_hopeless());
            let bad = (0..4)
                .map(|m| Bad { sector: Sector(n * 100 + m * 8), count: Sectors(1), errno: Errno::EIO })
                .collect();
            pass.take(&Step { next: n << 20, bad, ..Step::default() });
        }
        let pass = kept.pass.as_ref().unwrap();
        assert!(pass.is_hopeless() && pass.bad.len() == BAD_MAX && pass.errors == 4 * FAILED_READS_MAX);
        assert!(!kept.finish(now).unwrap().complete);
    }
}
