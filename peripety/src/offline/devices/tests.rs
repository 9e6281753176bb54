//! Lines of real kernels, and what they report devices.

use super::*;
use crate::record::LogRecord;

fn learned(lines: &[&str]) -> Known {
    let mut known = Known::default();
    for line in lines {
        let (identifier, text) = match line.strip_prefix("multipathd: ") {
            Some(text) => (Some("multipathd".to_owned()), text),
            None => (None, *line),
        };
        from_text::from_line(
            &mut known,
            &LogRecord { text: text.to_owned(), identifier, ..LogRecord::default() },
        );
    }
    known
}

#[test]
fn a_disk_is_known_by_all_its_names() {
    let known = learned(&[
        "scsi host0: ahci",
        "scsi host1: ahci",
        "ata1: SATA max UDMA/133 abar m4096@0xfebd1000 port 0xfebd1100 irq 24",
        "ata2: SATA max UDMA/133 abar m4096@0xfebd1000 port 0xfebd1180 irq 24",
        "scsi 1:0:0:0: Direct-Access     ATA      QEMU HARDDISK    2.5+ PQ: 0 ANSI: 5",
        "sd 1:0:0:0: [sda] 2097152 512-byte logical blocks: (1.07 GB/1.00 GiB)",
        " sda: sda1 sda2 < sda5 >",
        "sd 1:0:0:0: [sda] Attached SCSI disk",
    ]);
    for name in ["sda", "/dev/sda", "8:0", "1:0:0:0", "ata2.00", "ata2"] {
        let info = known.by_name(name, None).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(
            (info.id.blk_path.as_str(), info.id.model.as_str()),
            ("/dev/sda", "QEMU HARDDISK"),
            "{name}"
        );
        assert_eq!(
            (info.id.vendor.as_str(), info.id.size_sectors),
            ("ATA", Some(peripety_model::Sectors(2_097_152)))
        );
        assert_eq!(
            info.holders.iter().map(|h| h.blk_path.as_str()).collect::<Vec<_>>(),
            ["/dev/sda1", "/dev/sda2", "/dev/sda5"]
        );
    }
    assert_eq!(known.by_name("ata1.00", None), None);
    assert_eq!(known.by_name("sda5", None).unwrap().owners[0].transport_id, "1:0:0:0");
}

#[test]
fn a_name_that_goes_to_another_disk_is_another_disk() {
    let mut known = learned(&[
        "scsi 2:0:0:0: Direct-Access     LIO-ORG  disk1            4.0  PQ: 0 ANSI: 6",
        "sd 2:0:0:0: alua: device naa.60014051234567890abcdef012345678 port group 1 rel port 1",
        "sd 2:0:0:0: [sdb] Attached SCSI disk",
    ]);
    assert_eq!(known.by_name("sdb", None).unwrap().id.wwid, "naa.60014051234567890abcdef012345678");
    for line in [
        "scsi 3:0:0:0: Direct-Access     LIO-ORG  disk2            4.0  PQ: 0 ANSI: 6",
        "sd 3:0:0:0: [sdb] Attached SCSI disk",
    ] {
        from_text::from_line(&mut known, &LogRecord { text: line.into(), ..LogRecord::default() });
    }
    let now = known.by_name("sdb", None).unwrap();
    assert_eq!(
        (now.id.wwid.as_str(), now.id.model.as_str(), now.id.transport_id.as_str()),
        ("", "disk2", "3:0:0:0")
    );
}

#[test]
fn stacks_are_told_by_md_and_multipath() {
    let known = learned(&[
        "md/raid1:md0: active with 2 out of 2 mirrors",
        "md/raid:md0: device sdc operational as raid disk 0",
        "md/raid1:md0: Disk failure on sdd, disabling device.",
        "device-mapper: multipath: 253:4: Failing path 8:16.",
        "multipathd: mpatha: sdb - tur checker reports path is down",
        "EXT4-fs (dm-4): mounted filesystem 3b1c9a0e-93a7-4d9a-9c2c-2f6b9f2f1a11 r/w with ordered data mode. Quota mode: none.",
    ]);
    let md = known.by_name("md0", None).unwrap();
    assert_eq!(md.owners.iter().map(|o| o.blk_path.as_str()).collect::<Vec<_>>(), ["/dev/sdc", "/dev/sdd"]);
    let map = known.by_dev(Dev::new(253, 4), None).unwrap();
    assert_eq!((map.id.preferred_blk_path.as_str(), map.id.fs_type.as_str()), ("/dev/mapper/mpatha", "ext4"));
    assert_eq!(map.id.blk_type, BlkType::DmMultipath);
    assert_eq!(known.by_name("8:16", None).unwrap().holders[0].preferred_blk_path, "/dev/mapper/mpatha");
    assert_eq!(known.by_name("mpatha", None).unwrap().id.blk_path, "/dev/dm-4");
}

#[test]
fn a_name_tells_its_number_even_where_nothing_else_is_known() {
    let known = Known::default();
    assert_eq!(known.by_dev(Dev::new(8, 17), None).unwrap().id.blk_path, "/dev/sdb1");
    assert_eq!(known.by_name("sdb1", None).unwrap().owners[0].blk_path, "/dev/sdb");
    for none in ["", "253:0", "2:0:0:0", "nvme0", "ata1", "no such name", "mapper/x", "../../x"] {
        assert_eq!(known.by_name(none, None), None, "{none}");
    }
}

#[test]
fn no_line_is_too_odd() {
    for line in [
        "sd ",
        "sd 1:0:0:0: [",
        "sd 1:0:0:0: [é] 1 512-byte logical blocks",
        "scsi 1:0:0:0: Direct-Access é PQ: ",
        "scsi host: x",
        "ata: SATA max",
        "ata1.é: x",
        " : ",
        " sda: ",
        "md/raid",
        "md/raid1:: Disk failure on ",
        "device-mapper: multipath: 4096:0: x",
        "EXT4-fs (): mounted filesystem ",
        "XFS (x): Mounting V",
        "BTRFS: device fsid x /dev/",
        "BTRFS: device fsid x /dev/a (b) ",
        "nvme : pci function ",
        "sd 1:0:0:0: [sda] 18446744073709551615 18446744073709551615-byte logical blocks",
    ] {
        learned(&[line, &format!("multipathd: {line}")]);
    }
}

#[test]
fn what_a_map_is_made_of_does_not_tell_the_mappers_major() {
    let known = learned(&[
        "device-mapper: multipath: 253:3: Failing path 8:48.",
        "device-mapper: verity: 8:2: data block 1234 is corrupted",
        "device-mapper: verity: 259:3: data block 1234 is corrupted",
    ]);
    assert_eq!(known.name_of(Dev::new(8, 48)).as_deref(), Some("sdd"));
    assert_eq!(known.name_of(Dev::new(253, 3)).as_deref(), Some("dm-3"));
    assert_eq!(known.name_of(Dev::new(259, 3)), None);
}

#[test]
fn a_slot_of_cards_is_known_by_its_disk() {
    let known = learned(&[
        "mmc0: new ultra high speed SDR104 SDHC card at address aaaa",
        "mmcblk0: mmc0:aaaa SD16G 14.8 GiB ",
        "mmcblk1boot0: mmc1:0001 8GTF4R partition 1 4.00 MiB",
        "mmcblk1: mmc1:0001 8GTF4R 7.28 GiB ",
    ]);
    for (name, disk) in [("mmc0", "mmcblk0"), ("mmc0:aaaa", "mmcblk0"), ("mmc1", "mmcblk1")] {
        assert_eq!(known.kernel_name(name).as_deref(), Some(disk), "{name}");
    }
    assert_eq!(known.kernel_name("mmc2"), None);
}
