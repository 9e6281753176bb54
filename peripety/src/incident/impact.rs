//! What an event hurts.

use super::class::Class;
use crate::{
    block::BlkType,
    correlate::layer::{Answer, Failed},
    event::{
        Event, EventType, Severity,
        incident::{Impact, ImpactKind},
    },
    names,
};

/// Names that are kept of what is hurt.
const NAMES_MAX: usize = 32;

/// What kinds of harm an event reports.
pub(super) fn kinds(event: &Event, class: Class, failed: &Failed) -> Vec<ImpactKind> {
    use ImpactKind::{DataAtRisk, DataLost, None, PathLost, ReadOnly, RedundancyLost, Slow, Unavailable};
    match event.event_type.as_str() {
        "BLK_LOST_WRITE" | "FS_DATA_LOST" | "ZFS_DATA_ERROR" => return vec![DataLost],
        "FS_REMOUNT_READ_ONLY" | "FS_JOURNAL_ABORTED" | "DM_THIN_POOL_READ_ONLY" => return vec![ReadOnly],
        "FS_NO_SPACE" => return vec![ReadOnly],
        "FS_SHUTDOWN" | "FS_PANIC" | "ZFS_POOL_SUSPENDED" | "DM_THIN_POOL_OUT_OF_DATA" => {
            return vec![Unavailable];
        }
        "FS_NOT_CLEAN" => return vec![DataAtRisk],
        "FS_WARNING" => return vec![None],
        _ => {}
    }
    let known = event.facts.impact.as_deref();
    if known.is_some_and(|known| known.repaired == Some(true)) {
        return vec![None];
    }
    if known.is_some_and(|known| known.spared == Some(true)) {
        return vec![if is_path(event) { PathLost } else { RedundancyLost }];
    }
    let only_warns = !event.severity.at_least(Severity::Error);
    vec![match class {
        Class::Path => PathLost,
        Class::Member => RedundancyLost,
        Class::Removed
        | Class::GivenUp
        | Class::NoPath
        | Class::Array
        | Class::Server
        | Class::Service
        | Class::Missing => Unavailable,
        Class::NoAnswer if event.event_type.as_str() == "NVME_PATH_FAILED" => {
            let paths = event.block.as_ref().and_then(|block| block.id.paths).unwrap_or(1);
            if paths > 1 { PathLost } else { Unavailable }
        }
        Class::Adapter if only_warns => Slow,
        Class::Way | Class::Adapter => Unavailable,
        Class::NoAnswer | Class::Blocked => Slow,
        Class::Mended | Class::Low | Class::Own => None,
        Class::Command | Class::Bus | Class::Scan | Class::Other if only_warns => None,
        Class::Request if only_warns && failed.answer == Answer::None => Slow,
        Class::Pool | Class::Stacked if only_warns => None,
        _ => DataAtRisk,
    }]
}

/// Whether what it spares is a path, and not a copy.
fn is_path(event: &Event) -> bool {
    if event.event_type == EventType::NVME_PATH_FAILED {
        return true;
    }
    event.block.iter().flat_map(|block| &block.holders).any(|holder| holder.blk_type == BlkType::DmMultipath)
}

/// Whether another path or copy serves what failed: then it reaches nobody who uses the filesystem.
fn serves_all_the_same(event: &Event, class: Class, kinds: &[ImpactKind]) -> bool {
    let spares = |kind: &ImpactKind| matches!(kind, ImpactKind::PathLost | ImpactKind::RedundancyLost);
    let known = event.facts.impact.as_deref();
    class == Class::Mended
        || known.is_some_and(|known| known.spared.is_some() || known.repaired == Some(true))
        || kinds.iter().all(spares)
}

/// Adds the names of what an event hurts, which reports these kinds of harm.
pub(super) fn add_names(impact: &mut Impact, event: &Event, class: Class, kinds: &[ImpactKind]) {
    let name = super::words::short(event);
    add(&mut impact.devices, name);
    let Some(block) = event.block.as_deref() else {
        if matches!(class, Class::Cache | Class::Fs | Class::Contents | Class::Checksum | Class::Reaction) {
            add_filesystem(impact, event.kdev.strip_prefix("/dev/").unwrap_or(&event.kdev), kind_of(event));
        }
        return;
    };
    if serves_all_the_same(event, class, kinds) {
        return;
    }
    for id in std::iter::once(&block.id).chain(&block.holders) {
        let is_mounted = !id.mount_points.is_empty();
        if is_mounted {
            let kind = if id.fs_type.is_empty() { kind_of(event) } else { &id.fs_type };
            add_filesystem(impact, &names::of_id(id), kind);
        }
        id.mount_points.iter().for_each(|point| add(&mut impact.mount_points, point.clone()));
    }
    if matches!(class, Class::Cache | Class::Fs | Class::Contents | Class::Checksum | Class::Reaction)
        && block.id.mount_points.is_empty()
    {
        let kind = if block.id.fs_type.is_empty() { kind_of(event) } else { &block.id.fs_type };
        add_filesystem(impact, &names::of_id(&block.id), kind);
    }
}

/// The type of the filesystem, where the subsystem is one.
fn kind_of(event: &Event) -> &str {
    match event.sub_system.as_str() {
        "block" | "fs" | "filemap" | "jbd2" => "",
        kind => kind,
    }
}

/// Adds a filesystem once, with its type as soon as that is known.
fn add_filesystem(impact: &mut Impact, name: &str, kind: &str) {
    if name.is_empty() {
        return;
    }
    let is_it =
        |known: &String| known == name || known.strip_prefix(name).is_some_and(|r| r.starts_with(" ("));
    let whole = if kind.is_empty() { name.to_owned() } else { format!("{name} ({kind})") };
    match impact.filesystems.iter_mut().find(|known| is_it(known)) {
        Some(known) if known == name => *known = whole,
        Some(_) => {}
        None => add(&mut impact.filesystems, whole),
    }
}

fn add(list: &mut Vec<String>, name: String) {
    if !name.is_empty() && list.len() < NAMES_MAX && !list.contains(&name) {
        list.push(name);
    }
}
