//! `prpt info --map` and `prpt info FILE`: where a sector or a file lies.

use std::{collections::BTreeMap, path::Path, str::FromStr};

use serde::Serialize;

use super::blk_text;
use crate::{
    block::{
        BlkCache, BlkInfo,
        map::{self, LiveMap, Range, Role, Space, Step, Tables as _, kernel::Kernel},
    },
    roots::Roots,
    text::printable,
};

/// Some sectors, as the command line names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sectors {
    first: u64,
    count: u64,
}

impl FromStr for Sectors {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, count) = text.split_once('+').unwrap_or((text, "1"));
        let number = |text: &str| {
            text.parse::<u64>().map_err(|_| {
                format!(
                    "'{text}' is no number of a sector; a sector of 512 bytes is meant, as in 2048 or 2048+8"
                )
            })
        };
        let sectors = Self { first: number(first)?, count: number(count)? };
        if sectors.count == 0 {
            Err("no sector is asked for: the count is 0".to_owned())
        } else {
            Ok(sectors)
        }
    }
}

/// Answers about the devices of a machine.
pub(super) struct Maps<'a> {
    live: LiveMap<Kernel>,
    cache: &'a BlkCache,
}

/// What some sectors of a device lie on, and what is made of them.
#[derive(Debug, Serialize)]
pub(super) struct OfSectors {
    /// The device that was asked about.
    device: String,
    sector: u64,
    sectors: u64,
    /// What lies on them: a filesystem and where it is mounted.
    #[serde(skip_serializing_if = "String::is_empty")]
    holds: String,
    /// Where they lie.
    below: Vec<Place>,
    /// Why it is not known where they lie.
    #[serde(skip_serializing_if = "String::is_empty")]
    below_unknown: String,
    /// What they are part of.
    above: Vec<Place>,
    /// Why it is not known what they are part of.
    #[serde(skip_serializing_if = "String::is_empty")]
    above_unknown: String,
}

/// Some sectors, one step further down or up.
#[derive(Debug, Serialize)]
struct Place {
    /// `/dev/sda`, or `btrfs:UUID` for the logical addresses of a btrfs.
    device: String,
    /// The device's number, or again `btrfs:UUID`.
    dev: Space,
    sector: u64,
    sectors: u64,
    role: Role,
    certain: bool,
    /// How the one lies on the other.
    how: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    holds: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    unknown: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    next: Vec<Place>,
}

/// Where a file lies.
#[derive(Debug, Serialize)]
pub(super) struct OfFile {
    path: String,
    /// Why nothing is known of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    unknown: String,
    extents: usize,
    /// Bytes that have a place.
    bytes: u64,
    /// Bytes that have none, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unplaced: BTreeMap<&'static str, u64>,
    /// Bytes on each disk below, by what they are there: a copy, a path and parity count too.
    disks: Vec<OnDisk>,
    /// The extents, the first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    first: Vec<Piece>,
    /// Extents that have a place.
    #[serde(skip)]
    placed: usize,
}

#[derive(Debug, Serialize)]
struct OnDisk {
    device: String,
    role: Role,
    certain: bool,
    bytes: u64,
    first_sector: u64,
    last_sector: u64,
}

/// An extent: bytes of the file, and where it begins on what it lies on.
#[derive(Debug, Serialize)]
struct Piece {
    offset: u64,
    bytes: u64,
    device: String,
    sector: u64,
}

/// Extents that are listed one by one.
const LISTED: usize = 32;
/// Extents that are followed down to the disks.
const FOLLOWED: usize = 16 * 1024;

impl<'a> Maps<'a> {
    pub(super) fn new(roots: &Roots, cache: &'a BlkCache) -> Self {
        let block = roots.block();
        let live = LiveMap::new(&block, cache, Kernel { dev: block.dev.clone() });
        Self { live, cache }
    }

    pub(super) fn sectors(&self, info: &BlkInfo, sectors: Sectors) -> OfSectors {
        let range = Range { space: Space::Device(info.id.dev), sector: sectors.first, len: sectors.count };
        let mut of = self.range(range);
        if let Some(size) = info.id.size_sectors.filter(|size| size.0 < range.end()) {
            let more =
                if of.below_unknown.is_empty() { String::new() } else { format!("; {}", of.below_unknown) };
            of.below_unknown = format!("the device has only {size} sectors{more}");
        }
        of
    }

    /// The same of the logical addresses of a btrfs, if that is what the name names.
    pub(super) fn of_btrfs(&self, name: &str, sectors: Sectors) -> Option<OfSectors> {
        let space = name.parse().ok().filter(|space| matches!(space, Space::Btrfs(_)))?;
        Some(self.range(Range { space, sector: sectors.first, len: sectors.count }))
    }

    fn range(&self, range: Range) -> OfSectors {
        let (mut below, mut above) = (map::down(&self.live, range), map::up(&self.live, range));
        let places = |steps: &[Step]| steps.iter().map(|step| self.place(step)).collect();
        OfSectors {
            device: self.name(range.space),
            sector: range.sector,
            sectors: range.len,
            holds: self.holds(&range),
            below: places(&below.steps),
            below_unknown: std::mem::take(&mut below.unknown),
            above: places(&above.steps),
            above_unknown: std::mem::take(&mut above.unknown),
        }
    }

    /// Where a file lies; none when the name is of none.
    pub(super) fn file(&self, name: &str) -> Option<OfFile> {
        let path = Path::new(name);
        if !std::fs::metadata(path).is_ok_and(|meta| meta.is_file()) {
            return None;
        }
        let mut of = OfFile {
            path: name.to_owned(),
            unknown: String::new(),
            extents: 0,
            bytes: 0,
            unplaced: BTreeMap::new(),
            disks: Vec::new(),
            first: Vec::new(),
            placed: 0,
        };
        match self.live.tables().extents(path) {
            Ok(found) => self.add(&mut of, &found),
            Err(error) => of.unknown = error.to_string(),
        }
        Some(of)
    }

    fn add(&self, of: &mut OfFile, found: &map::FileMap) {
        const SECTOR: u64 = 512;
        of.extents = found.extents.len();
        if !found.complete || found.extents.len() > FOLLOWED {
            of.unknown = format!("only its first {FOLLOWED} extents are followed down");
        }
        let mut disks: BTreeMap<(Space, &str, bool), OnDisk> = BTreeMap::new();
        for extent in &found.extents {
            if let Some(why) = extent.unplaced() {
                *of.unplaced.entry(why).or_default() += extent.len;
                continue;
            }
            of.bytes = of.bytes.saturating_add(extent.len);
            let range =
                Range { space: found.space, sector: extent.physical / SECTOR, len: extent.len / SECTOR };
            if of.first.len() < LISTED {
                let (device, sector) = (self.name(found.space), range.sector);
                of.first.push(Piece { offset: extent.logical, bytes: extent.len, device, sector });
            }
            of.placed += 1;
            if of.placed > FOLLOWED {
                continue;
            }
            let walked = map::down(&self.live, range);
            for (role, leaf) in walked.leaves() {
                if !leaf.unknown.is_empty() {
                    of.unknown.clone_from(&leaf.unknown);
                }
                let Range { space, sector, len } = leaf.range;
                let last = sector.saturating_add(len.saturating_sub(1));
                let disk = disks.entry((space, role.as_str(), leaf.certain)).or_insert_with(|| OnDisk {
                    device: self.name(space),
                    role,
                    certain: leaf.certain,
                    bytes: 0,
                    first_sector: sector,
                    last_sector: last,
                });
                disk.bytes = disk.bytes.saturating_add(len.saturating_mul(SECTOR));
                disk.first_sector = disk.first_sector.min(sector);
                disk.last_sector = disk.last_sector.max(last);
            }
        }
        of.disks = disks.into_values().collect();
    }

    fn place(&self, step: &Step) -> Place {
        Place {
            device: self.name(step.range.space),
            dev: step.range.space,
            sector: step.range.sector,
            sectors: step.range.len,
            role: step.role,
            certain: step.certain,
            how: step.how.clone(),
            holds: self.holds(&step.range),
            unknown: step.unknown.clone(),
            next: step.steps.iter().map(|step| self.place(step)).collect(),
        }
    }

    fn info(&self, space: Space) -> Option<std::sync::Arc<BlkInfo>> {
        match space {
            Space::Device(dev) => crate::block::DeviceFacts::by_dev(self.cache, dev, None),
            Space::Btrfs(_) => None,
        }
    }

    fn name(&self, space: Space) -> String {
        self.info(space).map_or_else(|| space.to_string(), |info| info.id.name())
    }

    /// The filesystem that has these sectors, and where in it they are.
    fn holds(&self, range: &Range) -> String {
        let Some(info) = self.info(range.space) else { return String::new() };
        let id = &info.id;
        if id.fs_type.is_empty() || id.fs_type.ends_with("_member") || id.fs_type == "btrfs" {
            return String::new();
        }
        let on = if id.mount_points.is_empty() {
            String::new()
        } else {
            format!(" on {}", id.mount_points.join(", "))
        };
        format!("{}{on}, byte {}", id.fs_type, range.sector.saturating_mul(512))
    }
}

fn sectors(first: u64, count: u64) -> String {
    if count == 1 { format!("sector {first}") } else { format!("sectors {first}+{count}") }
}

impl OfSectors {
    pub(super) fn text(&self) -> String {
        let holds = if self.holds.is_empty() { String::new() } else { format!("  ({})", self.holds) };
        let mut text = format!("{} {}{holds}\n", self.device, sectors(self.sector, self.sectors));
        for (title, none, places, unknown) in [
            ("Lies on", "nothing below: this is the disk", &self.below, &self.below_unknown),
            ("Part of", "nothing is made of it", &self.above, &self.above_unknown),
        ] {
            text.push_str(&format!("  {title}\n"));
            if places.is_empty() && unknown.is_empty() {
                text.push_str(&format!("    {none}\n"));
            }
            let mut open: Vec<(usize, &Place)> = places.iter().rev().map(|place| (0, place)).collect();
            while let Some((depth, place)) = open.pop() {
                text.push_str(&place.line(4 + 2 * depth));
                open.extend(place.next.iter().rev().map(|next| (depth + 1, next)));
            }
            if !unknown.is_empty() {
                text.push_str(&format!("    not known: {unknown}\n"));
            }
        }
        // The lines are ours, the names in them are not.
        text.lines().map(|line| printable(line).into_owned() + "\n").collect()
    }
}

impl Place {
    fn line(&self, indent: usize) -> String {
        let role = if self.role == Role::Data { String::new() } else { format!("{} ", self.role.as_str()) };
        let maybe = if self.certain { "" } else { "perhaps " };
        let at = sectors(self.sector, self.sectors);
        let holds = if self.holds.is_empty() { String::new() } else { format!("; {}", self.holds) };
        let mut line = format!("{:indent$}{maybe}{role}{} {at}  ({}{holds})\n", "", self.device, self.how);
        if !self.unknown.is_empty() {
            line.push_str(&format!("{:indent$}  not known: {}\n", "", self.unknown));
        }
        line
    }
}

impl OfFile {
    pub(super) fn text(&self) -> String {
        let size = |bytes: u64| blk_text::size(crate::event::Sectors(bytes.div_ceil(512)));
        let mut text = format!("  File {}: {} in {} extents\n", self.path, size(self.bytes), self.extents);
        for disk in &self.disks {
            let maybe = if disk.certain { "" } else { "perhaps " };
            text.push_str(&format!(
                "    {maybe}{} on {} between sectors {} and {} ({})\n",
                size(disk.bytes),
                disk.device,
                disk.first_sector,
                disk.last_sector,
                disk.role.as_str()
            ));
        }
        for (why, bytes) in &self.unplaced {
            text.push_str(&format!("    {} {why}\n", size(*bytes)));
        }
        for piece in &self.first {
            let Piece { offset, bytes, device, sector } = piece;
            text.push_str(&format!("    byte {offset}, {}: {device} sector {sector}\n", size(*bytes)));
        }
        if self.first.len() < self.placed {
            text.push_str("    …\n");
        }
        if !self.unknown.is_empty() {
            text.push_str(&format!("    not known: {}\n", self.unknown));
        }
        text.lines().map(|line| printable(line).into_owned() + "\n").collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_are_a_number_and_a_count() {
        assert_eq!("2048".parse(), Ok(Sectors { first: 2048, count: 1 }));
        assert_eq!("2048+8".parse(), Ok(Sectors { first: 2048, count: 8 }));
        for wrong in ["", "x", "1+", "+1", "1+0", "-1", "1+2+3", "99999999999999999999"] {
            assert!(wrong.parse::<Sectors>().is_err(), "{wrong}");
        }
    }
}
