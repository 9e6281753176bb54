//! peripety's own rules.

use super::{Author, Rule, read_rules};

macro_rules! packs {
    ($($file:literal,)*) => {
        /// The files with the rules, in the order in which they are asked.
        const PACKS: &[(&str, &str)] = &[$(($file, include_str!(concat!("../../../rules/", $file))),)*];
    };
}

packs! {
    "printk.toml",
    "block.toml",
    "scsi.toml",
    "ata.toml",
    "nvme.toml",
    "iscsi.toml",
    "fc.toml",
    "adapterstate.toml",
    "hostadapters.toml",
    "sas.toml",
    "usb.toml",
    "mmc.toml",
    "ufs.toml",
    "blkdrv.toml",
    "drbd.toml",
    "bcache.toml",
    "dm.toml",
    "dm-targets.toml",
    "md.toml",
    "ext4.toml",
    "jbd2.toml",
    "xfs.toml",
    "btrfs.toml",
    "f2fs.toml",
    "otherfs.toml",
    "zfs.toml",
    "netfs.toml",
    "pcie.toml",
    "task.toml",
    "systemd.toml",
    "gluster.toml",
    "scan.toml",
    "multipathd.toml",
    "iscsid.toml",
    "dmeventd.toml",
    "mdadm.toml",
    "smartd.toml",
    "beegfs.toml",
    "oldkernels.toml",
    "oldata.toml",
}

/// All of them.
pub(super) fn rules() -> Vec<Rule> {
    PACKS.iter().flat_map(|(file, text)| read_rules(file, text, Author::BuiltIn).0).collect()
}

#[cfg(test)]
mod tests;
