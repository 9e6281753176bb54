//! Which events and incidents a consumer wants.

use serde::{Deserialize, Serialize};

use crate::{BlkId, Event, Incident, Severity, incident::ImpactKind, info};

/// Which events and incidents are wanted: all that is given must hold; nothing given wants everything.
///
/// In names `*` stands for anything. A device is named by its kernel name, its path, its world wide id or its serial
/// number; an event is about a device also if it is about one that is made of it. A mount point is that of the device or
/// of anything that is made of it.
///
/// ```
/// use peripety_model::{Event, EventType, Filter, Severity};
///
/// let filter = Filter { severity: Some(Severity::Error), devices: vec!["sd*".into()], ..Filter::default() };
/// let mut event = Event::new(Default::default(), EventType::BLK_IO_ERROR, "2026-03-01T12:00:00Z".parse()?);
/// assert!(!filter.takes_event(&event));
/// event.kdev = "sda".into();
/// assert!(filter.takes_event(&event));
/// # Ok::<(), jiff::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// As bad as this or worse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// One of these types of event.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// One of these subsystems.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sub_systems: Vec<String>,
    /// About one of these devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// About what one of these mount points lies on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mount_points: Vec<String>,
    /// Of one of these hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Incidents that do one of these kinds of harm. No event by itself says what it hurts, so this takes incidents only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub impact: Vec<ImpactKind>,
}

/// Names in one list of a filter, at most.
pub const FILTER_NAMES_MAX: usize = 64;

impl Filter {
    /// Why the filter is refused: each list has at most [`FILTER_NAMES_MAX`] names.
    pub fn too_long(&self) -> Option<&'static str> {
        let lists = [
            ("types", self.types.len()),
            ("sub_systems", self.sub_systems.len()),
            ("devices", self.devices.len()),
            ("mount_points", self.mount_points.len()),
            ("hosts", self.hosts.len()),
            ("impact", self.impact.len()),
        ];
        lists.into_iter().find(|(_, length)| *length > FILTER_NAMES_MAX).map(|(name, _)| name)
    }

    /// Whether it takes everything.
    pub fn takes_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an event is wanted.
    pub fn takes_event(&self, event: &Event) -> bool {
        let block = event.block.as_deref();
        let below = block.into_iter().flat_map(|b| std::iter::once(&b.id).chain(&b.owners));
        let devices = std::iter::once(event.kdev.as_str()).chain(below.flat_map(names));
        let above = block.into_iter().flat_map(|b| std::iter::once(&b.id).chain(&b.holders));
        self.severity.is_none_or(|floor| event.severity.at_least(floor))
            && any(&self.types, std::iter::once(event.event_type.as_str()))
            && any(&self.sub_systems, std::iter::once(event.sub_system.as_str()))
            && any(&self.devices, devices)
            && any(&self.mount_points, above.flat_map(|id| &id.mount_points).map(String::as_str))
            && any(&self.hosts, std::iter::once(event.hostname.as_str()))
            && self.impact.is_empty()
    }

    /// Whether an incident is wanted.
    pub fn takes_incident(&self, incident: &Incident) -> bool {
        let cause = &incident.cause;
        let of_cause = cause.device.iter().flat_map(|d| [d.path.as_str(), &d.wwid, &d.serial]);
        let devices = std::iter::once(cause.name.as_str())
            .chain(of_cause)
            .chain(incident.impact.devices.iter().map(String::as_str))
            .chain(incident.events.iter().map(|member| member.device.as_str()));
        let types = || incident.events.iter().map(|member| member.event_type.as_str());
        let sub_systems = types().filter_map(info).map(|row| row.sub_system);
        self.severity.is_none_or(|floor| incident.severity.at_least(floor))
            && any(&self.types, types())
            && any(&self.sub_systems, sub_systems)
            && any(&self.devices, devices)
            && any(&self.mount_points, incident.impact.mount_points.iter().map(String::as_str))
            && any(&self.hosts, std::iter::once(incident.hostname.as_str()))
            && (self.impact.is_empty() || incident.impact.kinds.iter().any(|kind| self.impact.contains(kind)))
    }
}

fn names(id: &BlkId) -> [&str; 4] {
    [&id.wwid, &id.blk_path, &id.preferred_blk_path, &id.serial]
}

/// Whether any of the names fits any of the patterns; without patterns all do. Of a device its node's name will do.
fn any(patterns: &[String], mut names: impl Iterator<Item = impl AsRef<str>>) -> bool {
    patterns.is_empty()
        || names.any(|name| {
            let name = name.as_ref();
            let short = name.strip_prefix("/dev/").unwrap_or(name);
            !name.is_empty() && patterns.iter().any(|p| name_fits(p, name) || name_fits(p, short))
        })
}

/// Whether a name fits a pattern in which `*` stands for anything.
pub fn name_fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{BlkInfo, EventType, SubSystem};

    fn event() -> Event {
        let id = |path: &str, point: &[&str]| BlkId {
            blk_path: path.into(),
            wwid: format!("wwid-of-{path}"),
            mount_points: point.iter().map(|p| (*p).to_owned()).collect(),
            ..BlkId::default()
        };
        let block = BlkInfo {
            id: id("/dev/dm-0", &[]),
            owners: vec![id("/dev/sdf", &[])],
            holders: vec![id("/dev/dm-1", &["/srv"])],
        };
        let at = "2026-03-01T12:00:00Z".parse().unwrap();
        Event {
            kdev: "dm-0".into(),
            hostname: "db1".into(),
            sub_system: SubSystem::new("block"),
            block: Some(Arc::new(block)),
            ..Event::new(uuid::Uuid::nil(), EventType::BLK_IO_ERROR, at)
        }
    }

    #[test]
    fn each_condition_can_say_no() {
        let event = event();
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let yes = Filter {
            severity: Some(Severity::Error),
            types: names(&["FS_ERROR", "BLK_*"]),
            sub_systems: names(&["block"]),
            devices: names(&["sdf"]),
            mount_points: names(&["/srv"]),
            hosts: names(&["db*"]),
            impact: vec![],
        };
        assert!(yes.takes_event(&event) && Filter::default().takes_event(&event));
        for device in ["dm-0", "/dev/dm-0", "wwid-of-/dev/sdf", "/dev/sd*"] {
            assert!(Filter { devices: names(&[device]), ..yes.clone() }.takes_event(&event), "{device}");
        }
        for no in [
            Filter { severity: Some(Severity::Critical), ..yes.clone() },
            Filter { types: names(&["FS_ERROR"]), ..yes.clone() },
            Filter { sub_systems: names(&["scsi"]), ..yes.clone() },
            // What is made of the device at fault is not at fault.
            Filter { devices: names(&["dm-1"]), ..yes.clone() },
            Filter { mount_points: names(&["/"]), ..yes.clone() },
            Filter { hosts: names(&["web"]), ..yes.clone() },
            Filter { impact: vec![ImpactKind::DataLost], ..yes.clone() },
        ] {
            assert!(!no.takes_event(&event), "{no:?}");
        }
    }

    #[test]
    fn a_list_that_is_too_long_is_named() {
        let mut filter = Filter { devices: vec!["sda".into(); FILTER_NAMES_MAX], ..Filter::default() };
        assert_eq!(filter.too_long(), None);
        filter.devices.push("sdb".into());
        assert_eq!(filter.too_long(), Some("devices"));
        assert!(
            serde_json::from_str::<Filter>(r#"{"device":["sda"]}"#).is_err(),
            "a key that is none is an error"
        );
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, is) in [
            ("sda", "sda", true),
            ("sda", "sdab", false),
            ("sd*", "sdab", true),
            ("*", "", true),
            ("*ERROR", "SCSI_MEDIUM_ERROR", true),
            ("SCSI_*_ERROR", "SCSI_MEDIUM_ERROR", true),
            ("SCSI_*_ERROR", "SCSI_ERROR", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxcyyb", false),
            ("", "a", false),
            ("*b*", "abc", true),
            ("a*c", "abc", true),
            ("a*b*a", "aba", true),
            ("a*a", "a", false),
            ("*x", "ab", false),
        ] {
            assert_eq!(name_fits(pattern, name), is, "{pattern} {name}");
        }
    }
}
