//! What people are notified of: once of what many hosts see, and of each other incident of a host. By the outputs and filters of
//! `peripety-notify`.

use std::{path::Path, sync::Arc};

use peripety::internal::Roots;
use peripety_forward::cluster::Cluster;
use peripety_model::{
    Incident,
    incident::{Cause, CauseKind, Certainty, Impact, ImpactKind, Part},
};
use peripety_notify::internal::{Notify, Places, Receiver, StartError};

use crate::store::Stored;

/// Hosts that a message names.
const HOSTS_MAX: usize = 32;

/// The receivers.
#[derive(Debug, Default)]
pub struct Notifier {
    receivers: Vec<Arc<Receiver>>,
}

impl Notifier {
    /// Starts them, with their queues in a directory.
    ///
    /// # Errors
    /// An output cannot be made.
    pub fn start(receivers: &[Notify], dir: &Path) -> Result<Self, StartError> {
        let places = Places { runtime: dir.join("notify"), state: dir.join("notify.copy") };
        let roots = Roots::system();
        let start = |notify| Receiver::start(notify, &places, &roots);
        Ok(Self { receivers: receivers.iter().map(start).collect::<Result<_, _>>()? })
    }

    /// Takes a revision of a host's incident: of what is part of an incident of the fleet, that one is a message.
    pub fn incident(&self, stored: &Stored) {
        if stored.cluster.is_none() {
            self.receivers.iter().for_each(|receiver| receiver.take(&stored.incident));
        }
    }

    /// Takes an incident of the fleet.
    pub fn cluster(&self, cluster: &Cluster, revision: u64) {
        if self.receivers.is_empty() {
            return;
        }
        let incident = as_incident(cluster, revision);
        self.receivers.iter().for_each(|receiver| receiver.take(&incident));
    }
}

/// An incident of the fleet in the form in which outputs know incidents; `revision` is that of its entry.
pub fn as_incident(cluster: &Cluster, revision: u64) -> Incident {
    let part = match cluster.thing.kind.as_str() {
        "enclosure" => Part::Enclosure,
        "fc_port" | "iscsi_target" => Part::TargetPort,
        "nvme_subsystem" => Part::Controller,
        "gluster_volume" => Part::Server,
        _ => Part::Device,
    };
    let open = cluster.hosts.iter().filter(|(_, all)| all.values().any(|member| member.open));
    let mut names: Vec<String> = open.map(|(host, _)| host.clone()).collect();
    let left = names.len().saturating_sub(HOSTS_MAX);
    names.truncate(HOSTS_MAX);
    let more = if left > 0 { format!(" and {left} more") } else { String::new() };
    let on = format!("hosts: {}{more}", names.join(", "));
    let count = cluster.hosts.values().map(std::collections::BTreeMap::len).sum::<usize>() as u64;
    Incident {
        schema: peripety_model::INCIDENT_SCHEMA_VERSION,
        incident_id: cluster.cluster_id,
        revision: u32::try_from(revision).unwrap_or(u32::MAX),
        state: cluster.state,
        superseded_by: None,
        supersedes: Vec::new(),
        severity: cluster.severity,
        title: cluster.title(),
        hostname: format!("site {}", cluster.site),
        boot_id: String::new(),
        opened: cluster.opened,
        updated: cluster.updated,
        resolved: cluster.resolved,
        resolved_by: cluster.resolved.map(|_| "it is over on each host".to_owned()),
        episodes: cluster.episodes,
        cause: Cause {
            event_id: None,
            name: cluster.thing.name.clone(),
            part,
            device: None,
            kind: CauseKind::Unknown,
            certainty: Certainty::Likely,
            rules: Vec::new(),
        },
        impact: Impact { kinds: vec![ImpactKind::Unavailable], devices: names.clone(), ..Impact::default() },
        events: Vec::new(),
        event_count: count,
        failures: count,
        conditions: Vec::new(),
        actions: if names.is_empty() { Vec::new() } else { vec![on] },
        early_signs: Vec::new(),
        progress: None,
        needs_acknowledgement: false,
        acknowledged: None,
    }
}
