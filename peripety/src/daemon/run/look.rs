//! Looks at sysfs and mountinfo: some time after something happened, and when somebody asks. An idle daemon does not look
//! (promise 5), and sysfs is read on a thread, for it may take its time.

use std::thread;

use serde_json::{Value, json};

use super::{
    super::{
        clock, people, self_events,
        socket_handler::{Asked, Reply},
    },
    Daemon,
};
use crate::{
    event::{EventType, SubSystem, facts::DaemonFacts},
    notifier::socket::Peer,
    state::{Condition, Limit, resolve, rows::row},
    text::printable,
};

/// At least this long between two looks that nobody asked for.
const APART_NS: u64 = 5_000_000_000;
/// How long an answer waits for a look.
const PATIENCE_NS: u64 = 1_500_000_000;
/// Characters of a reason that are kept.
const REASON_MAX: usize = 500;

/// Conditions of incidents that one look is about.
const CONDITIONS_MAX: usize = 1024;

/// Kinds of conditions that sysfs shows and no kernel reports, with the event that reports them.
const EVENTS: &[(&str, EventType, &str)] = &[
    ("array_failed", EventType::MD_ARRAY_FAILED, "md"),
    ("device_offline", EventType::SCSI_DEVICE_OFFLINED, "scsi"),
];

/// The looks of a daemon.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// When the one that goes on began.
    began_ns: Option<u64>,
    last_ns: Option<u64>,
    wanted: bool,
    /// Who waits for the next one, since when.
    waiting: Vec<(Reply, u64)>,
}

impl Looks {
    /// When the loop is to come again for it.
    pub(super) fn next_deadline_ns(&self) -> Option<u64> {
        let next = (self.wanted && self.began_ns.is_none())
            .then(|| self.last_ns.map_or(0, |last| last.saturating_add(APART_NS)));
        let patience = self.waiting.iter().map(|(_, since)| since.saturating_add(PATIENCE_NS)).min();
        [next, patience].into_iter().flatten().min()
    }
}

impl Daemon {
    /// Something happened: what sysfs says of it is wanted.
    pub(super) fn plan_look(&mut self) {
        self.service.looks.wanted = true;
    }

    /// Begins a look, if one is due.
    pub(super) fn look_when_due(&mut self) {
        let now = clock::monotonic_ns();
        let due = self.service.looks.last_ns.is_none_or(|last| last.saturating_add(APART_NS) <= now);
        if self.service.looks.wanted && due {
            self.begin_look(now);
        }
        let late = |since: u64| since.saturating_add(PATIENCE_NS) <= now;
        if self.service.looks.waiting.iter().any(|(_, since)| late(*since)) {
            self.answer_status(true);
        }
    }

    fn begin_look(&mut self, now_ns: u64) {
        if self.service.looks.began_ns.is_some() {
            return;
        }
        let (status, roots, done) =
            (self.outputs.status(), self.roots.clone(), self.service.looked.0.clone());
        let incidents = self.pipeline.engine.incidents().open_conditions(CONDITIONS_MAX);
        let look = move || {
            let kinds: Vec<&str> = EVENTS.iter().map(|row| row.0).collect();
            let new = status.look(&roots, &kinds, incidents);
            // The loop has ended.
            let _nobody = done.blocking_send(new);
        };
        match thread::Builder::new().name("look".to_owned()).spawn(look) {
            Ok(_) => (self.service.looks.began_ns, self.service.looks.wanted) = (Some(now_ns), false),
            Err(error) => {
                tracing::warn!("cannot look at sysfs: {error}");
                self.service.looks.last_ns = Some(now_ns);
            }
        }
    }

    /// A look is over: what it found becomes events.
    pub(super) fn take_look(&mut self, (new, over): Seen) {
        self.service.looks.began_ns = None;
        self.service.looks.last_ns = Some(clock::monotonic_ns());
        self.pipeline.engine.looked(&over, clock::now().realtime_us);
        if !new.is_empty() {
            // A look takes its time, and the kernel may have said it meanwhile.
            self.take();
            self.put_out();
        }
        for condition in new {
            if !self.outputs.status().knows(&condition) {
                self.report_condition(&condition);
            }
        }
        self.put_out();
        self.answer_status(false);
    }

    /// What sysfs shows and nothing reported becomes an event.
    fn report_condition(&mut self, condition: &Condition) {
        let Some((_, event_type, sub_system)) = EVENTS.iter().find(|row| row.0 == condition.condition) else {
            return;
        };
        let device = &condition.device;
        let words = row(&condition.condition).map_or("", |row| row.words);
        let msg = if *event_type == EventType::SCSI_DEVICE_OFFLINED {
            let said = &condition.msg;
            format!(
                "{} was set offline by a person or a program: the kernel printed nothing ({said})",
                device.shown()
            )
        } else {
            format!("{}: {words} ({})", device.shown(), condition.msg)
        };
        let now = clock::now();
        let mut event = self_events::event(&self.pipeline.host, event_type.clone(), msg, now);
        event.sub_system = SubSystem::known(sub_system);
        event.severity = condition.severity;
        event.kdev.clone_from(&device.name);
        event.sources = vec!["sysfs".to_owned()];
        event.block = device
            .dev
            .and_then(|dev| crate::block::DeviceFacts::by_dev(&self.pipeline.cache, dev, now.monotonic_ns));
        if *event_type == EventType::MD_ARRAY_FAILED {
            event.facts.md.get_or_insert_default().array = Some(device.name.clone());
        }
        self.pipeline.engine.weigh_seen(&mut event, &self.pipeline.cache);
        let sequence = format!("{event_type}/{}/{}", device.name, now.monotonic_ns.unwrap_or_default());
        event.event_id = crate::event::event_id(&self.pipeline.host.boot_id, "sysfs", &sequence);
        self.pipeline.emit(event);
    }

    /// A question that came over the socket.
    pub(super) fn take_asked(&mut self, asked: Asked) {
        let now = clock::monotonic_ns();
        match asked {
            Asked::Status(reply) => {
                // What is in the sources counts, too.
                self.take();
                self.service.looks.waiting.push((reply, now));
                self.begin_look(now);
            }
            Asked::Acknowledge { target, reason, peer, reply } => {
                let answer = self.acknowledge(&target, &reason, peer);
                self.put_out();
                let _gone = reply.send(answer);
            }
            Asked::Metrics(reply) => {
                // What is in the sources counts, too.
                self.take();
                self.put_out();
                let _gone = reply.send(Ok(self.metrics()));
            }
            Asked::Notification { failed, receiver, reason, reply } => {
                let answer = self.note_notification(failed, &receiver, &reason);
                self.put_out();
                let _gone = reply.send(answer);
            }
            Asked::Resolve { target, reason, peer, reply } => {
                let answer = self.resolve(&target, &reason, peer);
                self.put_out();
                // Who asked has gone.
                let _gone = reply.send(answer);
            }
        }
    }

    fn answer_status(&mut self, looking: bool) {
        let mut all = self.sources.limits();
        if looking {
            let why = "sysfs does not answer: a device may hang, and what only sysfs reports is not known";
            all.push(Limit::unseen("sysfs", why));
        }
        for (reply, _) in std::mem::take(&mut self.service.looks.waiting) {
            let _gone = reply.send(Ok(self.outputs.status().to_json(all.clone())));
        }
    }

    /// A person knows of an incident.
    fn acknowledge(&mut self, target: &str, reason: &str, peer: Peer) -> Result<Value, String> {
        let reason: String = printable(reason.trim()).chars().take(REASON_MAX).collect();
        if reason.is_empty() {
            return Err("a reason is missing: who reads this later wants to know what was done".to_owned());
        }
        let Some(incident) = self.outputs.status().incident(target) else {
            return Err(format!("'{}' is no incident that is known; see 'prpt status'", printable(target)));
        };
        let who = people::name(&self.roots, peer);
        let title = printable(&incident.title).into_owned();
        let now = clock::now();
        let msg = format!("{who} knows of this: {title} ({reason})");
        let mut event = self_events::event(&self.pipeline.host, EventType::PERIPETY_ACKNOWLEDGED, msg, now);
        event.facts.daemon = Some(Box::new(DaemonFacts {
            user: Some(who.clone()),
            uid: Some(peer.uid),
            reason: Some(reason),
            incident_id: Some(incident.incident_id.to_string()),
            ..DaemonFacts::default()
        }));
        let answer = json!({ "incident": title, "event_id": event.event_id, "user": who });
        self.pipeline.emit(event);
        Ok(answer)
    }

    /// A person says that something is over.
    fn resolve(&mut self, target: &str, reason: &str, peer: Peer) -> Result<Value, String> {
        let reason: String = printable(reason.trim()).chars().take(REASON_MAX).collect();
        if reason.is_empty() {
            return Err("a reason is missing: who reads this later wants to know why it is over".to_owned());
        }
        let incident = self.outputs.status().incident(target).filter(|incident| incident.state.is_open());
        let mut found = self.outputs.status().select(target);
        if let Some(incident) = &incident {
            for condition in self.outputs.status().conditions_of(incident) {
                if !found.contains(&condition) {
                    found.push(condition);
                }
            }
        }
        let is_seen = |c: &Condition| c.event_id.is_none();
        if let Some(seen) = found.first().filter(|_| found.iter().all(is_seen)) {
            let words = row(&seen.condition).map_or("", |row| row.words);
            let shown = printable(&seen.device.shown()).into_owned();
            return Err(format!(
                "{shown}: {words}: that is so now ({}), and cannot be said to be over",
                seen.msg
            ));
        }
        found.retain(|c| !is_seen(c));
        if found.is_empty() && incident.is_none() {
            return Err(format!(
                "'{}' is no condition, device or event that is listed; see 'prpt status'",
                printable(target)
            ));
        }
        let who = people::name(&self.roots, peer);
        let title = incident.iter().filter(|_| found.is_empty()).map(|incident| incident.title.clone());
        let named: Vec<String> = found
            .iter()
            .map(|c| format!("{}: {}", c.device.shown(), row(&c.condition).map_or("", |row| row.words)))
            .chain(title)
            .collect();
        let now = clock::now();
        let msg = format!("{who} says that this is over: {} ({reason})", printable(&named.join("; ")));
        let mut event = self_events::event(&self.pipeline.host, EventType::PERIPETY_RESOLVED, msg, now);
        let first = found.first().and_then(|c| c.device.dev);
        if found.iter().all(|c| c.device.dev == first) {
            event.block = first.and_then(|dev| {
                crate::block::DeviceFacts::by_dev(&self.pipeline.cache, dev, now.monotonic_ns)
            });
            event.kdev = found.first().map(|c| c.device.name.clone()).unwrap_or_default();
        }
        event.facts.daemon = Some(Box::new(DaemonFacts {
            user: Some(who.clone()),
            uid: Some(peer.uid),
            reason: Some(reason),
            resolved: Some(resolve::noted(&found)),
            incident_id: incident.as_ref().map(|incident| incident.incident_id.to_string()),
            ..DaemonFacts::default()
        }));
        let answer = json!({
            "resolved": found,
            "incident": incident.map(|incident| incident.title),
            "event_id": event.event_id,
            "user": who,
        });
        self.pipeline.emit(event);
        Ok(answer)
    }
}

/// The channel by which looks come back.
pub(super) type Looked = (tokio::sync::mpsc::Sender<Seen>, tokio::sync::mpsc::Receiver<Seen>);

/// What a look found that nothing had reported, and what it showed to be over.
pub(super) type Seen = (Vec<Condition>, Vec<Condition>);

/// Makes it.
pub(super) fn looked() -> Looked {
    tokio::sync::mpsc::channel(1)
}
