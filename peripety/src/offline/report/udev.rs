//! `udevadm info --export-db`: every device with all that udev knows of it.

use std::collections::HashMap;

use crate::{
    block::{Dev, Hctl, blk_type},
    offline::devices::{Known, of_map},
};

/// Reads the block devices of the database.
pub(super) fn export_db(text: &str, known: &mut Known) {
    let mut made_of: Vec<(String, String)> = Vec::new();
    for record in text.split("\n\n") {
        let mut path = "";
        let mut links: Vec<&str> = Vec::new();
        let mut properties: HashMap<&str, &str> = HashMap::new();
        for line in record.lines() {
            match line.split_once(": ") {
                Some(("P", at)) => path = at,
                Some(("S", link)) => links.push(link),
                Some(("E", property)) => properties.extend(property.split_once('=')),
                _ => {}
            }
        }
        if properties.get("SUBSYSTEM") == Some(&"block") {
            device(known, path, &links, &properties, &mut made_of);
        }
    }
    for (upper, lower) in made_of {
        known.made_of(&upper, &lower);
    }
}

fn device(
    known: &mut Known,
    path: &str,
    links: &[&str],
    properties: &HashMap<&str, &str>,
    made_of: &mut Vec<(String, String)>,
) -> Option<()> {
    let get = |key: &str| properties.get(key).copied().filter(|value| !value.is_empty());
    let first = |keys: &[&str]| keys.iter().find_map(|key| get(key)).map(str::to_owned);
    let name = get("DEVNAME")?.strip_prefix("/dev/")?.to_owned();
    let dev = Dev::new(get("MAJOR")?.parse().ok()?, get("MINOR")?.parse().ok()?);
    if name.starts_with("dm-") {
        known.naming.dm_major = Some(dev.major);
    }
    known.set_dev(&name, dev);
    let hctl = path.split('/').find_map(|part| part.parse::<Hctl>().ok());
    let is_disk = get("DEVTYPE") == Some("disk");
    if let Some(hctl) = hctl.filter(|_| is_disk) {
        known.set_hctl(&name, hctl);
    }
    let id = &mut known.node(&name)?.id;
    id.serial = first(&["ID_SCSI_SERIAL", "ID_SERIAL_SHORT"]).unwrap_or_default();
    id.vendor = first(&["ID_VENDOR"]).unwrap_or_default();
    id.model = first(&["ID_MODEL"]).unwrap_or_default();
    id.uuid = first(&["ID_FS_UUID"]).unwrap_or_default();
    id.fs_type = first(&["ID_FS_TYPE"]).unwrap_or_default();
    id.label = first(&["ID_FS_LABEL"]).unwrap_or_default();
    id.diskseq = get("DISKSEQ").and_then(|seq| seq.parse().ok());
    id.wwid = wwid(&get).unwrap_or_default();
    if let Some(map) = get("DM_NAME") {
        let kind = blk_type::of_dm(map, get("DM_UUID").unwrap_or_default());
        of_map(id, map, kind);
        let preferred = id.preferred_blk_path.clone();
        known.alias(preferred.strip_prefix("/dev/").unwrap_or(&preferred), &name);
        known.alias(&format!("mapper/{map}"), &name);
    } else if let Some(link) = best_link(links) {
        id.preferred_blk_path = format!("/dev/{link}");
    }
    for link in links {
        known.alias(link, &name);
    }
    if !is_disk {
        let disk = path.rsplit('/').nth(1)?.replace('!', "/");
        made_of.push((name, disk));
    } else if let Some(host) = path.split('/').find(|part| part.starts_with("ata") && hctl.is_some()) {
        known.ata.reported(host, hctl?);
    }
    Some(())
}

/// The id of the device, in the spelling of sysfs.
fn wwid<'p>(get: &dyn Fn(&str) -> Option<&'p str>) -> Option<String> {
    if let Some(uuid) = get("DM_UUID") {
        return Some(uuid.to_owned());
    }
    if let Some(uuid) = get("MD_UUID") {
        return Some(uuid.to_owned());
    }
    let naa = get("ID_WWN_WITH_EXTENSION").or_else(|| get("ID_WWN"))?;
    let id = match naa.strip_prefix("0x") {
        Some(digits) => format!("naa.{digits}"),
        None => naa.to_owned(),
    };
    let part = get("PARTN").or_else(|| get("ID_PART_ENTRY_NUMBER"));
    Some(part.filter(|_| get("DEVTYPE") == Some("partition")).map_or(id.clone(), |n| format!("{id}-part{n}")))
}

/// The link that a human would use.
fn best_link<'l>(links: &[&'l str]) -> Option<&'l str> {
    let of = |prefix: &str| {
        links.iter().copied().filter(|link| link.starts_with(prefix)).min_by_key(|l| (l.len(), *l))
    };
    ["disk/by-id/wwn-", "disk/by-id/nvme-eui.", "disk/by-id/nvme-uuid.", "disk/by-id/", "md/"]
        .iter()
        .find_map(|p| of(p))
}
