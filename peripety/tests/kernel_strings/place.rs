//! What the kernel's macros put around a format, by file and macro.

const DM: &[(&str, &str)] = &[
    ("dm-mpath", "multipath"),
    ("dm-log-userspace", "dm-log-userspace"),
    ("dm-log-writes", "log-writes"),
    ("dm-log", "dirty region log"),
    ("dm-raid1", "raid1"),
    ("dm-raid", "raid"),
    ("dm-region-hash", "region hash"),
    ("dm-thin-metadata", "thin metadata"),
    ("dm-thin", "thin"),
    ("dm-cache-metadata", "cache metadata"),
    ("dm-cache-policy", "cache-policy"),
    ("dm-cache-background", "dm-background-tracker"),
    ("dm-cache", "cache"),
    ("dm-clone-metadata", "clone metadata"),
    ("dm-clone", "clone"),
    ("dm-era", "era"),
    ("dm-snap-persistent", "persistent snapshot"),
    ("dm-snap-transient", "transient snapshot"),
    ("dm-snap", "snapshots"),
    ("dm-exception-store", "snapshot exception stores"),
    ("dm-integrity", "integrity"),
    ("dm-verity-fec", "verity-fec"),
    ("dm-verity", "verity"),
    ("dm-crypt", "crypt"),
    ("dm-writecache", "writecache"),
    ("dm-bufio", "bufio"),
    ("dm-array", "array"),
    ("dm-block-manager", "block manager"),
    ("dm-btree-spine", "btree spine"),
    ("dm-btree", "btree"),
    ("dm-space-map-common", "space map common"),
    ("dm-space-map-metadata", "space map metadata"),
    ("dm-transaction-manager", "transaction manager"),
    ("dm-ioctl", "ioctl"),
    ("dm-table", "table"),
    ("dm-zoned", "zoned"),
    ("dm-", "other"),
    ("dm.c", "core"),
];

const UUID: &str = "3b1c9a0e-93a7-4d9a-9c2c-2f6b9f2f1a11";

/// By the start of the file's path and of the macro: the line, with `{}` for what the format makes. All that fit are tried.
const AROUND: &[(&str, &str, &[&str])] = &[
    (
        "fs/ext4/",
        "ext4_error_inode",
        &[
            "EXT4-fs error (device sda1): some_function:12: inode #12: block 34: comm ls: {}",
            "EXT4-fs error (device sda1): some_function:12: inode #12: comm ls: {}",
        ],
    ),
    (
        "fs/ext4/",
        "ext4_grp_locked_error",
        &["EXT4-fs error (device sda1): some_function:12: group 3, block 34:{}"],
    ),
    (
        "fs/ext4/",
        "ext4_error",
        &[
            "EXT4-fs error (device sda1): some_function:12: comm ls: {}",
            "EXT4-fs error (device sda1): some_function:12: inode #12: comm ls: path /a: {}",
        ],
    ),
    ("fs/ext4/", "ext4_abort", &["EXT4-fs error (device sda1): some_function:12: comm ls: {}"]),
    ("fs/ext4/", "ext4_warning", &["EXT4-fs warning (device sda1): some_function:12: {}"]),
    ("fs/ext4/", "ext4_msg", &["EXT4-fs (sda1): {}"]),
    ("fs/ext4/", "", &["{}", "EXT4-fs (sda1): {}", "EXT4-fs: {}"]),
    (
        "fs/xfs/",
        "XFS_CORRUPTION_ERROR",
        &["XFS (sda1): Internal error {} at line 12 of file fs/xfs/a.c.  Caller some_function+0x1/0x2 [xfs]"],
    ),
    (
        "fs/xfs/",
        "XFS_ERROR_REPORT",
        &["XFS (sda1): Internal error {} at line 12 of file fs/xfs/a.c.  Caller some_function+0x1/0x2 [xfs]"],
    ),
    ("fs/xfs/", "xfs_", &["XFS (sda1): {}"]),
    (
        "fs/btrfs/",
        "btrfs_handle_fs_error",
        &["BTRFS: error (device sda1) in some_function:12: errno=-5 IO failure ({})"],
    ),
    ("fs/btrfs/", "btrfs_crit", &["BTRFS critical (device sda1): {}", "BTRFS critical: {}"]),
    ("fs/btrfs/", "btrfs_err", &["BTRFS error (device sda1): {}", "BTRFS error: {}"]),
    ("fs/btrfs/", "btrfs_warn", &["BTRFS warning (device sda1): {}"]),
    ("fs/btrfs/", "btrfs_info", &["BTRFS info (device sda1): {}"]),
    ("fs/btrfs/", "", &["BTRFS: {}", "{}"]),
    ("fs/f2fs/", "f2fs_", &["F2FS-fs (sda1): {}"]),
    ("fs/jbd2/", "", &["{}", "JBD2: {}"]),
    ("drivers/nvme/host/fabrics", "pr_", &["nvme_fabrics: {}"]),
    ("drivers/nvme/", "", &["nvme nvme0: {}", "block nvme0n1: {}", "{}"]),
    ("drivers/ata/", "ata_", &["ata1.00: {}", "ata1: {}"]),
    ("drivers/ata/", "dev_", &["ahci 0000:00:1f.2: {}"]),
    ("drivers/ata/", "", &["{}", "ata1: {}", "ata1.00: {}"]),
    ("fs/ext3/", "ext3_error", &["EXT3-fs error (device sda1): ext3_func: {}"]),
    ("fs/ext2/", "ext2_error", &["EXT2-fs error (device sda1): ext2_func: {}"]),
    ("fs/ext3/", "ext3_abort", &["EXT3-fs error (device sda1): ext3_func: {}"]),
    ("fs/ext3/", "ext3_msg", &["EXT3-fs (sda1): error: {}"]),
    ("fs/ext3/", "ext3_warning", &["EXT3-fs warning (device sda1): ext3_func: {}"]),
    ("fs/ext2/", "ext2_msg", &["EXT2-fs (sda1): error: {}"]),
    ("fs/gfs2/", "", &["{}", "GFS2: fsid=a:b.0: {}"]),
    ("fs/cifs/", "", &["CIFS VFS: {}", "{}", " CIFS VFS: {}"]),
    ("fs/fat/", "", &["FAT-fs (sda1): {}", "FAT: {}", "{}"]),
    ("fs/ntfs/", "ntfs_error", &["NTFS-fs error (device sda1): func(): {}"]),
    ("fs/ocfs2/", "", &["(ocfs2,1,2):func:12 ERROR: {}", "{}"]),
    ("fs/reiserfs/", "", &["REISERFS error (device sda1): {}", "REISERFS: {}", "{}"]),
    ("fs/xfs/", "", &["XFS (sda1): {}", "Filesystem \"sda1\": {}", "{}"]),
    ("drivers/message/", "", &["mptscsih: ioc0: {}", "mptbase: ioc0: {}", "{}"]),
    ("drivers/scsi/mpt2sas/", "", &["mpt2sas0: {}", "{}"]),
    ("drivers/scsi/qla4xxx/", "", &["qla4xxx 0000:05:00.0: {}", "scsi1: {}", "{}"]),
    ("drivers/scsi/", "dev_", &["aacraid 0000:03:00.0: {}", "scsi 0:0:0:0: {}", "sd 0:0:0:0: {}"]),
    (
        "drivers/block/",
        "dev_",
        &[
            "mtip32xx 0000:03:00.0: {}",
            "cciss 0000:03:00.0: {}",
            "virtio_blk virtio0: {}",
            "vbd vbd-51712: {}",
        ],
    ),
    ("drivers/scsi/lpfc/", "lpfc_printf_vlog", &["lpfc 0000:05:00.0: 0:(0):{}"]),
    ("drivers/scsi/lpfc/", "lpfc_", &["lpfc 0000:05:00.0: 0:{}"]),
    ("drivers/scsi/qla2xxx/", "ql_log", &["qla2xxx [0000:05:00.0]-500a:1: {}"]),
    ("drivers/scsi/mpt3sas/", "ioc_", &["mpt3sas_cm0: {}"]),
    ("drivers/scsi/megaraid/", "dev_", &["megaraid_sas 0000:03:00.0: {}"]),
    ("drivers/scsi/smartpqi/", "dev_", &["smartpqi 0000:5c:00.0: {}"]),
    ("drivers/scsi/hpsa", "dev_", &["hpsa 0000:03:00.0: {}"]),
    ("drivers/scsi/aacraid/", "", &["aacraid 0000:03:00.0: {}", "{}"]),
    ("drivers/scsi/libsas/", "pr_", &["sas: {}"]),
    ("drivers/scsi/scsi_transport_fc", "dev_", &[" rport-1:0-3: {}"]),
    ("drivers/scsi/libfc/", "", &["{}"]),
    ("drivers/", "iscsi_conn_printk", &[" connection1:0: {}"]),
    ("drivers/", "iscsi_session_printk", &[" session1: {}"]),
    ("drivers/", "scmd_printk", &["sd 0:0:0:0: [sda] tag#1 {}", "sd 0:0:0:0: {}"]),
    ("drivers/", "sdev_printk", &["sd 0:0:0:0: {}", "sd 0:0:0:0: [sda] {}"]),
    ("drivers/", "sd_", &["sd 0:0:0:0: [sda] {}"]),
    ("drivers/", "sr_", &["sr 0:0:0:0: [sr0] {}"]),
    ("drivers/", "st_", &["st 0:0:0:0: [st0] {}"]),
    ("drivers/", "shost_printk", &["scsi host1: {}", "scsi host1: ib_srp: {}"]),
    ("drivers/", "starget_printk", &["scsi target0:0:0: {}"]),
    ("drivers/block/nbd", "", &["block nbd0: {}", "nbd: {}", "{}"]),
    ("drivers/block/rbd", "rbd_warn", &["rbd: rbd0: {}"]),
    ("drivers/block/zram/", "", &["zram: {}"]),
    ("drivers/block/drbd/", "", &["block drbd0: {}", "drbd r0: {}"]),
    ("drivers/md/bcache/", "", &["bcache: some_function() {}"]),
    ("drivers/usb/storage/", "", &["usb 2-1: {}", "usb-storage 1-1:1.0: {}", "scsi host2: {}"]),
    ("drivers/ufs/", "", &["ufshcd-qcom 1d84000.ufshc: {}"]),
    ("drivers/mmc/", "dev_", &["mmcblk mmc0:0001: {}", "mmc0: {}"]),
    ("", "", &["{}"]),
];

/// What a format may look like in a log.
pub fn lines(file: &str, name: &str, text: &str) -> Vec<String> {
    if name.starts_with("DM") {
        let base = file.rsplit('/').next().unwrap_or(file);
        let prefix =
            DM.iter().find(|(start, _)| base.starts_with(start)).map_or("core", |(_, prefix)| prefix);
        return vec![format!("device-mapper: {prefix}: {text}")];
    }
    if name == "cache_set_err_on" {
        return vec![format!("bcache: bch_cache_set_error() error on {UUID}: {text}, disabling caching")];
    }
    let fits = AROUND.iter().filter(|(path, start, _)| file.starts_with(path) && name.starts_with(start));
    fits.flat_map(|(_, _, around)| *around).map(|around| around.replace("{}", text)).collect()
}

/// Words for the first `%s` of a file's formats, and for the others.
pub fn words(file: &str) -> (&'static [&'static str], &'static [&'static str]) {
    let first: &[&str] = if file.starts_with("drivers/mmc/") {
        &["mmc0", "mmcblk0", "__mmc_blk_ioctl_cmd"]
    } else if file.starts_with("drivers/md/dm") || file.starts_with("drivers/md/persistent") {
        &["253:1", "dm-0", "sb_check", "write", "read-only", "data", ""]
    } else if file.starts_with("drivers/md/") {
        &["md0", "sda", "super_written", "resync", ""]
    } else if file.starts_with("drivers/usb/") {
        &["uas_pre_reset", "usb"]
    } else if file.starts_with("drivers/ufs/") {
        &["ufshcd_abort", ""]
    } else if file.starts_with("drivers/nvme/") {
        &["nvme0n1", "nvme0", "RECV", "reset", "(null)"]
    } else if file.starts_with("fs/f2fs/") {
        &["", "sda1"]
    } else {
        &["sda", "hard", "I/O", "aacraid", "read", "DEVICE", "device-error", "SUCCESS", ""]
    };
    (first, &["sda", "", "Read", "UpToDate", "FAILED", "DID_OK", "8:16", "ISSUED"])
}
