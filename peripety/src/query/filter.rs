//! Which events are wanted.

use jiff::Timestamp;

use super::DeviceFilter;
use crate::event::{Event, EventId, EventType, Severity, SubSystem};

/// Which events are wanted: all that is given must hold; nothing given wants everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// With one of these ids, or caused by an event that has it.
    pub ids: Vec<EventId>,
    /// As bad as this or worse.
    pub severity: Option<Severity>,
    /// One of these types.
    pub event_types: Vec<EventType>,
    /// One of these subsystems.
    pub sub_systems: Vec<SubSystem>,
    /// Whether nothing speaks against what they say, or a probe should have seen it and did not.
    pub confirmed: Option<bool>,
    /// About this device, what it is made of, or what is made of it.
    pub device: Option<DeviceFilter>,
    /// The latest failure not before this.
    pub since: Option<Timestamp>,
    /// The first failure not after this.
    pub until: Option<Timestamp>,
    /// In this boot: 32 hexadecimal digits.
    pub boot: Option<String>,
}

impl Filter {
    /// Whether the event is wanted.
    pub fn matches(&self, event: &Event) -> bool {
        one_of(&self.ids, |id| *id == event.event_id || Some(*id) == event.root_cause_event_id)
            && self.severity.is_none_or(|floor| event.severity.at_least(floor))
            && one_of(&self.event_types, |t| t.as_str().eq_ignore_ascii_case(event.event_type.as_str()))
            && one_of(&self.sub_systems, |s| *s == event.sub_system)
            && self.confirmed.is_none_or(|wanted| event.confirmed == wanted)
            && self.since.is_none_or(|since| event.last_timestamp >= since)
            && self.until.is_none_or(|until| event.first_timestamp <= until)
            && self.boot.as_ref().is_none_or(|boot| same_boot(boot, &event.boot_id))
            && self.device.as_ref().is_none_or(|device| device.matches(event))
    }
}

fn one_of<T>(wanted: &[T], matches: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(matches)
}

/// Boot ids are written with dashes by the kernel, without by journald.
pub(super) fn same_boot(one: &str, other: &str) -> bool {
    let digits =
        |text: &str| text.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect::<String>();
    digits(one) == digits(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::fixture::sample;

    #[test]
    fn each_condition_can_say_no() {
        let event = sample();
        assert!(Filter::default().matches(&event));
        let at = |text: &str| Some(text.parse().unwrap());
        let yes = Filter {
            ids: vec![event.event_id],
            severity: Some(Severity::Warning),
            event_types: vec![EventType::FS_ERROR, EventType::new("blk_io_error")],
            sub_systems: vec![SubSystem::new("BLOCK")],
            // Between the first and the latest failure.
            since: at("2026-11-21T09:32:08Z"),
            until: at("2026-11-21T09:32:08Z"),
            boot: Some("01234567-89AB-cdef-0123-456789abcdef".into()),
            device: Some(DeviceFilter::named("sdf")),
            confirmed: Some(true),
        };
        assert!(yes.matches(&event));
        for no in [
            Filter { ids: vec![uuid::Uuid::nil()], ..yes.clone() },
            Filter { severity: Some(Severity::Critical), ..yes.clone() },
            Filter { event_types: vec![EventType::FS_ERROR], ..yes.clone() },
            Filter { sub_systems: vec![SubSystem::new("scsi")], ..yes.clone() },
            Filter { since: at("2026-11-21T09:32:10Z"), ..yes.clone() },
            Filter { until: at("2026-11-21T09:32:07Z"), ..yes.clone() },
            Filter { boot: Some("1".into()), ..yes.clone() },
            Filter { device: Some(DeviceFilter::named("sdg")), ..yes.clone() },
            Filter { confirmed: Some(false), ..yes.clone() },
        ] {
            assert!(!no.matches(&event), "{no:?}");
        }
    }
}
