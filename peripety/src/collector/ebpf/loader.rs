//! Loads the object, attaches each probe alone, and hands out what the ring brings.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::Arc,
    task::{Context, Poll},
};

use peripety_common::{KernelRecord, Kind, counters::CountKey, wb_err::WbErr};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    drop_accounting::{DropAccounting, Found, RingState},
    kernel::KernelVersion,
    maps::Maps,
    probes::{Need, PROBES, Probe, Situation},
    ring::Ring,
    slow_limits::SlowLimits,
    status::{AttachMode, Counts, ProbeStatus, ProgramStatus, RingStatus, Status, Verdict},
};
use crate::{
    checkpoint::Checkpoint as _,
    collector::async_fd::{drained, watch},
    roots::Roots,
};

mod instance;
mod late;
mod load_error;
mod missed_runs;
mod pins;
mod prototype;

use instance::{Loaded, Programs, RowVerdict, Source};
use missed_runs::MissedRuns;
use pins::Pinned;
pub(crate) use pins::{clear as clear_pins, prepare as prepare_pins};

/// How to load.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Size of the ring; rounded up to a power of two.
    pub ring_bytes: u32,
    /// Probes to leave off, with the reason.
    pub off: BTreeMap<Kind, String>,
    /// Let the programs log each record.
    pub verbose: bool,
    /// Do not try raw tracepoints.
    pub only_classic: bool,
    /// Let the programs go on while no daemon runs.
    pub pin: bool,
    /// From when on requests are slow.
    pub slow: SlowLimits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ring_bytes: 4 << 20,
            off: BTreeMap::new(),
            verbose: false,
            only_classic: false,
            pin: false,
            slow: SlowLimits::default(),
        }
    }
}

/// One load of the object, in the event loop.
struct Instance {
    programs: Programs,
    maps: Maps,
    ring: AsyncFd<Ring>,
    ring_bytes: u64,
    book: DropAccounting,
    pinned: Option<PathBuf>,
    /// Its records of this time count (CLOCK_MONOTONIC); before and after it another instance's do.
    from_ns: u64,
    until_ns: u64,
}

impl Instance {
    fn new(loaded: Loaded) -> io::Result<Self> {
        let Loaded { programs, maps, ring, ring_bytes, pinned } = loaded;
        let ring = watch(ring, Interest::READABLE)?;
        let book = DropAccounting::default();
        Ok(Self { programs, maps, ring, ring_bytes, book, pinned, from_ns: 0, until_ns: u64::MAX })
    }
}

/// The probes of the running kernel.
pub(crate) struct Ebpf {
    source: Arc<Source>,
    instances: Vec<Instance>,
    /// Verdict on each row of the table, and the instance and program that runs it.
    verdicts: Vec<(Verdict, Option<(usize, &'static str)>)>,
    undecodable: u64,
    missed_runs: MissedRuns,
    /// The last visit ended before the rings were empty.
    unfinished: bool,
}

/// More loads than this are no drivers that appear, but something that goes round in circles.
const MOST_INSTANCES: usize = 16;

/// Probes that are to be attached. That takes its time, so it is done apart from the event loop.
pub(crate) struct Plan {
    source: Arc<Source>,
    rows: Vec<usize>,
}

/// Probes that were attached, or refused.
pub(crate) struct Addition {
    loaded: Option<Box<Loaded>>,
    verdicts: Vec<RowVerdict>,
}

impl Plan {
    /// Loads and attaches.
    #[must_use]
    pub(crate) fn carry_out(self) -> Addition {
        let (loaded, verdicts) = self.source.load(&self.rows);
        Addition { loaded: loaded.map(Box::new), verdicts }
    }
}

impl Ebpf {
    /// Attaches what the kernel lets us attach. Never fails as a whole: each probe has its verdict.
    ///
    /// Must be called within a tokio runtime.
    pub(crate) fn load(roots: &Roots, options: Options) -> Self {
        let mut this = Self {
            source: Arc::new(Source::new(roots, options)),
            instances: Vec::new(),
            verdicts: Vec::new(),
            undecodable: 0,
            missed_runs: MissedRuns::default(),
            unfinished: false,
        };
        this.verdicts = PROBES.iter().map(|probe| (this.first_verdict(probe), None)).collect();
        let others = this.adopt_pinned();
        if let Some(plan) = this.plan(|_any| true) {
            this.add(plan.carry_out());
        }
        this.replace_stale(&others);
        this.watch_unseen();
        this
    }

    /// Adopts what an earlier daemon left attached; gives what of it this one would load otherwise.
    fn adopt_pinned(&mut self) -> Vec<Pinned> {
        let source = Arc::clone(&self.source);
        let Ok(pins) = &source.pins else { return Vec::new() };
        let mut others = Vec::new();
        for pinned in pins.all() {
            let absent = |row: &usize| {
                self.verdicts.get(*row).is_some_and(|(verdict, _)| matches!(verdict, Verdict::Absent { .. }))
            };
            let wanted: Vec<usize> = (0..PROBES.len()).filter(absent).collect();
            match source.adopt_pinned(&pinned, &wanted) {
                Some((loaded, verdicts)) => {
                    self.add(Addition { loaded: Some(Box::new(loaded)), verdicts });
                }
                None => others.push(pinned),
            }
        }
        others
    }

    /// Replaces the programs of an earlier daemon, which saw everything until the new ones were attached: what both saw in
    /// between counts once.
    fn replace_stale(&mut self, others: &[Pinned]) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now_ns = now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned();
        for pinned in others {
            let stale = self.source.drain_stale(pinned).and_then(|loaded| Instance::new(loaded).ok());
            pins::detach(&pinned.dir);
            match stale {
                Some(instance) => self.instances.push(Instance { until_ns: now_ns, ..instance }),
                None => pins::remove(&pinned.dir),
            }
        }
        if others.is_empty() {
            return;
        }
        for instance in self.instances.iter_mut().filter(|instance| instance.until_ns == u64::MAX) {
            let is_new = matches!(instance.programs, Programs::Own(_));
            instance.from_ns = if is_new { now_ns } else { 0 };
        }
    }

    /// Forgets the rings of relieved programs that were read to their end.
    fn forget_relieved(&mut self) {
        for instance in &mut self.instances {
            let ring = instance.ring.get_ref();
            if instance.until_ns != u64::MAX
                && ring.position() == ring.produced()
                && let Some(dir) = instance.pinned.take()
            {
                pins::remove(&dir);
            }
        }
    }

    /// Ends the programs, also those that would go on while no daemon runs.
    pub(crate) fn detach(&mut self) {
        for dir in self.instances.iter_mut().filter_map(|instance| instance.pinned.take()) {
            pins::remove(&dir);
        }
    }

    /// Why the programs end with this daemon; none if they go on while no daemon runs.
    pub(crate) fn unpinned(&self) -> Option<String> {
        match &self.source.pins {
            Err(reason) => Some(reason.to_string()),
            Ok(_) if self.instances.iter().any(|i| i.pinned.is_none() && i.until_ns == u64::MAX) => {
                Some("some of them cannot be pinned on this kernel".to_owned())
            }
            Ok(_) => None,
        }
    }

    fn first_verdict(&self, probe: &Probe) -> Verdict {
        let Source { roots, options, kernel, .. } = &*self.source;
        let situation = Situation {
            kernel: *kernel,
            has_rq_error: PROBES
                .iter()
                .find(|p| p.kind == Kind::BlockRqError)
                .is_some_and(|p| exists(roots, p).unwrap_or(*kernel >= KernelVersion::new(5, 18))),
        };
        let unlimited = || {
            let is_unlimited = probe.kind == Kind::BlockRqSlow && options.slow.least_ns().is_none();
            is_unlimited.then(|| "no limit is set: [slow_io] of the configuration".to_owned())
        };
        let off =
            options.off.get(&probe.kind).cloned().or_else(|| (probe.off)(&situation)).or_else(unlimited);
        off.map_or_else(|| self.source.absent(probe), |reason| Verdict::Off { reason })
    }

    /// Kinds that are attached.
    pub(crate) fn attached(&self) -> impl Iterator<Item = Kind> + '_ {
        PROBES.iter().zip(&self.verdicts).filter(|(_, (v, _))| v.is_attached()).map(|(p, _)| p.kind)
    }

    /// Kinds for which the kernel leaves out no hit that is not counted: a classic tracepoint's program is skipped while another
    /// runs on that CPU, and nobody counts that.
    pub(crate) fn complete(&self) -> impl Iterator<Item = Kind> + '_ {
        let raw = |verdict: &Verdict| matches!(verdict, Verdict::Attached { way: AttachMode::Raw, .. });
        PROBES.iter().zip(&self.verdicts).filter(move |(_, (v, _))| raw(v)).map(|(p, _)| p.kind)
    }

    /// Ready when a ring has records. Never ready when nothing is attached.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unfinished {
            return Poll::Ready(Ok(()));
        }
        for instance in &self.instances {
            if let Poll::Ready(guard) = instance.ring.poll_read_ready(cx) {
                return Poll::Ready(guard.map(drop));
            }
        }
        Poll::Pending
    }

    /// Hands waiting records to `each`: those from before `until_ns`, and at most `most`, so that other sources get their
    /// turn. Their room is given back by [`Ebpf::commit`]. Whether there were no more of them.
    pub(crate) fn drain(&mut self, most: usize, until_ns: u64, mut each: impl FnMut(KernelRecord)) -> bool {
        let mut left = most;
        for instance in &mut self.instances {
            // Before the visit: what comes after it wakes us again.
            drained(&instance.ring);
            loop {
                let position = instance.ring.get_ref().position();
                let Some(item) = instance.ring.get_mut().next() else { break };
                match KernelRecord::decode(item) {
                    Ok(record) if record.header.mono_ns >= until_ns => {
                        instance.ring.get_mut().put_back(position);
                        break;
                    }
                    Ok(record) => {
                        if let Some(key) = CountKey::of(&record) {
                            instance.book.note(key, position);
                        }
                        if (instance.from_ns..instance.until_ns).contains(&record.header.mono_ns) {
                            each(record);
                        }
                    }
                    Err(error) => {
                        self.undecodable += 1;
                        tracing::warn!(%error, "a record of the ring cannot be read");
                    }
                }
                left = left.saturating_sub(1);
                if left == 0 {
                    return false;
                }
            }
        }
        true
    }

    /// Gives back the room of the records that were handed out. While others are left, the rings stay ready.
    pub(crate) fn commit(&mut self) {
        self.unfinished = false;
        for instance in &mut self.instances {
            self.unfinished |= instance.ring.get_mut().commit();
        }
        self.forget_relieved();
    }

    /// How far the rings are read.
    pub(crate) fn ring_states(&mut self, all: bool) -> Vec<RingState> {
        let checked: Vec<_> = (0..self.instances.len()).map(|at| self.checked_runs(at)).collect();
        let state = |(instance, checked_runs): (&mut Instance, Option<u64>)| {
            let (ring, book) = (instance.ring.get_ref(), instance.book.save(all));
            RingState { map: ring.id(), position: ring.position(), book, checked_runs }
        };
        self.instances.iter_mut().zip(checked).map(state).collect()
    }

    /// Whether programs of an earlier daemon go on.
    pub(crate) fn has_adopted(&self) -> bool {
        self.instances.iter().any(|instance| matches!(instance.programs, Programs::Adopted(_)))
    }

    /// Goes on where an earlier daemon was, in the rings that are still the same. Whether there is any.
    pub(crate) fn resume(&mut self, states: &[RingState]) -> bool {
        let mut any = false;
        let mut taken_up = Vec::new();
        for (at, instance) in self.instances.iter_mut().enumerate() {
            let ring = instance.ring.get_mut();
            let state = states.iter().find(|state| state.map == ring.id());
            if matches!(instance.programs, Programs::Adopted(_)) {
                taken_up.push((at, state.and_then(|state| state.checked_runs)));
            }
            match state {
                Some(state) => {
                    ring.skip_to(state.position);
                    instance.book = DropAccounting::default();
                    if let Some(saved) = &state.book {
                        instance.book.restore(saved.clone());
                    }
                    any = true;
                }
                // Taken up, and its notes are gone: what was counted until now was reported, or never will be.
                None if matches!(instance.programs, Programs::Adopted(_)) => {
                    let produced = ring.produced();
                    instance.book =
                        DropAccounting::begin_at(instance.maps.exact(), instance.maps.dropped(), produced);
                }
                None => {}
            }
        }
        for (at, checked) in taken_up {
            self.resume_checked(at, checked);
        }
        any
    }

    /// How many rows a look at the kernel's counts compares, at least.
    pub(crate) fn counted_rows(&self) -> usize {
        self.instances.iter().map(|instance| instance.book.rows()).sum()
    }

    /// Finds failures that were counted and for which a ring had no room; `last` when the programs are to end.
    pub(crate) fn look_for_missed(&mut self, last: bool) -> Found {
        let mut all = Found::default();
        for Instance { maps, ring, book, .. } in &mut self.instances {
            let dropped = maps.dropped();
            if book.wants_look(dropped) {
                let ring = ring.get_ref();
                let found = if last {
                    book.last_look(maps.exact(), dropped)
                } else {
                    book.look(maps.exact(), dropped, ring.position(), ring.produced())
                };
                all.missed.extend(found.missed);
                all.given_up += found.given_up;
                all.look_again |= found.look_again;
            }
        }
        self.find_unseen(&mut all);
        all
    }

    /// Records that could not be read.
    pub(crate) const fn undecodable(&self) -> u64 {
        self.undecodable
    }

    /// What a probe counted, over all CPUs.
    pub(crate) fn counts_of(&self, kind: Kind) -> Counts {
        let mut all = Counts::default();
        for counts in self.instances.iter().map(|instance| instance.maps.counts_of(kind)) {
            all.seen += counts.seen;
            all.sent += counts.sent;
            all.dropped += counts.dropped;
            all.folded += counts.folded;
        }
        if kind == missed_runs::KIND {
            all.unseen = self.missed_runs.found();
            all.unchecked = self.unchecked();
        }
        all
    }

    /// Inodes that lost written data, with their counts so far.
    pub(crate) fn inodes(&self) -> Vec<WbErr> {
        self.instances.iter().flat_map(|i| i.maps.inodes()).collect()
    }

    /// Everything that `prpt probes` shows.
    pub(crate) fn status(&self) -> Status {
        let probes = PROBES.iter().zip(&self.verdicts).map(|(probe, (verdict, program))| ProbeStatus {
            tracepoint: format!("{}:{}", probe.category, probe.kind.name()),
            verdict: verdict.clone(),
            need: match probe.need {
                Need::Required => "required",
                Need::Driver => "driver",
                Need::Optional => "optional",
            }
            .to_owned(),
            lost_without: probe.lost_without.to_owned(),
            program: program.and_then(|(instance, name)| self.program_status(instance, name)),
            counts: self.counts_of(probe.kind),
        });
        Status {
            probes: probes.collect(),
            ring: RingStatus {
                bytes: self.instances.first().map_or(0, |i| i.ring_bytes),
                most_filled_bytes: self
                    .instances
                    .iter()
                    .map(|i| i.maps.ring_most_filled())
                    .max()
                    .unwrap_or(0),
            },
            kernel_statistics: std::fs::read_to_string(
                self.source.roots.procfs.join("sys/kernel/bpf_stats_enabled"),
            )
            .is_ok_and(|text| text.trim() == "1"),
        }
    }

    fn program_status(&self, instance: usize, name: &'static str) -> Option<ProgramStatus> {
        let info = self.instances.get(instance)?.programs.info(name)?;
        Some(ProgramStatus {
            name: info.name_as_str().unwrap_or(name).to_owned(),
            id: info.id(),
            tag: format!("{:016x}", info.tag()),
            run_count: info.run_count(),
            run_time_ns: u64::try_from(info.run_time().as_nanos()).unwrap_or(u64::MAX),
            misses: load_error::recursion_misses(&self.source.roots, &info).unwrap_or(0),
        })
    }
}

/// Whether the tracepoint exists; unknown without tracefs.
fn exists(roots: &Roots, probe: &Probe) -> Option<bool> {
    let events = roots.tracefs().join("events");
    events.join("block").exists().then(|| events.join(probe.category).join(probe.event()).exists())
}

#[cfg(all(test, feature = "ebpf"))]
mod tests;
