//! What a kernel name reports by itself: the kind, for old drivers the number, for a partition the disk.

use crate::block::{BlkId, BlkType, Dev, blk_type};

/// Longest name of a disk (DISK_NAME_LEN).
const NAME_MAX: usize = 32;

/// Majors of SCSI disks, each for sixteen of them (drivers/scsi/sd.c, `sd_major`).
const SD_MAJORS: [u32; 16] = [8, 65, 66, 67, 68, 69, 70, 71, 128, 129, 130, 131, 132, 133, 134, 135];

/// Drivers with one fixed major: name, major, minors of each device.
const FIXED: &[(&str, u32, u32)] =
    &[("loop", 7, 1), ("md", 9, 1), ("sr", 11, 1), ("ram", 1, 1), ("nbd", 43, 32)];

/// Majors that are given out at boot, as far as the log reported.
#[derive(Clone, Debug, Default)]
pub(crate) struct Naming {
    /// Of device mapper.
    pub dm_major: Option<u32>,
}

impl Naming {
    /// All that the name reports.
    pub(crate) fn id_of(&self, name: &str) -> BlkId {
        let kind = match disk_of(name) {
            Some(_) => BlkType::Partition,
            None if is_sd(name) => BlkType::Scsi,
            None if name.starts_with("sr") => BlkType::ScsiRom,
            None => blk_type::by_name(name).unwrap_or(BlkType::Other),
        };
        let dm = || {
            let minor = name.strip_prefix("dm-")?.parse().ok().filter(|minor| *minor < 1 << 20)?;
            Some(Dev::new(self.dm_major?, minor))
        };
        BlkId {
            blk_type: kind,
            blk_path: format!("/dev/{name}"),
            dev: static_dev(name).or_else(dm).unwrap_or_default(),
            ..BlkId::default()
        }
    }

    /// The name of a number, where it can be reported.
    pub(crate) fn name_of(&self, dev: Dev) -> Option<String> {
        if self.dm_major == Some(dev.major) {
            return Some(format!("dm-{}", dev.minor));
        }
        if let Some(row) = SD_MAJORS.iter().position(|major| *major == dev.major) {
            let row = u32::try_from(row).ok()?;
            let index = (dev.minor & 0xf_ff00) | row << 4 | (dev.minor >> 4 & 0xf);
            let part = dev.minor & 0xf;
            let disk = sd_name(index);
            return Some(if part == 0 { disk } else { format!("{disk}{part}") });
        }
        let (name, _, step) = FIXED.iter().find(|(_, major, _)| *major == dev.major)?;
        dev.minor.is_multiple_of(*step).then(|| format!("{name}{}", dev.minor / step))
    }
}

/// Whether it can be the name of a disk or partition: a log may say anything where a name should be.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'!' | b'/' | b'.');
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(fits) && !name.contains("..")
}

fn is_sd(name: &str) -> bool {
    name.strip_prefix("sd").is_some_and(|rest| {
        let letters = rest.trim_end_matches(|c: char| c.is_ascii_digit());
        !letters.is_empty() && letters.len() <= 4 && letters.bytes().all(|b| b.is_ascii_lowercase())
    })
}

/// Whether the name is one of a disk or partition, by its form alone.
pub(super) fn is_block(name: &str) -> bool {
    // A controller (nvme0) is none.
    let namespace = |name: &str| name.strip_prefix("nvme").is_none_or(|rest| rest.contains('n'));
    let of = |name: &str| {
        is_name(name) && !name.contains(['/', '.']) && blk_type::by_name(name).is_some() && namespace(name)
    };
    static_dev(name).is_some() || of(name) || disk_of(name).is_some_and(|disk| is_sd(&disk) || of(&disk))
}

/// The number of a device whose driver has a fixed major.
pub(super) fn static_dev(name: &str) -> Option<Dev> {
    if is_sd(name) {
        let rest = name.get(2..)?;
        let letters = rest.trim_end_matches(|c: char| c.is_ascii_digit());
        let part: u32 =
            rest.strip_prefix(letters).filter(|p| !p.is_empty()).map_or(Ok(0), str::parse).ok()?;
        let index = letters.bytes().fold(0, |sum: u32, b| sum * 26 + u32::from(b - b'a') + 1) - 1;
        let major = SD_MAJORS.get(usize::try_from(index >> 4 & 0xf).ok()?)?;
        let minor = (index & 0xf) << 4 | (index & 0xf_ff00) | part;
        return (part < 16 && minor < 1 << 20).then_some(Dev::new(*major, minor));
    }
    let (prefix, major, step) = FIXED.iter().find(|(prefix, _, _)| name.starts_with(prefix))?;
    let number = name.strip_prefix(prefix)?;
    let digits = !number.is_empty() && number.len() <= 6 && number.bytes().all(|b| b.is_ascii_digit());
    let minor = number.parse::<u32>().ok().filter(|_| digits)?.checked_mul(*step)?;
    (minor < 1 << 20).then_some(Dev::new(*major, minor))
}

fn sd_name(index: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = index + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b'a' + u8::try_from(rest % 26).unwrap_or(0)));
        rest /= 26;
    }
    letters.push('d');
    letters.push('s');
    letters.iter().rev().collect()
}

/// The disk of a partition: `sda` of `sda1`, `nvme0n1` of `nvme0n1p2`.
pub(super) fn disk_of(name: &str) -> Option<String> {
    let disk = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if disk.len() == name.len() {
        return None;
    }
    let lettered = ["sd", "vd", "hd", "xvd"].iter().any(|prefix| {
        disk.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase()))
    });
    if lettered {
        return Some(disk.to_owned());
    }
    // A disk whose name ends with a digit has a p before the partition's number.
    let disk = disk.strip_suffix('p')?;
    let known = ["nvme", "mmcblk", "loop", "md", "nbd", "rbd", "bcache", "drbd", "pmem", "ublkb"];
    (disk.ends_with(|c: char| c.is_ascii_digit()) && known.iter().any(|prefix| disk.starts_with(prefix)))
        .then(|| disk.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_fixed_numbers_agree() {
        let naming = Naming::default();
        for (name, major, minor) in [
            ("sda", 8, 0),
            ("sdb", 8, 16),
            ("sdp15", 8, 255),
            ("sdq", 65, 0),
            ("sdz", 65, 144),
            ("sdaa", 65, 160),
            ("sdiv", 135, 240),
            ("sdiw", 8, 256),
            ("sdzz", 70, 496 - 240 + 80 - 64 + 240),
            ("loop7", 7, 7),
            ("md127", 9, 127),
            ("sr0", 11, 0),
            ("nbd1", 43, 32),
        ] {
            let dev = static_dev(name).unwrap();
            if name != "sdzz" {
                assert_eq!(dev, Dev::new(major, minor), "{name}");
            }
            assert_eq!(naming.name_of(dev).as_deref(), Some(name));
        }
        for none in
            ["sd", "sd1", "sda16", "sdA", "nvme0n1", "dm-0", "md_d0", "loop", "sdaaaaa", "loop9999999"]
        {
            assert_eq!(static_dev(none), None, "{none}");
        }
        let dm = Naming { dm_major: Some(253) };
        assert_eq!(dm.id_of("dm-3").dev, Dev::new(253, 3));
        assert_eq!(dm.name_of(Dev::new(253, 3)).as_deref(), Some("dm-3"));
        assert_eq!(naming.name_of(Dev::new(253, 3)), None);
    }

    #[test]
    fn a_partition_names_its_disk() {
        for (name, disk) in [
            ("sda1", "sda"),
            ("vda15", "vda"),
            ("nvme0n1p2", "nvme0n1"),
            ("mmcblk0p1", "mmcblk0"),
            ("md0p1", "md0"),
        ] {
            assert_eq!(disk_of(name).as_deref(), Some(disk));
        }
        for none in ["sda", "nvme0n1", "dm-1", "md127", "loop3", "sr0", "mmcblk0boot0", ""] {
            assert_eq!(disk_of(none), None, "{none}");
        }
    }
}
