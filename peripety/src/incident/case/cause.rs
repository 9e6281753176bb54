//! What led to an incident, and its title.

use super::{
    super::{
        class::{self, Class},
        facet::Facet,
        signs, words,
    },
    Case, Link, push,
};
use crate::{
    event::{
        EventId, Severity,
        incident::{CauseKind, Certainty, ImpactKind, Part},
    },
    state::rows,
};

impl Case {
    /// Another event is the cause of what was thought to be the root.
    pub fn explain(&mut self, root: EventId, link: &Link) {
        for facet in &mut self.facets {
            if facet.event_id == root && facet.because.is_none() && link.because != Some(root) {
                facet.because = link.because;
                facet.relation = link.relation;
                link.rule.clone_into(&mut facet.rule);
            }
        }
        for member in &mut self.incident.events {
            if member.event_id == root && member.because.is_none() && link.because != Some(root) {
                member.because = link.because;
                member.relation = link.relation;
                link.rule.clone_into(&mut member.rule);
            }
        }
        self.certainty = self.certainty.min(link.certainty);
        push(&mut self.incident.cause.rules, link.rule);
    }

    /// What follows from all that is known: cause, impact, severity, title, what to do.
    pub fn render(&mut self) {
        let root = self.root().cloned();
        self.render_cause(root.as_ref());
        let naming = root.as_ref().map(|root| self.naming(root));
        let naming =
            naming.map_or((Class::Other, None), |facet| (facet.class, words::of_type(&facet.event_type)));
        let incident = &mut self.incident;
        let mut kinds: Vec<ImpactKind> = self.harm.keys().chain(self.harm_below.keys()).copied().collect();
        kinds.sort_unstable();
        kinds.dedup();
        let is_spared = |kind: &ImpactKind| matches!(kind, ImpactKind::RedundancyLost | ImpactKind::PathLost);
        // Where an array or map says that a member or path is lost, and nothing above them is hurt, users see nothing.
        let above = self.harm.keys().all(|kind| is_spared(kind) || *kind >= ImpactKind::Slow);
        if above && kinds.iter().any(is_spared) {
            kinds.retain(|kind| is_spared(kind) || *kind >= ImpactKind::Slow || self.harm.contains_key(kind));
        }
        incident.impact.kinds = kinds;
        incident.impact.mount_points.sort_unstable();
        if incident.impact.kinds.len() > 1 {
            incident.impact.kinds.retain(|kind| *kind != ImpactKind::None);
        }
        let worst = incident.impact.kinds.first().copied().unwrap_or(ImpactKind::None);
        incident.severity = worst.severity();
        incident.early_signs = self.signs.shown();
        // Nothing is hurt yet, and will be where nobody does anything: who wants warnings is to have them in time.
        let fills_up = self.facets.iter().any(|facet| facet.class == Class::Low);
        if fills_up || !incident.early_signs.is_empty() {
            incident.severity = incident.severity.min(Severity::Warning);
        }
        incident.conditions = self.conditions.iter().map(|c| c.condition.clone()).collect();
        incident.conditions.sort_by_key(|name| rows::ROWS.iter().position(|row| row.name == name));
        incident.conditions.dedup();
        let (class, root_type) = naming;
        let said = words::class(class, incident.cause.kind);
        // The worst that was said of the root's kind: an adapter that was reset, and then given up.
        let of_type = |facet: &Facet| words::of_type(&facet.event_type).filter(|_| facet.class == class);
        let worst = self.facets.iter().filter_map(of_type).min_by_key(|(rank, _)| *rank);
        let worst = worst.filter(|_| class == Class::Adapter).or(root_type);
        let mut what = worst.map_or(said, |(_, words)| words).to_owned();
        if self.part.is_some() && incident.cause.event_id.is_none() {
            what = format!("{} devices: {what}", self.blamed_by.max(2));
        }
        let sign = root.as_ref().and_then(|root| self.signs.words(&self.naming(root).event_type));
        let sign = sign.or_else(|| self.signs.waited_for().filter(|_| self.only_signs));
        if let Some(sign) = sign.filter(|_| self.part.is_none()) {
            what = format!("early sign of failure: {sign}");
        } else if self.incident.episodes > 1 {
            what = format!("{what}, {} times", self.incident.episodes);
        }
        let incident = &mut self.incident;
        incident.title = words::title(incident, &what);
        incident.actions = words::actions(incident, root.as_ref().map(|root| root.event_type.as_str()));
    }

    /// The facet at the root: what nothing explains, the lowest in the stack, the first of those.
    pub fn root(&self) -> Option<&Facet> {
        self.roots().min_by_key(|f| (rank(f.class), f.is_bridge, f.is_nameless(), f.first))
    }

    /// What says most of the cause: what was repaired at first, or only foretold, failed later on the same device.
    pub(super) fn naming<'f>(&'f self, root: &'f Facet) -> &'f Facet {
        if let Some(disk) = self.device_of_adapters_line(root) {
            return disk;
        }
        let of_sign = signs::of_type(root.event_type.as_str());
        if of_sign.is_none() && !matches!(root.class, Class::Mended | Class::Predicted) {
            return root;
        }
        let is_more = |facet: &&Facet| match of_sign {
            Some(sign) => !sign.types.contains(&facet.event_type.as_str()),
            None => facet.class != root.class,
        };
        let same = self.facets.iter().filter(|facet| facet.is_of(root)).filter(is_more);
        same.min_by_key(|facet| (rank(facet.class), facet.first)).unwrap_or(root)
    }

    /// What an adapter says of a command without naming its device is about the one device whose commands fail then.
    fn device_of_adapters_line(&self, root: &Facet) -> Option<&Facet> {
        if !matches!(root.class, Class::Command | Class::NoAnswer) || !root.names_only_adapter() {
            return None;
        }
        let is_failing = |facet: &&Facet| {
            matches!(facet.class, Class::Command | Class::NoAnswer | Class::Request | Class::GivenUp)
                && !facet.names_only_adapter()
        };
        let failing = || self.facets.iter().filter(is_failing);
        let disks: Vec<&Facet> = failing().filter(|facet| facet.names_disk()).collect();
        let all = if disks.is_empty() { failing().collect() } else { disks };
        let first = *all.first()?;
        if !all.iter().all(|facet| facet.is_of(first)) {
            return None;
        }
        let says_why = |facet: &&&Facet| {
            ["SCSI_MEDIUM_ERROR", "BLK_MEDIUM_ERROR", "SCSI_HARDWARE_ERROR"]
                .contains(&facet.event_type.as_str())
        };
        Some(all.iter().find(says_why).copied().unwrap_or(first))
    }

    pub(super) fn render_cause(&mut self, root: Option<&Facet>) {
        let Some(root) = root else { return };
        let naming = self.naming(root);
        let named = self.device_of_adapters_line(root).unwrap_or(root);
        let (name, device, part) = (named.name.clone(), named.device.clone(), part_of(named));
        let kind = class::cause_kind(naming.class, &naming.failed, &naming.event_type);
        let sure = class::sureness(naming.class, kind, &naming.event_type);
        let cause = &mut self.incident.cause;
        cause.kind = kind;
        cause.certainty = self.certainty.min(sure);
        let by_event = matches!(root.class, Class::Adapter | Class::Bus | Class::Way | Class::Server)
            && !root.name.is_empty();
        match &self.part {
            // An event about the part itself says more than what its devices have in common.
            Some(part) if !(by_event && root.class == Class::Adapter) => {
                cause.event_id = None;
                cause.part = part.part;
                cause.name = words::part(part.part, &part.name);
                cause.device = None;
                if part.part == Part::Software && part.name == "udev" {
                    cause.kind = CauseKind::Configuration;
                } else if cause.kind != CauseKind::Space {
                    cause.kind = CauseKind::Transport;
                }
                let sure = if self.blamed_by > 2 { Certainty::Likely } else { Certainty::Possible };
                cause.certainty = cause.certainty.min(sure);
            }
            _ => {
                cause.event_id = Some(root.event_id);
                (cause.name, cause.device, cause.part) = (name, device, part);
                if cause.name.is_empty()
                    && let Some(part) = root.parts.first()
                {
                    cause.name = words::part(part.part, &part.name);
                }
            }
        }
    }
}

/// What the cause is where an event is about it.
fn part_of(root: &Facet) -> Part {
    let name = root.name.as_str();
    let numbered =
        |prefix: &str| name.strip_prefix(prefix).is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()));
    match root.class {
        Class::Adapter => Part::Adapter,
        Class::Server => Part::Server,
        Class::Low | Class::Pool if root.is_space() => Part::Pool,
        Class::Bug | Class::Own | Class::Missing => Part::Software,
        _ if numbered("session") || numbered("connection") => Part::Session,
        _ if numbered("ata") => Part::Port,
        _ if numbered("host") => Part::Adapter,
        // A namespace has an n after the number of its controller.
        _ if numbered("nvme") && !name.trim_start_matches("nvme").contains('n') => Part::Controller,
        _ if numbered("rport-") => Part::TargetPort,
        Class::NoAnswer if name.starts_with(|c: char| c.is_ascii_digit()) && name.contains('-') => Part::Port,
        _ => Part::Device,
    }
}

/// How far down it is: the lowest is the likeliest cause of the others.
fn rank(class: Class) -> u8 {
    match class {
        Class::Adapter => 0,
        Class::Bus => 1,
        Class::Way => 2,
        Class::Removed
        | Class::NoAnswer
        | Class::GivenUp
        | Class::Command
        | Class::Request
        | Class::Guard
        | Class::Predicted => 3,
        Class::Path | Class::Member | Class::Low => 4,
        Class::NoPath | Class::Array | Class::Pool | Class::Stacked => 5,
        Class::Zfs | Class::Full | Class::Missing => 6,
        Class::Cache | Class::Fs | Class::Contents | Class::Checksum | Class::Server => 7,
        Class::Reaction => 8,
        Class::Mended
        | Class::Scan
        | Class::Service
        | Class::Blocked
        | Class::Bug
        | Class::Own
        | Class::Other => 9,
    }
}
