//! Events out, and what is written down before.

use std::{sync::Arc, time::Instant};

use peripety_watch::message::Ask;

use super::{
    super::{checkpoint_log::Commit, clock},
    Daemon, READING_AT_END, RECORDING_PATIENCE, notify_systemd,
    snapshots::disks_of,
};
use crate::{
    checkpoint::Checkpoint as _,
    event::{Event, EventType},
    notifier::carrier,
    parser::status::DM_SOURCE,
};

impl Daemon {
    /// Lets events out, in three steps (promise 1): they and what is open are written down; the sources get their room
    /// back; the events go out. A daemon that is killed at any moment has done each of them or will find it to be done.
    pub(super) fn put_out(&mut self) {
        if !self.pipeline.events.is_empty() {
            self.pipeline.changed = true;
            self.plan_chores();
        }
        for event in &self.pipeline.events {
            self.pipeline.loss_totals.note(event);
            self.pipeline.tally.note(event);
        }
        // Targets that raise no event are read when text speaks of them.
        if self.pipeline.events.iter().any(speaks_of_silent) {
            self.sources.watcher.ask(Ask::Look);
        }
        for dev in self.pipeline.events.iter().flat_map(disks_of) {
            self.sources.watcher.ask_health(dev);
        }
        self.sources.watcher.go_on_asking();
        let incidents = self.pipeline.engine.take_incidents();
        self.kept.note(!incidents.is_empty());
        self.pipeline.changed |= !incidents.is_empty();
        let carried = incidents.iter().filter_map(carrier::carry);
        let events: Vec<Arc<Event>> = self.pipeline.events.drain(..).chain(carried).map(Arc::new).collect();
        if std::mem::take(&mut self.pipeline.changed) {
            let spooled = self.outputs.write_down(&events);
            self.write_checkpoint(spooled);
            if self.persistence.checkpoint_log.trouble().is_some() && !events.is_empty() {
                self.outputs.commit_in_spool();
            }
            self.persistence.note_files(&self.outputs);
        }
        // Also after a visit that brought nothing: the ring's readiness is to be looked at.
        if let Some(probes) = &self.sources.probes {
            probes.lock().commit();
        }
        self.outputs.send(events);
    }

    /// Tries to use the runtime directory and its files again. What waits in memory is written down then.
    pub(super) fn repair(&mut self) {
        if self.persistence.repair(&mut self.outputs, &self.service.listen_on) {
            self.pipeline.changed = true;
            self.listen_for_watcher();
            self.put_out();
        }
        self.persistence.runtime.settle(clock::monotonic_ns(), true);
        self.refresh_snapshot();
    }

    fn write_checkpoint(&mut self, spooled: Option<u64>) {
        if self.persistence.checkpoint_log.trouble().is_some() {
            return;
        }
        let all = self.persistence.checkpoint_log.wants_all();
        let checkpoint_log = &mut self.persistence.checkpoint_log;
        if let Err(error) = self.pipeline.engine.save(all, |note| checkpoint_log.note(&note)) {
            tracing::error!(%error, "an open event cannot be noted");
        }
        let commit = Commit {
            kmsg_seq: self.sources.kmsg.as_ref().and_then(|kmsg| kmsg.get_ref().last_seq()),
            rings: self
                .sources
                .probes
                .as_ref()
                .map(|probes| probes.lock().ring_states(all))
                .unwrap_or_default(),
            spooled,
            live_since_ns: Some(self.sources.live_since_ns),
            journal_cursor: self.sources.programs.cursor(all),
            losses: self.sources.losses.save(all),
            tally: self.pipeline.tally.save(all),
        };
        self.persistence.checkpoint_log.commit(&commit);
    }

    /// Lets out what there is. What is open is closed, unless a successor is to go on with it: the probes see on meanwhile.
    pub(super) fn stop(mut self, for_good: bool) {
        notify_systemd(&[sd_notify::NotifyState::Stopping]);
        self.sources.programs.end();
        let sees_on = self.sources.probes.as_ref().is_some_and(|probes| {
            let mut probes = probes.lock();
            if for_good {
                probes.detach();
            }
            !for_good && probes.attached().next().is_some() && probes.unpinned().is_none()
        });
        let end = Instant::now() + READING_AT_END;
        loop {
            let all = self.take();
            self.put_out();
            if all || Instant::now() >= end {
                break;
            }
        }
        self.chores(!sees_on);
        let mut msg = "peripetyd stopped".to_owned();
        if sees_on {
            msg.push_str("; its probes stay attached for the next one (peripetyd --detach removes them)");
        } else {
            self.pipeline.finish();
        }
        self.pipeline.say(EventType::PERIPETY_STOPPED, msg);
        self.pipeline.engine.close(RECORDING_PATIENCE);
        self.put_out();
        self.outputs.close();
        // With the socket goes the lock that a successor waits for.
        drop(self.service);
    }
}

/// Whether an event is about a target that raises no event of device-mapper, or an array that has just come.
fn speaks_of_silent(event: &Event) -> bool {
    match event.event_type.as_str() {
        "BLK_DEVICE_ADDED" => event.kdev.starts_with("md"),
        // What comes of a look asks for none.
        _ if event.sources.iter().any(|source| source == DM_SOURCE) => false,
        "DM_INTEGRITY_CHECKSUM_FAILED" | "DM_VERITY_CORRUPTION" | "DM_CRYPT_INTEGRITY_ERROR" | "DM_ERROR" => {
            true
        }
        _ => false,
    }
}
