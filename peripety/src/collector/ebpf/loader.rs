//! Loads the object, attaches each probe alone, and hands out what the ring brings.

use std::{
    collections::BTreeMap,
    io,
    task::{Context, Poll},
};

use aya::{
    EbpfLoader, VerifierLogLevel,
    maps::{MapData, RingBuf},
    programs::{Program, ProgramError},
};
use peripety_common::{KernelRecord, Kind, wb_err::WbErr};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    kernel::KernelVersion,
    layout::Layout,
    maps::{COUNTS, Maps, RING},
    status::{Counts, ProbeStatus, ProgramStatus, RingStatus, Status, Verdict, Way},
    table::{Need, PROBES, Probe, Situation},
};
use crate::{
    collector::wait::{drained, watch},
    roots::Roots,
};

mod refusal;

#[cfg(feature = "ebpf")]
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/peripety-ebpf"));
#[cfg(not(feature = "ebpf"))]
static OBJECT: &[u8] = &[];

/// How to load.
#[derive(Clone, Debug)]
pub struct Options {
    /// Size of the ring; rounded up to a power of two.
    pub ring_bytes: u32,
    /// Probes to leave off, with the reason.
    pub off: BTreeMap<Kind, String>,
    /// Let the programs log each record.
    pub verbose: bool,
    /// Do not try raw tracepoints.
    pub only_classic: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { ring_bytes: 4 << 20, off: BTreeMap::new(), verbose: false, only_classic: false }
    }
}

/// One load of the object. A second one is needed for probes whose driver is loaded later: offsets are fixed at load.
struct Instance {
    ebpf: aya::Ebpf,
    maps: Maps,
    ring: AsyncFd<RingBuf<MapData>>,
    ring_bytes: u64,
}

/// The probes of the running kernel.
pub struct Ebpf {
    roots: Roots,
    options: Options,
    kernel: KernelVersion,
    instances: Vec<Instance>,
    /// Verdict on each row of the table, and the instance and program that runs it.
    verdicts: Vec<(Verdict, Option<(usize, &'static str)>)>,
    undecodable: u64,
    /// The last visit ended before the rings were empty.
    unfinished: bool,
}

/// More loads than this are no drivers that appear, but something that goes round in circles.
const MOST_INSTANCES: usize = 16;

impl Ebpf {
    /// Attaches what the kernel lets us attach. Never fails as a whole: each probe has its verdict.
    ///
    /// Must be called within a tokio runtime.
    pub fn load(roots: &Roots, options: Options) -> Self {
        let mut this = Self {
            roots: roots.clone(),
            kernel: KernelVersion::running(roots),
            options,
            instances: Vec::new(),
            verdicts: Vec::new(),
            undecodable: 0,
            unfinished: false,
        };
        this.verdicts = PROBES.iter().map(|probe| (this.first_verdict(probe), None)).collect();
        this.attach_missing();
        this
    }

    /// Tries again what was absent: a module may have been loaded. Whether anything was attached.
    pub fn retry_absent(&mut self) -> bool {
        self.instances.len() < MOST_INSTANCES && self.attach_missing()
    }

    fn first_verdict(&self, probe: &Probe) -> Verdict {
        let situation = Situation {
            kernel: self.kernel,
            has_rq_error: PROBES
                .iter()
                .find(|p| p.kind == Kind::BlockRqError)
                .is_some_and(|p| exists(&self.roots, p).unwrap_or(self.kernel >= KernelVersion::new(5, 18))),
        };
        let off = self.options.off.get(&probe.kind).cloned().or_else(|| (probe.off)(&situation));
        off.map_or_else(|| self.absent(probe), |reason| Verdict::Off { reason })
    }

    fn absent(&self, probe: &Probe) -> Verdict {
        let reason = match probe.module {
            Some(module) if probe.need == Need::Driver => {
                format!("driver {module} is not loaded, or has none")
            }
            _ => format!("kernel {} has none", self.kernel),
        };
        Verdict::Absent { reason }
    }

    /// Loads the object once more for all probes that are not attached, refused or off. Whether any was attached.
    fn attach_missing(&mut self) -> bool {
        let wanted: Vec<usize> = (0..PROBES.len())
            .filter(|i| self.verdicts.get(*i).is_some_and(|(v, _)| matches!(v, Verdict::Absent { .. })))
            .filter(|i| PROBES.get(*i).is_some_and(|p| exists(&self.roots, p) != Some(false)))
            .collect();
        if wanted.is_empty() {
            return false;
        }
        let probes: Vec<&Probe> = wanted.iter().filter_map(|i| PROBES.get(*i)).collect();
        let layout = Layout::resolve(&self.roots, &probes);
        let mut instance = match self.new_instance(&layout) {
            Ok(instance) => instance,
            Err(reason) => {
                for i in wanted {
                    self.set(i, Verdict::Refused { reason: reason.clone() }, None);
                }
                return false;
            }
        };
        let number = self.instances.len();
        let mut any = false;
        for (i, probe) in wanted.iter().zip(&probes) {
            let (verdict, program) = self.attach(&mut instance, &layout, probe);
            any |= verdict.is_attached();
            self.set(*i, verdict, program.map(|name| (number, name)));
        }
        if any {
            self.instances.push(instance);
        }
        any
    }

    fn set(&mut self, row: usize, verdict: Verdict, program: Option<(usize, &'static str)>) {
        if let Some(place) = self.verdicts.get_mut(row) {
            *place = (verdict, program);
        }
    }

    fn new_instance(&self, layout: &Layout) -> Result<Instance, String> {
        if OBJECT.is_empty() {
            return Err("this peripetyd was built without eBPF".to_owned());
        }
        refusal::raise_memlock(self.kernel);
        let log_level = if self.options.verbose { aya_log::Level::Debug as u8 } else { 0 };
        let mut loader = EbpfLoader::new();
        loader
            .verifier_log_level(VerifierLogLevel::DEBUG)
            .map_max_entries(RING, self.options.ring_bytes)
            .map_max_entries(COUNTS, lru_entries())
            .override_global("AYA_LOG_LEVEL", &log_level, false);
        for (name, offset) in &layout.offsets {
            loader.override_global(name, offset, true);
        }
        for (name, switch) in &layout.switches {
            loader.override_global(name, switch, true);
        }
        let mut ebpf = loader.load(OBJECT).map_err(|e| refusal::explain(&self.roots, &e))?;
        if self.options.verbose {
            super::verbose::start(&mut ebpf);
        }
        let (maps, ring) =
            Maps::take(&mut ebpf, self.kernel).map_err(|e| refusal::explain(&self.roots, &e))?;
        let ring = watch(ring, Interest::READABLE).map_err(|e| format!("cannot wait for the ring: {e}"))?;
        let ring_bytes = u64::from(self.options.ring_bytes.next_power_of_two());
        Ok(Instance { ebpf, maps, ring, ring_bytes })
    }

    /// Raw first, classic second.
    fn attach(
        &self,
        instance: &mut Instance,
        layout: &Layout,
        probe: &Probe,
    ) -> (Verdict, Option<&'static str>) {
        let obstacle = if self.options.only_classic {
            Some("only classic tracepoints are wanted".to_owned())
        } else {
            layout.raw_obstacle(probe)
        };
        let raw_failed = match obstacle {
            Some(obstacle) => obstacle,
            None => match attach_program(&mut instance.ebpf, probe, Way::Raw) {
                Ok(()) => {
                    return (Verdict::Attached { way: Way::Raw, fallback: String::new() }, Some(probe.raw));
                }
                Err(error) if refusal::is_missing(&error) => return (self.absent(probe), None),
                Err(error) => refusal::explain(&self.roots, &error),
            },
        };
        let classic_failed = match layout.classic_obstacle(probe) {
            Some(obstacle) => obstacle,
            None => match attach_program(&mut instance.ebpf, probe, Way::Classic) {
                Ok(()) => {
                    return (
                        Verdict::Attached { way: Way::Classic, fallback: raw_failed },
                        Some(probe.classic),
                    );
                }
                Err(error) if refusal::is_missing(&error) => return (self.absent(probe), None),
                Err(error) => refusal::explain(&self.roots, &error),
            },
        };
        let reason = if raw_failed == classic_failed {
            raw_failed
        } else {
            format!("as raw tracepoint: {raw_failed}; as classic one: {classic_failed}")
        };
        (Verdict::Refused { reason }, None)
    }

    /// Kinds that are attached.
    pub fn attached(&self) -> impl Iterator<Item = Kind> + '_ {
        PROBES.iter().zip(&self.verdicts).filter(|(_, (v, _))| v.is_attached()).map(|(p, _)| p.kind)
    }

    /// Ready when a ring has records. Never ready when nothing is attached.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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

    /// Hands every waiting record to `each`, at most `most` of them, so that other sources get their turn. While records
    /// are left, the rings stay ready.
    ///
    /// The kernel wakes only a reader that had read everything (`kernel/bpf/ringbuf.c`): readiness is cleared before the
    /// visit, and what is left after it needs no wake-up.
    pub fn drain(&mut self, most: usize, mut each: impl FnMut(KernelRecord)) {
        self.unfinished = false;
        let mut left = most;
        for instance in &mut self.instances {
            drained(&instance.ring);
            while let Some(item) = instance.ring.get_mut().next() {
                match KernelRecord::decode(&item) {
                    Ok(record) => each(record),
                    Err(error) => {
                        self.undecodable += 1;
                        tracing::warn!(%error, "a record of the ring cannot be read");
                    }
                }
                left = left.saturating_sub(1);
                if left == 0 {
                    self.unfinished = true;
                    return;
                }
            }
        }
    }

    /// Records that could not be read.
    pub const fn undecodable(&self) -> u64 {
        self.undecodable
    }

    /// What a probe counted, over all CPUs.
    pub fn counts_of(&self, kind: Kind) -> Counts {
        self.instances.iter().map(|i| i.maps.counts_of(kind)).fold(Counts::default(), |a, b| Counts {
            seen: a.seen + b.seen,
            sent: a.sent + b.sent,
            dropped: a.dropped + b.dropped,
            folded: a.folded + b.folded,
        })
    }

    /// Exact counts per device, operation and error, whatever happened to the ring.
    pub fn exact_counts(&self) -> Vec<(peripety_common::counters::CountKey, u64)> {
        self.instances.iter().flat_map(|i| i.maps.exact()).collect()
    }

    /// Inodes that lost written data, with their counts so far.
    pub fn inodes(&self) -> Vec<WbErr> {
        self.instances.iter().flat_map(|i| i.maps.inodes()).collect()
    }

    /// Everything that `prpt probes` shows.
    pub fn status(&self) -> Status {
        let probes = PROBES.iter().zip(&self.verdicts).map(|(probe, (verdict, program))| ProbeStatus {
            tracepoint: format!("{}:{}", probe.category, probe.event()),
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
                self.roots.procfs.join("sys/kernel/bpf_stats_enabled"),
            )
            .is_ok_and(|text| text.trim() == "1"),
        }
    }

    fn program_status(&self, instance: usize, name: &'static str) -> Option<ProgramStatus> {
        let program = self.instances.get(instance)?.ebpf.program(name)?;
        let info = match program {
            Program::RawTracePoint(p) => p.info(),
            Program::TracePoint(p) => p.info(),
            _ => return None,
        }
        .ok()?;
        Some(ProgramStatus {
            name: info.name_as_str().unwrap_or(name).to_owned(),
            id: info.id(),
            tag: format!("{:016x}", info.tag()),
            run_count: info.run_count(),
            run_time_ns: u64::try_from(info.run_time().as_nanos()).unwrap_or(u64::MAX),
            misses: refusal::recursion_misses(&self.roots, &info).unwrap_or(0),
        })
    }
}

/// Room for every CPU's own reserve of an LRU map, so that none is evicted early (kernel/bpf/bpf_lru_list.c).
fn lru_entries() -> u32 {
    let cpus = aya::util::nr_cpus().unwrap_or(64);
    u32::try_from(cpus.saturating_mul(256)).unwrap_or(u32::MAX).clamp(8192, 1 << 18)
}

/// Whether the tracepoint exists; unknown without tracefs.
fn exists(roots: &Roots, probe: &Probe) -> Option<bool> {
    let events = roots.tracefs().join("events");
    events.join("block").exists().then(|| events.join(probe.category).join(probe.event()).exists())
}

fn attach_program(ebpf: &mut aya::Ebpf, probe: &Probe, way: Way) -> Result<(), ProgramError> {
    match way {
        Way::Raw => {
            if let Some(Program::RawTracePoint(program)) = ebpf.program_mut(probe.raw) {
                program.load()?;
                program.attach(probe.event())?;
                return Ok(());
            }
        }
        Way::Classic => {
            if let Some(Program::TracePoint(program)) = ebpf.program_mut(probe.classic) {
                program.load()?;
                program.attach(probe.category, probe.event())?;
                return Ok(());
            }
        }
    }
    Err(ProgramError::UnexpectedProgramType)
}

#[cfg(all(test, feature = "ebpf"))]
mod tests {
    use super::*;

    #[test]
    fn the_object_has_both_programs_of_every_probe() {
        let object = aya_obj_names();
        for probe in PROBES {
            for name in [probe.raw, probe.classic] {
                assert!(object.contains(name), "{name}");
            }
        }
    }

    fn aya_obj_names() -> String {
        String::from_utf8_lossy(OBJECT).into_owned()
    }

    #[tokio::test]
    async fn the_running_kernel_takes_every_probe_it_has_both_ways() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: loading eBPF takes root");
            return;
        }
        let roots = Roots::system();
        for only_classic in [false, true] {
            let ebpf =
                Ebpf::load(&roots, Options { only_classic, ring_bytes: 1 << 16, ..Options::default() });
            let status = ebpf.status();
            eprintln!("{}", serde_json::to_string_pretty(&status).unwrap());
            for probe in &status.probes {
                assert!(!matches!(probe.verdict, Verdict::Refused { .. }), "{probe:?}");
            }
            for probe in status.probes.iter().filter(|p| p.verdict.is_attached()) {
                match &probe.verdict {
                    Verdict::Attached { way: Way::Raw, .. } => assert!(!only_classic, "{probe:?}"),
                    // Before 5.11 modules have no type information.
                    other => {
                        assert!(only_classic || other.reason().starts_with("type information"), "{other:?}")
                    }
                }
            }
            assert!(ebpf.attached().any(|kind| kind == Kind::FilemapSetWbErr));
        }
    }
}
