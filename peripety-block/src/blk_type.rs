//! Which kind a block device is, by its name, its place in sysfs and its device-mapper uuid.

use crate::BlkType;

/// Kind by the kernel's name, for drivers that own a prefix.
const PREFIXES: &[(&str, BlkType)] = &[
    ("nvme", BlkType::Nvme),
    ("loop", BlkType::Loop),
    ("zram", BlkType::Zram),
    ("ram", BlkType::Ram),
    ("nbd", BlkType::Nbd),
    ("md", BlkType::Md),
    ("dm-", BlkType::Dm),
    ("mmcblk", BlkType::Mmc),
    ("bcache", BlkType::Bcache),
    ("drbd", BlkType::Drbd),
    ("rbd", BlkType::Rbd),
    ("pmem", BlkType::Pmem),
    ("dasd", BlkType::Dasd),
    ("vd", BlkType::Virtio),
];

/// Kind by name: what follows the prefix is a number, or letters for those that count so.
pub fn by_name(name: &str) -> Option<BlkType> {
    let fits = |rest: &str, kind| match kind {
        BlkType::Dasd | BlkType::Virtio => rest.starts_with(|c: char| c.is_ascii_lowercase()),
        BlkType::Md => rest.starts_with(|c: char| c.is_ascii_digit() || c == '_'),
        _ => rest.starts_with(|c: char| c.is_ascii_digit()),
    };
    PREFIXES
        .iter()
        .find_map(|&(prefix, kind)| name.strip_prefix(prefix).filter(|rest| fits(rest, kind)).map(|_| kind))
}

/// Length of the two ids (volume group and logical volume) that follow `LVM-`.
const LVM_IDS: usize = 64;

/// What LVM puts in the name of a volume that is only a part of another; a user cannot give such a name.
const LVM_PARTS: &[&str] = &[
    "_cdata", "_cmeta", "_corig", "_cpool", "_cvol", "_imeta", "_iorig", "_mimage", "_mlog", "_pmspare",
    "_rimage", "_rmeta", "_tdata", "_tmeta", "_vdata", "_vorigin", "_wcorig",
];

/// Kind of a device-mapper device. Who made it puts a prefix before the uuid: that is an agreement between the tools, the
/// kernel only stores it.
pub fn of_dm(name: &str, uuid: &str) -> BlkType {
    let Some((prefix, rest)) = uuid.split_once('-') else { return BlkType::Dm };
    match prefix {
        "LVM" => of_lvm(name, rest.get(LVM_IDS..).unwrap_or_default()),
        "mpath" => BlkType::DmMultipath,
        "DMRAID" => BlkType::DmRaid,
        // cryptsetup also sets up dm-verity and dm-integrity, which encrypt nothing.
        "CRYPT" if !rest.starts_with("VERITY") && !rest.starts_with("INTEGRITY") => BlkType::DmCrypt,
        _ if is_kpartx(prefix) => BlkType::DmPartition,
        _ => BlkType::Dm,
    }
}

fn of_lvm(name: &str, suffix: &str) -> BlkType {
    match suffix {
        "-tpool" | "-pool" => BlkType::DmThinPool,
        "" if !LVM_PARTS.iter().any(|part| name.contains(part)) => BlkType::DmLvm,
        _ => BlkType::DmLvmInternal,
    }
}

/// kpartx writes `part3-mpath-…`.
fn is_kpartx(prefix: &str) -> bool {
    prefix.strip_prefix("part").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Volume group and logical volume of a device-mapper name: LVM joins them by `-` and doubles those within a name.
pub fn lvm_names(dm_name: &str) -> Option<(String, String)> {
    let bytes = dm_name.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'-' {
            at += 1;
        } else if bytes.get(at + 1) == Some(&b'-') {
            at += 2;
        } else {
            let (vg, lv) = (dm_name.get(..at)?, dm_name.get(at + 1..)?);
            return (!vg.is_empty() && !lv.is_empty())
                .then(|| (vg.replace("--", "-"), lv.replace("--", "-")));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_mapper_kinds_follow_the_uuid() {
        let ids = "a".repeat(LVM_IDS);
        for (name, uuid, kind) in [
            ("mpatha", "mpath-36001405aaaa".to_owned(), BlkType::DmMultipath),
            ("mpatha1", "part1-mpath-36001405aaaa".to_owned(), BlkType::DmPartition),
            ("vg-lv", format!("LVM-{ids}"), BlkType::DmLvm),
            ("vg-pool-tpool", format!("LVM-{ids}-tpool"), BlkType::DmThinPool),
            ("vg-pool_tdata", format!("LVM-{ids}-tdata"), BlkType::DmLvmInternal),
            ("vg-lv-real", format!("LVM-{ids}-real"), BlkType::DmLvmInternal),
            ("vg-lv_rimage_0", format!("LVM-{ids}"), BlkType::DmLvmInternal),
            ("luks", "CRYPT-LUKS2-0123-luks".to_owned(), BlkType::DmCrypt),
            ("usr", "CRYPT-VERITY-0123-usr".to_owned(), BlkType::Dm),
            ("isw", "DMRAID-isw_x".to_owned(), BlkType::DmRaid),
            ("x", String::new(), BlkType::Dm),
            ("x", "LVM-short".to_owned(), BlkType::DmLvm),
            ("x", "part-x".to_owned(), BlkType::Dm),
        ] {
            assert_eq!(of_dm(name, &uuid), kind, "{name} {uuid}");
        }
    }

    #[test]
    fn kinds_by_name_take_no_prefix_of_another() {
        for (name, kind) in [
            ("nvme0n1", Some(BlkType::Nvme)),
            ("rbd0", Some(BlkType::Rbd)),
            ("ram0", Some(BlkType::Ram)),
            ("md_home", Some(BlkType::Md)),
            ("md127", Some(BlkType::Md)),
            ("vda", Some(BlkType::Virtio)),
            ("dasda", Some(BlkType::Dasd)),
            ("sda", None),
            ("mdadm", None),
            ("loopy", None),
        ] {
            assert_eq!(by_name(name), kind, "{name}");
        }
    }

    #[test]
    fn the_names_of_a_logical_volume_come_apart() {
        assert_eq!(lvm_names("vg0-root"), Some(("vg0".into(), "root".into())));
        assert_eq!(lvm_names("my--vg-my--lv"), Some(("my-vg".into(), "my-lv".into())));
        for none in ["plain", "a--b", "-x", "x-"] {
            assert_eq!(lvm_names(none), None, "{none}");
        }
    }
}
