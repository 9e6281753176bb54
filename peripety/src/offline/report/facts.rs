//! What the files of a report report, besides its logs.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::tz::{Offset, TimeZone};

use super::{catalog::Catalog, tables, udev};
use crate::{
    block::{ATTRIBUTE_MAX, ATTRIBUTES, BlkCache},
    files::{Files, Tree},
    offline::{Given, bounds::FACTS_MAX, devices::Known, unpack},
    roots::Roots,
};

/// Bytes of a list of mounts.
const MOUNTS_MAX: u64 = 4 << 20;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub given: Given,
    pub zone: Option<TimeZone>,
}

type Reader = fn(&str, &mut Found);

/// How the end of a file's path begins (directory and name), and who reads it. In this order: later ones know more.
const FILES: &[(&str, &str, Reader)] = &[
    ("etc", "hostname", hostname),
    ("", "hostname", hostname),
    ("proc", "stat", |text, found| boot_time(text, found)),
    ("random", "boot_id", |text, found| found.given.boot_id = Some(text.trim().to_owned())),
    ("", "timedatectl", zone),
    ("", "lsblk", |text, found| tables::lsblk(text, &mut found.given.devices)),
    ("", "udevadm_info_--export-db", |text, found| udev::export_db(text, &mut found.given.devices)),
    ("", "udevadm_info_-e", |text, found| udev::export_db(text, &mut found.given.devices)),
    ("", "multipath_-", |text, found| tables::multipath(text, &mut found.given.devices)),
    ("proc", "mounts", |text, found| tables::mounts(text, &mut found.given.devices)),
];

/// Whether the file reports something.
pub(super) fn is_fact(path: &Path) -> bool {
    is_sysfs(path) || reader(path).is_some()
}

/// Places of sysfs, of udev's database and of procfs that show block devices.
const PLACES: &[&str] = &[
    "/sys/block/",
    "/sys/class/block/",
    "/sys/class/nvme/",
    "/sys/class/iscsi_session/",
    "/sys/class/iscsi_connection/",
    "/sys/class/fc_host/",
    "/sys/class/fc_remote_ports/",
    "/sys/class/fc_transport/",
    "/sys/class/sas_device/",
    "/sys/class/sas_phy/",
    "/sys/class/ata_link/",
    "/sys/dev/block/",
    "/sys/devices/",
    "/sys/fs/btrfs/",
    "/run/udev/data/",
    "/proc/1/mountinfo/",
    "/proc/self/mountinfo/",
];
/// Every device has its interrupts, power and trace: none of that names it.
const NOISE: &[&str] =
    &["/power/", "/trace/", "/mq/", "/queue/", "/cpu", "/tracing/", "/msi_irqs/", "/resource"];
/// What directories of block devices, and of what they hang on, have in their path.
const OF_INTEREST: &[&str] =
    &["/block/", "/host", "/nvme", "/virtio", "/ata", "/mmc", "/css", "/ndbus", "/session"];

/// Whether the path is one of sysfs, of udev's database or a list of mounts, which are kept as a tree.
pub(super) fn is_sysfs(path: &Path) -> bool {
    let text = format!("/{}/", path.to_string_lossy());
    let has = |part: &&str| text.contains(*part);
    let in_devices = text.contains("/sys/devices/");
    PLACES.iter().any(has) && (!in_devices || OF_INTEREST.iter().any(has)) && !NOISE.iter().any(has)
}

/// Whether what [`is_sysfs`] may lie below this directory of sysfs.
pub(super) fn leads_to_sysfs(dir: &Path) -> bool {
    let text = format!("/{}/", dir.to_string_lossy());
    let Some(inside) = text.find("/sys/").and_then(|at| text.get(at..)) else { return false };
    PLACES.iter().any(|place| place.starts_with(inside) || inside.starts_with(place))
        && !NOISE.iter().any(|part| inside.contains(part))
}

/// Whether a file of the tree is one that is read.
pub(super) fn is_attribute(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let in_sysfs = format!("/{}", path.to_string_lossy()).contains("/sys/");
    !in_sysfs || ATTRIBUTES.contains(&name)
}

/// Bytes of a file of the tree.
pub(super) fn size_max(path: &Path) -> u64 {
    if path.ends_with("mountinfo") { MOUNTS_MAX } else { ATTRIBUTE_MAX }
}

fn reader(path: &Path) -> Option<(usize, Reader)> {
    let name = path.file_name()?.to_str()?;
    let dir = path.parent().and_then(Path::file_name).and_then(|dir| dir.to_str()).unwrap_or_default();
    let exact = |wanted: &str| wanted == name || (wanted.ends_with('-') && name.starts_with(wanted));
    let place = FILES.iter().position(|(in_dir, wanted, _)| {
        let options = *wanted == "lsblk" && name.starts_with("lsblk");
        (exact(wanted) || options) && (in_dir.is_empty() || *in_dir == dir)
    })?;
    FILES.get(place).map(|(_, _, read)| (place, *read))
}

/// Reads all files that report something.
pub(super) fn read(catalog: &mut Catalog) -> Found {
    let mut found = Found::default();
    let mut readers: Vec<(usize, &Path, Reader)> =
        catalog.names().filter_map(|file| reader(file).map(|(place, read)| (place, file, read))).collect();
    readers.sort_by_key(|(place, file, _)| (*place, file.as_os_str().len()));
    for (_, file, read) in readers {
        if let Some(text) = text_of(catalog, file) {
            read(&text, &mut found);
        }
    }
    let tree = std::mem::replace(&mut catalog.tree, Tree::new(0));
    let tops = tree.top();
    let files = Files::Memory(Arc::new(tree));
    for top in std::iter::once(PathBuf::new()).chain(tops) {
        let roots = Roots { files: files.clone(), ..Roots::under(&Path::new("/").join(top)) };
        sysfs(&roots, &mut found.given.devices);
    }
    found
}

fn text_of(catalog: &Catalog, file: &Path) -> Option<String> {
    let reader = unpack(catalog.open(file).ok()?.from).ok()?;
    let mut bytes = Vec::new();
    // What can be read of a broken file is still of use.
    let _broken = reader.take(FACTS_MAX).read_to_end(&mut bytes);
    Some(
        String::from_utf8(bytes)
            .unwrap_or_else(|wrong| String::from_utf8_lossy(wrong.as_bytes()).into_owned()),
    )
}

/// Devices of a whole sysfs.
fn sysfs(roots: &Roots, known: &mut Known) {
    let Ok(cache) = BlkCache::scan(&roots.block()) else { return };
    let name = |path: &str| path.strip_prefix("/dev/").unwrap_or(path).to_owned();
    for (id, made_of) in cache.each() {
        let upper = name(&id.blk_path);
        known.set_dev(&upper, id.dev);
        let hctl = id.transport_id.parse().ok();
        if let Some(hctl) = hctl {
            known.set_hctl(&upper, hctl);
        }
        if let Some(node) = known.node(&upper) {
            node.id = id.clone();
        }
        for below in made_of {
            known.made_of(&upper, &name(&below));
        }
        if let Some(other) = id.preferred_blk_path.strip_prefix("/dev/") {
            known.alias(other, &upper);
        }
    }
}

fn hostname(text: &str, found: &mut Found) {
    let name = text.trim();
    if !name.is_empty() && name.len() <= 255 && !name.contains(char::is_whitespace) {
        found.given.hostname = name.to_owned();
    }
}

/// `btime 1795255200`.
fn boot_time(text: &str, found: &mut Found) {
    let seconds = text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<i64>().ok());
    found.given.started_us = seconds.and_then(|seconds| seconds.checked_mul(1_000_000));
}

/// `Time zone: Europe/Berlin (CET, +0100)`.
fn zone(text: &str, found: &mut Found) {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Time zone: "));
    let Some((name, rest)) = line.and_then(|line| line.split_once(" (")) else { return };
    let offset = || {
        let number = rest.split_once(", ")?.1.strip_suffix(')')?;
        let minutes: i32 =
            number.get(1..3)?.parse::<i32>().ok()? * 60 + number.get(3..5)?.parse::<i32>().ok()?;
        let seconds = if number.starts_with('-') { -minutes } else { minutes } * 60;
        Some(TimeZone::fixed(Offset::from_seconds(seconds).ok()?))
    };
    found.zone = TimeZone::get(name).ok().or_else(offset);
}
