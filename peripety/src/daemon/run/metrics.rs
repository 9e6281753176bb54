//! What `peripety-notify` makes metrics of.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Daemon;
use crate::{
    block::BlkInfo,
    event::{BlkType, incident::ImpactKind},
};

/// Devices that are listed.
const DEVICES_MAX: usize = 2048;
/// Names of one kind that a device is listed with.
const NAMES_MAX: usize = 8;

impl Daemon {
    /// The answer to `metrics`.
    pub(super) fn metrics(&self) -> Value {
        let (failures, losses) = self.pipeline.tally.to_json();
        let all = self.pipeline.cache.all();
        let devices: Vec<Value> =
            all.iter().filter(|block| is_disk(block)).take(DEVICES_MAX).map(|block| device(block)).collect();
        let mut open: BTreeMap<(&str, ImpactKind), u64> = BTreeMap::new();
        for incident in self.pipeline.engine.incidents().all().filter(|incident| incident.state.is_open()) {
            let impact = incident.impact.kinds.first().copied().unwrap_or(ImpactKind::None);
            *open.entry((incident.severity.as_str(), impact)).or_default() += 1;
        }
        let open: Vec<Value> = open
            .into_iter()
            .map(|((severity, impact), count)| json!({ "severity": severity, "impact": impact, "count": count }))
            .collect();
        let probes: Vec<Value> = self.sources.probes.as_ref().map_or_else(Vec::new, |probes| {
            let status = probes.lock().status();
            let row = |probe: &crate::collector::ebpf::status::ProbeStatus| {
                json!({ "name": probe.tracepoint, "state": probe.verdict.word() })
            };
            status.probes.iter().map(row).collect()
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "boot_id": self.pipeline.host.boot_id,
            "hostname": self.pipeline.host.hostname,
            "devices": devices,
            "failures": failures,
            "losses": losses,
            "open_incidents": open,
            "probes": probes,
        })
    }
}

/// Something of which failures are counted for themselves: no partition, and no loop device or memory without anything in it.
fn is_disk(block: &BlkInfo) -> bool {
    let of_nothing = matches!(block.id.blk_type, BlkType::Loop) && block.id.wwid.is_empty();
    block.id.blk_type != BlkType::Partition
        && !of_nothing
        && !block.id.size_sectors.is_some_and(crate::event::Sectors::is_zero)
}

fn device(block: &BlkInfo) -> Value {
    let id = &block.id;
    let short = |path: &str| path.strip_prefix("/dev/").unwrap_or(path).to_owned();
    let maps = block.holders.iter().filter(|holder| holder.blk_path.starts_with("/dev/dm-"));
    let maps: Vec<String> = maps.map(|map| short(&map.preferred_blk_path)).take(NAMES_MAX).collect();
    let points = [id].into_iter().chain(&block.holders).flat_map(|id| id.mount_points.iter().cloned());
    let mut points: Vec<String> = points.collect();
    points.sort();
    points.dedup();
    points.truncate(NAMES_MAX);
    json!({
        "device": short(&id.blk_path),
        "wwid": id.wwid,
        "serial": id.serial,
        "model": format!("{} {}", id.vendor, id.model).trim(),
        "map": maps.join(","),
        "mount_point": points.join(","),
    })
}
