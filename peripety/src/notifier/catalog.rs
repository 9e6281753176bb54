//! journald's message catalog: what `journalctl -x` says below an event. Generated from the vocabulary.

use super::plain::wrap;
use crate::event::{Nature, TYPES, TypeInfo, message_id};

/// Columns of the text, beside what journalctl puts before it.
const WIDTH: usize = 76;

/// The catalog, as it is checked in as dist/peripety.catalog and installed in /usr/lib/systemd/catalog.
pub fn catalog() -> String {
    let head = "# Made from the table of event types by the tests of peripety: PERIPETY_BLESS=1 cargo test catalog\n";
    TYPES.iter().fold(head.to_owned(), |text, info| text + "\n" + &entry(info))
}

fn entry(info: &TypeInfo) -> String {
    let nature = match info.nature {
        Nature::Fault => "A storage failure",
        Nature::Clears => "The end of an earlier storage failure",
        Nature::News => "News about storage, not a failure",
    };
    let mut text = format!(
        "-- {id}\n\
         Subject: {name}: {meaning}\n\
         Defined-By: peripety\n\
         Support: https://github.com/cathay4t/peripety\n\
         Documentation: man:prpt(1)\n\
         \n\
         {nature} in @SUB_SYSTEM@, @COUNT@ time(s) so far.\n\
         Device: @DEV_PATH@ @DEV_WWID@\n\
         \n",
        id = message_id(info.name).simple(),
        name = info.name,
        meaning = info.meaning,
    );
    if let Some(words) = advice(info) {
        text.push_str(&wrap(words, WIDTH).join("\n"));
        text.push_str("\n\n");
    }
    text + "All that is known about it, and about the device it is on:\n  prpt query -v --event-id @EVENT_ID@\n"
}

/// What to do about it, where that can be said for all of a kind.
fn advice(info: &TypeInfo) -> Option<&'static str> {
    if info.nature != Nature::Fault {
        return None;
    }
    let name = info.name;
    Some(match info.sub_system {
        "peripety" => {
            "Events or records are missing: 'prpt doctor' tells what this machine can see, 'prpt probes' what was lost."
        }
        "fs" if name == "FS_REMOUNT_READ_ONLY" || name == "FS_SHUTDOWN" || name == "FS_JOURNAL_ABORTED" => {
            "The filesystem takes no more writes. Find the failure of the device below it first; then unmount and check \
             the filesystem (fsck, xfs_repair, btrfs check)."
        }
        "fs" => {
            "Find out first whether a device below it failed at the same time; a check of the filesystem on a failing \
                 device makes it worse."
        }
        "ata" => {
            "Look at cable, backplane and power of the drive before the drive itself; 'smartctl -x' counts link errors."
        }
        "scsi" | "nvme" | "block" if name.contains("MEDIUM") => {
            "The medium has a bad spot: data there can only come from a copy. See 'smartctl -x' or 'nvme smart-log', and \
             plan to replace the drive when the count grows."
        }
        "multipath" | "iscsi" | "fc" => {
            "Look at the path: port, cable, switch, target. 'multipath -ll' shows what is left."
        }
        "dm-thin" => {
            "The pool needs space, or a repair: 'lvs -a' shows data and metadata use, 'lvextend' adds space."
        }
        "md" => {
            "See /proc/mdstat and 'mdadm --detail' for what redundancy is left before anything is pulled."
        }
        "smart" => "The drive predicts its own failure: save the data, then replace it.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn the_checked_in_catalog_is_the_present_one() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/peripety.catalog");
        if std::env::var_os("PERIPETY_BLESS").is_some() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, catalog()).unwrap();
        }
        let checked_in = fs::read_to_string(&file).unwrap_or_default();
        assert!(checked_in == catalog(), "{} is old: PERIPETY_BLESS=1 cargo test catalog", file.display());
    }

    #[test]
    fn every_type_has_an_entry_of_its_own() {
        let text = catalog();
        let ids: BTreeSet<_> = text.lines().filter_map(|l| l.strip_prefix("-- ")).collect();
        assert_eq!(ids.len(), TYPES.len());
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())));
    }
}
