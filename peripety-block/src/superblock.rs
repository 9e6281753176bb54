//! What lies on a block device, by the magic numbers at its start and end: total decoders over bytes.
//!
//! Names and spellings are udev's (`ID_FS_TYPE`, `ID_FS_UUID`), so that an event says the same with udev and without.

use super::{bytes::array, content::Content, wwid};

/// How much of the start the decoders look at: btrfs has its superblock at 64 KiB.
pub(super) const HEAD: usize = 68 * 1024;
/// How much of the end: md with metadata 0.90 has its superblock up to 128 KiB before it.
pub(super) const TAIL: usize = 128 * 1024;

/// The start and the end of a device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image<'a> {
    head: &'a [u8],
    tail: &'a [u8],
    /// Size of the device in bytes.
    size: u64,
}

type Decoder = fn(&Image<'_>) -> Option<Content>;

/// In the order that decides: what is a part of something else before what shines through from it.
const DECODERS: &[Decoder] =
    &[md, lvm, luks, swap, ext, xfs, btrfs, f2fs, bcachefs, erofs, squashfs, iso9660, ntfs, exfat, vfat];

/// What lies on a device of `size` bytes that starts with `head` and ends with `tail`.
pub(super) fn identify(head: &[u8], tail: &[u8], size: u64) -> Option<Content> {
    let image = Image { head, tail, size };
    DECODERS.iter().find_map(|decode| decode(&image))
}

impl<'a> Image<'a> {
    fn head(&self, at: usize, len: usize) -> Option<&'a [u8]> {
        self.head.get(at..at.checked_add(len)?)
    }

    fn has(&self, at: usize, magic: &[u8]) -> bool {
        self.head(at, magic.len()) == Some(magic)
    }

    fn le32(&self, at: usize) -> Option<u32> {
        le32(self.head, at)
    }

    fn uuid(&self, at: usize) -> String {
        self.head(at, 16).and_then(wwid::uuid).unwrap_or_default()
    }

    fn label(&self, at: usize, len: usize) -> String {
        self.head(at, len).map(c_text).unwrap_or_default()
    }

    /// Bytes at a place of the device, from whichever end has them.
    fn at(&self, at: u64, len: usize) -> Option<&'a [u8]> {
        let start = usize::try_from(at).ok()?;
        if let Some(found) = self.head(start, len) {
            return Some(found);
        }
        let tail_start = self.size.checked_sub(self.tail.len() as u64)?;
        let start = usize::try_from(at.checked_sub(tail_start)?).ok()?;
        self.tail.get(start..start.checked_add(len)?)
    }
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// Text up to the first zero byte.
fn c_text(raw: &[u8]) -> String {
    let end = raw.iter().position(|b| *b == 0).unwrap_or(raw.len());
    raw.get(..end).and_then(super::attr::trimmed).unwrap_or_default()
}

fn content(fs_type: &str, uuid: String, label: String) -> Option<Content> {
    Some(Content { fs_type: fs_type.to_owned(), uuid, label })
}

/// ext2, ext3, ext4 and their journal devices (fs/ext4/ext4.h, struct ext4_super_block).
fn ext(image: &Image<'_>) -> Option<Content> {
    const SB: usize = 1024;
    const COMPAT_HAS_JOURNAL: u32 = 0x4;
    const INCOMPAT_JOURNAL_DEV: u32 = 0x8;
    // What ext3 knows: filetype, recover, meta_bg; sparse_super, large_file, btree_dir.
    const INCOMPAT_EXT3: u32 = 0x2 | 0x4 | 0x10;
    const RO_COMPAT_EXT3: u32 = 0x1 | 0x2 | 0x4;
    if !image.has(SB + 56, &[0x53, 0xef]) {
        return None;
    }
    let (compat, incompat, ro_compat) = (image.le32(SB + 92)?, image.le32(SB + 96)?, image.le32(SB + 100)?);
    let fs_type = if incompat & INCOMPAT_JOURNAL_DEV != 0 {
        "jbd"
    } else if incompat & !INCOMPAT_EXT3 != 0 || ro_compat & !RO_COMPAT_EXT3 != 0 {
        "ext4"
    } else if compat & COMPAT_HAS_JOURNAL != 0 {
        "ext3"
    } else {
        "ext2"
    };
    content(fs_type, image.uuid(SB + 104), image.label(SB + 120, 16))
}

/// XFS (fs/xfs/libxfs/xfs_format.h, struct xfs_dsb).
fn xfs(image: &Image<'_>) -> Option<Content> {
    image.has(0, b"XFSB").then(|| content("xfs", image.uuid(32), image.label(108, 12)))?
}

/// btrfs (include/uapi/linux/btrfs_tree.h, struct btrfs_super_block).
fn btrfs(image: &Image<'_>) -> Option<Content> {
    const SB: usize = 64 * 1024;
    image
        .has(SB + 0x40, b"_BHRfS_M")
        .then(|| content("btrfs", image.uuid(SB + 0x20), image.label(SB + 0x12b, 256)))?
}

/// f2fs (include/linux/f2fs_fs.h, struct f2fs_super_block); the label is in UTF-16.
fn f2fs(image: &Image<'_>) -> Option<Content> {
    const SB: usize = 1024;
    if image.le32(SB)? != 0xf2f5_2010 {
        return None;
    }
    let units = image.head(SB + 124, 1024).unwrap_or_default().as_chunks::<2>().0;
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0);
    let label = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    content("f2fs", image.uuid(SB + 108), label)
}

/// bcachefs (fs/bcachefs/bcachefs_format.h, struct bch_sb).
fn bcachefs(image: &Image<'_>) -> Option<Content> {
    const SB: usize = 4096;
    const MAGIC: [u8; 16] =
        [0xc6, 0x85, 0x73, 0xf6, 0x66, 0xce, 0x90, 0xa9, 0xd9, 0x6a, 0x60, 0xcf, 0x80, 0x3d, 0xf7, 0xef];
    image.has(SB + 24, &MAGIC).then(|| content("bcachefs", image.uuid(SB + 56), image.label(SB + 72, 32)))?
}

/// erofs (fs/erofs/erofs_fs.h).
fn erofs(image: &Image<'_>) -> Option<Content> {
    const SB: usize = 1024;
    (image.le32(SB)? == 0xe0f5_e1e2)
        .then(|| content("erofs", image.uuid(SB + 48), image.label(SB + 64, 16)))?
}

fn squashfs(image: &Image<'_>) -> Option<Content> {
    image.has(0, b"hsqs").then(|| content("squashfs", String::new(), String::new()))?
}

fn iso9660(image: &Image<'_>) -> Option<Content> {
    const SB: usize = 32 * 1024;
    image.has(SB + 1, b"CD001").then(|| content("iso9660", String::new(), image.label(SB + 40, 32)))?
}

fn ntfs(image: &Image<'_>) -> Option<Content> {
    let serial = image.has(3, b"NTFS    ").then(|| image.head(72, 8))??;
    content("ntfs", reversed_hex(serial).to_uppercase(), String::new())
}

fn exfat(image: &Image<'_>) -> Option<Content> {
    let serial = image.has(3, b"EXFAT   ").then(|| image.head(100, 4))??;
    content("exfat", dashed_serial(serial), String::new())
}

/// FAT of 12, 16 and 32 bits.
fn vfat(image: &Image<'_>) -> Option<Content> {
    if !image.has(510, &[0x55, 0xaa]) {
        return None;
    }
    let (serial, label) = if image.has(82, b"FAT32   ") {
        (image.head(67, 4)?, image.label(71, 11))
    } else if image.has(54, b"FAT16   ") || image.has(54, b"FAT12   ") {
        (image.head(39, 4)?, image.label(43, 11))
    } else {
        return None;
    };
    let label = if label == "NO NAME" { String::new() } else { label };
    content("vfat", dashed_serial(serial), label)
}

fn reversed_hex(serial: &[u8]) -> String {
    wwid::hex(&serial.iter().rev().copied().collect::<Vec<u8>>())
}

/// A four byte volume serial as `0A1B-2C3D`.
fn dashed_serial(serial: &[u8]) -> String {
    let digits = reversed_hex(serial).to_uppercase();
    digits.split_at_checked(4).map(|(high, low)| format!("{high}-{low}")).unwrap_or_default()
}

/// Swap space (include/linux/swap.h, union swap_header): the magic is at the end of the first page, whose size differs.
fn swap(image: &Image<'_>) -> Option<Content> {
    [4096, 8192, 16384, 65536]
        .into_iter()
        .find(|page| image.has(page - 10, b"SWAPSPACE2"))
        .and_then(|_page| content("swap", image.uuid(1024 + 12), image.label(1024 + 28, 16)))
}

/// LUKS, version 1 and 2: the uuid is text at the same place in both.
fn luks(image: &Image<'_>) -> Option<Content> {
    if !image.has(0, b"LUKS\xba\xbe") {
        return None;
    }
    let label = if image.has(6, &[0, 2]) { image.label(24, 48) } else { String::new() };
    content("crypto_LUKS", image.label(168, 40), label)
}

/// Physical volume of LVM: a label in one of the first four sectors points at the header with the uuid.
fn lvm(image: &Image<'_>) -> Option<Content> {
    (0..4)
        .map(|sector| sector * 512)
        .find(|at| image.has(*at, b"LABELONE") && image.has(at + 24, b"LVM2 001"))
        .and_then(|at| {
            let offset = usize::try_from(image.le32(at + 20)?).ok()?;
            let id = std::str::from_utf8(image.head(at.checked_add(offset)?, 32)?).ok()?;
            content("LVM2_member", lvm_uuid(id)?, String::new())
        })
}

/// LVM writes its ids in groups of 6, 4, 4, 4, 4, 4 and 6.
fn lvm_uuid(id: &str) -> Option<String> {
    let mut groups = Vec::with_capacity(7);
    let mut rest = id;
    for length in [6, 4, 4, 4, 4, 4, 6] {
        let (group, tail) = rest.split_at_checked(length)?;
        groups.push(group);
        rest = tail;
    }
    id.bytes().all(|b| b.is_ascii_alphanumeric()).then(|| groups.join("-"))
}

/// Member of an md array (include/uapi/linux/raid/md_p.h): metadata 1.1 at the start, 1.2 at 4 KiB, 1.0 and 0.90 at the end.
fn md(image: &Image<'_>) -> Option<Content> {
    const MAGIC: [u8; 4] = [0xfc, 0x4e, 0x2b, 0xa9];
    let sectors = image.size / 512;
    // md rounds down to 4 KiB after it has left at least 8 KiB free.
    let last = sectors.checked_sub(16).map(|s| (s & !7) * 512);
    for at in [Some(0), Some(4096), last].into_iter().flatten() {
        if image.at(at, 4) == Some(&MAGIC) && image.at(at + 4, 4).and_then(|v| le32(v, 0)) == Some(1) {
            let uuid = image.at(at + 16, 16).and_then(wwid::uuid).unwrap_or_default();
            let name = image.at(at + 32, 32).map(c_text).unwrap_or_default();
            return content("linux_raid_member", uuid, name);
        }
    }
    let old = (image.size & !0xffff).checked_sub(64 * 1024)?;
    if image.at(old, 4)? != MAGIC || le32(image.at(old + 4, 4)?, 0)? != 0 {
        return None;
    }
    let mut id = image.at(old + 20, 4)?.to_vec();
    id.extend(image.at(old + 52, 12)?);
    content("linux_raid_member", wwid::uuid(&id).unwrap_or_default(), String::new())
}

#[cfg(test)]
#[path = "superblock_tests.rs"]
mod tests;
