//! What user space reads from and writes to the programs' maps.

use std::collections::BTreeMap;

use aya::{
    Ebpf,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray},
};
use peripety_common::{
    Kind,
    counters::{CountKey, Counters},
    wb_err::{WbErr, WbErrKey, WbErrState},
};

use super::{kernel::KernelVersion, status::Counts};
use crate::parser::blk_status;

/// Name of the ring.
pub(super) const RING: &str = "prpt_ring";
/// Name of the map of exact counts.
pub(super) const COUNTS: &str = "prpt_counts";

/// Name of the map of limits from which on requests are slow.
const SLOW_LIMITS: &str = "prpt_slow_limit";

/// Hooks whose failures are counted by device.
pub(super) const COUNTED: [Kind; 3] = [Kind::BlockRqError, Kind::BlockRqComplete, Kind::BlockBioComplete];

/// The maps of one loaded object.
pub(super) struct Maps {
    /// Kept open: programs that are loaded later refer to it.
    _errnos: Array<MapData, i32>,
    counters: PerCpuArray<MapData, Counters>,
    counts: HashMap<MapData, CountKey, u64>,
    ring_fill: PerCpuArray<MapData, u64>,
    inodes: HashMap<MapData, WbErrKey, WbErrState>,
    /// None in what a daemon pinned that had none.
    slow_limits: Option<HashMap<MapData, u32, u64>>,
}

/// All maps that programs and user space share.
pub(super) const NAMES: [&str; 7] =
    [RING, COUNTS, "prpt_counters", "prpt_errno", "prpt_ring_fill", "prpt_wb_err_ino", SLOW_LIMITS];

impl Maps {
    /// Takes the maps out of a loaded object, and its ring, and fills in what the programs look up.
    pub(super) fn take(ebpf: &mut Ebpf, kernel: KernelVersion) -> Result<(Self, Map), MapError> {
        let map =
            |name: &str| ebpf.take_map(name).ok_or_else(|| MapError::InvalidName { name: name.to_owned() });
        Self::of(map, kernel)
    }

    /// The same with maps from wherever.
    pub(super) fn of(
        mut take: impl FnMut(&str) -> Result<Map, MapError>,
        kernel: KernelVersion,
    ) -> Result<(Self, Map), MapError> {
        let mut errnos: Array<_, i32> = take("prpt_errno")?.try_into()?;
        for (status, errno) in blk_status::of_kernel(kernel < KernelVersion::new(6, 10)) {
            errnos.set(u32::from(status), errno.raw(), 0)?;
        }
        let maps = Self {
            _errnos: errnos,
            counters: take("prpt_counters")?.try_into()?,
            counts: take(COUNTS)?.try_into()?,
            ring_fill: take("prpt_ring_fill")?.try_into()?,
            inodes: take("prpt_wb_err_ino")?.try_into()?,
            slow_limits: take(SLOW_LIMITS).ok().map(HashMap::try_from).transpose()?,
        };
        Ok((maps, take(RING)?))
    }

    /// What a probe counted, over all CPUs.
    pub(super) fn counts_of(&self, kind: Kind) -> Counts {
        let mut sum = Counts::default();
        if let Ok(per_cpu) = self.counters.get(&u32::from(kind.number()), 0) {
            for c in per_cpu.iter() {
                sum.seen += c.seen;
                sum.sent += c.sent;
                sum.dropped += c.dropped;
                sum.folded += c.folded;
            }
        }
        sum
    }

    /// How often a probe's program ran, where it keeps count of that.
    pub(super) fn runs_of(&self, kind: Kind) -> u64 {
        let per_cpu = self.counters.get(&u32::from(kind.number()), 0);
        per_cpu.map_or(0, |per_cpu| per_cpu.iter().map(|c| c.runs).sum())
    }

    /// Failures that [`Maps::exact`] counts and for which the ring had no room.
    pub(super) fn dropped(&self) -> u64 {
        COUNTED.iter().map(|kind| self.counts_of(*kind).dropped).sum()
    }

    /// Exact counts of failures, which stay right when the ring is full.
    pub(super) fn exact(&self) -> impl Iterator<Item = (CountKey, u64)> + '_ {
        self.counts.iter().filter_map(Result::ok)
    }

    #[cfg(test)]
    pub(super) fn set_exact(&mut self, key: CountKey, count: u64) -> Result<(), MapError> {
        self.counts.insert(key, count, 0)
    }

    /// Most bytes that ever waited in the ring.
    pub(super) fn ring_most_filled(&self) -> u64 {
        self.ring_fill.get(&0, 0).map_or(0, |per_cpu| per_cpu.iter().copied().max().unwrap_or(0))
    }

    /// Sets from how many nanoseconds on requests are slow, by device; those of other devices never are.
    pub(super) fn set_slow_limits(&mut self, limits: &BTreeMap<u32, u64>) -> Result<(), MapError> {
        let Some(map) = &mut self.slow_limits else { return Ok(()) };
        let gone: Vec<u32> =
            map.keys().filter_map(Result::ok).filter(|dev| !limits.contains_key(dev)).collect();
        for dev in gone {
            map.remove(&dev)?;
        }
        for (dev, limit_ns) in limits {
            map.insert(dev, limit_ns, 0)?;
        }
        Ok(())
    }

    /// Inodes that lost data, with their counts so far.
    pub(super) fn inodes(&self) -> impl Iterator<Item = WbErr> + '_ {
        self.inodes
            .iter()
            .filter_map(Result::ok)
            .map(|(key, state)| WbErr::unnamed(key.dev, key.ino, key.errno, state.count))
    }
}
