//! Block devices of Linux: any name of a device in; identity, hierarchy, transport and mounts out.
//!
//! ```no_run
//! use peripety_block::{BlkCache, Roots};
//!
//! let devices = BlkCache::scan(&Roots::system())?;
//! let disk = devices.resolve("/home")?; // or sda1, 8:1, UUID=…, mpatha, a WWID, a loop device's file …
//! println!("{} is {} with the id {}", disk.id.blk_path, disk.id.preferred_blk_path, disk.id.wwid);
//! for below in &disk.owners {
//!     println!("  on {} {:?}", below.blk_path, below.transport);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What identifies a device
//!
//! None of the usual names lasts. `sda` and `8:0` belong to whichever disk came first; a link in `/dev/disk/by-id` is made
//! by udev, a moment later, and only where udev runs. What lasts is the **world wide id** that the device itself reports:
//! page 0x83 of SCSI's vital product data, the UUID, NGUID or EUI-64 of an NVMe namespace, the uuid that LVM or multipath
//! gave a map, the UUID of an md array. [`BlkId::wwid`] has it in sysfs' spelling, [`resolve`](BlkCache::resolve) takes
//! the others too (`36001405…` of scsi_id, `wwn-0x…` of udev).
//!
//! Where two devices have the same name one after the other, [`BlkId::diskseq`] distinguishes them: the kernel (5.15 and
//! later) counts disks as they come and never gives a number twice.
//!
//! # Hierarchy
//!
//! Block devices are stacked: a filesystem on a logical volume on a partition on a multipath map on two SCSI disks. sysfs
//! shows one step at a time (`slaves/`, `holders/`, the directory of a partition, the file behind a loop device).
//! [`BlkInfo::owners`] is everything below a device and [`BlkInfo::holders`] everything above it, nearest first, through all
//! of these kinds of step; [`BlkCache::next`] gives one step.
//!
//! # Transport
//!
//! [`BlkId::transport`] says how a disk is reached, from its path in sysfs and the class of each transport: the target and
//! portal of iSCSI, the WWPNs of Fibre Channel, the expander, enclosure and bay of SAS, the port of SATA, the controller
//! and address of NVMe.
//!
//! # Content and mounts
//!
//! The type, UUID and label of what is on a device come from udev's database where udev runs, and else from the
//! superblocks, which threads of their own read: a read of a failing disk can hang. Mount points are those of the initial
//! mount namespace, read from mountinfo and attributed by device number, for btrfs to each of its devices.
//!
//! # Where a sector lies
//!
//! [`map`] follows a sector down to the disks and up to what is made of them, through partitions, device-mapper, md, loop
//! devices and btrfs.
//!
//! # State of stacked devices
//!
//! [`status`] reads what targets of device-mapper and arrays of md say of themselves: legs, sync, how full a pool is.
//!
//! # State of disks
//!
//! [`health`] reads what a disk says of itself: SMART, the health log of NVMe, log pages of SCSI; and how fast its links are.
//!
//! # Over time
//!
//! A [`BlkCache`] is filled by one scan. Handing it each [uevent](Uevent) of the kernel and reporting it when mountinfo changed
//! keeps it true; then it answers from memory ([`DeviceFacts`]) and by time: a name is resolved to the device that had it
//! when something happened, also after that device has gone.
//!
//! # Another machine's files
//!
//! Every place that is read is in [`Roots`]: a copy of a sysfs tree works like the running system, and
//! [`Files`](files::Files) may be a tree in memory, such as one unpacked from a support archive; its links lead nowhere
//! outside of it.
//!
//! # Features
//!
//! * `fixture`: `fixture`, made-up machines for tests.

#![deny(missing_docs)]
#![warn(unreachable_pub)]

mod attr;
pub mod blk_type;
mod bytes;
mod cache;
mod content;
mod facts;
pub mod fanotify;
pub mod files;
#[cfg(any(test, feature = "fixture"))]
pub mod fixture;
pub mod health;
mod hierarchy;
pub mod ioctl;
pub mod map;
pub mod mountinfo;
mod mounts;
mod resolve;
mod roots;
pub mod scrub;
pub mod status;
mod superblock;
mod sysfs;
mod transport;
mod udevdb;
mod uevent;
mod wwid;
pub mod xfs_health;

pub use attr::{ATTRIBUTE_MAX, ATTRIBUTES};
pub use cache::{BlkCache, BlockError, Direction, Rescan};
pub use facts::{DeviceFacts, NoFacts};
pub use hierarchy::reach;
pub use peripety_model::{
    BlkId, BlkInfo, BlkType, Dev, Hctl, Identity, ParseDevError, ParseHctlError, Transport,
};
pub use resolve::ResolveError;
pub use roots::Roots;
pub use sysfs::ids;
pub use transport::is_nvme_controller;
pub use uevent::Uevent;
