//! From any form of name that a user may give to a block device.
//!
//! What a name can be, in the order in which it is tried; the first form that knows the name decides:
//!
//! | form | example |
//! |---|---|
//! | device number | `8:16` |
//! | SCSI address | `4:0:0:1` |
//! | NVMe controller and namespace id | `nvme0:1`, `nvme0 1`, `nvme0 nsid 1` |
//! | tag | `UUID=…`, `LABEL=…`, `PARTUUID=…`, `PARTLABEL=…`, `ID=…`, `WWID=…`, `SERIAL=…` |
//! | number as the kernel or stat(2) encode it | `0x800010`, `8388624`, `2064` |
//! | kernel name, path or link below /dev | `sda1`, `/dev/mapper/mpatha`, `disk/by-id/…`, `vg/lv` |
//! | path of anything else | a mount point, a file on it (as with `df`), the file behind a loop device |
//! | name of a map | `mpatha`, `vg-lv` |
//! | UUID, world wide id in any spelling, label, serial number | |
//!
//! An encoded number: `0x` with more than eight digits is a world wide id. Below 1048576 (major 0 to the kernel) it is
//! `st_rdev` of stat(2); from there on the kernel's `major << 20 | minor`, or, when no such device is there but one with
//! that `st_rdev` is, that one.

use std::{
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{BlkCache, BlkInfo, Dev, DeviceFacts, Hctl, cache::natural, transport, wwid};

/// Why a name leads to no block device.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Nothing was given.
    #[error("the name of a block device is empty")]
    Empty,
    /// Nothing has this name.
    #[error("no block device is called '{name}' (tried as {tried}){near}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// Forms that were tried, for a human.
        tried: String,
        /// What may have been meant: empty, or `, did you mean …?`
        near: String,
    },
    /// Several devices have it.
    #[error("'{name}' names several block devices: {candidates}; say which")]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The devices.
        candidates: String,
    },
    /// The path is there, but no block device is behind it.
    #[error(
        "'{path}' is on {fs_type}, which lies on no block device; name a device or a mount point of a disk filesystem"
    )]
    NoDevice {
        /// What was asked for.
        path: String,
        /// Type of the filesystem.
        fs_type: String,
    },
    /// The path is something else.
    #[error("'{path}' is a {what}, not a block device")]
    NotBlock {
        /// What was asked for.
        path: String,
        /// `character device` …
        what: &'static str,
    },
    /// An NVMe controller is no block device.
    #[error("'{name}' is an NVMe controller, not a block device; {hint}")]
    Controller {
        /// What was asked for.
        name: String,
        /// Its namespaces.
        hint: String,
    },
    /// The path cannot be looked at.
    #[error("cannot look at '{path}': stat failed: {source}; check the path and your permissions")]
    Stat {
        /// Path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Device number of a block device node; none when it is not there or is something else.
pub(super) fn block_node(path: &Path) -> Option<Dev> {
    let meta = path.metadata().ok()?;
    meta.file_type().is_block_device().then(|| Dev::from_user(meta.rdev()))
}

type Answer = Result<Option<Arc<BlkInfo>>, ResolveError>;

/// One form that a name can have.
struct Form {
    /// What it is called in the message that nothing was found.
    called: &'static str,
    /// Whether the name can be of this form at all: only such a form counts as tried.
    fits: fn(&str) -> bool,
    /// `Ok(None)` when nothing has the name.
    find: fn(&BlkCache, &str) -> Answer,
    /// A name of this form can be of no other.
    only: bool,
}

impl Form {
    const fn only(called: &'static str, fits: fn(&str) -> bool, find: fn(&BlkCache, &str) -> Answer) -> Self {
        Self { called, fits, find, only: true }
    }

    const fn or(called: &'static str, fits: fn(&str) -> bool, find: fn(&BlkCache, &str) -> Answer) -> Self {
        Self { called, fits, find, only: false }
    }
}

const FORMS: &[Form] = &[
    Form::only("device number", |name| name.parse::<Dev>().is_ok(), by_number),
    Form::only("SCSI address", |name| name.parse::<Hctl>().is_ok(), by_kernel_name),
    Form::only("NVMe namespace", |name| namespace(name).is_some(), by_namespace),
    Form::only("tag", |name| tag(name).is_some(), by_tag),
    Form::or("encoded number", |name| encoded(name).is_some(), by_encoded),
    Form::or("kernel name", |name| !name.contains('/'), by_kernel_name),
    Form::or("path below /dev", |_| true, by_dev_path),
    Form::or("path", |name| name.contains('/') || name == ".", by_path),
    Form::or("map name", |name| !name.contains('/'), by_map_name),
    Form::or("UUID", |name| name.len() >= 8 && !name.contains('/'), by_uuid),
    Form::or("WWID", |name| name.len() >= 8, by_wwid),
    Form::or("label", |name| !name.starts_with('/'), by_label),
    Form::or("serial number", |name| name.len() >= 4 && !name.contains('/'), by_serial),
];

impl BlkCache {
    /// The block device of this name, in any of the forms at the top of this file.
    ///
    /// Looks at files (`stat` of a path that was given), so it is not for the event path.
    ///
    /// ```
    /// # #[cfg(feature = "fixture")] {
    /// # let devices = peripety_block::fixture::multipath().scan();
    /// // A multipath map and its paths have one id: the map is what is meant.
    /// assert_eq!(devices.resolve("360014005aa0000000000000000000001")?.id.blk_path, "/dev/dm-0");
    /// assert_eq!(devices.resolve("8:16")?.id.blk_path, "/dev/sdb");
    /// let volume = devices.resolve("vg0/root-lv")?;
    /// assert_eq!(volume.id.mount_points, ["/srv/my data", "/bind"]);
    /// # }
    /// # Ok::<(), peripety_block::ResolveError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When nothing or more than one device has the name; the message says what to do.
    pub fn resolve(&self, name: &str) -> Result<Arc<BlkInfo>, ResolveError> {
        let name = name.trim();
        if name.is_empty() {
            return Err(ResolveError::Empty);
        }
        let mut tried = Vec::new();
        for form in FORMS.iter().filter(|form| (form.fits)(name)) {
            if let Some(info) = (form.find)(self, name)? {
                return Ok(info);
            }
            tried.push(form.called);
            if form.only {
                break;
            }
        }
        if transport::is_nvme_controller(name) {
            return Err(ResolveError::Controller { name: name.to_owned(), hint: self.namespaces_of(name) });
        }
        Err(ResolveError::Unknown { name: name.to_owned(), tried: tried.join(", "), near: self.near(name) })
    }

    fn namespaces_of(&self, controller: &str) -> String {
        let mut found = Vec::new();
        for (info, nvme) in self.nvme() {
            found.extend(
                nvme.iter()
                    .filter(|(c, _)| c == controller)
                    .map(|(_, nsid)| format!("{nsid} is {}", info.id.blk_path)),
            );
        }
        if found.is_empty() {
            "no namespace of it is known".to_owned()
        } else {
            format!("add a namespace id, as in '{controller}:1' (namespace {})", found.join(", "))
        }
    }

    /// Names that are close to this one: a few at most.
    fn near(&self, name: &str) -> String {
        let base = name.rsplit('/').next().unwrap_or(name).to_lowercase();
        let mut known: Vec<String> = Vec::new();
        for info in self.all() {
            for path in
                [&info.id.blk_path, &info.id.preferred_blk_path].into_iter().chain(&info.id.mount_points)
            {
                let candidate = path.strip_prefix("/dev/").unwrap_or(path);
                if !known.iter().any(|k| k == candidate) {
                    known.push(candidate.to_owned());
                }
            }
        }
        let mut close: Vec<(usize, String)> = known
            .into_iter()
            .map(|k| (distance(&base, &k.rsplit('/').next().unwrap_or(&k).to_lowercase()), k))
            .filter(|(distance, _)| *distance <= 1 + base.chars().count() / 6)
            .collect();
        close.sort_by_cached_key(|(distance, k)| (*distance, natural(k)));
        let names: Vec<String> = close.into_iter().take(3).map(|(_, k)| k).collect();
        if names.is_empty() { String::new() } else { format!(", did you mean {}?", names.join(" or ")) }
    }
}

/// How many characters must be changed, added or taken to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, pair) in b.iter().zip(row.windows(2)) {
            let [diagonal, above] = *pair else { continue };
            left = (diagonal + usize::from(x != *y)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

fn by_number(cache: &BlkCache, name: &str) -> Answer {
    Ok(name.parse().ok().and_then(|dev| cache.by_dev(dev, None)).filter(is_live))
}

fn by_kernel_name(cache: &BlkCache, name: &str) -> Answer {
    Ok(cache.by_name(name, None).filter(is_live))
}

/// The CLI asks about what is there; the cache also knows what was.
fn is_live(info: &Arc<BlkInfo>) -> bool {
    info.id.identity == super::Identity::Live
}

/// Controller and namespace id of `nvme0:1`, `nvme0 1`, `nvme0 nsid 1`, `nvme0 ns 1`.
fn namespace(name: &str) -> Option<(String, u32)> {
    let mut words = name.split([':', ' ']).filter(|word| !word.is_empty());
    let controller = words.next().filter(|word| transport::is_nvme_controller(word))?;
    let id = match (words.next()?, words.next()) {
        ("nsid" | "ns" | "namespace", Some(id)) => id,
        (id, None) => id,
        _ => return None,
    };
    words.next().is_none().then(|| id.parse().ok().map(|id| (controller.to_owned(), id)))?
}

fn by_namespace(cache: &BlkCache, name: &str) -> Answer {
    let Some(wanted) = namespace(name) else { return Ok(None) };
    Ok(cache.nvme().into_iter().find(|(_, nvme)| nvme.contains(&wanted)).map(|(info, _)| info))
}

/// A bare number: decimal, or hexadecimal with `0x` and at most eight digits.
fn encoded(name: &str) -> Option<u32> {
    match name.strip_prefix("0x").or_else(|| name.strip_prefix("0X")) {
        Some(hex) if !hex.is_empty() && hex.len() <= 8 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
            u32::from_str_radix(hex, 16).ok()
        }
        Some(_) => None,
        None if name.bytes().all(|b| b.is_ascii_digit()) => name.parse().ok(),
        None => None,
    }
}

fn by_encoded(cache: &BlkCache, name: &str) -> Answer {
    let Some(number) = encoded(name) else { return Ok(None) };
    let kernel = Dev::from_kernel(number);
    let live = |dev: Dev| (!dev.is_anonymous()).then(|| cache.by_dev(dev, None)).flatten().filter(is_live);
    Ok(live(kernel).or_else(|| live(Dev::from_user(u64::from(number)))))
}

fn by_dev_path(cache: &BlkCache, name: &str) -> Answer {
    Ok(cache.by_path_below_dev(name.strip_prefix("/dev/").unwrap_or(name)))
}

fn by_map_name(cache: &BlkCache, name: &str) -> Answer {
    Ok(["mapper", "md"].into_iter().find_map(|dir| cache.by_path_below_dev(&format!("{dir}/{name}"))))
}

/// Key and value of `UUID=…`, in any case, with or without quotes as in fstab.
fn tag(name: &str) -> Option<(String, &str)> {
    let (key, value) = name.split_once('=')?;
    let key = key.to_ascii_uppercase();
    let known = ["UUID", "LABEL", "PARTUUID", "PARTLABEL", "ID", "WWID", "SERIAL"].contains(&key.as_str());
    known.then(|| (key, value.trim_matches(['"', '\''])))
}

fn by_tag(cache: &BlkCache, name: &str) -> Answer {
    let Some((key, value)) = tag(name) else { return Ok(None) };
    let link = |dir: &str| Ok(cache.by_path_below_dev(&format!("disk/{dir}/{value}")));
    match key.as_str() {
        "UUID" => by_uuid(cache, value),
        "LABEL" => by_label(cache, value),
        "PARTUUID" => link("by-partuuid"),
        "PARTLABEL" => link("by-partlabel"),
        "SERIAL" => by_serial(cache, value),
        "ID" => Ok(link("by-id")?.or(by_wwid(cache, value)?)),
        _ => by_wwid(cache, value),
    }
}

fn by_uuid(cache: &BlkCache, name: &str) -> Answer {
    let plain = |id: &str| id.to_ascii_lowercase().replace(['-', ':'], "");
    let wanted = plain(name);
    choose(
        name,
        cache.all().into_iter().filter(|info| !info.id.uuid.is_empty() && plain(&info.id.uuid) == wanted),
    )
}

fn by_label(cache: &BlkCache, name: &str) -> Answer {
    choose(name, cache.all().into_iter().filter(|info| !name.is_empty() && info.id.label == name))
}

fn by_serial(cache: &BlkCache, name: &str) -> Answer {
    let fits = |serial: &str| !serial.is_empty() && serial.eq_ignore_ascii_case(name);
    choose(name, cache.all().into_iter().filter(|info| fits(&info.id.serial)))
}

fn by_wwid(cache: &BlkCache, name: &str) -> Answer {
    let wanted = wwid::key(name);
    // Part of an id is no id.
    let fits = |id: &str| !id.is_empty() && (id == name || (wanted.len() >= 8 && wwid::key(id) == wanted));
    choose(name, cache.all().into_iter().filter(|info| fits(&info.id.wwid)))
}

/// Of several devices the one that is made of all others (a multipath map and its paths have the same id), or any of one
/// btrfs, for its devices are equal.
fn choose(name: &str, found: impl Iterator<Item = Arc<BlkInfo>>) -> Answer {
    let found: Vec<Arc<BlkInfo>> = found.collect();
    let over_all = |info: &&Arc<BlkInfo>| {
        found
            .iter()
            .all(|other| other.id.dev == info.id.dev || info.owners.iter().any(|o| o.dev == other.id.dev))
    };
    let top = found.iter().find(over_all).cloned();
    let one_pool = |first: &Arc<BlkInfo>| {
        let pool = matches!(first.id.fs_type.as_str(), "btrfs" | "bcachefs") && !first.id.uuid.is_empty();
        pool && found.iter().all(|info| info.id.uuid == first.id.uuid)
    };
    let pool = found.first().filter(|first| one_pool(first)).cloned();
    match (top.or(pool), found.is_empty()) {
        (Some(info), _) => Ok(Some(info)),
        (None, true) => Ok(None),
        (None, false) => {
            let names: Vec<&str> = found.iter().take(8).map(|info| info.id.blk_path.as_str()).collect();
            let more = if found.len() > 8 { format!(" and {} more", found.len() - 8) } else { String::new() };
            Err(ResolveError::Ambiguous { name: name.to_owned(), candidates: names.join(", ") + &more })
        }
    }
}

/// A path of this machine: a node or link, a mount point, the file behind a loop device, or any file, which lies on the
/// device of its filesystem.
fn by_path(cache: &BlkCache, name: &str) -> Answer {
    let place = cache.place_of(Path::new(name));
    // A mount point that can no longer be looked at, for its filesystem is dead, is still known by name.
    if let Some(info) = cache.by_mount_point(Path::new(name)) {
        return Ok(Some(info));
    }
    let meta = match place.metadata() {
        Ok(meta) => meta,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(source) => return Err(ResolveError::Stat { path: PathBuf::from(name), source }),
    };
    let kind = meta.file_type();
    if kind.is_block_device() {
        return Ok(cache.by_dev(Dev::from_user(meta.rdev()), None).filter(is_live));
    }
    if kind.is_char_device() {
        return Err(ResolveError::NotBlock { path: name.to_owned(), what: "character device" });
    }
    let full =
        place.canonicalize().map_err(|source| ResolveError::Stat { path: PathBuf::from(name), source })?;
    let full = cache.seen_from_inside(&full);
    if let Some(info) = choose(name, cache.loops_of(&full).into_iter())? {
        return Ok(Some(info));
    }
    match cache.holding(&full) {
        Some((Some(info), _)) => Ok(Some(info)),
        Some((None, fs_type)) => Err(ResolveError::NoDevice { path: name.to_owned(), fs_type }),
        None => Ok(None),
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
