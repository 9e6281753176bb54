//! Uevents that were read and wait to be taken: coalesced by device and bounded.
//!
//! Most uevents say no more than that a device is to be read again, and reading it once is enough for all of them. One that
//! says something of its own, and the coming and going of a device, keeps its place in the order.

use std::collections::{HashMap, VecDeque};

use crate::record::{Lost, Uevent};

/// Uevents that wait at a time. Beyond that they are forgotten, and all devices are read again.
const WAITING_MOST: usize = 4096;
/// The same in bytes.
const BYTES_MOST: usize = 8 << 20;

/// What each uevent of a block device has (drivers/base/core.c, block/genhd.c, block/partitions/core.c): it says which
/// device is meant, and nothing of what happened to it. A request of a program for a uevent has marks of its own.
const PLAIN: &[&str] = &[
    "ACTION",
    "DEVPATH",
    "SUBSYSTEM",
    "SEQNUM",
    "MAJOR",
    "MINOR",
    "DEVNAME",
    "DEVTYPE",
    "DEVMODE",
    "DISKSEQ",
    "DRIVER",
    "MODALIAS",
    "PARTN",
    "PARTNAME",
    "PARTUUID",
    "SYNTH_UUID",
    "NVME_TRTYPE",
];

/// A uevent that waits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Waiting {
    /// What the kernel or udev said. Later ones that said the same of the device are in it.
    Event {
        /// The first of them.
        uevent: Uevent,
        /// Whether udev spoke of the device too, after its rules ran.
        udev: bool,
    },
    /// Uevents were lost: all devices are to be read again.
    Lost(Lost),
}

/// The uevents that wait.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    waiting: VecDeque<Waiting>,
    /// Number of the first of `waiting`.
    base: u64,
    /// The last one of each device.
    latest: HashMap<String, u64>,
    bytes: usize,
    /// Uevents that were forgotten so far.
    forgotten: u64,
    /// Uevents that said nothing that an earlier one, still waiting, had not said.
    folded: u64,
}

impl Backlog {
    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Those that wait, in their order.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Uevent> {
        self.waiting.iter().filter_map(|waiting| match waiting {
            Waiting::Event { uevent, .. } => Some(uevent),
            Waiting::Lost(_) => None,
        })
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Uevents so far that were reported with an earlier one, and those that were forgotten.
    #[cfg(test)]
    pub(crate) const fn counters(&self) -> (u64, u64) {
        (self.folded, self.forgotten)
    }

    /// Takes a uevent in.
    pub(crate) fn push(&mut self, mut uevent: Uevent) {
        if !is_wanted(&uevent) {
            return;
        }
        if uevent.udev {
            // All that is of interest in it stands in udev's database.
            uevent.properties.retain(|(key, _)| key == DISKSEQ);
        }
        let is_change = !uevent.udev && (["add", "remove"].contains(&&*uevent.action) || !is_plain(&uevent));
        if !is_change
            && let Some(number) = self.latest.get(&uevent.devpath)
            && let Some(Waiting::Event { uevent: before, udev }) =
                number.checked_sub(self.base).and_then(|at| self.waiting.get_mut(usize::try_from(at).ok()?))
            && before.action != "remove"
        {
            *udev |= uevent.udev;
            if uevent.udev {
                take_diskseq(before, &uevent);
            } else {
                forget_diskseq(before);
            }
            self.folded += 1;
            return;
        }
        let bytes = size_of(&uevent);
        if self.waiting.len() >= WAITING_MOST || self.bytes + bytes > BYTES_MOST {
            self.overflow(uevent.seq);
            return;
        }
        self.bytes += bytes;
        self.latest.insert(uevent.devpath.clone(), self.base + self.waiting.len() as u64);
        let udev = uevent.udev;
        self.waiting.push_back(Waiting::Event { uevent, udev });
    }

    /// Uevents were lost before the next one.
    pub(crate) fn lost(&mut self, lost: Lost) {
        if let Some(Waiting::Lost(before)) = self.waiting.back_mut()
            && (&before.source, &before.reason) == (&lost.source, &lost.reason)
        {
            before.count = before.count.saturating_add(lost.count);
            before.sequence = lost.sequence;
            return;
        }
        self.waiting.push_back(Waiting::Lost(lost));
    }

    /// The next one.
    pub(crate) fn take(&mut self) -> Option<Waiting> {
        let next = self.waiting.pop_front()?;
        if let Waiting::Event { uevent, .. } = &next {
            self.bytes = self.bytes.saturating_sub(size_of(uevent));
            if self.latest.get(&uevent.devpath) == Some(&self.base) {
                self.latest.remove(&uevent.devpath);
            }
        }
        self.base += 1;
        Some(next)
    }

    /// More than can wait: forgets all, the one that came last among them.
    fn overflow(&mut self, seq: u64) {
        self.base += self.waiting.len() as u64;
        self.latest.clear();
        self.bytes = 0;
        let mut count = 1;
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Event { .. } => count += 1,
                Waiting::Lost(earlier) => self.lost(earlier),
            }
        }
        self.forgotten += count;
        self.lost(Lost {
            source: "uevent".to_owned(),
            reason: "too many at a time: all devices are read again".to_owned(),
            count,
            sequence: format!("{seq}-{}", self.forgotten),
        });
    }
}

/// Sequence number of the disk that a uevent is about.
const DISKSEQ: &str = "DISKSEQ";

/// A disk that changed while its coming waited may have another sequence number by now than any uevent says: an array of md gets
/// one when it is first opened after its start, of which the kernel tells nobody. An event with the old one would seem to be about a
/// disk that has gone; of one with none it does not matter, as it does not for a change that comes alone.
fn forget_diskseq(before: &mut Uevent) {
    before.properties.retain(|(key, _)| key != DISKSEQ);
    before.properties.push((DISKSEQ.to_owned(), String::new()));
}

/// A disk that got another medium, or a loop device its file, has another sequence number from then on, also where only udev still
/// says so.
fn take_diskseq(before: &mut Uevent, later: &Uevent) {
    let number = |uevent: &Uevent| uevent.get(DISKSEQ).and_then(|seq| seq.parse::<u64>().ok());
    let Some(seq) = number(later).filter(|seq| Some(*seq) > number(before)) else { return };
    match before.properties.iter_mut().find(|(key, _)| key == DISKSEQ) {
        // It was forgotten.
        Some((_, value)) if value.is_empty() => {}
        Some((_, value)) => *value = seq.to_string(),
        None => before.properties.push((DISKSEQ.to_owned(), seq.to_string())),
    }
}

/// Whether anybody wants to know of it.
fn is_wanted(uevent: &Uevent) -> bool {
    match uevent.subsystem.as_str() {
        "block" => !(uevent.udev && uevent.action == "remove"),
        "scsi" | "nvme" => !uevent.udev,
        "module" => !uevent.udev && uevent.action == "add",
        _ => false,
    }
}

/// Whether it says no more than that a device is to be read again.
fn is_plain(uevent: &Uevent) -> bool {
    let is_plain = |key: &str| PLAIN.contains(&key) || key.starts_with("SYNTH_ARG_");
    uevent.properties.iter().all(|(key, _)| is_plain(key))
}

fn size_of(uevent: &Uevent) -> usize {
    let pairs = uevent
        .properties
        .iter()
        .map(|(key, value)| key.len() + value.len() + 2 * std::mem::size_of::<String>());
    std::mem::size_of::<Waiting>() + 2 * uevent.devpath.len() + pairs.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uevent(action: &str, path: &str, seq: u64, more: &[(&str, &str)]) -> Uevent {
        let mut properties =
            vec![("ACTION".to_owned(), action.to_owned()), ("SEQNUM".to_owned(), seq.to_string())];
        properties.extend(more.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        Uevent {
            seq,
            action: action.to_owned(),
            subsystem: "block".to_owned(),
            devpath: path.to_owned(),
            dev: None,
            udev: false,
            properties,
        }
    }

    fn by_udev(uevent: Uevent) -> Uevent {
        Uevent { udev: true, ..uevent }
    }

    fn drain(backlog: &mut Backlog) -> Vec<String> {
        std::iter::from_fn(|| backlog.take())
            .map(|waiting| match waiting {
                Waiting::Event { uevent, udev } => {
                    let end = uevent.devpath.rsplit('/').next().unwrap_or_default().to_owned();
                    format!("{} {end}{}", uevent.action, if udev { " udev" } else { "" })
                }
                Waiting::Lost(lost) => format!("lost {}", lost.count),
            })
            .collect()
    }

    #[test]
    fn changes_of_a_device_are_one_and_its_coming_and_going_keep_their_order() {
        let mut backlog = Backlog::default();
        for (seq, (action, path)) in [
            ("add", "/a"),
            ("change", "/a"),
            ("change", "/b"),
            ("change", "/a"),
            ("remove", "/a"),
            ("add", "/a"),
            ("change", "/a"),
            ("change", "/b"),
        ]
        .into_iter()
        .enumerate()
        {
            backlog.push(uevent(action, path, seq as u64, &[]));
        }
        backlog.push(by_udev(uevent("add", "/a", 5, &[("ID_FS_TYPE", "ext4")])));
        assert_eq!(drain(&mut backlog), ["add a", "change b", "remove a", "add a udev"]);
        assert_eq!(backlog.counters(), (5, 0));
        backlog.push(uevent("change", "/a", 9, &[]));
        assert_eq!(drain(&mut backlog), ["change a"], "what was taken is not waited for");
    }

    #[test]
    fn what_is_folded_has_a_sequence_number_that_is_not_older_than_its_disk() {
        let folded = |events: Vec<Uevent>| {
            let mut backlog = Backlog::default();
            events.into_iter().for_each(|event| backlog.push(event));
            let Some(Waiting::Event { uevent, .. }) = backlog.take() else { panic!("none waits") };
            assert!(uevent.action == "add" && backlog.is_empty());
            uevent.get("DISKSEQ").and_then(|seq| seq.parse::<u64>().ok())
        };
        let of = |action: &str, seq: &str| uevent(action, "/a", 1, &[("DISKSEQ", seq)]);
        let udev = |seq: &str| by_udev(of("add", seq));
        assert_eq!(folded(vec![of("add", "6"), udev("6")]), Some(6));
        assert_eq!(folded(vec![of("add", "6"), udev("7")]), Some(7));
        assert_eq!(folded(vec![uevent("add", "/a", 1, &[]), udev("7")]), Some(7));
        // losetup of a loop device that did not exist: it is added, and gets a file and another number at once. An array of md gets
        // the other number after its change, and no uevent has it.
        assert_eq!(folded(vec![of("add", "6"), of("change", "7")]), None);
        assert_eq!(folded(vec![of("add", "12"), of("change", "12"), udev("12")]), None);
    }

    #[test]
    fn what_says_something_of_its_own_is_never_folded() {
        let mut backlog = Backlog::default();
        for seq in 0..3 {
            backlog.push(uevent("change", "/a", seq, &[("DM_ACTION", "PATH_FAILED"), ("DM_PATH", "8:48")]));
            backlog.push(uevent("change", "/a", seq, &[("RESIZE", "1")]));
        }
        assert_eq!(drain(&mut backlog), ["change a"; 6]);
    }

    #[test]
    fn nobody_wants_what_is_no_storage() {
        let mut backlog = Backlog::default();
        let other =
            |subsystem: &str| Uevent { subsystem: subsystem.to_owned(), ..uevent("add", "/a", 1, &[]) };
        for subsystem in ["bdi", "net", "usb", ""] {
            backlog.push(other(subsystem));
        }
        backlog.push(by_udev(uevent("remove", "/a", 1, &[])));
        assert!(backlog.is_empty());
        for subsystem in ["scsi", "nvme", "module"] {
            backlog.push(other(subsystem));
        }
        assert_eq!(backlog.len(), 3);
    }

    #[test]
    fn what_is_too_much_is_forgotten_and_counted() {
        let mut backlog = Backlog::default();
        let many = 3 * WAITING_MOST as u64 + 7;
        for seq in 0..many {
            backlog.push(uevent("add", &format!("/{seq}"), seq, &[]));
        }
        let (_, forgotten) = backlog.counters();
        let left = backlog.len() as u64 - 1;
        assert!(backlog.len() <= WAITING_MOST && forgotten + left == many, "{forgotten} and {left}");
        assert_eq!(drain(&mut backlog).first().map(String::as_str), Some(&*format!("lost {forgotten}")));
        // Long ones count by their size.
        let long = "x".repeat(60 << 10);
        for seq in 0..1000 {
            backlog.push(uevent("add", &format!("/{seq}"), seq, &[("LONG", &long)]));
        }
        assert!(backlog.len() < 200, "{} wait", backlog.len());
    }

    proptest! {
        #[test]
        fn each_device_ends_as_its_last_uevent_says(steps in proptest::collection::vec((0_u8..4, 0_u8..3), 0..60)) {
            let mut backlog = Backlog::default();
            for (seq, (device, action)) in steps.iter().enumerate() {
                let action = ["add", "remove", "change"][usize::from(*action)];
                backlog.push(uevent(action, &format!("/{device}"), seq as u64, &[]));
            }
            let reported = drain(&mut backlog);
            for device in 0..4_u8 {
                let comings = |all: Vec<&str>| all.into_iter().filter(|a| *a != "change").map(str::to_owned).collect::<Vec<_>>();
                let wanted: Vec<&str> = steps
                    .iter()
                    .filter(|(d, _)| *d == device)
                    .map(|(_, action)| ["add", "remove", "change"][usize::from(*action)])
                    .collect();
                let end = format!(" {device}");
                let got: Vec<&str> = reported.iter().filter_map(|line| line.strip_suffix(&end)).collect();
                prop_assert_eq!(comings(got.clone()), comings(wanted.clone()));
                // After the last coming or going, a change is reported or is in what came before it.
                let changed = wanted.last() == Some(&"change");
                prop_assert!(!changed || got.last().is_some_and(|last| *last != "remove"));
            }
        }
    }
}
