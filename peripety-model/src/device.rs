//! A block device as events name it.

use serde::{Deserialize, Serialize};

use super::Dev;

/// A block device, what it is made of and what is made of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlkInfo {
    /// The device itself.
    #[serde(flatten)]
    pub id: BlkId,
    /// The devices it is made of, through partition, dm, LVM, multipath, md and loop, flattened, nearest first.
    #[serde(default)]
    pub owners: Vec<BlkId>,
    /// The devices made of it, flattened, nearest first, with their filesystems and mount points.
    #[serde(default)]
    pub holders: Vec<BlkId>,
}

/// Who a block device is. An empty text or list means that there is none or that it is not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlkId {
    /// World wide id: VPD page 0x83, NVMe uuid, nguid or eui, dm uuid, md uuid; for a loop device its backing file.
    #[serde(default)]
    pub wwid: String,
    /// Kind of device.
    #[serde(default)]
    pub blk_type: BlkType,
    /// Kernel's device node: `/dev/dm-0`.
    #[serde(default)]
    pub blk_path: String,
    /// The path a human would use: `/dev/mapper/mpatha`, `/dev/vg/lv`, `/dev/disk/by-id/…`.
    #[serde(default)]
    pub preferred_blk_path: String,
    /// Device number.
    #[serde(default)]
    pub dev: Dev,
    /// Whether the device is there, or what is reported it is remembered.
    #[serde(default)]
    pub identity: Identity,
    /// Serial number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub serial: String,
    /// Vendor.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vendor: String,
    /// Model.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// UUID of the filesystem (or other content) on it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uuid: String,
    /// Type of the content: `ext4`, `xfs`, `LVM2_member` …, in udev's spelling.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fs_type: String,
    /// Label of the filesystem.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// Where its filesystem is mounted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mount_points: Vec<String>,
    /// Address on its transport: H:C:T:L, PCI address, target name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub transport_id: String,
    /// How it is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// Number that the kernel gives to a disk when it appears and never gives again (Linux 5.15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diskseq: Option<u64>,
    /// Level of an md array: `raid1`, `raid5` …
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub raid_level: String,
    /// By how many controllers an NVMe namespace is reached, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<u32>,
    /// After how many seconds without an answer the kernel begins to recover from a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_timeout_s: Option<u64>,
    /// For how many seconds its transport waits for a lost session, port or controller before requests fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_s: Option<u64>,
    /// Size in sectors of 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_sectors: Option<crate::Sectors>,
    /// The devices that it is made of directly, by number; all of them stand in `owners` of an event about it. Empty
    /// where that is not known, as in logs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made_of: Vec<Dev>,
}

impl BlkId {
    /// The shortest name that people use: `vg/lv`, `mpatha`, `md0`, `sda`; empty where nothing is known.
    pub fn short_name(&self) -> String {
        let path = self.preferred_blk_path.as_str();
        let mapped = path.strip_prefix("/dev/mapper/").filter(|name| !name.is_empty());
        let volume = path.strip_prefix("/dev/").filter(|name| {
            name.split('/').count() == 2 && !name.starts_with("md/") && !name.starts_with("disk/")
        });
        if let Some(name) = mapped.or(volume) {
            return name.to_owned();
        }
        let node = self.blk_path.strip_prefix("/dev/").unwrap_or(&self.blk_path);
        if !node.is_empty() {
            return node.to_owned();
        }
        if self.dev.is_none() { String::new() } else { self.dev.to_string() }
    }

    /// The path a human would use, or the kernel's, or the number: never empty.
    pub fn name(&self) -> String {
        [&self.preferred_blk_path, &self.blk_path]
            .into_iter()
            .find(|p| !p.is_empty())
            .cloned()
            .unwrap_or_else(|| self.dev.to_string())
    }
}

/// Kind of a block device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BlkType {
    /// SCSI disk, SATA and USB disks among them.
    Scsi,
    /// SCSI or ATAPI optical drive.
    ScsiRom,
    /// NVMe namespace.
    Nvme,
    /// virtio block device.
    Virtio,
    /// Partition of any of these.
    Partition,
    /// Multipath map.
    DmMultipath,
    /// Logical volume of LVM, linear, striped or anything else.
    DmLvm,
    /// Internal part of a logical volume, which no one mounts.
    DmLvmInternal,
    /// Thin pool.
    DmThinPool,
    /// dm-crypt, LUKS among it.
    DmCrypt,
    /// dm-raid array outside of LVM.
    DmRaid,
    /// Partition that kpartx made.
    DmPartition,
    /// Any other device-mapper device.
    Dm,
    /// md array.
    Md,
    /// Loop device.
    Loop,
    /// Network block device.
    Nbd,
    /// zram.
    Zram,
    /// RAM disk.
    Ram,
    /// MMC or SD card.
    Mmc,
    /// bcache.
    Bcache,
    /// DRBD.
    Drbd,
    /// RADOS block device.
    Rbd,
    /// Persistent memory.
    Pmem,
    /// DASD of s390.
    Dasd,
    /// Something else.
    #[default]
    Other,
}

/// Whether a device could be asked, or is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// The device was there.
    Live,
    /// The device is gone; this is what was known when it was there.
    Removed,
    /// Nothing but the name or number is known.
    #[default]
    Unknown,
}

/// How a device is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Transport {
    /// Fibre Channel.
    Fc {
        /// WWPN of the host's port, `0x` and 16 digits.
        host_wwpn: String,
        /// WWPN of the target's port.
        target_wwpn: String,
        /// Speed of the host's port: `16 Gbit`.
        speed: String,
        /// State of the remote port: `Online`, `Blocked` …
        port_state: String,
        /// The remote port by the name that the kernel prints: `rport-5:0-3`.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        rport: String,
    },
    /// iSCSI.
    Iscsi {
        /// Target's name (IQN).
        target: String,
        /// Address of the portal.
        address: String,
        /// Port of the portal.
        port: u16,
        /// Target portal group tag.
        tpgt: u32,
        /// Interface of the initiator.
        iface: String,
        /// Session: `session3`.
        session: String,
    },
    /// Serial attached SCSI.
    Sas {
        /// SAS address of the device.
        address: String,
        /// Port or expander and phy, as far as sysfs reports.
        port: String,
        /// Speed of that link: `12.0 Gbit`.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        speed: String,
        /// Logical identifier of the enclosure that it is in, `0x` and 16 digits.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        enclosure: String,
        /// Bay of that enclosure.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bay: Option<u32>,
    },
    /// SATA.
    Sata {
        /// Port: `ata3`.
        port: String,
        /// Link speed: `6.0 Gbps`.
        speed: String,
    },
    /// NVMe.
    Nvme {
        /// Controller: `nvme0`.
        controller: String,
        /// NQN of the subsystem.
        subsystem_nqn: String,
        /// `pcie`, `tcp`, `rdma`, `fc`, `loop`.
        transport: String,
        /// Transport address: PCI address or `traddr=…,trsvcid=…`.
        traddr: String,
    },
    /// USB.
    Usb {
        /// Bus and ports: `1-2.1`.
        port: String,
    },
    /// virtio.
    Virtio {
        /// Device on the virtio bus: `virtio1`.
        device: String,
    },
}
