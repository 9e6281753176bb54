//! Failures for which the kernel did not run our program.
//!
//! It leaves a program out while the same program runs on that CPU (since Linux 6.1 for raw tracepoints), while any
//! program of perf's runs (`bpf_prog_active`, for classic ones), and a distribution's kernel may have reasons of its own.
//! perf's own count of the tracepoint has none of these gaps. `block_rq_error` fires for nothing but failures, so that
//! the difference to the runs that our program counted is what it did not see. Which devices failed at that moment is
//! known from what it saw; with several at once the shares are an estimate, and the sum is exact.
//!
//! A program of somebody else that perf runs on this very tracepoint (bpftrace on `block_rq_error`) ends perf's count for
//! as long as it is there: then nothing is found, and nothing is made up.
//!
//! perf's count ends with the daemon, also where the program goes on. What the program ran for in between is unchecked: how
//! many more there were is not known, and `prpt stats` says so.

use std::collections::HashMap;

use peripety_common::{Kind, counters::CountKey};

use super::{super::hits::Hits, Ebpf, Found, PROBES, Probe};
use crate::record::Missed;

/// The hook whose hits are counted twice.
pub(super) const KIND: Kind = Kind::BlockRqError;

/// Looks after which failures that no seen one explains belong to no device that is known.
const FRUITLESS_MAX: u32 = 3;

/// perf's count, and what of it was reported.
#[derive(Default)]
pub(super) struct MissedRuns {
    perf: Hits,
    /// Runs that our program had counted when perf began to count.
    runs_before: u64,
    /// At the last look.
    last: u64,
    found: u64,
    /// Found, and of no known device yet.
    open: u64,
    /// What failed, as far as it was seen, since the last look that found nothing to be open.
    recent: HashMap<CountKey, u64>,
    fruitless: u32,
    /// Runs that were compared with perf's count.
    checked: u64,
    /// Runs beside which nobody had perf count, before this daemon did.
    unchecked_before: u64,
}

impl MissedRuns {
    /// perf's count so far. It is read before the runs: what fails between the two readings hides an unseen one until the
    /// next look, and makes none up.
    fn hits(&mut self) -> u64 {
        self.perf.read().unwrap_or_else(|_gone| {
            self.perf = Hits::default();
            0
        })
    }

    /// Failures that the program saw and beside which perf did not count.
    fn unchecked(&self, runs: u64) -> u64 {
        let since = if self.perf.is_counting() { 0 } else { runs.saturating_sub(self.checked) };
        self.unchecked_before + since
    }

    /// Failures that were not seen since the last call, and whether there may be more. perf may have counted a hit for
    /// which the program is just about to run, so that only what two looks agree on is believed.
    fn newly_found(&mut self, hits: u64, runs: u64) -> (u64, bool) {
        let unseen = hits.saturating_sub(runs.saturating_sub(self.runs_before));
        let sure = unseen.min(std::mem::replace(&mut self.last, unseen));
        let new = sure.saturating_sub(self.found);
        self.found += new;
        (new, unseen > self.found)
    }

    /// All that were found.
    pub(super) const fn found(&self) -> u64 {
        self.found
    }

    /// A look: gives what is new to the devices that failed meanwhile.
    fn look(&mut self, hits: u64, runs: u64, recent: HashMap<CountKey, u64>, found: &mut Found) {
        for (key, count) in recent {
            *self.recent.entry(key).or_default() += count;
        }
        let (new, more) = self.newly_found(hits, runs);
        if self.perf.is_counting() {
            self.checked = runs;
        }
        self.open += new;
        self.report(found);
        found.look_again |= more;
        // What is not sure yet belongs to what failed until now, too.
        if !more && self.open == 0 {
            self.recent.clear();
        }
    }

    fn report(&mut self, found: &mut Found) {
        if self.open == 0 {
            return;
        }
        let shares = shares(self.open, &self.recent);
        if shares.is_empty() {
            self.fruitless += 1;
            if self.fruitless < FRUITLESS_MAX {
                found.look_again = true;
                return;
            }
            found.unexplained += self.open;
        }
        (self.open, self.fruitless) = (0, 0);
        found.missed.extend(shares.into_iter().map(|(key, count)| Missed {
            kind: key.kind,
            dev: key.dev,
            op: key.op,
            errno: key.code.cast_signed(),
            count,
        }));
    }
}

/// Divides a number in proportion to the counts of the hook's keys, by largest remainder.
fn shares(number: u64, counts: &HashMap<CountKey, u64>) -> Vec<(CountKey, u64)> {
    let ours = counts.iter().filter(|(key, count)| key.kind == KIND.number() && **count > 0);
    let mut rows: Vec<_> = ours.map(|(key, count)| (*key, u128::from(*count))).collect();
    rows.sort_unstable_by_key(|(key, _)| (key.dev, key.op, key.code));
    let total: u128 = rows.iter().map(|(_, count)| count).sum();
    if total == 0 {
        return Vec::new();
    }
    let mut shares: Vec<_> = rows
        .iter()
        .map(|(key, count)| {
            let exact = u128::from(number) * count;
            (*key, u64::try_from(exact / total).unwrap_or(number), exact % total)
        })
        .collect();
    let given: u64 = shares.iter().map(|(_, share, _)| share).sum();
    shares.sort_by_key(|(.., remainder)| std::cmp::Reverse(*remainder));
    let left = usize::try_from(number.saturating_sub(given)).unwrap_or(usize::MAX);
    for (_, share, _) in shares.iter_mut().take(left) {
        *share += 1;
    }
    shares.into_iter().filter(|(_, share, _)| *share > 0).map(|(key, share, _)| (key, share)).collect()
}

impl Ebpf {
    /// The hook's probe, and the instance that runs its program.
    fn unseen_probe(&self) -> Option<(&'static Probe, usize)> {
        let mut rows = PROBES.iter().zip(&self.verdicts);
        let (probe, (verdict, program)) = rows.find(|(probe, _)| probe.kind == KIND)?;
        let (instance, _name) = verdict.is_attached().then_some(*program)??;
        Some((probe, instance))
    }

    /// Lets perf count beside the program. A help: without it nothing is lost but this second look.
    pub(super) fn watch_unseen(&mut self) {
        let Some((probe, at)) = self.unseen_probe() else { return };
        let Some(instance) = self.instances.get(at) else { return };
        let runs_before = instance.maps.runs_of(KIND);
        match Hits::count(&self.source.roots, probe) {
            Ok(perf) => {
                self.missed_runs =
                    MissedRuns { perf, runs_before, checked: runs_before, ..MissedRuns::default() };
            }
            Err(error) => tracing::info!("perf does not count {} beside the program: {error}", KIND.name()),
        }
    }

    /// Runs of the hook's program that were compared with perf's count, if it is of this instance.
    pub(super) fn checked_runs(&self, instance: usize) -> Option<u64> {
        self.unseen_probe().filter(|(_, at)| *at == instance).map(|_| self.missed_runs.checked)
    }

    /// Takes over how far an earlier daemon had come, in an instance whose program went on since.
    pub(super) fn resume_checked(&mut self, instance: usize, checked: Option<u64>) {
        if self.unseen_probe().is_some_and(|(_, at)| at == instance) {
            let before = self.missed_runs.runs_before;
            self.missed_runs.unchecked_before = before.saturating_sub(checked.unwrap_or(0));
        }
    }

    /// Failures that the hook's program saw and beside which perf did not count.
    pub(super) fn unchecked(&self) -> u64 {
        let Some((_probe, at)) = self.unseen_probe() else { return 0 };
        self.instances.get(at).map_or(0, |instance| self.missed_runs.unchecked(instance.maps.runs_of(KIND)))
    }

    /// Finds what the program did not see.
    pub(super) fn find_unseen(&mut self, found: &mut Found) {
        let Some((_probe, at)) = self.unseen_probe() else { return };
        let Some(instance) = self.instances.get_mut(at) else { return };
        let hits = self.missed_runs.hits();
        let runs = instance.maps.runs_of(KIND);
        self.missed_runs.look(hits, runs, instance.book.take_recent(), found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(dev: u32, kind: Kind) -> CountKey {
        CountKey { dev, code: 5, kind: kind.number(), op: 0, reserved: 0 }
    }

    #[test]
    fn shares_add_up_and_go_to_requests_alone() {
        let counts = [(1, KIND, 500), (2, KIND, 300), (3, KIND, 1), (4, Kind::BlockBioComplete, 900)];
        let counts = counts.into_iter().map(|(dev, kind, count)| (key(dev, kind), count)).collect();
        for number in [1, 2, 7, 100, 1_000_003] {
            let shares = shares(number, &counts);
            assert_eq!(shares.iter().map(|(_, share)| share).sum::<u64>(), number);
            assert!(shares.iter().all(|(key, _)| key.dev < 4), "{shares:?}");
        }
        let mut ten = shares(10, &counts);
        ten.sort_by_key(|(key, _)| key.dev);
        assert_eq!(ten.iter().map(|(key, n)| (key.dev, *n)).collect::<Vec<_>>(), [(1, 6), (2, 4)]);
        assert!(shares(10, &HashMap::new()).is_empty());
    }

    #[test]
    fn a_program_that_is_about_to_run_is_not_missed() {
        let mut missed = MissedRuns { runs_before: 5, ..MissedRuns::default() };
        assert_eq!(missed.newly_found(10, 14), (0, true));
        assert_eq!(missed.newly_found(10, 15), (0, false));
        // Three that are never run; meanwhile others come and go.
        assert_eq!(missed.newly_found(23, 24), (0, true));
        assert_eq!(missed.newly_found(33, 35), (3, false));
        assert_eq!(missed.newly_found(33, 35), (0, false));
        // CPUs that came later are not counted by perf.
        assert_eq!(missed.newly_found(33, 99), (0, false));
    }

    #[test]
    fn it_is_given_to_what_failed_before_it_was_sure() {
        let mut missed = MissedRuns::default();
        let one = || HashMap::from([(key(1, KIND), 4)]);
        let mut look = |hits, runs, recent| {
            let mut found = Found::default();
            missed.look(hits, runs, recent, &mut found);
            let missed: Vec<_> = found.missed.iter().map(|m| (m.dev, m.count)).collect();
            (missed, found.look_again, found.unexplained)
        };
        assert_eq!(look(4, 4, one()), (vec![], false, 0));
        // All of the storm is in the first look.
        assert_eq!(look(10, 8, one()), (vec![], true, 0));
        assert_eq!(look(10, 8, HashMap::new()), (vec![(1, 2)], false, 0));
        assert_eq!(look(10, 8, HashMap::new()), (vec![], false, 0));
        // What nothing explains is reported as such after some looks.
        assert_eq!(look(13, 8, HashMap::new()), (vec![], true, 0));
        assert_eq!(look(13, 8, HashMap::new()), (vec![], true, 0));
        assert_eq!(look(13, 8, HashMap::new()), (vec![], true, 0));
        assert_eq!(look(13, 8, HashMap::new()), (vec![], false, 3));
        assert_eq!(look(13, 8, HashMap::new()), (vec![], false, 0));
    }
}
