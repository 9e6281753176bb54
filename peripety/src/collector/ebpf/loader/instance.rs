//! One load of the object: for the probes that are there at the start, and once more for those of a driver that comes
//! later, because offsets are fixed at load.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use aya::{
    EbpfLoader, VerifierLogLevel,
    programs::{Program, ProgramError},
};

use super::{
    super::{
        kernel::KernelVersion,
        layout::Layout,
        maps::{COUNTS, Maps, RING},
        ring::Ring,
        status::{Verdict, Way},
        table::{Need, PROBES, Probe},
    },
    Options, refusal,
};
use crate::roots::Roots;

#[cfg(feature = "ebpf")]
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/peripety-ebpf"));
#[cfg(not(feature = "ebpf"))]
pub(super) static OBJECT: &[u8] = &[];

static LOG_ALL: u8 = aya_log::Level::Debug as u8;
static LOG_NOTHING: u8 = 0;

/// What every load starts from.
pub(super) struct Source {
    pub(super) roots: Roots,
    pub(super) options: Options,
    pub(super) kernel: KernelVersion,
    loader: Mutex<EbpfLoader<'static>>,
}

/// An object whose programs are attached.
pub(super) struct Loaded {
    pub(super) ebpf: aya::Ebpf,
    pub(super) maps: Maps,
    pub(super) ring: Ring,
    pub(super) ring_bytes: u64,
}

/// What became of one row of the table, and the program that runs it.
pub(super) type RowVerdict = (usize, Verdict, Option<&'static str>);

impl Source {
    pub(super) fn new(roots: &Roots, options: Options) -> Self {
        // A new loader reads all types of the kernel, 20 MB of memory for a moment, to relocate programs that have
        // relocations. Ours have none: they are dropped, and the loader is kept for drivers that come later.
        let mut loader = EbpfLoader::new();
        loader
            .btf(None)
            .verifier_log_level(VerifierLogLevel::DEBUG)
            .map_max_entries(RING, options.ring_bytes)
            .map_max_entries(COUNTS, lru_entries())
            .override_global("AYA_LOG_LEVEL", if options.verbose { &LOG_ALL } else { &LOG_NOTHING }, false);
        Self {
            roots: roots.clone(),
            kernel: KernelVersion::running(roots),
            options,
            loader: Mutex::new(loader),
        }
    }

    pub(super) fn absent(&self, probe: &Probe) -> Verdict {
        let reason = match probe.module {
            Some(module) if probe.need == Need::Driver => {
                format!("driver {module} is not loaded, or has none")
            }
            _ => format!("kernel {} has none", self.kernel),
        };
        Verdict::Absent { reason }
    }

    /// Loads the object for these rows of the table, and attaches them: milliseconds, seconds under emulation.
    pub(super) fn load(&self, rows: &[usize]) -> (Option<Loaded>, Vec<RowVerdict>) {
        let probes: Vec<_> = rows.iter().filter_map(|row| Some((*row, PROBES.get(*row)?))).collect();
        let layout =
            Layout::resolve(&self.roots, &probes.iter().map(|(_row, probe)| *probe).collect::<Vec<_>>());
        let mut loaded = match self.instance(&layout) {
            Ok(loaded) => loaded,
            Err(reason) => {
                let refused = |(row, _probe)| (row, Verdict::Refused { reason: reason.clone() }, None);
                return (None, probes.into_iter().map(refused).collect());
            }
        };
        let verdicts: Vec<RowVerdict> = probes
            .into_iter()
            .map(|(row, probe)| {
                let (verdict, program) = self.attach(&mut loaded.ebpf, &layout, probe);
                (row, verdict, program)
            })
            .collect();
        let any = verdicts.iter().any(|(_row, verdict, _program)| verdict.is_attached());
        (any.then_some(loaded), verdicts)
    }

    fn instance(&self, layout: &Layout) -> Result<Loaded, String> {
        if OBJECT.is_empty() {
            return Err("this peripetyd was built without eBPF".to_owned());
        }
        refusal::raise_memlock(self.kernel);
        let mut loader = self.loader.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, offset) in &layout.offsets {
            loader.override_global(name, lasting(&OFFSETS, *offset), true);
        }
        for (name, switch) in &layout.switches {
            loader.override_global(name, lasting(&SWITCHES, *switch), true);
        }
        let mut ebpf = loader.load(OBJECT).map_err(|e| refusal::explain(&self.roots, &e))?;
        let (maps, ring) =
            Maps::take(&mut ebpf, self.kernel).map_err(|e| refusal::explain(&self.roots, &e))?;
        let ring = Ring::new(ring).map_err(|e| e.to_string())?;
        let ring_bytes = u64::from(self.options.ring_bytes.next_power_of_two());
        Ok(Loaded { ebpf, maps, ring, ring_bytes })
    }

    /// Raw first, classic second.
    fn attach(
        &self,
        ebpf: &mut aya::Ebpf,
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
            None => match attach_program(ebpf, probe, Way::Raw) {
                Ok(()) => {
                    return (Verdict::Attached { way: Way::Raw, fallback: String::new() }, Some(probe.raw));
                }
                Err(error) if refusal::is_missing(&error) => return (self.absent(probe), None),
                Err(error) => refusal::explain(&self.roots, &error),
            },
        };
        let classic_failed = match layout.classic_obstacle(probe) {
            Some(obstacle) => obstacle,
            None => match attach_program(ebpf, probe, Way::Classic) {
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
}

static OFFSETS: Mutex<BTreeMap<u16, &'static u16>> = Mutex::new(BTreeMap::new());
static SWITCHES: Mutex<BTreeMap<u8, &'static u8>> = Mutex::new(BTreeMap::new());

/// A value that the loader, which is kept, can refer to for as long as it likes. Each is made once: there are some dozens.
fn lasting<T: Ord + Copy>(made: &Mutex<BTreeMap<T, &'static T>>, value: T) -> &'static T {
    let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
    made.entry(value).or_insert_with(|| Box::leak(Box::new(value)))
}

/// Room for every CPU's own reserve of an LRU map, so that none is evicted early (kernel/bpf/bpf_lru_list.c).
fn lru_entries() -> u32 {
    let cpus = aya::util::nr_cpus().unwrap_or(64);
    u32::try_from(cpus.saturating_mul(256)).unwrap_or(u32::MAX).clamp(8192, 1 << 18)
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
