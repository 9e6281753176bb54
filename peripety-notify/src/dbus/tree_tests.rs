use std::sync::Arc;

use peripety_model::{BlkId, BlkInfo, EventId, EventType};

use super::*;
use crate::message::sample;

fn event(name: &str, wwid: &str, second: i64) -> Event {
    let at = jiff::Timestamp::from_second(1_790_000_000 + second).unwrap();
    let id = BlkId { blk_path: format!("/dev/{name}"), wwid: wwid.into(), ..BlkId::default() };
    let number = u128::from(second.unsigned_abs()) + 1;
    Event {
        kdev: name.into(),
        block: Some(Arc::new(BlkInfo { id, ..BlkInfo::default() })),
        ..Event::new(EventId::from_u128(number), EventType::BLK_IO_ERROR, at)
    }
}

fn kinds(changes: &[Change]) -> Vec<String> {
    let word = |change: &Change| format!("{change:?}").split('(').next().unwrap_or_default().to_owned();
    changes.iter().map(word).collect()
}

#[test]
fn a_device_comes_with_its_first_event_and_goes_when_another_has_its_name() {
    let mut tree = Tree::default();
    assert_eq!(kinds(&tree.take_event(&event("sdf", "one", 0))), ["AddBlock", "Occurred"]);
    assert_eq!(kinds(&tree.take_event(&event("sdf", "one", 1))), ["UpdateBlock", "Occurred"]);
    let late = tree.take_event(&event("sdf", "one", 0));
    assert_eq!(kinds(&late), ["Occurred"], "the latest event is still the one of before");
    let other = tree.take_event(&event("sdf", "two", 2));
    assert_eq!(kinds(&other), ["RemoveBlock", "AddBlock", "Occurred"]);
    let nameless = Event { block: None, ..event("sdf", "", 3) };
    assert_eq!(kinds(&tree.take_event(&nameless)), ["Occurred"]);
}

#[test]
fn incidents_open_change_and_are_over_and_their_devices_name_them() {
    let mut tree = Tree::default();
    tree.take_event(&event("sdf", "one", 0));
    let mut incident = sample();
    let opened = tree.take_incident(&incident);
    assert_eq!(kinds(&opened), ["AddIncident", "Opened", "UpdateBlock"]);
    assert!(
        matches!(opened.first(), Some(Change::AddIncident(_, block)) if block == "/org/peripety1/block_devices/sdf")
    );
    assert!(matches!(opened.last(), Some(Change::UpdateBlock(block)) if block.incidents.len() == 1));
    assert_eq!(tree.take_incident(&incident), [], "the same revision again");
    incident.revision = 1;
    assert_eq!(kinds(&tree.take_incident(&incident)), ["UpdateIncident", "Changed"]);
    incident.revision = 2;
    incident.state = State::Resolved;
    assert_eq!(kinds(&tree.take_incident(&incident)), ["Resolved", "RemoveIncident", "UpdateBlock"]);
    assert!(tree.open().is_empty());
}

#[test]
fn what_ended_while_nobody_looked_is_over_and_what_opened_is_there() {
    let mut tree = Tree::default();
    tree.take_incident(&sample());
    let other = Incident { incident_id: IncidentId::from_u128(8), ..sample() };
    assert_eq!(kinds(&tree.sync(&[other])), ["Resolved", "RemoveIncident", "AddIncident", "Opened"]);
}

#[test]
fn of_many_devices_the_one_goes_whose_event_is_the_oldest_and_no_open_incident_has() {
    let mut tree = Tree::default();
    tree.take_event(&event("sdf", "", 0));
    tree.take_incident(&sample());
    let mut removed = Vec::new();
    for n in 0..BLOCKS_MAX {
        let changes = tree.take_event(&event(&format!("nvme{n}n1"), "", 1 + i64::try_from(n).unwrap()));
        removed.extend(changes.into_iter().filter(|change| matches!(change, Change::RemoveBlock(_))));
    }
    assert_eq!(removed, [Change::RemoveBlock("/org/peripety1/block_devices/nvme0n1".into())]);
    assert_eq!(tree.blocks.len(), BLOCKS_MAX);
}
