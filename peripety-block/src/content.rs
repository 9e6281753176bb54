//! What lies on a device: udev's word first, else our own look at its superblocks.
//!
//! A read of a device may hang for as long as the device does. So none is read while udev answers, none that is known to
//! be in trouble, and the rest only by threads of their own that nobody waits for longer than a bound.

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use super::{
    BlkType, Dev,
    superblock::{self, HEAD, TAIL},
    sysfs::SysDevice,
    udevdb::{self, UdevEntry},
};

/// What lies on a device, in udev's spelling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// `ext4`, `LVM2_member` …
    pub fs_type: String,
    /// UUID of it.
    pub uuid: String,
    /// Its label.
    pub label: String,
}

impl Content {
    /// What udev knows; none when it found nothing.
    pub(super) fn of_udev(entry: &UdevEntry) -> Option<Self> {
        let fs_type = entry.get("ID_FS_TYPE")?.to_owned();
        let uuid = entry.get("ID_FS_UUID").unwrap_or_default().to_owned();
        let label = match entry.get("ID_FS_LABEL_ENC") {
            Some(escaped) => udevdb::unescape(escaped),
            None => entry.get("ID_FS_LABEL").unwrap_or_default().to_owned(),
        };
        Some(Self { fs_type, uuid, label })
    }
}

/// Whether a device may be read: not when it has no medium, and not when a read could hang.
pub(super) fn may_read(device: &SysDevice) -> bool {
    // A network device hangs with its server, a multipath map without paths queues for ever, a floppy drive grinds.
    const FLOPPY: u32 = 2;
    let hangs =
        matches!(device.id.blk_type, BlkType::Nbd | BlkType::Rbd | BlkType::Drbd | BlkType::DmMultipath);
    let empty = device.id.size_sectors.is_none_or(peripety_model::Sectors::is_zero);
    !hangs && !empty && device.runs && device.id.dev.major != FLOPPY
}

/// Reads the superblocks of a device node. `Ok(None)` when nothing known lies there.
///
/// # Errors
///
/// When the node is not there, is of another device by now, or cannot be read.
pub(super) fn read(node: &Path, dev: Dev) -> io::Result<Option<Content>> {
    check(&std::fs::metadata(node)?, dev)?;
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblock).open(node)?;
    check(&file.metadata()?, dev)?;
    // No read-ahead: should the device fail meanwhile, it fails for no more than was asked of it.
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random)?;
    let size = rustix::fs::seek(&file, rustix::fs::SeekFrom::End(0))?;
    let head = read_at(&file, 0, HEAD)?;
    let tail = read_at(&file, size.saturating_sub(TAIL as u64), TAIL).unwrap_or_default();
    Ok(superblock::identify(&head, &tail, size))
}

/// Before the open, for the open of some device may do harm, and after it, for the node may have changed.
fn check(meta: &std::fs::Metadata, dev: Dev) -> io::Result<()> {
    if meta.file_type().is_block_device() && Dev::from_user(meta.rdev()) == dev {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::NotFound, "the node is of another device"))
    }
}

fn read_at(file: &std::fs::File, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_device() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(read(file.path(), Dev::new(8, 0)).is_err());
        // A character device that would block a careless reader.
        assert!(read(Path::new("/dev/tty"), Dev::new(5, 0)).is_err());
    }
}
