//! Tables that commands print: lsblk, multipath -ll, /proc/mounts.

use crate::{
    block::{BlkId, BlkType, Dev, Hctl, mountinfo::unescape},
    offline::devices::{Known, of_map},
};

/// Mount points of a device that are kept.
const MOUNT_POINTS_MAX: usize = 256;

/// Kind by lsblk's TYPE column.
const TYPES: &[(&str, BlkType)] = &[
    ("part", BlkType::Partition),
    ("lvm", BlkType::DmLvm),
    ("mpath", BlkType::DmMultipath),
    ("crypt", BlkType::DmCrypt),
    ("rom", BlkType::ScsiRom),
    ("loop", BlkType::Loop),
    ("raid0", BlkType::Md),
    ("raid1", BlkType::Md),
    ("raid4", BlkType::Md),
    ("raid5", BlkType::Md),
    ("raid6", BlkType::Md),
    ("raid10", BlkType::Md),
    ("dm", BlkType::Dm),
];

/// The tree of lsblk: indented by what a device lies on. With `-O`, `-P` or a list there is no tree, and nothing is read.
pub(super) fn lsblk(text: &str, known: &mut Known) {
    let mut lines = text.lines();
    let Some(head) = lines.find(|line| line.contains("MAJ:MIN") && line.trim_start().starts_with("NAME"))
    else {
        return;
    };
    let columns: Vec<&str> = head.split_whitespace().collect();
    let place = |name: &str| columns.iter().position(|column| *column == name);
    let (Some(number), Some(kind)) = (place("MAJ:MIN"), place("TYPE")) else { return };
    let mounted = place("MOUNTPOINT").or_else(|| place("MOUNTPOINTS")).filter(|at| at + 1 == columns.len());
    // Names by depth, with the depth of each.
    let mut above: Vec<(usize, String)> = Vec::new();
    let mut last = String::new();
    for line in lines {
        let is_drawing = |c: char| matches!(c, ' ' | '│' | '├' | '└' | '─' | '|' | '`' | '-');
        let depth = line.chars().take_while(|c| is_drawing(*c)).count();
        let rest = line.trim_start_matches(is_drawing);
        let words: Vec<&str> = rest.split_whitespace().collect();
        let Some(dev) = words.get(number).and_then(|word| word.parse::<Dev>().ok()) else {
            // Another mount point of the device before.
            if let (Some(point), Some(node)) = (rest.strip_prefix('/'), known.node(&last)) {
                add_mount_point(&mut node.id, format!("/{}", point.trim_end()));
            }
            continue;
        };
        let Some(shown) = words.first() else { continue };
        let kind = words
            .get(kind)
            .and_then(|word| TYPES.iter().find(|(name, _)| name == word))
            .map(|(_, kind)| *kind);
        let is_dm = kind.is_some_and(|kind| {
            matches!(kind, BlkType::DmLvm | BlkType::DmMultipath | BlkType::DmCrypt | BlkType::Dm)
        }) || (kind == Some(BlkType::Partition) && known.naming.dm_major == Some(dev.major));
        let name = if is_dm { format!("dm-{}", dev.minor) } else { (*shown).to_owned() };
        if is_dm {
            known.naming.dm_major = Some(dev.major);
        }
        known.set_dev(&name, dev);
        if let (true, Some(node)) = (is_dm, known.node(&name)) {
            of_map(&mut node.id, shown, kind.unwrap_or(BlkType::Dm));
            let path = node.id.preferred_blk_path.clone();
            known.alias(path.strip_prefix("/dev/").unwrap_or(&path), &name);
            known.alias(&format!("mapper/{shown}"), &name);
        } else if let (Some(kind), Some(node)) = (kind, known.node(&name)) {
            node.id.blk_type = kind;
        }
        let point = mounted.and_then(|at| words.get(at..)).map(|words| words.join(" "));
        if let (Some(point), Some(node)) =
            (point.filter(|p| p.starts_with('/') || p == "[SWAP]"), known.node(&name))
        {
            add_mount_point(&mut node.id, point);
        }
        above.retain(|(deep, _)| *deep < depth);
        if let Some((_, lower)) = above.last() {
            let lower = lower.clone();
            known.made_of(&name, &lower);
        }
        above.push((depth, name.clone()));
        last = name;
    }
}

/// `mpatha (36001405…) dm-0 LIO-ORG,disk1` and `| `- 2:0:0:1 sdb 8:16 active ready running`.
pub(super) fn multipath(text: &str, known: &mut Known) {
    let mut map: Option<String> = None;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let path = words.windows(3).find_map(|three| match three {
            [hctl, name, dev] => Some((hctl.parse::<Hctl>().ok()?, *name, dev.parse::<Dev>().ok()?)),
            _ => None,
        });
        if let Some((hctl, name, dev)) = path {
            known.set_dev(name, dev);
            known.set_hctl(name, hctl);
            if let Some(map) = &map {
                known.made_of(map, name);
            }
            continue;
        }
        let Some(at) = words.iter().position(|word| word.starts_with("dm-")) else { continue };
        let (Some(dm), Some(name)) = (words.get(at), words.first()) else { continue };
        if line.starts_with([' ', '|', '`']) || known.node(dm).is_none() {
            continue;
        }
        let wwid = words.get(1).and_then(|word| word.strip_prefix('(')?.strip_suffix(')')).unwrap_or(name);
        if let Some(node) = known.node(dm) {
            of_map(&mut node.id, name, BlkType::DmMultipath);
            if node.id.wwid.is_empty() {
                node.id.wwid = format!("mpath-{wwid}");
            }
        }
        if let Some((vendor, model)) = words.get(at + 1).and_then(|word| word.split_once(','))
            && let Some(node) = known.node(dm)
        {
            node.id.vendor = vendor.to_owned();
            node.id.model = model.to_owned();
        }
        known.alias(&format!("mapper/{name}"), dm);
        map = Some((*dm).to_owned());
    }
}

/// `/dev/mapper/vg-lv /data xfs rw,relatime 0 0`.
pub(super) fn mounts(text: &str, known: &mut Known) {
    for line in text.lines() {
        let mut words = line.split(' ');
        let (Some(source), Some(point), Some(fs_type)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let Some(name) = source.starts_with("/dev/").then(|| known.kernel_name(source)).flatten() else {
            continue;
        };
        let point = String::from_utf8_lossy(&unescape(point.as_bytes())).into_owned();
        let Some(node) = known.node(&name) else { continue };
        node.id.fs_type = fs_type.to_owned();
        add_mount_point(&mut node.id, point);
    }
}

fn add_mount_point(id: &mut BlkId, point: String) {
    if id.mount_points.len() < MOUNT_POINTS_MAX && !id.mount_points.contains(&point) {
        id.mount_points.push(point);
    }
}
