//! Records in: from ring and text to the engine.

use super::{
    super::{
        clock::{self, stamp_of},
        sources::log_verdicts,
    },
    Daemon,
    slice::Slice,
};
use crate::{
    block::DeviceFacts as _,
    collector::{
        async_fd::drained,
        ebpf::Addition,
        kmsg::{KmsgItem, KmsgRecord},
        watcher::Received,
    },
    correlate::LiveSources,
    record::{Body, Lost, Record},
};
use peripety_watch::message::Message;

/// Records of the ring between two looks at the clock.
const CHUNK: usize = 128;

/// How far the clock of text may be behind before it is paired.
const TEXT_LAGS_NS: u64 = 300_000_000;

impl Daemon {
    /// Takes ring and text in the order of their time, a slice of them: after a while without a daemon, or a long stop, both
    /// have much to report, and the text of a failure is to find its record. Whether that was all.
    pub(super) fn take(&mut self) -> bool {
        let until_ns = self.take_kmsg();
        let all = self.take_ring(until_ns, &Slice::new());
        if self.pipeline.changed {
            self.plan_chores();
        }
        all && until_ns == u64::MAX
    }

    /// Takes what the ring has up to a time. False when the slice was over before.
    fn take_ring(&mut self, until_ns: u64, slice: &Slice) -> bool {
        let Some(probes) = self.sources.probes.clone() else { return true };
        let now = clock::now();
        let mut probes = probes.lock();
        loop {
            let (pipeline, losses, pairing) =
                (&mut self.pipeline, &mut self.sources.losses, &mut self.sources.pairing);
            let all = probes.drain(CHUNK, until_ns, |kernel| {
                losses.note(&kernel);
                pairing.note(&kernel);
                let time = stamp_of(kernel.header.mono_ns, now);
                pipeline.push(&Record { time, body: Body::Kernel(kernel) });
            });
            if all {
                return true;
            }
            if slice.is_over(self.pipeline.events.len()) {
                return false;
            }
        }
    }

    /// Takes a slice of text, and before each line what the ring has up to its time. Until when the ring may be taken: without
    /// end if that was all the text.
    fn take_kmsg(&mut self) -> u64 {
        let now = clock::now();
        let slice = Slice::new();
        loop {
            let Some(kmsg) = &mut self.sources.kmsg else { return u64::MAX };
            let kmsg = kmsg.get_mut();
            let item = match kmsg.next() {
                Ok(Some(item)) => item,
                Ok(None) => {
                    let clock = &self.sources.kmsg_clock;
                    let Some(usec) = kmsg.stopped_at() else {
                        self.sources.kmsg.as_ref().map(drained);
                        return u64::MAX;
                    };
                    if slice.is_over(self.pipeline.events.len()) {
                        return clock.mono_ns(usec).saturating_add(TEXT_LAGS_NS);
                    }
                    continue;
                }
                Err(error) => {
                    tracing::error!("{error}; kernel text is no longer read");
                    self.sources.kmsg = None;
                    return u64::MAX;
                }
            };
            let (record, said_ns) = match item {
                KmsgItem::Record(kmsg) => {
                    let said_ns = self.sources.kmsg_clock.mono_ns(kmsg.usec).saturating_add(TEXT_LAGS_NS);
                    if !self.take_ring(said_ns, &slice) {
                        self.put_back(kmsg);
                        return said_ns;
                    }
                    let dev_of =
                        |name: &str| Some(self.pipeline.cache.by_name(name, None)?.id.dev.to_kernel());
                    if let Some(mono_ns) = self.sources.pairing.time_of_text(&kmsg.log.text, dev_of) {
                        self.sources.kmsg_clock.add_pair(kmsg.usec, mono_ns);
                    }
                    (
                        Record {
                            time: self.sources.kmsg_clock.stamp(kmsg.usec, now),
                            body: Body::Log(kmsg.log),
                        },
                        said_ns,
                    )
                }
                KmsgItem::Lost(lost) => (Record { time: now, body: Body::Lost(lost) }, 0),
            };
            self.reread_members(&record.body);
            self.pipeline.push(&record);
            if slice.is_over(self.pipeline.events.len()) {
                return said_ns;
            }
        }
    }

    /// A line whose records in the ring are not all taken yet.
    fn put_back(&mut self, record: KmsgRecord) {
        if let Some(kmsg) = &mut self.sources.kmsg {
            kmsg.get_mut().put_back(record);
        }
    }

    pub(super) fn take_programs(&mut self, records: &[Record]) {
        for record in records {
            self.pipeline.push(record);
        }
        self.plan_chores();
    }

    /// What peripety-watch reports. The kernel has said it by probes and text before: those are read first.
    pub(super) fn take_reports(&mut self, received: Vec<Received>) {
        self.take();
        let now = clock::now();
        for received in received {
            let body = match received {
                Received::Message(Message::Failure(failure)) => Body::Filesystem(failure),
                Received::Message(Message::Map(map)) => Body::Map(map),
                Received::Message(Message::Array(array)) => Body::Array(array),
                Received::Message(Message::Health(health)) => Body::Health(health),
                Received::Message(Message::Lost { count, reason }) => {
                    let sequence = format!("{}/watch", now.monotonic_ns.unwrap_or(0));
                    Body::Lost(Lost { source: "watch".to_owned(), reason, count, sequence })
                }
                Received::Message(Message::Watching(_)) | Received::Changed => continue,
            };
            self.reread_members(&body);
            self.pipeline.push(&Record { time: now, body });
        }
        self.plan_chores();
    }

    /// Sees to it that peripety-watch can connect.
    pub(super) fn listen_for_watcher(&mut self) {
        let path = self.roots.runtime.join(peripety_watch::message::SOCKET);
        if self.persistence.runtime.is_held() {
            let listening = self.sources.watcher.listen_at(&path);
            self.persistence.runtime.note("socket of peripety-watch", listening.err().map(|e| e.to_string()));
        }
    }

    /// The probes of drivers that were loaded.
    pub(super) fn take_probes(&mut self, addition: Option<Addition>) {
        if let (Some(probes), Some(addition)) = (&self.sources.probes, addition)
            && probes.lock().add(addition)
        {
            log_verdicts(&probes.lock());
            self.update_live_sources();
        }
        self.sources.attacher.go_on(self.sources.probes.as_ref());
    }

    /// Attaches the probes that waited for a disk like this one; for anything, if it is not known what came.
    pub(super) fn attach_waiting(&mut self, came: Option<(&str, &str)>) {
        let any = self.sources.probes.as_ref().is_some_and(|probes| probes.lock().attach_waiting(came));
        if any {
            self.sources.probes.iter().for_each(|probes| log_verdicts(&probes.lock()));
            self.update_live_sources();
        }
    }

    pub(super) fn update_live_sources(&mut self) {
        let attached: Vec<_> =
            self.sources.probes.iter().flat_map(|p| p.lock().attached().collect::<Vec<_>>()).collect();
        let mut live = if attached.is_empty() {
            LiveSources::text_only()
        } else {
            let complete: Vec<_> =
                self.sources.probes.iter().flat_map(|p| p.lock().complete().collect::<Vec<_>>()).collect();
            LiveSources::with_probes(attached, self.sources.live_since_ns).with_complete(complete)
        };
        if self.sources.kmsg.is_none() {
            live = live.without_text();
        }
        self.pipeline.engine.set_live_sources(live);
    }
}
