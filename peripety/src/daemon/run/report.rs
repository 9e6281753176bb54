//! What the daemon says by itself, and what it answers with.

use std::sync::PoisonError;

use serde_json::json;

use super::{
    super::{clock, self_events, socket_handler::Snapshot},
    Daemon, notify_systemd,
};
use crate::{
    config::{Config, ConfigErrors},
    event::EventType,
    text::printable,
};

impl Daemon {
    /// Entries that the recording lacks: no event lacks anything, but a replay will (promise 1).
    pub(super) fn tell_unrecorded(&mut self) {
        let Some((file, lost)) = self
            .pipeline
            .engine
            .recorder()
            .and_then(|r| Some((r.path().display().to_string(), r.take_lost()?)))
        else {
            return;
        };
        let (count, why) = lost;
        let msg = format!("{count} records are missing in the recording {file}: {why}");
        let mut event =
            self_events::event(&self.pipeline.host, EventType::PERIPETY_EVENTS_LOST, msg, clock::now());
        event.count = count;
        let loss = event.facts.loss.get_or_insert_default();
        (loss.source, loss.reason, loss.file) = (Some("recording".to_owned()), Some(why), Some(file));
        self.pipeline.emit(event);
    }

    /// A receiver of `peripety-notify` takes nothing, or takes messages again.
    pub(super) fn note_notification(
        &mut self,
        failed: bool,
        receiver: &str,
        reason: &str,
    ) -> Result<serde_json::Value, String> {
        let short = |text: &str, most: usize| printable(text.trim()).chars().take(most).collect::<String>();
        let (receiver, reason) = (short(receiver, 64), short(reason, 500));
        if receiver.is_empty() {
            return Err("target is missing: the name of the receiver".to_owned());
        }
        let (event_type, what) = if failed {
            (EventType::PERIPETY_NOTIFICATION_FAILED, "notifications do not arrive")
        } else {
            (EventType::PERIPETY_NOTIFICATION_RESTORED, "notifications arrive again")
        };
        let msg = format!("{receiver}: {what}: {reason}");
        let mut event = self_events::event(&self.pipeline.host, event_type, msg, clock::now());
        // Not the name of a device: what distinguishes receivers.
        event.kdev = format!("notify:{receiver}");
        let answer = json!({ "event_id": event.event_id });
        self.pipeline.emit(event);
        Ok(answer)
    }

    pub(super) fn reload(&mut self) {
        let now_us = i128::from(clock::monotonic_ns() / 1000);
        notify_systemd(&[sd_notify::NotifyState::Reloading, sd_notify::NotifyState::MonotonicUsec(now_us)]);
        match Config::load(&self.roots) {
            Ok(config) => {
                self.sources.programs.set_rules(config.rules());
                self.pipeline.engine.set_rules(&config.rules());
                self.pipeline.engine.set_limits(&config.early_signs);
                self.outputs.apply(&config.main);
                self.config = config;
                let count = self.config.rules().len();
                self.pipeline.say(
                    EventType::PERIPETY_CONFIG_RELOADED,
                    format!("configuration reloaded, {count} rules of yours"),
                );
            }
            Err(errors) => self.reject(&errors, "the configuration before it stays in force"),
        }
        self.refresh_snapshot();
        notify_systemd(&[sd_notify::NotifyState::Ready]);
    }

    pub(super) fn reject(&mut self, errors: &ConfigErrors, instead: &str) {
        for error in errors.iter() {
            tracing::error!("{error}");
        }
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let first = all.first().cloned().unwrap_or_default();
        let more = if all.len() > 1 { format!(" (and {} more)", all.len() - 1) } else { String::new() };
        let mut event = self_events::event(
            &self.pipeline.host,
            EventType::PERIPETY_CONFIG_REJECTED,
            format!("configuration refused, {instead}: {first}{more}"),
            clock::now(),
        );
        event.facts.daemon.get_or_insert_default().errors = Some(all);
        self.pipeline.emit(event);
    }

    pub(super) fn refresh_snapshot(&self) {
        let mut stats = self.outputs.stats();
        if let serde_json::Value::Object(all) = &mut stats {
            all.insert("loss_totals".to_owned(), self.pipeline.loss_totals.to_json());
            all.insert("runtime".to_owned(), self.persistence.runtime.to_json());
            let incidents = self.pipeline.engine.incidents();
            let open = incidents.all().filter(|incident| incident.state.is_open()).count();
            all.insert("incidents".to_owned(), json!({ "open": open, "dropped": incidents.dropped() }));
            all.insert("journal".to_owned(), self.sources.programs.stats());
            all.insert("watch".to_owned(), json!(self.sources.watcher.watching()));
            if let Some(recorder) = self.pipeline.engine.recorder() {
                let (file, trouble) = (recorder.path(), recorder.trouble());
                let recording = json!({ "file": file, "counters": recorder.counters(), "trouble": trouble });
                all.insert("recording".to_owned(), recording);
            }
            if let Some(kmsg) = &self.sources.kmsg {
                let kmsg = kmsg.get_ref();
                all.insert(
                    "kmsg".to_owned(),
                    json!({ "last_seq": kmsg.last_seq(), "written_by_processes": kmsg.foreign(), "malformed": kmsg.malformed() }),
                );
            }
        }
        let config = json!({
            "files": self.config.files,
            "rules": self.config.rules().len(),
            "sandbox": self.sandbox,
            "save_to_journald": self.outputs.saves_to_journald(),
        });
        let mut snapshot = self.service.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        *snapshot = Snapshot { stats, config };
    }
}
