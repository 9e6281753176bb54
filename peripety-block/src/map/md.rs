//! Arrays of md, by what sysfs shows of them (Documentation/admin-guide/md.rst of the kernel).

use std::{num::NonZeroU64, path::Path};

use peripety_model::Dev;

use super::{Algorithm, Kind, Layout, Member, Raid10, Raid456, Role, Segment, Space, kib, raid0};
use crate::{attr, files::Files};

/// The most members of an array that are read.
const MEMBERS_MAX: u64 = 4096;

/// What sysfs shows of an array.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Array {
    /// `raid5` …
    pub level: String,
    /// How it is laid out, or is going to be.
    pub shape: Shape,
    /// While it is reshaped: how it was, and how far that is.
    pub reshape: Option<Reshape>,
    /// Sectors of the array.
    pub size: u64,
    /// Sectors of each member that are used.
    pub dev_sectors: u64,
    /// Its active members.
    pub members: Vec<ArrayMember>,
}

/// Numbers that say where a sector is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The number of the layout: which one depends on the level.
    pub layout: u64,
    /// Sectors of a chunk.
    pub chunk: u64,
    /// Members.
    pub disks: u64,
}

/// A change of the shape that is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reshape {
    /// The shape before.
    pub before: Shape,
    /// How far it is.
    pub position: u64,
    /// Whether it goes from the end to the start.
    pub backwards: bool,
}

/// A member of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayMember {
    /// Which one.
    pub slot: u64,
    /// The device.
    pub dev: Dev,
    /// Where its data begins.
    pub offset: u64,
    /// Where its data begins in the new shape.
    pub new_offset: u64,
    /// Sectors of data.
    pub size: u64,
}

/// A number, or `NEW (OLD)` while the array is being reshaped.
fn pair(text: &str) -> Option<(u64, u64)> {
    let mut words = text.split_ascii_whitespace();
    let new = words.next()?.parse().ok()?;
    let old = words.next().and_then(|old| old.trim_matches(['(', ')']).parse().ok());
    Some((new, old.unwrap_or(new)))
}

impl Array {
    /// Reads the array with this directory in sysfs; none when there is none.
    pub fn read(files: &Files, dir: &Path) -> Option<Self> {
        let md = dir.join("md");
        let text = |name: &str| attr::text(files, &md.join(name));
        let numbers = |name: &str| text(name).and_then(|text| pair(&text)).unwrap_or_default();
        let (layout, chunk, disks) = (numbers("layout"), numbers("chunk_size"), numbers("raid_disks"));
        let shape = Shape { layout: layout.0, chunk: chunk.0 / 512, disks: disks.0 };
        let position = text("reshape_position").and_then(|text| text.parse().ok());
        let reshape = position.map(|position| Reshape {
            before: Shape { layout: layout.1, chunk: chunk.1 / 512, disks: disks.1 },
            position,
            backwards: text("reshape_direction").is_some_and(|direction| direction == "backwards"),
        });
        let members = attr::names(files, &md).into_iter().filter(|name| name.starts_with("dev-"));
        Some(Self {
            level: text("level")?,
            shape,
            reshape,
            size: attr::parsed(files, &dir.join("size"))?,
            dev_sectors: numbers("component_size").0.saturating_mul(2),
            members: members.filter_map(|name| ArrayMember::read(files, &md.join(name))).collect(),
        })
    }

    /// How the array lies on its members.
    ///
    /// # Errors
    ///
    /// In words what is not known of it.
    pub fn layout(&self) -> Result<Layout, String> {
        let unknown = |shape: &Shape| {
            format!(
                "the layout of this {} array is not known here (layout {}, chunk {}, {} members)",
                self.level,
                shape.layout,
                kib(shape.chunk),
                shape.disks
            )
        };
        let of = |shape: &Shape, new: bool| self.segments(shape, new).ok_or_else(|| unknown(shape));
        let Some(reshape) = &self.reshape else { return Ok(Layout { segments: of(&self.shape, false)? }) };
        let (low, high) = if reshape.backwards {
            (of(&reshape.before, false)?, of(&self.shape, true)?)
        } else {
            (of(&self.shape, true)?, of(&reshape.before, false)?)
        };
        let low = low.into_iter().filter_map(|segment| part(segment, 0, reshape.position));
        let high = high.into_iter().filter_map(|segment| part(segment, reshape.position, u64::MAX));
        Ok(Layout { segments: low.chain(high).collect() })
    }

    fn segments(&self, shape: &Shape, new: bool) -> Option<Vec<Segment>> {
        if shape.disks > MEMBERS_MAX {
            return None;
        }
        let slots: Vec<Option<&ArrayMember>> =
            (0..shape.disks).map(|slot| self.members.iter().find(|m| m.slot == slot)).collect();
        let member = |found: &Option<&ArrayMember>| Member {
            space: found.map(|m| Space::Device(m.dev)),
            start: found.map_or(0, |m| if new { m.new_offset } else { m.offset }),
            len: None,
        };
        let members: Vec<Member> = slots.iter().map(member).collect();
        let chunk = NonZeroU64::new(shape.chunk);
        let kind = match self.level.as_str() {
            "raid1" | "multipath" => Kind::Same(Role::Copy),
            "linear" => return linear(&slots, chunk),
            "raid0" => {
                let sized: Option<Vec<(Member, u64)>> =
                    slots.iter().map(|slot| slot.map(|m| (member(slot), m.size))).collect();
                return Some(raid0::zones(&sized?, chunk?, shape.layout == 1));
            }
            "raid4" | "raid5" | "raid6" => {
                let level = self.level.strip_prefix("raid")?.parse().ok()?;
                Kind::Raid456(Raid456 { chunk: chunk?, algorithm: Algorithm::of_md(level, shape.layout)? })
            }
            "raid10" => Kind::Raid10(Raid10::of_md(shape.layout, shape.disks, chunk?, self.dev_sectors)?),
            _ => return None,
        };
        let chunk = if matches!(kind, Kind::Same(_)) { None } else { chunk };
        let chunk = chunk.map(|chunk| format!(", chunk {}", kib(chunk.get()))).unwrap_or_default();
        let how = format!("{} over {}{chunk}", self.level, shape.disks);
        Some(vec![Segment::new(0, self.size, kind, members, how)])
    }
}

/// One member after the other, each rounded down to whole chunks.
fn linear(slots: &[Option<&ArrayMember>], chunk: Option<NonZeroU64>) -> Option<Vec<Segment>> {
    let mut start = 0_u64;
    let mut segments = Vec::new();
    for member in slots {
        let member = (*member)?;
        let len = chunk.map_or(member.size, |chunk| member.size / chunk * chunk.get());
        let at = Member::at(member.dev, member.offset);
        segments.push(Segment::new(start, len, Kind::Same(Role::Data), vec![at], "linear"));
        start = start.checked_add(len)?;
    }
    Some(segments)
}

/// The part of a segment from one sector to another. Between two notes of how far a reshape is, it is further than it says.
fn part(mut segment: Segment, from: u64, to: u64) -> Option<Segment> {
    let end = segment.start.saturating_add(segment.len).min(to);
    let start = segment.start.max(from);
    segment.base = segment.base.saturating_add(start - segment.start);
    segment.len = end.checked_sub(start).filter(|len| *len > 0)?;
    segment.start = start;
    segment.how = format!("{}, being reshaped", segment.how);
    Some(segment.uncertain())
}

impl ArrayMember {
    fn read(files: &Files, dir: &Path) -> Option<Self> {
        let number = |name: &str| attr::parsed::<u64>(files, &dir.join(name));
        let state = attr::text(files, &dir.join("state")).unwrap_or_default();
        // A replacement has the slot of the member that it is going to replace.
        if state.split(',').any(|word| matches!(word, "faulty" | "replacement" | "spare")) {
            return None;
        }
        let offset = number("offset").unwrap_or(0);
        Some(Self {
            slot: number("slot")?,
            dev: attr::parsed(files, &dir.join("block/dev"))?,
            offset,
            new_offset: number("new_offset").unwrap_or(offset),
            size: number("size").unwrap_or(0).saturating_mul(2),
        })
    }
}
