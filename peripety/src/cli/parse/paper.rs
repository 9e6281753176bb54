//! What a page of logs is made of.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use jiff::Timestamp;
use peripety_page::{Facts, Report, Unseen};

use super::source::Notice;
use crate::{
    cli::report,
    event::{Event, EventId, EventType, Incident},
};

/// Events that are kept: a page has room for a small part of them.
const EVENTS_MAX: usize = 10_000;
/// Hosts that are counted.
const HOSTS_MAX: usize = 10_000;
/// Gaps that are named.
const GAPS_MAX: usize = 200;

/// Events, files and gaps of logs.
#[derive(Debug, Default)]
pub(super) struct Paper {
    events: HashMap<EventId, Event>,
    dropped: u64,
    hosts: BTreeSet<String>,
    files: Vec<Facts>,
    last: Option<Timestamp>,
    unseen: Vec<Unseen>,
}

impl Paper {
    /// Takes an event in its last revision.
    pub(super) fn event(&mut self, event: &Event) {
        self.last = self.last.max(Some(event.last_timestamp));
        if !event.hostname.is_empty() && self.hosts.len() < HOSTS_MAX {
            self.hosts.insert(event.hostname.clone());
        }
        if event.event_type == EventType::PERIPETY_EVENTS_LOST {
            self.gap("the kernel's log", &event.msg, None);
        } else if self.events.len() < EVENTS_MAX {
            self.events.insert(event.event_id, event.clone());
        } else {
            self.dropped += 1;
        }
    }

    /// Takes what became of a file.
    pub(super) fn file(&mut self, notice: &Notice) {
        let Notice { name, format, entries, unknown, cut, is_empty, passed_over, broken } = notice;
        if *is_empty {
            self.gap(name, "it is empty", None);
        } else if !format.is_empty() {
            let rows = [("Form", format.clone()), ("Records", entries.to_string())];
            let rows = rows.map(|(what, value)| (what.to_owned(), value)).to_vec();
            self.files.push(Facts { of: name.clone(), rows });
        }
        for (count, words) in
            [(*unknown, "lines of no known form"), (*cut, "lines were cut for their length")]
        {
            if count > 0 {
                self.gap(name, words, Some(count));
            }
        }
        for words in passed_over.iter().chain(broken) {
            self.gap(name, words, None);
        }
    }

    fn gap(&mut self, what: &str, why: &str, count: Option<u64>) {
        if self.unseen.len() < GAPS_MAX {
            self.unseen.push(Unseen { what: what.to_owned(), why: why.to_owned(), count });
        }
    }

    /// The page.
    pub(super) fn page(mut self, incidents: Vec<Incident>, undated: u64) -> String {
        if undated > 0 {
            let why = "the log reports no date: times are counted from 1970 as if the boot had been then";
            self.gap("dates", why, Some(undated));
        }
        if self.dropped > 0 {
            let why = "were left out of the pictures and lines of this page: there were too many";
            self.gap("events", why, Some(self.dropped));
        }
        let why = "this was read from logs: what the kernel did not print is not known, nor is what its log left out";
        self.gap("probes", why, None);
        let of = match (self.hosts.len(), self.hosts.first(), self.files.first()) {
            (1, Some(host), _) => host.clone(),
            (0, _, Some(file)) => {
                let name = Path::new(&file.of).file_name();
                name.map_or_else(|| file.of.clone(), |name| name.to_string_lossy().into_owned())
            }
            (n, ..) if n < HOSTS_MAX => format!("{n} hosts"),
            (n, ..) => format!("{n} hosts or more"),
        };
        let cases =
            incidents.into_iter().map(|incident| report::case_of(incident, &mut self.events)).collect();
        let new = report::new(of);
        let known_until = self.last.unwrap_or(new.made);
        report::html(&Report { cases, facts: self.files, unseen: self.unseen, known_until, ..new })
    }
}
