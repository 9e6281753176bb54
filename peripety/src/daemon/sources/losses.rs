//! What the kernel side could not hand over, and what only its maps know.

use std::collections::{BTreeMap, BTreeSet};

use peripety_common::{Header, KernelRecord, Kind, Payload, VERSION, wb_err::WbErr};

use serde::{Deserialize, Serialize};

use crate::{
    checkpoint::Checkpoint,
    collector::ebpf::Ebpf,
    parser::source_name,
    record::{Body, Lost, Record, Stamp},
};

/// What was reported the kernel's counters and maps, which go on over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedLosses {
    /// By number of the hook.
    dropped: BTreeMap<u16, u64>,
    /// Device, inode, errno, count: those that changed since they were written before; none is left of a count of 0.
    inodes: Vec<(u32, u64, i32, u64)>,
    /// Lost writes that were reported, and those that the kernel's map forgot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost_writes: Option<(u64, u64)>,
}

impl SavedLosses {
    /// Takes in what was written later.
    pub(in crate::daemon) fn take(&mut self, later: Self) {
        self.dropped = later.dropped;
        self.inodes.extend(later.inodes);
        self.lost_writes = later.lost_writes.or(self.lost_writes);
    }
}

/// Device, inode, errno.
type InodeKey = (u32, u64, i32);

/// Lost writes: all are counted by the hook, those within a second of one another by inode, in a map that may forget an inode
/// before its count is read.
#[derive(Debug, Default)]
struct LostWrites {
    /// By record, or from the map.
    reported: u64,
    forgotten: u64,
    /// What the hook had counted at the last look, and what was reported then.
    at_last_look: (u64, u64),
}

impl LostWrites {
    /// `count` of an inode is reported, of which there was reported `before`.
    fn report(&mut self, count: u64, before: Option<u64>) {
        // A lower count: the map had forgotten the inode and began again.
        let before = before.filter(|before| *before <= count).unwrap_or_default();
        self.reported = self.reported.saturating_add(count - before);
    }

    /// Looks at what the hook counted, and whose records the ring dropped. How many the map forgot, or none yet while they go on.
    fn look(&mut self, counted: u64, dropped: u64) -> Option<u64> {
        let now = (counted, self.reported);
        if std::mem::replace(&mut self.at_last_look, now) != now {
            return None;
        }
        let known = self.reported.saturating_add(dropped).saturating_add(self.forgotten);
        let forgotten = counted.saturating_sub(known);
        self.forgotten = self.forgotten.saturating_add(forgotten);
        Some(forgotten)
    }
}

/// Keeps book of what the ring did not bring.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Losses {
    dropped: BTreeMap<Kind, u64>,
    undecodable: u64,
    /// Dropped failures of which not even the device is known.
    given_up: u64,
    /// Last reported count of each inode that lost data.
    inodes: BTreeMap<InodeKey, u64>,
    /// Of these, what changed since it was last saved.
    changed_inodes: BTreeSet<InodeKey>,
    lost_writes: LostWrites,
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
        let changed_inodes = std::mem::take(&mut self.changed_inodes);
        let row = |(dev, ino, errno): InodeKey, count: u64| (dev, ino, errno, count);
        (changed || all).then(|| SavedLosses {
            dropped: self.dropped.iter().map(|(kind, n)| (kind.number(), *n)).collect(),
            inodes: if all {
                self.inodes.iter().map(|(key, n)| row(*key, *n)).collect()
            } else {
                let count = |key: &InodeKey| self.inodes.get(key).copied().unwrap_or_default();
                changed_inodes.iter().map(|key| row(*key, count(key))).collect()
            },
            lost_writes: Some((self.lost_writes.reported, self.lost_writes.forgotten)),
        })
    }

    fn restore(&mut self, state: SavedLosses) {
        let dropped = state.dropped.into_iter().filter_map(|(kind, n)| Some((Kind::from_number(kind)?, n)));
        let mut inodes = BTreeMap::new();
        for (dev, ino, errno, count) in state.inodes {
            if count == 0 {
                inodes.remove(&(dev, ino, errno));
            } else {
                inodes.insert((dev, ino, errno), count);
            }
        }
        let (reported, forgotten) = state.lost_writes.unwrap_or_default();
        let lost_writes = LostWrites { reported, forgotten, ..LostWrites::default() };
        let another_look = true;
        *self = Self { dropped: dropped.collect(), inodes, lost_writes, another_look, ..Self::default() };
    }
}

impl Losses {
    /// Begins where nobody noted what an earlier daemon reported the kernel's counts.
    pub(in crate::daemon) fn begin(&mut self, ebpf: &Ebpf) {
        let counts = ebpf.counts_of(Kind::FilemapSetWbErr);
        self.lost_writes.reported = counts.seen.saturating_sub(counts.dropped);
    }

    /// Looks at a record on its way to the engine.
    pub(in crate::daemon) fn note(&mut self, record: &KernelRecord) {
        match &record.payload {
            Payload::WbErr(wb) => {
                self.report_inode(wb);
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
            let why = "the kernel ran no program for it, and only text may report it";
            records.push(lost(source_name(Kind::BlockRqError), why, found.unexplained, total, now));
        }
        for kind in ebpf.attached() {
            let total = ebpf.counts_of(kind).dropped;
            let reported = self.dropped.entry(kind).or_default();
            // Another ring counts from zero again.
            *reported = total.min(*reported);
            if total > *reported {
                self.changed = true;
                records.push(lost(source_name(kind), "ring full", total - *reported, total, now));
                *reported = total;
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
        let counts = ebpf.counts_of(Kind::FilemapSetWbErr);
        match self.lost_writes.look(counts.seen, counts.dropped) {
            None => self.another_look = true,
            Some(0) => {}
            Some(forgotten) => {
                self.changed = true;
                let why = "the kernel's table of inodes full";
                let total = self.lost_writes.forgotten;
                records.push(lost(source_name(Kind::FilemapSetWbErr), why, forgotten, total, now));
            }
        }
    }

    fn report_inode(&mut self, wb: &WbErr) {
        let key = (wb.dev, wb.ino, wb.errno);
        let before = self.inodes.insert(key, wb.count);
        self.lost_writes.report(wb.count, before);
        self.changed_inodes.insert(key);
        self.changed = true;
    }

    /// Brings the counts of inodes up to what the kernel folded since their last record.
    fn ask_inodes(&mut self, ebpf: &Ebpf, now: Stamp, records: &mut Vec<Record>) {
        let mut current = BTreeSet::new();
        for wb in ebpf.inodes() {
            let key = (wb.dev, wb.ino, wb.errno);
            current.insert(key);
            if self.inodes.get(&key).is_some_and(|reported| wb.count > *reported) {
                self.report_inode(&wb);
                records.push(record_of(wb, now));
            }
        }
        // The kernel's map is bounded: what it forgot is forgotten here.
        let Self { inodes, changed_inodes, changed, .. } = self;
        inodes.retain(|key, _| {
            let is_there = current.contains(key);
            if !is_there {
                changed_inodes.insert(*key);
                *changed = true;
            }
            is_there
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_map_of_inodes_forgot_is_counted_when_they_stand_still() {
        let mut writes = LostWrites::default();
        writes.report(1, None);
        // 99 more within the second, of which the map knows.
        assert_eq!(writes.look(100, 0), None);
        writes.report(100, Some(1));
        assert_eq!((writes.look(100, 0), writes.look(100, 0)), (None, Some(0)));
        // The inode is forgotten after 50 more, and begins again; one record finds no room in the ring.
        writes.report(1, Some(100));
        assert_eq!(
            (writes.look(152, 1), writes.look(152, 1), writes.look(152, 1)),
            (None, Some(50), Some(0))
        );
        assert_eq!((writes.reported, writes.forgotten), (101, 50));
    }

    #[test]
    fn counts_of_inodes_are_saved_by_what_changed_and_restored_whole() {
        let wb = |ino: u64, count: u64| WbErr::unnamed(1, ino, 5, count);
        let mut losses = Losses::default();
        for ino in 0..1000 {
            losses.report_inode(&wb(ino, 1));
        }
        let mut saved = losses.save(false).unwrap();
        assert_eq!(saved.inodes.len(), 1000);
        losses.report_inode(&wb(7, 5));
        losses.inodes.remove(&(1, 8, 5));
        losses.changed_inodes.insert((1, 8, 5));
        let later = losses.save(false).unwrap();
        assert_eq!(later.inodes, [(1, 7, 5, 5), (1, 8, 5, 0)]);
        saved.take(later);
        let mut again = Losses::default();
        again.restore(saved);
        assert_eq!(again.save(true), losses.save(true));
        assert!(losses.save(false).is_none());
    }
}
