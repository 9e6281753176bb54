//! What the kernel side could not hand over, and what only its maps know.

use std::collections::BTreeMap;

use peripety_common::{Header, KernelRecord, Kind, Payload, VERSION, wb_err::WbErr};

use serde::{Deserialize, Serialize};

use crate::{
    checkpoint::Checkpoint,
    collector::ebpf::Ebpf,
    parser::source_name,
    record::{Body, Lost, Record, Stamp},
};

/// What was told of the kernel's counters and maps, which go on over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedLosses {
    /// By number of the hook.
    dropped: BTreeMap<u16, u64>,
    /// Device, inode, errno, count.
    inodes: Vec<(u32, u64, i32, u64)>,
}

/// Keeps book of what the ring did not bring.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Losses {
    dropped: BTreeMap<Kind, u64>,
    undecodable: u64,
    /// Dropped failures of which not even the device is known.
    given_up: u64,
    /// Last told count of each inode that lost data.
    inodes: BTreeMap<(u32, u64, i32), u64>,
    /// Since it was last saved.
    changed: bool,
    another_look: bool,
    /// The kernel's counts are being looked at, and are soon compared.
    soon: bool,
}

/// Until the next look at the kernel's maps: the usual time, and where a look was begun and is little work.
const LATER_NS: u64 = 1_000_000_000;
const SOON_NS: u64 = 250_000_000;
/// Rows of counts that are little work.
const FEW_ROWS: usize = 1024;

impl Checkpoint for Losses {
    type State = SavedLosses;

    fn save(&mut self, all: bool) -> Option<SavedLosses> {
        let changed = std::mem::take(&mut self.changed);
        (changed || all).then(|| SavedLosses {
            dropped: self.dropped.iter().map(|(kind, n)| (kind.number(), *n)).collect(),
            inodes: self.inodes.iter().map(|((dev, ino, errno), n)| (*dev, *ino, *errno, *n)).collect(),
        })
    }

    fn restore(&mut self, state: SavedLosses) {
        let dropped = state.dropped.into_iter().filter_map(|(kind, n)| Some((Kind::from_number(kind)?, n)));
        let inodes = state.inodes.into_iter().map(|(dev, ino, errno, count)| ((dev, ino, errno), count));
        let another_look = true;
        *self =
            Self { dropped: dropped.collect(), inodes: inodes.collect(), another_look, ..Self::default() };
    }
}

impl Losses {
    /// Looks at a record on its way to the engine.
    pub(in crate::daemon) fn note(&mut self, record: &KernelRecord) {
        match &record.payload {
            Payload::WbErr(wb) => {
                self.inodes.insert((wb.dev, wb.ino, wb.errno), wb.count);
                self.changed = true;
                // The kernel folds what follows within the second: its map has the last word.
                self.another_look = true;
            }
            // Some of these may not have been shown to the program.
            Payload::BlockRq(_) => self.another_look = true,
            _ => {}
        }
    }

    /// After how long the maps are to be asked again, if they are.
    pub(in crate::daemon) fn wants_another_look(&mut self) -> Option<u64> {
        let soon = std::mem::take(&mut self.soon);
        let after_ns = if soon { SOON_NS } else { LATER_NS };
        std::mem::take(&mut self.another_look).then_some(after_ns)
    }

    /// Asks the kernel's counters and maps; `last` when nobody will ask again.
    pub(in crate::daemon) fn ask(
        &mut self,
        ebpf: &mut Ebpf,
        now: Stamp,
        last: bool,
        records: &mut Vec<Record>,
    ) {
        let found = ebpf.look_for_missed(last);
        self.another_look |= found.look_again;
        self.soon = found.look_again && ebpf.counted_rows() <= FEW_ROWS;
        records.extend(found.missed.into_iter().map(|m| Record { time: now, body: Body::Missed(m) }));
        if found.given_up > 0 {
            self.given_up += found.given_up;
            let why = "ring full, and the count of the device forgotten";
            records.push(lost("ebpf", why, found.given_up, self.given_up, now));
        }
        if found.unexplained > 0 {
            let total = ebpf.counts_of(Kind::BlockRqError).unseen;
            let why = "the kernel ran no program for it, and only text may tell of it";
            records.push(lost(source_name(Kind::BlockRqError), why, found.unexplained, total, now));
        }
        for kind in ebpf.attached() {
            let total = ebpf.counts_of(kind).dropped;
            let told = self.dropped.entry(kind).or_default();
            // Another ring counts from zero again.
            *told = total.min(*told);
            if total > *told {
                self.changed = true;
                records.push(lost(source_name(kind), "ring full", total - *told, total, now));
                *told = total;
            }
        }
        let undecodable = ebpf.undecodable();
        if undecodable > self.undecodable {
            records.push(lost(
                "ebpf",
                "record not understood",
                undecodable - self.undecodable,
                undecodable,
                now,
            ));
            self.undecodable = undecodable;
        }
        if !self.inodes.is_empty() {
            self.ask_inodes(ebpf, now, records);
        }
    }

    /// Brings the counts of inodes up to what the kernel folded since their last record.
    fn ask_inodes(&mut self, ebpf: &Ebpf, now: Stamp, records: &mut Vec<Record>) {
        let mut current = BTreeMap::new();
        self.changed = true;
        for wb in ebpf.inodes() {
            let key = (wb.dev, wb.ino, wb.errno);
            current.insert(key, wb.count);
            if self.inodes.get(&key).is_some_and(|told| wb.count > *told) {
                records.push(record_of(wb, now));
            }
        }
        // The kernel's map is bounded: what it forgot is forgotten here.
        self.inodes.retain(|key, told| match current.get(key) {
            Some(count) => {
                *told = (*told).max(*count);
                true
            }
            None => false,
        });
    }
}

fn lost(source: &str, reason: &str, count: u64, total: u64, now: Stamp) -> Record {
    let sequence = format!("{}/{total}", std::process::id());
    let lost = Lost { source: source.to_owned(), reason: reason.to_owned(), count, sequence };
    Record { time: now, body: Body::Lost(lost) }
}

/// The record that the kernel would have sent, had it not folded it.
fn record_of(wb: WbErr, now: Stamp) -> Record {
    let header = Header {
        kind: Kind::FilemapSetWbErr.number(),
        len: u16::try_from(Header::SIZE + size_of::<WbErr>()).unwrap_or(u16::MAX),
        version: VERSION,
        flags: 0,
        cpu: 0,
        seq: wb.count,
        mono_ns: now.monotonic_ns.unwrap_or_default(),
    };
    Record { time: now, body: Body::Kernel(KernelRecord { header, payload: Payload::WbErr(wb) }) }
}
