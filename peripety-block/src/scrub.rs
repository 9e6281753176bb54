//! The scrub of btrfs: the kernel reads what is stored of a range of a device, compares it with its checksums, and mends from a
//! copy what does not match (fs/btrfs/scrub.c). It takes CAP_SYS_ADMIN.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use crate::{
    bytes::u64_at,
    ioctl::{self, Request},
    map::kernel::{AskError, open, put},
};

/// Numbers of devices that are asked for.
const DEVICES_MAX: u64 = 4096;

/// A mounted btrfs.
#[derive(Debug)]
pub struct Btrfs {
    file: File,
    path: PathBuf,
}

/// One of its devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BtrfsDevice {
    /// Its number in the filesystem.
    pub id: u64,
    /// Bytes of it that the filesystem uses.
    pub bytes: u64,
}

/// What a scrub of a range did (struct btrfs_scrub_progress).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Bytes of data and metadata that were read.
    pub bytes: u64,
    /// What could not be read, did not match, or was of another tree.
    pub errors: u64,
    /// How many of those were mended.
    pub corrected: u64,
    /// Up to where on the device it came; a chunk that begins in the range is scrubbed to its end. 0 where there was none.
    pub last: u64,
}

impl Btrfs {
    /// Opens it where it is mounted.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(mount_point: &Path) -> Result<Self, AskError> {
        Ok(Self { file: open(mount_point)?, path: mount_point.to_owned() })
    }

    /// Its devices, by their numbers.
    ///
    /// # Errors
    /// The kernel refuses, or it is no btrfs.
    pub fn devices(&self) -> Result<Vec<BtrfsDevice>, AskError> {
        let mut info = [0; 1024];
        ioctl::ask(&self.file, Request::BtrfsFsInfo, &mut info)
            .map_err(|source| self.failed("BTRFS_IOC_FS_INFO", source))?;
        let last = u64_at(&info, 0).unwrap_or(0).min(DEVICES_MAX);
        let device = |id: u64| {
            let mut args = [0; 4096];
            put(&mut args, 0, &id.to_ne_bytes());
            ioctl::ask(&self.file, Request::BtrfsDevInfo, &mut args).ok()?;
            Some(BtrfsDevice { id, bytes: u64_at(&args, 32)? })
        };
        Ok((1..=last).filter_map(device).collect())
    }

    /// Scrubs the chunks that begin in this range of bytes of a device, and the one that holds its first byte. It returns when
    /// that is done. The second: what the kernel refused, and how far it was then.
    ///
    /// # Errors
    /// The kernel refuses: `ECANCELED` after [`Btrfs::cancel`], `EINPROGRESS` where another scrub runs.
    pub fn scrub(&self, device: u64, start: u64, end: u64) -> Result<Scrubbed, (Scrubbed, Errno)> {
        let mut args = [0; 1024];
        for (at, value) in [(0, device), (8, start), (16, end)] {
            put(&mut args, at, &value.to_ne_bytes());
        }
        let answer = ioctl::ask(&self.file, Request::BtrfsScrub, &mut args);
        // The kernel says how far it came also where it gave up.
        let scrubbed = decode(&args);
        answer.map(|_| scrubbed).map_err(|source| (scrubbed, source))
    }

    /// Ends a scrub that runs, whoever began it.
    ///
    /// # Errors
    /// None runs (`ENOTCONN`), or the kernel refuses.
    pub fn cancel(&self) -> Result<(), AskError> {
        ioctl::ask(&self.file, Request::BtrfsScrubCancel, &mut [])
            .map(drop)
            .map_err(|source| self.failed("BTRFS_IOC_SCRUB_CANCEL", source))
    }

    fn failed(&self, what: &'static str, source: Errno) -> AskError {
        AskError::Ioctl { what, of: self.path.display().to_string(), source }
    }
}

/// struct btrfs_ioctl_scrub_args: four numbers, then struct btrfs_scrub_progress.
fn decode(args: &[u8]) -> Scrubbed {
    const PROGRESS: usize = 32;
    let number = |nth: usize| u64_at(args, PROGRESS + nth * 8).unwrap_or(0);
    let sum = |of: &[usize]| of.iter().map(|nth| number(*nth)).fold(0, u64::saturating_add);
    Scrubbed { bytes: sum(&[2, 3]), errors: sum(&[4, 5, 6, 9]), corrected: number(12), last: number(13) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_the_kernel_has_its_numbers_where_the_header_says() {
        let mut args = [0; 1024];
        for nth in 0..15_u64 {
            put(&mut args, 32 + 8 * nth as usize, &(1_u64 << nth).to_ne_bytes());
        }
        let scrubbed = decode(&args);
        assert_eq!(
            scrubbed,
            Scrubbed { bytes: 0b1100, errors: 0b10_0111_0000, corrected: 1 << 12, last: 1 << 13 }
        );
        assert_eq!(decode(&[]), Scrubbed::default());
    }
}
