//! What the files of a report tell, besides its logs.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use jiff::tz::{Offset, TimeZone};

use super::{tables, udev};
use crate::{
    block::{BlkCache, Direction},
    offline::{Given, known::Known, unpack},
    roots::Roots,
};

/// Bytes of one such file.
const FILE_MAX: u64 = 64 << 20;

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
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

/// Whether the file tells something.
pub fn is_fact(path: &Path) -> bool {
    is_sysfs(path) || reader(path).is_some()
}

/// Whether the path is one of sysfs, or of udev's database, that tells of block devices.
pub fn is_sysfs(path: &Path) -> bool {
    let text = format!("/{}/", path.to_string_lossy());
    let places = [
        "/sys/block/",
        "/sys/class/block/",
        "/sys/dev/block/",
        "/sys/devices/",
        "/sys/fs/btrfs/",
        "/run/udev/data/",
    ];
    // Every device has its interrupts, power and trace: none of that names it.
    let noise = ["/power/", "/trace/", "/mq/", "/queue/", "/cpu", "/tracing/", "/msi_irqs/", "/resource"];
    let of_interest = text.contains("/block/")
        || text.contains("/host")
        || text.contains("/nvme")
        || text.contains("/virtio")
        || text.contains("/run/udev/data/")
        || text.contains("/sys/fs/btrfs/");
    places.iter().any(|place| text.contains(place)) && of_interest && !noise.iter().any(|n| text.contains(n))
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

/// Reads all files that tell something.
pub fn read(dir: &Path, files: &[PathBuf]) -> Found {
    let mut found = Found::default();
    let mut readers: Vec<(usize, &PathBuf, Reader)> =
        files.iter().filter_map(|file| reader(file).map(|(place, read)| (place, file, read))).collect();
    readers.sort_by_key(|(place, file, _)| (*place, file.as_os_str().len()));
    for (_, file, read) in readers {
        if let Some(text) = text_of(file) {
            read(&text, &mut found);
        }
    }
    let trees = [dir.to_owned()].into_iter().chain(below(dir));
    for root in trees.filter(|root| root.join("sys/class/block").is_dir()) {
        sysfs(&root, &mut found.given.devices);
    }
    found
}

fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()).take(256).collect()
}

fn text_of(file: &Path) -> Option<String> {
    let reader = unpack(std::fs::File::open(file).ok()?).ok()?;
    let mut bytes = Vec::new();
    // What can be read of a broken file is still of use.
    let _broken = reader.take(FILE_MAX).read_to_end(&mut bytes);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Devices of a whole sysfs.
fn sysfs(root: &Path, known: &mut Known) {
    let Ok(cache) = BlkCache::scan(&Roots::under(root)) else { return };
    let name = |path: &str| path.strip_prefix("/dev/").unwrap_or(path).to_owned();
    for info in cache.all() {
        let upper = name(&info.id.blk_path);
        known.set_dev(&upper, info.id.dev);
        let hctl = info.id.transport_id.parse().ok();
        if let Some(hctl) = hctl {
            known.set_hctl(&upper, hctl);
        }
        if let Some(node) = known.node(&upper) {
            node.id = info.id.clone();
        }
        for below in cache.next(info.id.dev, Direction::Owners) {
            known.made_of(&upper, &name(&below.id.blk_path));
        }
        if let Some(other) = info.id.preferred_blk_path.strip_prefix("/dev/") {
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
