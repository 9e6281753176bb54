mod bounds;
mod causes;
mod life;
mod links;
mod parts;
mod signs;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{Case, Facet, Incidents, OPEN_MAX, OVER_MAX, WAITING_MAX, rules::rules};
use crate::{
    block::{BlkId, BlkInfo, Dev, Hctl, Transport},
    event::{
        Errno, Event, EventType, Io, Op, Sector, SectorRange, Severity, SubSystem, event_id,
        incident::{CauseKind, Certainty, ImpactKind, Incident, Part, Relation, State},
        info,
    },
    notifier::fixture::sample,
};

const BOOT: &str = "0123456789abcdef0123456789abcdef";

/// An event of a type on a device, `at` milliseconds after the beginning.
fn event(kind: &'static str, kdev: &str, at: i64) -> Event {
    let start: Timestamp = "2026-11-21T09:00:00Z".parse().unwrap();
    let when = start.checked_add(SignedDuration::from_millis(at)).unwrap();
    let row = info(kind).unwrap();
    Event {
        event_id: event_id(BOOT, kind, &format!("{kdev} {at}")),
        event_type: EventType::new(kind),
        sub_system: SubSystem::known(row.sub_system),
        severity: row.severity,
        kdev: kdev.to_owned(),
        block: None,
        io: None,
        msg: format!("{kdev}: {kind}"),
        raw_msgs: Vec::new(),
        count: 1,
        revision: 0,
        is_final: true,
        timestamp: when,
        first_timestamp: when,
        last_timestamp: when,
        monotonic_ns: u64::try_from(at).ok().map(|ms| ms * 1_000_000 + 1_000_000_000),
        sector_ranges: Vec::new(),
        facts: crate::event::Facts::default(),
        extension: BTreeMap::new(),
        boot_id: BOOT.to_owned(),
        ..sample()
    }
}

fn io(mut event: Event, op: Op, sector: u64, errno: i32) -> Event {
    event.io = Some(Io {
        op,
        sector: Some(Sector(sector)),
        nr_sectors: Some(8),
        errno: Some(Errno::from_raw(errno)),
        ..Io::default()
    });
    event.sector_ranges = vec![SectorRange { start: Sector(sector), end: Sector(sector + 7) }];
    event
}

fn medium(kdev: &str, sector: u64, at: i64) -> Event {
    io(event("SCSI_MEDIUM_ERROR", kdev, at), Op::Read, sector, 61)
}

fn transport(kdev: &str, at: i64) -> Event {
    io(event("SCSI_TRANSPORT_ERROR", kdev, at), Op::Read, 0, 5)
}

fn id(name: &str) -> BlkId {
    let number = name.bytes().fold(7_u32, |sum, b| (sum * 31 + u32::from(b)) % 1000);
    BlkId {
        blk_path: format!("/dev/{name}"),
        preferred_blk_path: format!("/dev/{name}"),
        dev: Dev::new(8, number),
        ..BlkId::default()
    }
}

/// With what the device is made of and what is made of it.
fn stacked(mut event: Event, owners: &[&str], holders: &[&str], mounts: &[&str]) -> Event {
    let mut own = id(&event.kdev);
    own.mount_points = mounts.iter().map(ToString::to_string).collect();
    let list = |names: &[&str]| names.iter().map(|name| id(name)).collect();
    event.block = Some(Arc::new(BlkInfo { id: own, owners: list(owners), holders: list(holders) }));
    event
}

/// A disk at an address, reached in some way.
fn placed(mut event: Event, hctl: &str, transport: Option<Transport>) -> Event {
    assert!(hctl.parse::<Hctl>().is_ok());
    let own = BlkId { transport_id: hctl.to_owned(), transport, ..id(&event.kdev) };
    event.block = Some(Arc::new(BlkInfo { id: own, owners: vec![], holders: vec![] }));
    event
}

fn with(mut event: Event, path: &str, text: &str) -> Event {
    event.facts.set_text(path, text).unwrap();
    event
}

struct Run {
    stage: Incidents,
    written: Vec<Incident>,
    events: Vec<Event>,
}

impl Run {
    /// What is there in the end, in the order in which it began.
    fn found(&self) -> Vec<Incident> {
        let mut all: Vec<Incident> = self.stage.all().cloned().collect();
        all.sort_by_key(|incident| incident.opened);
        all
    }
}

fn run(events: Vec<Event>) -> Run {
    let mut run = Run { stage: Incidents::default(), written: Vec::new(), events };
    for event in &mut run.events {
        run.stage.push(event, &mut run.written);
    }
    run.stage.finish(&mut run.written);
    run
}

fn iscsi(session: &str, address: &str) -> Transport {
    Transport::Iscsi {
        target: "iqn.2026-01.org.example:t".into(),
        address: address.into(),
        port: 3260,
        tpgt: 1,
        iface: "default".into(),
        session: session.into(),
    }
}
