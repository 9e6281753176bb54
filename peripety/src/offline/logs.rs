//! All logs together: to each host its own, and events in the order in which they began.

use std::collections::BTreeMap;

use super::{
    Entry, Item,
    machine::{Given, Machine},
    order::Order,
};
use crate::{event::Event, parser::rules::RuleSet};

/// Hosts that are told apart; a log server has more, and the rest shares one.
const HOSTS_MAX: usize = 1024;
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

/// Takes what files have, gives events.
#[derive(Debug)]
pub struct Logs {
    rules: RuleSet,
    given: Given,
    hosts: BTreeMap<String, Machine>,
    /// The host of the last entry.
    host: String,
    last: Option<(Box<Entry>, u32)>,
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
            rules,
            given,
            hosts: BTreeMap::new(),
            host: String::new(),
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
                self.last = Some((entry, 1));
            }
            Item::More(text) => {
                if let Some((entry, _)) = &mut self.last
                    && entry.log.text.len() + text.len() < TEXT_MAX
                {
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
                let host = self.host.clone();
                if let Some(machine) = self.hosts.get_mut(&host) {
                    machine.reboot(&mut self.revisions);
                }
                self.hand_over(out);
            }
            Item::Nothing => {}
        }
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
        let undated = self.hosts.values().map(Machine::undated).sum::<u64>();
        Totals { undated: self.totals.undated + undated, ..self.totals }
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        self.end_of_file(out);
        for (_, mut machine) in std::mem::take(&mut self.hosts) {
            machine.finish(&mut self.revisions);
            self.totals.undated += machine.undated();
        }
        self.hand_over(out);
    }

    fn flush(&mut self, out: &mut Vec<Event>) {
        let Some((entry, times)) = self.last.take() else { return };
        self.totals.entries += 1;
        self.totals.of_kernel += u64::from(entry.is_kernel());
        if let Some(name) = &entry.hostname
            && *name != self.host
        {
            self.host.clone_from(name);
        }
        if !self.hosts.contains_key(&self.host) {
            if self.hosts.len() >= HOSTS_MAX {
                self.host.clear();
            }
            let machine = || Machine::new(self.rules.clone(), self.given.clone());
            self.hosts.entry(self.host.clone()).or_insert_with(machine);
        }
        if let Some(machine) = self.hosts.get_mut(&self.host) {
            machine.push(*entry, times, &mut self.revisions);
        }
        self.hand_over(out);
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
