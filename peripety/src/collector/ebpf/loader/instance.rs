//! One load of the object: for the probes that are there at the start, and once more for those of a driver that comes
//! later, because offsets are fixed at load.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use aya::{
    Btf, EbpfLoader, VerifierLogLevel,
    programs::{Program, ProgramError, ProgramInfo, links::FdLink},
};

use super::{
    super::{
        field_offsets::Layout,
        kernel::KernelVersion,
        maps::{COUNTS, Maps, RING},
        probes::{Need, PROBES, Probe},
        ring::Ring,
        status::{AttachMode, Verdict},
    },
    Options, load_error,
    pins::{self, PinFailure, Pinned, Pins},
    prototype,
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
    /// Or why nothing can be pinned.
    pub(super) pins: Result<Pins, pins::PinsError>,
}

/// The programs of a load.
pub(super) enum Programs {
    /// Loaded by this process.
    Own(Box<aya::Ebpf>),
    /// Taken up from an earlier daemon.
    Adopted(BTreeMap<&'static str, Adopted>),
}

/// A program of an earlier daemon.
pub(super) enum Adopted {
    /// Open, and attached by this process where its link could not be pinned.
    Open(Box<Program>),
    /// Its pin. A program whose arguments have types is opened only with CAP_SYS_ADMIN (`BPF_BTF_GET_FD_BY_ID`); its pinned
    /// link keeps it attached without that.
    Pinned(PathBuf),
}

impl Programs {
    /// What the kernel knows of the program with this name.
    pub(super) fn info(&self, name: &str) -> Option<ProgramInfo> {
        let program = match self {
            Self::Own(ebpf) => ebpf.program(name)?,
            Self::Adopted(programs) => match programs.get(name)? {
                Adopted::Open(program) => program,
                Adopted::Pinned(pin) => return ProgramInfo::from_pin(pin).ok(),
            },
        };
        program.info().ok()
    }
}

/// An object whose programs are attached.
pub(super) struct Loaded {
    pub(super) programs: Programs,
    pub(super) maps: Maps,
    pub(super) ring: Ring,
    pub(super) ring_bytes: u64,
    /// Where it is pinned, if it is.
    pub(super) pinned: Option<PathBuf>,
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
            .override_global(
                "SLOW_LEAST_NS",
                lasting(&LEASTS, options.slow.least_ns().unwrap_or(u64::MAX)),
                true,
            )
            .override_global("AYA_LOG_LEVEL", if options.verbose { &LOG_ALL } else { &LOG_NOTHING }, false);
        let pins = if options.pin { Pins::open(roots) } else { Err(pins::PinsError::Unwanted) };
        Self {
            roots: roots.clone(),
            kernel: KernelVersion::running(roots),
            options,
            loader: Mutex::new(loader),
            pins,
        }
    }

    fn place(&self, layout: &Layout, rows: &[usize]) -> Option<PathBuf> {
        let Options { ring_bytes, verbose, only_classic, slow, .. } = &self.options;
        let options =
            format!("{ring_bytes} {verbose} {only_classic} {} {:?}", lru_entries(), slow.least_ns());
        Some(self.pins.as_ref().ok()?.place(OBJECT, &options, layout, rows))
    }

    /// Adopts what an earlier daemon pinned, if it is what this one would load. None if not.
    pub(super) fn adopt_pinned(
        &self,
        pinned: &Pinned,
        wanted: &[usize],
    ) -> Option<(Loaded, Vec<RowVerdict>)> {
        let probes: Vec<&Probe> = pinned.rows.iter().filter_map(|row| PROBES.get(*row)).collect();
        // What was loaded to wait, and was never attached, is loaded anew: opening it takes a right that was given up.
        let rows = || {
            let rows = pinned.rows.iter().copied().zip(probes.iter().copied());
            rows.filter(|(_row, probe)| !pins::waits(probe, &pinned.dir))
        };
        if rows().next().is_none() || !rows().all(|(row, _probe)| wanted.contains(&row)) {
            return None;
        }
        let layout = Layout::resolve(&self.roots, &probes);
        if self.place(&layout, &pinned.rows).as_ref() != Some(&pinned.dir) {
            return None;
        }
        let open = || -> Result<_, PinFailure> {
            let (mut maps, ring) = Maps::of(|name| pins::map(&pinned.dir, name), self.kernel)?;
            maps.set_slow_limits(&self.options.slow.by_number(&self.roots))?;
            let mut programs = BTreeMap::new();
            let mut verdicts = Vec::new();
            for (row, probe) in rows() {
                let (program, way, name) = pins::adopt_pinned(probe, &pinned.dir)?;
                programs.insert(name, program);
                let fallback = match way {
                    AttachMode::Raw => String::new(),
                    AttachMode::Classic => layout.raw_obstacle(probe).unwrap_or_default(),
                };
                verdicts.push((row, Verdict::Attached { way, fallback }, Some(name)));
            }
            Ok((maps, ring, Programs::Adopted(programs), verdicts))
        };
        match open() {
            Ok((maps, ring, programs, verdicts)) => {
                let ring = Ring::new(ring).ok()?;
                let loaded = Loaded {
                    programs,
                    maps,
                    ring,
                    ring_bytes: self.ring_bytes(),
                    pinned: Some(pinned.dir.clone()),
                };
                Some((loaded, verdicts))
            }
            Err(error) => {
                tracing::info!(
                    "what an earlier daemon left in {} is not whole: {error}",
                    pinned.dir.display()
                );
                None
            }
        }
    }

    /// Ring and counters of programs that this daemon does not adopt, to be read to their end.
    pub(super) fn drain_stale(&self, pinned: &Pinned) -> Option<Loaded> {
        let (maps, ring) = Maps::of(|name| pins::map(&pinned.dir, name), self.kernel).ok()?;
        let ring = Ring::new(ring).ok()?;
        let programs = Programs::Adopted(BTreeMap::new());
        Some(Loaded { programs, maps, ring, ring_bytes: 0, pinned: Some(pinned.dir.clone()) })
    }

    fn ring_bytes(&self) -> u64 {
        u64::from(self.options.ring_bytes.next_power_of_two())
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
        let place = self.place(&layout, rows);
        let mut loaded = match self.instance(&layout, place) {
            Ok(loaded) => loaded,
            Err(reason) => {
                let refused = |(row, _probe)| (row, Verdict::Refused { reason: reason.clone() }, None);
                return (None, probes.into_iter().map(refused).collect());
            }
        };
        let Loaded { programs, pinned, .. } = &mut loaded;
        let Programs::Own(ebpf) = programs else { return (None, Vec::new()) };
        let mut verdicts: Vec<RowVerdict> = Vec::new();
        for (row, probe) in probes {
            let (verdict, program) = self.attach(ebpf, pinned, &layout, probe);
            verdicts.push((row, verdict, program));
        }
        let any = verdicts.iter().any(|(_row, verdict, _program)| verdict.is_loaded());
        // A load is pinned for the rows that it has.
        let whole = verdicts.iter().all(|(_row, verdict, _program)| verdict.is_loaded());
        if let Some(dir) = pinned.take_if(|_| !any || !whole) {
            pins::remove(&dir);
        }
        (any.then_some(loaded), verdicts)
    }

    fn instance(&self, layout: &Layout, place: Option<PathBuf>) -> Result<Loaded, String> {
        if OBJECT.is_empty() {
            return Err("this peripetyd was built without eBPF".to_owned());
        }
        load_error::raise_memlock(self.kernel);
        let mut loader = self.loader.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, offset) in &layout.offsets {
            loader.override_global(name, lasting(&OFFSETS, *offset), true);
        }
        for (name, switch) in &layout.switches {
            loader.override_global(name, lasting(&SWITCHES, *switch), true);
        }
        let mut ebpf = loader.load(OBJECT).map_err(|e| load_error::explain(&self.roots, &e))?;
        let pinned = place.filter(|dir| {
            pins::remove(dir);
            let pinned = pins::pin_maps(&ebpf, dir);
            self.or_unpinned(dir, pinned)
        });
        let (mut maps, ring) =
            Maps::take(&mut ebpf, self.kernel).map_err(|e| load_error::explain(&self.roots, &e))?;
        maps.set_slow_limits(&self.options.slow.by_number(&self.roots))
            .map_err(|e| load_error::explain(&self.roots, &e))?;
        let ring = Ring::new(ring).map_err(|e| e.to_string())?;
        let programs = Programs::Own(Box::new(ebpf));
        Ok(Loaded { programs, maps, ring, ring_bytes: self.ring_bytes(), pinned })
    }

    /// Pins are a help: without them a restart has a gap, and that is all.
    pub(super) fn or_unpinned(&self, dir: &Path, pinned: Result<(), PinFailure>) -> bool {
        if let Err(error) = &pinned {
            tracing::info!("cannot pin in {}: {error}; probes end with this daemon", dir.display());
            pins::remove(dir);
        }
        pinned.is_ok()
    }

    /// Raw first, classic second.
    fn attach(
        &self,
        ebpf: &mut aya::Ebpf,
        pinned: &mut Option<PathBuf>,
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
            None => match self.attach_raw(ebpf, pinned, layout, probe) {
                Ok((program, waits)) => {
                    let verdict = match waits {
                        Some(reason) => Verdict::Waiting { reason },
                        None => Verdict::Attached { way: AttachMode::Raw, fallback: String::new() },
                    };
                    return (verdict, Some(program));
                }
                Err(error) if load_error::is_missing(&error) => return (self.absent(probe), None),
                Err(error) => load_error::explain(&self.roots, &error),
            },
        };
        let classic_failed = match layout.classic_obstacle(probe) {
            Some(obstacle) => obstacle,
            None => match attach_program(
                ebpf,
                probe,
                &Attempt::Classic { pin_link: self.kernel >= KernelVersion::new(5, 15) },
                pinned.as_deref(),
            ) {
                Ok(outcome) => {
                    pinned.take_if(|dir| !self.or_unpinned(dir, outcome));
                    return (
                        Verdict::Attached { way: AttachMode::Classic, fallback: raw_failed },
                        Some(probe.classic),
                    );
                }
                Err(error) if load_error::is_missing(&error) => return (self.absent(probe), None),
                Err(error) => load_error::explain(&self.roots, &error),
            },
        };
        let reason = if raw_failed == classic_failed {
            raw_failed
        } else {
            format!("as raw tracepoint: {raw_failed}; as classic one: {classic_failed}")
        };
        (Verdict::Refused { reason }, None)
    }

    /// With types for the arguments where that is cheaper and the kernel can, else without. The name of the program, and
    /// why it is not attached yet.
    fn attach_raw(
        &self,
        ebpf: &mut aya::Ebpf,
        pinned: &mut Option<PathBuf>,
        layout: &Layout,
        probe: &Probe,
    ) -> Result<(&'static str, Option<String>), ProgramError> {
        let waits = (probe.waits)(&self.roots);
        let attach = waits.is_none();
        let typed = probe.typed.zip(layout.prototype(probe));
        if let Some((name, id)) = typed {
            let attached = prototype::with_number(&format!("btf_trace_{}", probe.event()), id)
                .map_err(ProgramError::from)
                .and_then(|btf| {
                    attach_program(ebpf, probe, &Attempt::Typed { name, btf, attach }, pinned.as_deref())
                });
            match attached {
                Ok(outcome) => {
                    pinned.take_if(|dir| !self.or_unpinned(dir, outcome));
                    return Ok((name, waits));
                }
                Err(error) => tracing::info!(
                    "{} without types for its arguments, at a higher price: {}",
                    probe.event(),
                    load_error::explain(&self.roots, &error)
                ),
            }
        }
        let outcome = attach_program(ebpf, probe, &Attempt::Raw { attach }, pinned.as_deref())?;
        pinned.take_if(|dir| !self.or_unpinned(dir, outcome));
        Ok((probe.raw, waits))
    }
}

/// A way to attach, with what it takes.
enum Attempt {
    /// Raw tracepoint. It may be attached later.
    Raw { attach: bool },
    /// Raw tracepoint with types for its arguments: name of the program, and the tracepoint's type.
    Typed { name: &'static str, btf: Btf, attach: bool },
    /// Classic tracepoint. Before Linux 5.15 it is no link, and cannot be pinned.
    Classic { pin_link: bool },
}

static OFFSETS: Mutex<BTreeMap<u16, &'static u16>> = Mutex::new(BTreeMap::new());
static LEASTS: Mutex<BTreeMap<u64, &'static u64>> = Mutex::new(BTreeMap::new());
static SWITCHES: Mutex<BTreeMap<u8, &'static u8>> = Mutex::new(BTreeMap::new());

/// A value that the loader, which is kept, can refer to for as long as it likes. Each is made once: there are some dozens.
fn lasting<T: Ord + Copy>(made: &Mutex<BTreeMap<T, &'static T>>, value: T) -> &'static T {
    let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
    made.entry(value).or_insert_with(|| Box::leak(Box::new(value)))
}

/// Room for some thousand devices, each with every operation and some errors (70 bytes for each of these), and for every
/// CPU's own reserve of an LRU map, so that none is evicted early (kernel/bpf/bpf_lru_list.c).
pub(super) fn lru_entries() -> u32 {
    let cpus = aya::util::nr_cpus().unwrap_or(64);
    u32::try_from(cpus.saturating_mul(256)).unwrap_or(u32::MAX).clamp(1 << 16, 1 << 18)
}

/// Loads and attaches; then pins, the outcome of which comes back. Whatever that is, the program is attached.
fn attach_program(
    ebpf: &mut aya::Ebpf,
    probe: &Probe,
    attempt: &Attempt,
    pin: Option<&Path>,
) -> Result<Result<(), PinFailure>, ProgramError> {
    let (name, now, pin_link) = match attempt {
        Attempt::Raw { attach } => (probe.raw, *attach, true),
        Attempt::Typed { name, attach, .. } => (*name, *attach, true),
        Attempt::Classic { pin_link } => (probe.classic, true, *pin_link),
    };
    let program = ebpf.program_mut(name).ok_or(ProgramError::UnexpectedProgramType)?;
    match (&mut *program, attempt) {
        (Program::BtfTracePoint(program), Attempt::Typed { btf, .. }) => program.load(probe.event(), btf)?,
        (Program::RawTracePoint(program), Attempt::Raw { .. }) => program.load()?,
        (Program::TracePoint(program), Attempt::Classic { .. }) => program.load()?,
        _ => return Err(ProgramError::UnexpectedProgramType),
    }
    let link = if now { attach(program, probe, pin.is_some() && pin_link)? } else { None };
    let Some(dir) = pin else { return Ok(Ok(())) };
    let was_taken = link.is_some();
    let pinned = pins::pin_program(program, name, link, dir);
    attached_again(program, probe, was_taken, pinned)
}

/// Attaches a program that was loaded to wait, and pins its link. The outcome of pinning comes back.
pub(super) fn attach_loaded(
    ebpf: &mut aya::Ebpf,
    probe: &Probe,
    name: &str,
    pin: Option<&Path>,
) -> Result<Result<(), PinFailure>, ProgramError> {
    let program = ebpf.program_mut(name).ok_or(ProgramError::UnexpectedProgramType)?;
    let link = attach(program, probe, pin.is_some())?;
    let Some((dir, link)) = pin.zip(link) else { return Ok(Ok(())) };
    let pinned = pins::pin_link(name, link, dir);
    attached_again(program, probe, true, pinned)
}

/// Attaches a program. Gives its link where that is to be pinned and can be: it stays attached as long as the link is there.
/// Any other link stays with the program, and ends with this daemon.
fn attach(program: &mut Program, probe: &Probe, take: bool) -> Result<Option<FdLink>, ProgramError> {
    match program {
        Program::BtfTracePoint(program) => {
            let link = program.attach()?;
            Ok(take.then(|| program.take_link(link)).transpose()?.map(FdLink::from))
        }
        Program::RawTracePoint(program) => {
            let link = program.attach(probe.event())?;
            Ok(take.then(|| program.take_link(link)).transpose()?.map(FdLink::from))
        }
        Program::TracePoint(program) => {
            let link = program.attach(probe.category, probe.event())?;
            Ok(if take { FdLink::try_from(program.take_link(link)?).ok() } else { None })
        }
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

/// A link that could not be pinned went with the attempt: attaches once more, with a link that stays with the program.
fn attached_again(
    program: &mut Program,
    probe: &Probe,
    was_taken: bool,
    pinned: Result<(), PinFailure>,
) -> Result<Result<(), PinFailure>, ProgramError> {
    if pinned.is_err() && was_taken {
        let _kept_by_the_program = attach(program, probe, false)?;
    }
    Ok(pinned)
}
