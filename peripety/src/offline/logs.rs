//! All logs together: to each host its own, and events in the order in which they began.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    Entry, Item, Line,
    entry::Parsed,
    host::{Given, Machine, Passed},
    ordering::{self, Order},
    silent::Silent,
};
use crate::{event::Event, parser::rules::RuleSet};

/// Hosts that are remembered. Where a log server has more, those that were silent for longest are forgotten: what comes of
/// them later is as of a host that was never reported.
const HOSTS_MAX: usize = 4096;
/// Open events and waiting lines of all hosts together: each host has room for as many as the daemon. Fewer than may wait to be
/// given, so that none of those has to be given before it is over, and once more then.
const HELD_MAX: usize = ordering::WAITING_MAX / 2;
/// Entries after which it is looked which hosts are silent.
const LOOK_EVERY: u64 = 1024;
/// Bytes of a record of several lines.
const TEXT_MAX: usize = 64 << 10;
/// How often a repeated line is counted one by one.
const REPEATED_MAX: u32 = 10_000;

/// What was read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records.
    pub entries: u64,
    /// Records of the kernel among them.
    pub of_kernel: u64,
    /// Events, each counted once.
    pub events: u64,
    /// Records of which it is not known when they were written.
    pub undated: u64,
}

/// One host, with the number of its last entry.
#[derive(Debug)]
struct Host {
    name: String,
    machine: Machine,
    last: u64,
    /// Something is due when time goes on.
    is_busy: bool,
}

/// The last record, of which more may follow.
#[derive(Debug)]
enum Last {
    Entry(Box<Entry>),
    /// One of which nothing but its time counts, of the host at this place.
    Passed(Passed, usize),
}

/// Takes what files have, gives events.
#[derive(Debug)]
pub struct Logs {
    rules: RuleSet,
    given: Given,
    /// In the order in which they were reported.
    hosts: Vec<Host>,
    /// Places in `hosts` by name.
    places: HashMap<String, usize>,
    /// Places of hosts of which something is due when time goes on.
    busy: BTreeSet<usize>,
    /// Open events and waiting lines of all hosts.
    held: usize,
    held_max: usize,
    silent: Arc<Silent>,
    /// The host of the last entry.
    host: String,
    /// Its place, where it is known.
    place: Option<usize>,
    last: Option<(Last, u32)>,
    /// The next entry is of another boot, perhaps with this id.
    boot_id: Option<String>,
    order: Order,
    all_revisions: bool,
    totals: Totals,
    revisions: Vec<Event>,
}

impl Logs {
    /// Nothing read yet. With `all_revisions` each writing of an event is given at once, else only the last, in the order
    /// in which the events began.
    pub fn new(rules: RuleSet, given: Given, all_revisions: bool) -> Self {
        Self {
            silent: Arc::new(Silent::new(&rules)),
            rules,
            given,
            hosts: Vec::new(),
            places: HashMap::new(),
            busy: BTreeSet::new(),
            held: 0,
            held_max: HELD_MAX,
            host: String::new(),
            place: None,
            last: None,
            boot_id: None,
            order: Order::default(),
            all_revisions,
            totals: Totals::default(),
            revisions: Vec::new(),
        }
    }

    /// Takes what a file has next; adds events that are over to `out`.
    pub fn push(&mut self, item: Item, out: &mut Vec<Event>) {
        match item {
            Item::Entry(mut entry) => {
                self.flush(out);
                if entry.boot_id.is_none() {
                    entry.boot_id.clone_from(&self.boot_id);
                } else {
                    self.boot_id = None;
                }
                self.last = Some((Last::Entry(entry), 1));
            }
            Item::Whole(mut entry) => {
                if let Some((last @ Last::Passed(..), _)) = &mut self.last {
                    entry.boot_id = entry.boot_id.or_else(|| self.boot_id.clone());
                    *last = Last::Entry(entry);
                }
            }
            Item::More(text) => {
                if let Some((Last::Entry(entry), _)) = &mut self.last
                    && entry.log.text.len() + text.len() < TEXT_MAX
                {
                    entry.parsed = Parsed::No;
                    entry.log.text.push('\n');
                    entry.log.text.push_str(&text);
                }
            }
            Item::Repeated(times) => {
                if let Some((_, known)) = &mut self.last {
                    *known = known.saturating_add(times).min(REPEATED_MAX);
                }
            }
            Item::Boot(id) => {
                self.flush(out);
                self.boot_id = id;
                let place = self.place_of_host();
                if let Some(host) = place.and_then(|place| self.hosts.get_mut(place)) {
                    host.machine.reboot(&mut self.revisions);
                }
                self.hand_over(out);
            }
            Item::Nothing => {}
        }
    }

    /// Takes note of a record that says nothing of storage, if all that counts of it is its time; else it is to be pushed. Adds
    /// events that are over to `out`.
    pub fn passes(&mut self, line: &Line<'_>, out: &mut Vec<Event>) -> bool {
        self.silent.is(line) && self.lets_pass(line, out)
    }

    /// Knows which lines say nothing.
    pub(crate) fn silent(&self) -> Arc<Silent> {
        Arc::clone(&self.silent)
    }

    /// The same of a line of which it is known that it says nothing.
    pub(crate) fn lets_pass(&mut self, line: &Line<'_>, out: &mut Vec<Event>) -> bool {
        self.flush(out);
        let place = match line.hostname {
            None => self.place_of_host(),
            Some(name) if name == self.host => self.place_of_host(),
            Some(name) => self.places.get(name).copied(),
        };
        let Some((place, host)) = place.and_then(|place| Some((place, self.hosts.get(place)?))) else {
            return false;
        };
        let tells_boot = line.boot_id.is_some();
        let line = Line { boot_id: line.boot_id.or(self.boot_id.as_deref()), ..*line };
        if !host.machine.lets_pass(&line) {
            return false;
        }
        let Line { uptime_us, wall_us, .. } = line;
        let passed = Passed { uptime_us, wall_us, is_kernel: line.is_kernel() };
        if tells_boot {
            self.boot_id = None;
        }
        self.last = Some((Last::Passed(passed, place), 1));
        true
    }

    /// A file is over.
    pub fn end_of_file(&mut self, out: &mut Vec<Event>) {
        self.flush(out);
        self.boot_id = None;
    }

    /// What is known of devices and boots holds for all that comes from now on.
    pub fn set_given(&mut self, given: Given, out: &mut Vec<Event>) {
        self.end(out);
        self.given = given;
    }

    /// Everything was read.
    pub fn finish(&mut self, out: &mut Vec<Event>) {
        self.end(out);
        let before = out.len();
        self.order.finish(out);
        self.totals.events += (out.len() - before) as u64;
    }

    /// What was read so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        self.end_of_file(out);
        self.places.clear();
        self.busy.clear();
        self.place = None;
        for host in std::mem::take(&mut self.hosts) {
            self.close(host.machine);
        }
        self.hand_over(out);
    }

    fn flush(&mut self, out: &mut Vec<Event>) {
        let Some((last, times)) = self.last.take() else { return };
        let (wall_us, is_kernel) = match &last {
            Last::Entry(entry) => (entry.wall_us, entry.is_kernel()),
            Last::Passed(passed, _) => (passed.wall_us, passed.is_kernel),
        };
        self.totals.entries += 1;
        self.totals.of_kernel += u64::from(is_kernel);
        let place = match &last {
            Last::Entry(entry) => {
                if let Some(name) = &entry.hostname
                    && *name != self.host
                {
                    self.host.clone_from(name);
                    self.place = None;
                }
                self.place()
            }
            Last::Passed(_, place) => {
                if self.place != Some(*place)
                    && let Some(host) = self.hosts.get(*place)
                {
                    self.host.clone_from(&host.name);
                    self.place = Some(*place);
                }
                *place
            }
        };
        let number = self.totals.entries;
        if let Some(wall_us) = wall_us.filter(|_| number.is_multiple_of(LOOK_EVERY)) {
            self.look(wall_us);
        }
        if let Some(Host { machine, last: host_last, is_busy, .. }) = self.hosts.get_mut(place) {
            *host_last = number;
            let (before, held) = (machine.undated(), machine.held());
            match last {
                Last::Entry(entry) => machine.push(*entry, times, &mut self.revisions),
                Last::Passed(passed, _) => machine.pass(passed, times, &mut self.revisions),
            }
            self.held = (self.held + machine.held()).saturating_sub(held);
            self.totals.undated += machine.undated().saturating_sub(before);
            if machine.is_busy() != *is_busy {
                *is_busy = !*is_busy;
                if *is_busy {
                    self.busy.insert(place)
                } else {
                    self.busy.remove(&place)
                };
            }
        }
        while self.held > self.held_max && self.hosts.len() > 1 {
            self.forget_silent();
        }
        self.hand_over(out);
    }

    /// Lets time go on for hosts that are silent.
    fn look(&mut self, wall_us: i64) {
        let Self { busy, hosts, revisions, .. } = self;
        busy.retain(|place| {
            let Some(Host { machine, is_busy, .. }) = hosts.get_mut(*place) else { return false };
            machine.rest(wall_us, revisions);
            *is_busy = machine.is_busy();
            *is_busy
        });
        self.count_held();
    }

    fn count_held(&mut self) {
        self.held = self.hosts.iter().map(|host| host.machine.held()).sum();
    }

    /// The place of the host that speaks, if it is known already.
    fn place_of_host(&mut self) -> Option<usize> {
        if self.place.is_none() {
            self.place = self.places.get(&self.host).copied();
        }
        self.place
    }

    /// The place of the host that speaks.
    fn place(&mut self) -> usize {
        if let Some(place) = self.place_of_host() {
            return place;
        }
        if self.hosts.len() >= HOSTS_MAX {
            self.forget_silent();
        }
        let machine = Machine::new(self.rules.clone(), self.given.clone());
        self.hosts.push(Host { name: self.host.clone(), machine, last: 0, is_busy: false });
        let place = self.hosts.len() - 1;
        self.places.insert(self.host.clone(), place);
        self.place = Some(place);
        place
    }

    /// Forgets the half of the hosts that was silent for longer.
    fn forget_silent(&mut self) {
        let mut numbers: Vec<u64> = self.hosts.iter().map(|host| host.last).collect();
        let middle = numbers.len() / 2;
        let (_, limit, _) = numbers.select_nth_unstable(middle);
        let limit = *limit;
        let (silent, busy): (Vec<Host>, _) =
            std::mem::take(&mut self.hosts).into_iter().partition(|host| host.last < limit);
        self.hosts = busy;
        self.places = self.hosts.iter().enumerate().map(|(place, host)| (host.name.clone(), place)).collect();
        self.busy =
            self.hosts.iter().enumerate().filter(|(_, host)| host.is_busy).map(|(at, _)| at).collect();
        self.place = None;
        for host in silent {
            self.close(host.machine);
        }
        self.count_held();
    }

    fn close(&mut self, mut machine: Machine) {
        let before = machine.undated();
        machine.finish(&mut self.revisions);
        self.totals.undated += machine.undated().saturating_sub(before);
    }

    fn hand_over(&mut self, out: &mut Vec<Event>) {
        let before = out.len();
        for event in self.revisions.drain(..) {
            if self.all_revisions {
                self.totals.events += u64::from(event.is_final);
                out.push(event);
            } else {
                self.order.push(event, out);
            }
        }
        if !self.all_revisions {
            self.totals.events += (out.len() - before) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::LogRecord;

    fn line(host: usize, second: i64, text: &str) -> Item {
        Item::Entry(Box::new(Entry {
            log: LogRecord { text: text.to_owned(), ..LogRecord::default() },
            hostname: Some(format!("host{host:05}")),
            wall_us: Some(1_700_000_000_000_000 + second * 1_000_000),
            ..Entry::default()
        }))
    }

    const FAILED: &str = "I/O error, dev sda, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2";

    /// All events of so many hosts, of which each fails twice, one after the other.
    fn of_hosts(hosts: usize) -> (Vec<Event>, usize) {
        let mut logs = Logs::new(RuleSet::built_in(), Given::default(), false);
        let (mut out, mut early) = (Vec::new(), 0);
        for round in 0..2 {
            for host in 0..hosts {
                logs.push(line(host, round * 100_000 + i64::try_from(host).unwrap(), FAILED), &mut out);
                assert!(logs.hosts.len() <= HOSTS_MAX);
            }
            early = early.max(out.len());
        }
        logs.finish(&mut out);
        (out, early)
    }

    #[test]
    fn what_all_hosts_have_open_is_bounded_and_nothing_is_lost() {
        const HOSTS: usize = 30;
        let mut logs = Logs::new(RuleSet::built_in(), Given::default(), false);
        logs.held_max = 500;
        let mut out = Vec::new();
        for disk in b'a'..=b'z' {
            for host in 0..HOSTS {
                logs.push(
                    line(host, 1, &FAILED.replace("sda", &format!("sd{}", char::from(disk)))),
                    &mut out,
                );
                assert!(logs.held <= logs.held_max + 1);
            }
            assert_eq!(logs.held, logs.hosts.iter().map(|host| host.machine.held()).sum::<usize>());
        }
        assert!(!out.is_empty(), "nothing was given before the end");
        logs.finish(&mut out);
        assert_eq!(out.len(), 26 * HOSTS);
    }

    #[test]
    fn of_more_open_events_than_may_wait_each_is_given_once() {
        const HOSTS: usize = 700;
        let mut logs = Logs::new(RuleSet::built_in(), Given::default(), false);
        let mut out = Vec::new();
        for disk in b'a'..=b'z' {
            for host in 0..HOSTS {
                logs.push(
                    line(host, 1, &FAILED.replace("sda", &format!("sd{}", char::from(disk)))),
                    &mut out,
                );
            }
        }
        logs.finish(&mut out);
        let ids: BTreeSet<_> = out.iter().map(|event| event.event_id).collect();
        assert_eq!((out.len(), ids.len()), (26 * HOSTS, 26 * HOSTS));
    }

    /// The events of a file, in whatever format it is.
    fn events(file: &str) -> Vec<Event> {
        let mut logs = Logs::new(RuleSet::built_in(), Given::default(), false);
        let mut out = Vec::new();
        let at = jiff::Timestamp::from_second(1_795_255_200).unwrap();
        let calendar = super::super::Calendar::new(jiff::tz::TimeZone::UTC, at);
        super::super::read(&mut super::super::Input::new(file.as_bytes()), calendar, &mut |item| {
            logs.push(item, &mut out);
            std::ops::ControlFlow::Continue(())
        });
        logs.finish(&mut out);
        out
    }

    #[test]
    fn what_only_a_line_says_of_its_writer_is_named_as_unproven() {
        let sources = |file: String| -> Vec<Vec<String>> {
            events(&file).into_iter().map(|event| event.sources).collect()
        };
        let json = |transport: &str, program: &str| {
            format!(
                "{{\"MESSAGE\":\"{FAILED}\",\"_TRANSPORT\":\"{transport}\",\"SYSLOG_IDENTIFIER\":\"{program}\",\
                 \"__REALTIME_TIMESTAMP\":\"1795255200000000\",\"_UID\":\"1000\",\"_COMM\":\"logger\"}}\n"
            )
        };
        // What `logger -t kernel` writes into a syslog file is as what the kernel's lines are there.
        for (file, wanted) in [
            (format!("[    1.000000] {FAILED}\n"), &["kmsg"][..]),
            (format!("3,1,1000000,-;{FAILED}\n"), &["kmsg"]),
            (json("kernel", "kernel"), &["kmsg"]),
            (format!("Nov 21 13:16:50 h kernel: {FAILED}\n"), &["syslog:unproven"]),
            (format!("Nov 21 13:16:50 h kernel: [    1.000000] {FAILED}\n"), &["syslog:unproven"]),
            (format!("2026-11-21T13:16:50.5+00:00 h kernel: {FAILED}\n"), &["syslog:unproven"]),
            (format!("<3>1 2026-11-21T13:16:50Z h kernel - - - {FAILED}\n"), &["syslog:unproven"]),
            (
                "Nov 21 13:16:50 h multipathd[1]: mpatha: sdb - tur checker reports path is down\n"
                    .to_owned(),
                &["syslog:multipathd:unproven"],
            ),
        ] {
            assert_eq!(sources(file.clone()), [wanted], "{file}");
        }
        for forged in [json("syslog", "kernel"), format!("Nov 21 13:16:50 h kernel[99]: {FAILED}\n")] {
            assert_eq!(sources(forged), [] as [Vec<String>; 0]);
        }
    }

    /// What a log says, with the disk of each event.
    fn said(file: &str) -> Vec<(String, String)> {
        let disk = |event: &Event| event.block.as_ref().map(|block| block.id.blk_path.clone());
        let said = |event: &Event| (event.event_type.to_string(), disk(event).unwrap_or_default());
        events(file).iter().map(said).collect()
    }

    #[test]
    fn a_piece_of_a_users_text_says_nothing() {
        let rejecting = "[   60.000001] sd 2:0:0:1: rejecting I/O to offline device\n";
        let quoting = "[   61.123456] overlayfs: failed to resolve 'x\n";
        let real = said(rejecting);
        assert_eq!(real.len(), 1);
        for forged in [
            "sd 2:0:0:1: [sdz] Attached SCSI disk",
            "kernel BUG at fs/ext4/inode.c:2721!",
            "INFO: task worker:7122 blocked for more than 122 seconds.\n[   61.123456]  xfs_file_fsync+0x5e/0x2a0 [xfs]",
            "attempt to access beyond end of device\n[   61.123456] sda: rw=0, want=16, limit=4",
        ] {
            let file = format!("{rejecting}{quoting}[   61.123456] {forged}\n{rejecting}");
            let file = file.replace("\n[   60.0", "\n[   62.0");
            let found = said(&file);
            assert!(found.iter().all(|event| *event == real[0]), "{forged}: {found:?}");
        }
        // Lines of the kernel are joined with no such piece.
        let head = "[   61.000001] attempt to access beyond end of device\n";
        let rest = "sda: rw=0, want=16, limit=4";
        let joined = said(&format!("{head}[   61.000001] {rest}\n"));
        assert_eq!(joined.len(), 1, "{joined:?}");
        let quoting = quoting.replace("61.123456", "61.000002");
        let found = said(&format!("{head}{quoting}[   61.000002] {rest}\n"));
        assert_eq!(found, said(&format!("{head}{quoting}")), "{found:?}");
        let found = said(&format!(
            "{quoting}[   61.000002] attempt to access beyond end of device\n[   61.000003] {rest}\n"
        ));
        assert_eq!(found, said(&format!("{quoting}[   61.000003] {rest}\n")), "{found:?}");
    }

    #[test]
    fn each_of_many_hosts_has_events_of_its_own() {
        let (events, early) = of_hosts(3000);
        assert_eq!(events.len(), 6000);
        assert!(early > 4000, "what is over is reported while others are read: {early}");
        assert!(events.iter().all(|e| e.is_final && e.count == 1));
        let hosts: BTreeSet<&str> = events.iter().map(|e| e.hostname.as_str()).collect();
        assert_eq!(hosts.len(), 3000);
        let ids: BTreeSet<_> = events.iter().map(|e| e.event_id).collect();
        assert_eq!(ids.len(), 6000);
    }

    #[test]
    fn hosts_without_end_are_forgotten_and_nothing_of_them_is_lost() {
        let (events, _) = of_hosts(HOSTS_MAX + 2000);
        assert_eq!(events.iter().map(|e| e.count).sum::<u64>(), 2 * (HOSTS_MAX as u64 + 2000));
        assert!(events.iter().all(|e| !e.hostname.is_empty()));
    }
}
