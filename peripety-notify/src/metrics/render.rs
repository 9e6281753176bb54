//! The metrics, one family after the other. Names and labels are an API: doc/metrics.md.

use std::{collections::BTreeMap, sync::Arc};

use peripety_model::incident::ImpactKind;
use serde::Deserialize;
use serde_json::Value;

use super::text::{Format, Kind, Text};
use crate::receiver::{LATENCY, Receiver};

/// What the daemon says; what a later version says beside it is not looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Daemon {
    version: String,
    devices: Vec<Device>,
    failures: Vec<Failure>,
    losses: Vec<Loss>,
    open_incidents: Vec<Open>,
    probes: Vec<Probe>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Device {
    device: String,
    wwid: String,
    serial: String,
    model: String,
    map: String,
    mount_point: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Failure {
    device: String,
    wwid: String,
    #[serde(rename = "type")]
    event_type: String,
    op: String,
    errno: String,
    io: bool,
    count: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Loss {
    source: String,
    reason: String,
    count: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Open {
    severity: String,
    impact: String,
    count: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Probe {
    name: String,
    state: String,
}

/// All metrics; without the daemon's where it does not answer.
pub(super) fn all(daemon: Option<&Value>, receivers: &[Arc<Receiver>], format: Format) -> String {
    let mut text = Text::new(format);
    let daemon = daemon.and_then(|value| Daemon::deserialize(value).ok());
    text.family("peripety_up", Kind::Gauge, "Whether peripetyd answers.");
    text.sample("peripety_up", &[], u8::from(daemon.is_some()));
    if let Some(daemon) = &daemon {
        of_daemon(daemon, &mut text);
    }
    of_receivers(receivers, &mut text);
    text.end()
}

fn of_daemon(daemon: &Daemon, text: &mut Text) {
    text.family("peripety_build", Kind::Info, "The daemon's version.");
    text.sample("peripety_build_info", &[("version", &daemon.version)], 1);

    text.family("peripety_disk", Kind::Info, "A block device that is there, and what it is.");
    for d in &daemon.devices {
        let labels = [
            ("device", d.device.as_str()),
            ("wwid", &d.wwid),
            ("serial", &d.serial),
            ("model", &d.model),
            ("map", &d.map),
            ("mount_point", &d.mount_point),
        ];
        text.sample("peripety_disk_info", &labels, 1);
    }

    // 0 for each disk from the start: the first failure is a rise, and increase() sees it.
    let mut disks: BTreeMap<(&str, &str), u64> =
        daemon.devices.iter().map(|d| ((d.device.as_str(), d.wwid.as_str()), 0)).collect();
    for failure in daemon.failures.iter().filter(|failure| failure.io && !failure.device.is_empty()) {
        *disks.entry((&failure.device, &failure.wwid)).or_default() += failure.count;
    }
    text.family("peripety_disk_failures", Kind::Counter, "Requests that failed, by disk; exact.");
    for ((device, wwid), count) in disks {
        text.sample("peripety_disk_failures_total", &[("device", device), ("wwid", wwid)], count);
    }

    text.family(
        "peripety_failures",
        Kind::Counter,
        "Failures by device, type of event, operation and errno.",
    );
    for f in &daemon.failures {
        let labels = [
            ("device", f.device.as_str()),
            ("wwid", &f.wwid),
            ("type", &f.event_type),
            ("op", &f.op),
            ("errno", &f.errno),
        ];
        text.sample("peripety_failures_total", &labels, f.count);
    }

    text.family(
        "peripety_lost_records",
        Kind::Counter,
        "Records that are known to be lost, by where and why.",
    );
    for loss in &daemon.losses {
        text.sample(
            "peripety_lost_records_total",
            &[("source", &loss.source), ("reason", &loss.reason)],
            loss.count,
        );
    }

    text.family(
        "peripety_open_incidents",
        Kind::Gauge,
        "Incidents that are open, by severity and worst impact.",
    );
    let none = ImpactKind::ALL.map(|kind| ((kind.severity().as_str(), kind.as_str()), 0));
    let mut all: BTreeMap<(&str, &str), u64> = none.into_iter().collect();
    all.extend(daemon.open_incidents.iter().map(|o| ((o.severity.as_str(), o.impact.as_str()), o.count)));
    for ((severity, impact), count) in all {
        text.sample("peripety_open_incidents", &[("severity", severity), ("impact", impact)], count);
    }

    text.family("peripety_probe_state", Kind::Gauge, "State of each probe: 1 for the one it is in.");
    for probe in &daemon.probes {
        for state in ["attached", "waiting", "absent", "refused", "off"] {
            let labels = [("probe", probe.name.as_str()), ("state", state)];
            text.sample("peripety_probe_state", &labels, u8::from(probe.state == state));
        }
    }
}

fn of_receivers(receivers: &[Arc<Receiver>], text: &mut Text) {
    let health: Vec<_> = receivers.iter().map(|receiver| receiver.health()).collect();
    text.family(
        "peripety_notify_messages",
        Kind::Counter,
        "Messages for each receiver, by what became of them.",
    );
    for h in &health {
        for (result, count) in [("delivered", h.counters.delivered), ("given_up", h.counters.dropped)] {
            let labels = [("receiver", h.name.as_str()), ("result", result)];
            text.sample("peripety_notify_messages_total", &labels, count);
        }
    }
    text.family("peripety_notify_failed_tries", Kind::Counter, "Tries that failed.");
    for h in &health {
        text.sample("peripety_notify_failed_tries_total", &[("receiver", &h.name)], h.counters.tries_failed);
    }
    text.family("peripety_notify_waiting", Kind::Gauge, "Messages that wait.");
    for h in &health {
        text.sample("peripety_notify_waiting", &[("receiver", &h.name)], h.waiting);
    }
    text.family("peripety_notify_failing", Kind::Gauge, "Whether a receiver takes nothing now.");
    for h in &health {
        text.sample("peripety_notify_failing", &[("receiver", &h.name)], u8::from(h.failing_since.is_some()));
    }
    text.family(
        "peripety_notify_delivery_seconds",
        Kind::Histogram,
        "From the decision on a message to its delivery.",
    );
    for receiver in receivers {
        let (counts, ms) = receiver.latency();
        let name = receiver.notify.name.as_str();
        let mut sum = 0;
        for (bound, count) in LATENCY.iter().zip(&counts) {
            sum += count;
            let bound = format!("{bound:?}");
            text.sample(
                "peripety_notify_delivery_seconds_bucket",
                &[("receiver", name), ("le", &bound)],
                sum,
            );
        }
        let all: u64 = counts.iter().sum();
        text.sample("peripety_notify_delivery_seconds_bucket", &[("receiver", name), ("le", "+Inf")], all);
        let seconds = std::time::Duration::from_millis(ms).as_secs_f64();
        text.sample("peripety_notify_delivery_seconds_sum", &[("receiver", name)], seconds);
        text.sample("peripety_notify_delivery_seconds_count", &[("receiver", name)], all);
    }
}
