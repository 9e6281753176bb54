//! What makes two failures the same: numbers only, so that a repeated record costs no allocation and no work on text.

use serde::{Deserialize, Serialize};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::fault::Fault;
use crate::event::{Errno, Op};

/// What a fold is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct FoldKey {
    /// The device: its number in the kernel's encoding, or a hash of its name (see [`Scope`]).
    pub scope: u64,
    /// errno, source line, inode: what distinguishes failures of one type on one device.
    pub code: u64,
    /// Which family of failures: a [`Layer`], with a driver's fault or the hash of a type's name.
    pub family: u64,
}

/// Families of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Layer {
    /// A failed request or bio: operation and errno in the code, the driver's fault in the family, 0 where it is not known.
    Block = 1,
    /// A driver's fault on a device, whatever the operation.
    Driver = 2,
    /// An event type on a device.
    Type = 3,
    /// ext4's errors by function and line.
    Ext4 = 4,
    /// Lost writes by inode.
    Inode = 5,
}

/// What stands in [`FoldKey::scope`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Scope(pub u64);

impl Scope {
    /// A device by its number in the kernel's encoding.
    pub(super) const fn dev(dev: u32) -> Self {
        Self(dev as u64)
    }

    /// Something that has no device number, by its name. Never equal to a device number.
    pub(super) fn name(name: &str) -> Self {
        Self(hash(&("name", name)) | 1 << 63)
    }

    /// A SCSI address whose device number is not known.
    pub(super) fn hctl(host: u32, channel: u32, target: u32, lun: u64) -> Self {
        Self(hash(&("hctl", host, channel, target, lun)) | 1 << 63)
    }

    /// NVMe controllers, for [`Scope::number`].
    pub(super) const NVME: u8 = 1;
    /// SCSI hosts.
    pub(super) const SCSI_HOST: u8 = 2;

    /// Something that has a number among its like.
    pub(super) const fn number(family: u8, number: u32) -> Self {
        Self(1 << 62 | (family as u64) << 40 | number as u64)
    }

    /// The devices for which there is no room.
    pub(super) const REST: Self = Self(1 << 61);

    /// The device number, if it is one.
    pub(super) const fn as_dev(self) -> Option<u32> {
        if self.0 >> 32 == 0 && self.0 != 0 { Some(self.0 as u32) } else { None }
    }
}

/// A hash that is the same in every process.
pub(super) fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    #[expect(deprecated, reason = "SipHash with fixed keys: the same input has to give the same output")]
    let mut hasher = std::hash::SipHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl FoldKey {
    /// A failed request or bio. `fault` is what the driver said, none if nothing is known of it.
    pub(super) const fn block(scope: Scope, op: Op, errno: Errno, fault: Option<Fault>) -> Self {
        let fault = match fault {
            Some(fault) => fault.number(),
            None => 0,
        };
        Self {
            scope: scope.0,
            code: (op as u64) << 32 | errno.raw() as u32 as u64,
            family: (Layer::Block as u64) << 56 | fault as u64,
        }
    }

    /// The latest failure of a request on a device: what lines of text that name no operation are about.
    pub(super) const fn latest_request(scope: Scope) -> Self {
        Self { scope: scope.0, code: u64::MAX, family: (Layer::Block as u64) << 56 }
    }

    /// A driver's fault on a device.
    pub(super) const fn driver(scope: Scope, fault: Fault) -> Self {
        let unnamed = Self::driver_unnamed(scope, 0);
        Self { family: unnamed.family | fault.number() as u64, ..unnamed }
    }

    /// What a driver reports without naming a fault; `code` distinguishes different reports.
    pub(super) const fn driver_unnamed(scope: Scope, code: u64) -> Self {
        Self { scope: scope.0, code, family: (Layer::Driver as u64) << 56 }
    }

    /// The same for one operation.
    pub(super) const fn driver_op(scope: Scope, fault: Fault, op: Op) -> Self {
        Self { code: 1 + op as u64, ..Self::driver(scope, fault) }
    }

    /// An event type on a device; `code` distinguishes different ones.
    pub(super) fn typed(scope: Scope, event_type: &str, code: u64) -> Self {
        Self { scope: scope.0, code, family: (Layer::Type as u64) << 56 | hash(event_type) >> 8 }
    }

    /// The rest of an event type on a device, where there are too many to distinguish.
    pub(super) fn rest(scope: Scope, event_type: &str) -> Self {
        Self::typed(scope, event_type, u64::MAX)
    }

    /// Whether it is that of failed requests, whatever their driver said.
    pub(super) const fn is_block(&self) -> bool {
        self.family == (Layer::Block as u64) << 56 && self.code != u64::MAX
    }

    /// An error of ext4.
    pub(super) fn ext4(scope: Scope, function: &[u8], line: u32) -> Self {
        Self {
            scope: scope.0,
            code: u64::from(line) << 32 | quick(function) >> 32,
            family: (Layer::Ext4 as u64) << 56,
        }
    }

    /// Data of an inode that was lost.
    pub(super) const fn inode(dev: u32, ino: u64, errno: Errno) -> Self {
        Self { scope: dev as u64, code: ino, family: (Layer::Inode as u64) << 56 | errno.raw() as u32 as u64 }
    }
}

fn quick(bytes: &[u8]) -> u64 {
    let mut hasher = KeyHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// A hash for keys that are numbers: a multiplication and a rotation for each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            self.write_u64(chunk.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    fn finish(&self) -> u64 {
        // The table takes its place from the low bits and a tag from the high ones: both must depend on all.
        self.0 ^ self.0 >> 32
    }
}

/// Builds [`KeyHasher`].
pub(super) type BuildKeyHasher = BuildHasherDefault<KeyHasher>;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn different_failures_have_different_keys() {
        let sda = Scope::dev(0x80_0010);
        let keys = [
            FoldKey::block(sda, Op::Read, Errno::EIO, None),
            FoldKey::block(sda, Op::Write, Errno::EIO, None),
            FoldKey::block(sda, Op::Read, Errno::ENODATA, None),
            FoldKey::block(sda, Op::Read, Errno::EIO, Some(Fault::TimedOut)),
            FoldKey::block(Scope::dev(0x80_0020), Op::Read, Errno::EIO, None),
            FoldKey::driver(Scope::dev(0x80_0010), Fault::TimedOut),
            FoldKey::driver_unnamed(Scope::dev(0x80_0010), 0),
            FoldKey::typed(Scope::dev(0x80_0010), "FS_ERROR", 0),
            FoldKey::typed(Scope::name("sda"), "FS_ERROR", 0),
            FoldKey::ext4(sda, b"ext4_find_entry", 1683),
            FoldKey::ext4(sda, b"ext4_find_entry", 1684),
            FoldKey::inode(0x80_0010, 12, Errno::EIO),
            FoldKey::inode(0x80_0010, 13, Errno::EIO),
        ];
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
        assert_eq!(Scope::dev(0x80_0010).as_dev(), Some(0x80_0010));
        assert_eq!(Scope::name("sda").as_dev(), None);
    }

    #[test]
    fn keys_that_differ_little_spread_over_the_table() {
        let places: HashSet<u64> = (0..4096u32)
            .map(|i| {
                let mut hasher = KeyHasher::default();
                FoldKey::block(Scope::dev(0x80_0000 + i), Op::Read, Errno::EIO, None).hash(&mut hasher);
                hasher.finish() % 4096
            })
            .collect();
        assert!(places.len() > 2000, "{}", places.len());
    }
}
