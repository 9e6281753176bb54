//! What it costs to find out which events belong together: the engine with the incidents behind it, beside the engine alone;
//! many incidents at once; a storm over many devices below one adapter.

use std::{hint::black_box, sync::Arc};

use anyhow::{Result, ensure};
use peripety::internal::{
    block::{BlkId, BlkInfo, Dev},
    event::{Event, EventType, event_id},
    incident::Incidents,
};
use serde_json::Value;

use crate::{
    engine::{self, Devices},
    paired::{Clock, Side, figure},
};

fn compare(what: &str, ring: &[Vec<u8>], devices: &Devices) -> Value {
    let mut with = || {
        let (mut incidents, mut revisions) = (Incidents::default(), Vec::new());
        engine::drain(ring, devices, &mut |events| {
            incidents.push_all(events, &mut revisions);
            revisions.clear();
        });
        black_box(incidents);
    };
    let mut without = || {
        engine::drain(ring, devices, &mut |events| {
            black_box(&events);
        });
    };
    figure(
        "incidents",
        what,
        ring.len() as u64,
        Clock::Cpu,
        Side { name: "from ring bytes to incidents", run: &mut with },
        Side { name: "the engine without incidents", run: &mut without },
    )
}

/// One failure of each of so many disks, at the same time; each at an address of its own below one host, or below hosts of
/// their own.
fn failures(disks: u32, one_host: bool) -> Vec<Event> {
    (0..disks)
        .map(|number| {
            let (host, target) = if one_host { (2, number) } else { (number, 0) };
            let id = BlkId {
                dev: Dev::new(8 + number / 256, number % 256),
                blk_path: format!("/dev/sd{number}"),
                wwid: format!("naa.{number:016x}"),
                transport_id: format!("{host}:0:{target}:0"),
                ..BlkId::default()
            };
            let at = jiff::Timestamp::from_millisecond(1_795_266_000_000 + i64::from(number % 1000))
                .unwrap_or_default();
            let boot_id = "b".repeat(32);
            let id_of_event = event_id(&boot_id, "bench", &number.to_string());
            Event {
                boot_id,
                hostname: "bench".to_owned(),
                kdev: format!("sd{number}"),
                block: Some(Arc::new(BlkInfo { id, ..BlkInfo::default() })),
                is_final: true,
                ..Event::new(id_of_event, EventType::SCSI_TIMEOUT, at)
            }
        })
        .collect()
}

/// Many failures, beside a few: an incident more is to cost the same however many there are.
fn many(what: &str, disks: u32, one_host: bool) -> Result<Value> {
    const FEW: u32 = 100;
    let (all, few) = (failures(disks, one_host), failures(FEW, one_host));
    let open = |events: &[Event]| {
        let (mut incidents, mut out) = (Incidents::default(), Vec::new());
        for event in events {
            incidents.push(&mut event.clone(), &mut out);
            out.clear();
        }
        incidents.all().filter(|incident| incident.state.is_open()).count()
    };
    let (found, wanted) = (open(&all), if one_host { 1 } else { disks.min(10_000) as usize });
    ensure!(found <= 10_000 && found + 64 >= wanted, "{found} incidents of {disks} failures are open");
    if one_host {
        ensure!(found == 1, "{found} incidents of {disks} disks below one adapter");
    }
    let mut ours = || {
        black_box(open(&all));
    };
    let mut theirs = || {
        for _ in 0..disks / FEW {
            black_box(open(&few));
        }
    };
    Ok(figure(
        "incidents",
        what,
        u64::from(disks),
        Clock::Cpu,
        Side { name: "failures to incidents", run: &mut ours },
        Side { name: "the same number, a hundred at a time", run: &mut theirs },
    ))
}

pub fn run() -> Result<Vec<Value>> {
    let devices = engine::devices();
    Ok(vec![
        compare("a storm on three devices", &engine::ring(400_000, |n| n % 3), &devices),
        compare("every record another event", &engine::ring(400_000, |n| n), &devices),
        many("12,000 disks of 12,000 hosts", 12_000, false)?,
        many("2,000 disks below one adapter", 2_000, true)?,
    ])
}
