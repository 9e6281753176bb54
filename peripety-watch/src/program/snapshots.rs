//! Health snapshots of disks: when one is taken, and what is given where the disk cannot be asked.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    os::fd::BorrowedFd,
    path::Path,
    time::{Duration, Instant},
};

use peripety_block::{
    Roots,
    health::{Disk, Readiness, readiness},
};
use peripety_model::{Dev, facts::HealthFacts};

use super::asker::Asker;
use crate::message::{Health, Message, SNAPSHOTS_APART};

/// When a disk is looked at that cannot be asked at once: it works off what it was sent, or its error handler does.
const TRIES: [Duration; 4] =
    [Duration::from_millis(300), Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(45)];
/// Disks that wait, and those that are remembered.
const MOST: usize = 256;

/// A disk that is to be asked.
struct Pending {
    dev: Dev,
    due: Instant,
    tries: usize,
    /// Requests that it had completed when it was looked at last.
    completed: Option<u64>,
}

/// All of them.
pub(super) struct Snapshots {
    roots: Roots,
    asker: Asker<Disk, HealthFacts>,
    pending: VecDeque<Pending>,
    /// Those that wait for the one that is asked now.
    asked: Vec<(Dev, Disk)>,
    taken: BTreeMap<Dev, Instant>,
}

impl Snapshots {
    pub(super) fn new(dev: &Path, sysfs: &Path) -> io::Result<Self> {
        let roots = Roots { dev: dev.to_owned(), sysfs: sysfs.to_owned(), ..Roots::system() };
        Ok(Self {
            roots,
            asker: Asker::new(|disk: Disk| disk.asked())?,
            pending: VecDeque::new(),
            asked: Vec::new(),
            taken: BTreeMap::new(),
        })
    }

    /// The daemon wants one; not again within ten minutes.
    pub(super) fn ask(&mut self, dev: Dev) {
        self.taken.retain(|_, at| at.elapsed() < SNAPSHOTS_APART);
        if self.taken.contains_key(&dev) || self.taken.len() >= MOST || self.pending.len() >= MOST {
            return;
        }
        self.taken.insert(dev, Instant::now());
        self.pending.push_back(Pending { dev, due: Instant::now(), tries: 0, completed: None });
    }

    /// Readable when a disk has answered.
    pub(super) fn wake(&self) -> BorrowedFd<'_> {
        self.asker.wake()
    }

    /// How long to wait at most before [`Snapshots::go_on`].
    pub(super) fn due_in(&self) -> Option<Duration> {
        let next = self.pending.iter().map(|p| p.due.saturating_duration_since(Instant::now())).min();
        self.asker.due_in().into_iter().chain(next).min()
    }

    /// Looks at those whose time it is, and gives the snapshots that are taken.
    pub(super) fn go_on(&mut self) -> Vec<Message> {
        let mut taken = Vec::new();
        let now = Instant::now();
        let (due, later) = self.pending.drain(..).partition(|pending| pending.due <= now);
        self.pending = later;
        let due: VecDeque<Pending> = due;
        for pending in due {
            self.look(pending, &mut taken);
        }
        if !self.asked.is_empty() && self.asker.is_done() {
            self.asker.begin(std::mem::take(&mut self.asked));
        }
        taken.extend(
            self.asker.go_on().into_iter().map(|(dev, facts)| Health { dev, facts: Box::new(facts) }),
        );
        if let Some(why) = self.asker.why_not().filter(|_| self.asker.is_done()) {
            super::say(&format!("no health snapshot: {why}"));
        }
        taken.into_iter().map(Message::Health).collect()
    }

    fn look(&mut self, mut pending: Pending, taken: &mut Vec<Health>) {
        let dev = pending.dev;
        // A disk that went has no state.
        let Some(disk) = Disk::find(&self.roots, dev) else { return };
        let why_not = if self.asker.hangs(dev) {
            "not asked: it did not answer before".to_owned()
        } else {
            match readiness(&disk) {
                Readiness::Ready => return self.asked.push((dev, disk)),
                Readiness::Busy { completed } => {
                    if pending.completed.replace(completed).is_some_and(|before| before != completed) {
                        return self.asked.push((dev, disk));
                    }
                    "not asked: it completes none of the requests that it was sent".to_owned()
                }
                Readiness::Not(why) => why,
            }
        };
        if let Some(wait) = TRIES.get(pending.tries) {
            pending.tries += 1;
            pending.due = Instant::now() + *wait;
            self.pending.push_back(pending);
            return;
        }
        let facts = HealthFacts { not_read: Some(why_not), ..disk.shown() };
        taken.push(Health { dev, facts: Box::new(facts) });
    }
}

#[cfg(test)]
mod tests {
    use peripety_block::fixture::Tree;

    use super::*;

    fn disk(tree: &Tree, in_flight: u32, completed: u32) {
        tree.file("sys/devices/virtual/block/vda/stat", format!("{completed} 0 0 0 0 0 0 0 {in_flight} 0 0"));
        tree.file("sys/devices/virtual/block/vda/device/state", "running\n");
    }

    fn wait(snapshots: &mut Snapshots) -> Vec<Message> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let taken = snapshots.go_on();
            if !taken.is_empty() || Instant::now() > end {
                return taken;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn a_disk_is_asked_once_in_ten_minutes_and_when_it_works_off_what_it_was_sent() {
        let tree = Tree::default();
        tree.link("sys/dev/block/254:0", "sys/devices/virtual/block/vda");
        disk(&tree, 3, 10);
        let roots = tree.roots();
        let mut snapshots = Snapshots::new(&roots.dev, &roots.sysfs).unwrap();
        let dev = Dev::new(254, 0);
        snapshots.ask(dev);
        snapshots.ask(dev);
        assert!(snapshots.go_on().is_empty() && snapshots.due_in().is_some());
        disk(&tree, 3, 11);
        let taken = wait(&mut snapshots);
        assert!(matches!(&taken[..], [Message::Health(health)] if health.dev == dev), "{taken:?}");
        snapshots.ask(dev);
        assert!(snapshots.go_on().is_empty() && snapshots.due_in().is_none());
        // One that is gone has no state.
        snapshots.ask(Dev::new(254, 16));
        assert!(snapshots.go_on().is_empty() && snapshots.due_in().is_none());
    }

    #[test]
    fn of_a_disk_that_is_off_line_sysfs_alone_is_shown() {
        let tree = Tree::default();
        tree.link("sys/dev/block/254:0", "sys/devices/virtual/block/vda");
        disk(&tree, 0, 10);
        tree.file("sys/devices/virtual/block/vda/device/state", "offline\n");
        let roots = tree.roots();
        let mut snapshots = Snapshots::new(&roots.dev, &roots.sysfs).unwrap();
        snapshots.ask(Dev::new(254, 0));
        for _ in 0..TRIES.len() {
            assert!(snapshots.go_on().is_empty());
            snapshots.pending[0].due = Instant::now();
        }
        let taken = snapshots.go_on();
        let [Message::Health(health)] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!(health.facts.state.as_deref(), Some("offline"));
        assert_eq!(health.facts.not_read.as_deref(), Some("not asked: it is offline"));
    }
}
