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
const KEPT_MAX: usize = ordering::WAITING_MAX / 2;
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
    kept: usize,
    kept_max: usize,
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
            kept: 0,
            kept_max: KEPT_MAX,
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
            let (before, kept) = (machine.undated(), machine.kept());
            match last {
                Last::Entry(entry) => machine.push(*entry, times, &mut self.revisions),
                Last::Passed(passed, _) => machine.pass(passed, times, &mut self.revisions),
            }
            self.kept = (self.kept + machine.kept()).saturating_sub(kept);
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
        while self.kept > self.kept_max && self.hosts.len() > 1 {
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
        self.count_kept();
    }

    fn count_kept(&mut self) {
        self.kept = self.hosts.iter().map(|host| host.machine.kept()).sum();
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
        self.count_kept();
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
mod tests;
