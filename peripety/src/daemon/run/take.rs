//! Records in: from the sources to the engine.

use super::{
    super::{
        clock::{self, stamp_of},
        sources::log_verdicts,
    },
    BATCH, Daemon,
};
use crate::{
    collector::{ebpf::Addition, kmsg::KmsgItem, uevent::Received, wait::drained},
    correlate::LiveSources,
    record::{Body, Record, Stamp, Uevent},
};

/// How far the clock of text may be behind before it is paired.
const TEXT_LAGS_NS: u64 = 300_000_000;

impl Daemon {
    pub(super) fn push(&mut self, record: &Record) {
        self.news = true;
        self.engine.push(record, &self.cache, &mut self.events);
    }

    /// Takes ring and text in the order of their time: after a while without a daemon, or a long stop, both have much to
    /// tell, and the text of a failure is to find its record.
    pub(super) fn take(&mut self) {
        if self.take_kmsg() {
            self.take_ring(BATCH, u64::MAX);
        }
        self.plan_chores();
    }

    fn take_ring(&mut self, most: usize, until_ns: u64) {
        let Some(probes) = self.probes.clone() else { return };
        let now = clock::now();
        let (engine, cache, events, losses, news) =
            (&mut self.engine, &self.cache, &mut self.events, &mut self.losses, &mut self.news);
        probes.lock().drain(most, until_ns, |kernel| {
            *news = true;
            losses.note(&kernel);
            let time = stamp_of(kernel.header.mono_ns, now);
            engine.push(&Record { time, body: Body::Kernel(kernel) }, cache, events);
        });
    }

    /// Takes a batch of text, and before each line what the ring has up to its time. Whether that was all the text.
    fn take_kmsg(&mut self) -> bool {
        let now = clock::now();
        for _ in 0..BATCH {
            let Some(kmsg) = &mut self.kmsg else { return true };
            let item = match kmsg.get_mut().next() {
                Ok(Some(item)) => item,
                Ok(None) => {
                    drained(kmsg);
                    return true;
                }
                Err(error) => {
                    tracing::error!("{error}; kernel text is no longer read");
                    self.kmsg = None;
                    return true;
                }
            };
            let record = match item {
                KmsgItem::Record(kmsg) => {
                    let said_ns = self.kmsg_clock.mono_ns(kmsg.usec);
                    // As much as the ring holds: its room is not given back meanwhile.
                    self.take_ring(usize::MAX, said_ns.saturating_add(TEXT_LAGS_NS));
                    if let Some(mono_ns) = self.losses.time_of_text(&kmsg.log.text) {
                        self.kmsg_clock.add_pair(kmsg.usec, mono_ns);
                    }
                    Record { time: self.kmsg_clock.stamp(kmsg.usec, now), body: Body::Log(kmsg.log) }
                }
                KmsgItem::Lost(lost) => Record { time: now, body: Body::Lost(lost) },
            };
            self.push(&record);
        }
        false
    }

    pub(super) fn take_programs(&mut self, records: &[Record]) {
        for record in records {
            self.push(record);
        }
        self.plan_chores();
    }

    pub(super) fn take_uevents(&mut self, received: Vec<Received>) {
        for received in received {
            let now = clock::now();
            let now_ns = now.monotonic_ns.unwrap_or_default();
            match received {
                Received::Event(uevent) => {
                    self.attacher.note(&uevent);
                    self.take_uevent(uevent, now, now_ns);
                }
                Received::Lost(lost) => {
                    // What was missed may be anything: look at all devices again.
                    if let Err(error) = self.cache.rescan(now_ns) {
                        tracing::error!("{error}");
                    }
                    self.attacher.note_anything();
                    self.push(&Record { time: now, body: Body::Lost(lost) });
                }
            }
        }
        self.attacher.go_on(self.probes.as_ref());
    }

    /// A device that goes is told before it is forgotten, one that comes after it is known.
    pub(super) fn take_uevent(&mut self, uevent: Uevent, now: Stamp, now_ns: u64) {
        if uevent.action != "remove" {
            self.cache.apply_uevent(&uevent, now_ns);
        }
        // udev repeats what the kernel said, with what its rules found out: of use to the cache only.
        let record = Record { time: now, body: Body::Uevent(uevent) };
        let Body::Uevent(uevent) = &record.body else { return };
        if !uevent.udev {
            self.push(&record);
        }
        if uevent.action == "remove" {
            self.cache.apply_uevent(uevent, now_ns);
        }
    }

    /// The probes of drivers that were loaded.
    pub(super) fn take_probes(&mut self, addition: Option<Addition>) {
        if let (Some(probes), Some(addition)) = (&self.probes, addition)
            && probes.lock().add(addition)
        {
            log_verdicts(&probes.lock());
            self.tell_live_sources();
        }
        self.attacher.go_on(self.probes.as_ref());
    }

    pub(super) fn tell_live_sources(&mut self) {
        let attached: Vec<_> =
            self.probes.iter().flat_map(|p| p.lock().attached().collect::<Vec<_>>()).collect();
        let mut live = if attached.is_empty() {
            LiveSources::text_only()
        } else {
            LiveSources::with_probes(attached, self.live_since_ns)
        };
        if self.kmsg.is_none() {
            live = live.without_text();
        }
        self.engine.set_live_sources(live);
    }
}
