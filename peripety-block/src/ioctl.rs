//! The ioctls that give what no file in sysfs has: tables of device-mapper, extents of files, chunks of btrfs, the file of a
//! loop device, and the health monitor of XFS; and what a scan asks for: messages to targets, the scrub of btrfs.

#![expect(unsafe_code, reason = "an ioctl gets a pointer; nothing else can ask the kernel for these")]

mod query;

use std::{
    ffi::{c_int, c_void},
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use rustix::{
    io::Errno,
    ioctl::{Ioctl, IoctlOutput, Opcode, opcode},
};

pub(crate) use self::query::{Query, query};
use crate::bytes;

/// What is asked, each with a buffer that the kernel reads and writes, and no pointer in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `DM_TABLE_STATUS`: struct dm_ioctl, and room for what it says.
    DmTableStatus,
    /// `DM_LIST_DEVICES`: struct dm_ioctl, and room for the list.
    DmListDevices,
    /// `DM_DEV_ARM_POLL`: struct dm_ioctl.
    DmDevArmPoll,
    /// `DM_TARGET_MSG`: struct dm_ioctl, struct dm_target_msg, and what the target answers.
    DmTargetMsg,
    /// `FS_IOC_FIEMAP`: struct fiemap, and room for its extents.
    Fiemap,
    /// `BTRFS_IOC_TREE_SEARCH`: struct btrfs_ioctl_search_args.
    BtrfsTreeSearch,
    /// `BTRFS_IOC_DEV_INFO`: struct btrfs_ioctl_dev_info_args.
    BtrfsDevInfo,
    /// `BTRFS_IOC_FS_INFO`: struct btrfs_ioctl_fs_info_args.
    BtrfsFsInfo,
    /// `BTRFS_IOC_SCRUB`: struct btrfs_ioctl_scrub_args. It returns when the range is scrubbed.
    BtrfsScrub,
    /// `BTRFS_IOC_SCRUB_CANCEL`: nothing.
    BtrfsScrubCancel,
    /// `LOOP_GET_STATUS64`: struct loop_info64.
    LoopStatus,
    /// `XFS_IOC_HEALTH_MONITOR`: struct xfs_health_monitor; by [`ask_for_fd`] only.
    XfsHealthMonitor,
}

impl Request {
    fn opcode(self) -> Opcode {
        use opcode::{from_components, write};
        use rustix::ioctl::Direction::ReadWrite;
        match self {
            Self::DmTableStatus => from_components(ReadWrite, 0xfd, 12, DM_HEADER),
            Self::DmListDevices => from_components(ReadWrite, 0xfd, 2, DM_HEADER),
            Self::DmDevArmPoll => from_components(ReadWrite, 0xfd, 16, DM_HEADER),
            Self::DmTargetMsg => from_components(ReadWrite, 0xfd, 14, DM_HEADER),
            Self::Fiemap => from_components(ReadWrite, b'f', 11, FIEMAP_HEADER),
            Self::BtrfsTreeSearch => from_components(ReadWrite, 0x94, 17, 4096),
            Self::BtrfsDevInfo => from_components(ReadWrite, 0x94, 30, 4096),
            Self::BtrfsFsInfo => from_components(rustix::ioctl::Direction::Read, 0x94, 31, 1024),
            Self::BtrfsScrub => from_components(ReadWrite, 0x94, 27, 1024),
            Self::BtrfsScrubCancel => from_components(rustix::ioctl::Direction::None, 0x94, 28, 0),
            Self::LoopStatus => 0x4c05,
            Self::XfsHealthMonitor => write::<[u8; 32]>(b'X', 68),
        }
    }

    /// Whether the kernel, asked this with this buffer, stays within it.
    fn fits(self, buffer: &[u8]) -> bool {
        let u32_at = |at| bytes::u32_at(buffer, at).map(|value| value as usize);
        match self {
            // Its data_size bounds it.
            Self::DmTableStatus | Self::DmListDevices | Self::DmDevArmPoll | Self::DmTargetMsg => {
                buffer.len() >= DM_HEADER && u32_at(12).is_some_and(|size| size <= buffer.len())
            }
            // Its extent_count bounds it.
            Self::Fiemap => u32_at(24)
                .and_then(|count| count.checked_mul(FIEMAP_EXTENT)?.checked_add(FIEMAP_HEADER))
                .is_some_and(|size| size <= buffer.len()),
            Self::BtrfsTreeSearch | Self::BtrfsDevInfo => buffer.len() >= 4096,
            Self::BtrfsFsInfo | Self::BtrfsScrub => buffer.len() >= 1024,
            Self::BtrfsScrubCancel => true,
            Self::LoopStatus => buffer.len() >= LOOP_STATUS,
            Self::XfsHealthMonitor => buffer.len() >= 32,
        }
    }
}

/// Size of struct dm_ioctl.
pub(crate) const DM_HEADER: usize = 312;
/// Size of struct fiemap.
pub(crate) const FIEMAP_HEADER: usize = 32;
/// Size of struct fiemap_extent.
pub(crate) const FIEMAP_EXTENT: usize = 56;
/// Size of struct loop_info64.
pub(crate) const LOOP_STATUS: usize = 232;

struct Call<'a> {
    opcode: Opcode,
    buffer: &'a mut [u8],
}

// SAFETY: the pointer is to the buffer, which is borrowed for as long as the call lasts; the output is the number that the
// kernel returned, and nothing is read through the pointer.
unsafe impl Ioctl for Call<'_> {
    type Output = c_int;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.buffer.as_mut_ptr().cast()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<c_int> {
        Ok(out)
    }
}

/// Asks; gives what the ioctl returned.
///
/// # Errors
///
/// What the kernel said; `EINVAL` when the buffer is smaller than what the kernel may write, and then nothing was asked.
pub fn ask(fd: impl AsFd, request: Request, buffer: &mut [u8]) -> Result<c_int, Errno> {
    if request == Request::XfsHealthMonitor {
        return Err(Errno::INVAL);
    }
    call(fd.as_fd(), request, buffer)
}

/// Asks for a descriptor.
///
/// # Errors
///
/// As [`ask`]; `EINVAL` too for a request that gives none.
pub fn ask_for_fd(fd: impl AsFd, request: Request, buffer: &mut [u8]) -> Result<OwnedFd, Errno> {
    if request != Request::XfsHealthMonitor {
        return Err(Errno::INVAL);
    }
    let number = call(fd.as_fd(), request, buffer)?;
    // SAFETY: the kernel has just made it for this call, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn call(fd: BorrowedFd<'_>, request: Request, buffer: &mut [u8]) -> Result<c_int, Errno> {
    if !request.fits(buffer) || fd.as_raw_fd() < 0 {
        return Err(Errno::INVAL);
    }
    let call = Call { opcode: request.opcode(), buffer };
    // SAFETY: the kernel writes at most what `fits` has checked to be there. The numbers are those of the requests named;
    // a file that does not know one refuses it: they are of no driver's that would take them for something else.
    unsafe { rustix::ioctl::ioctl(fd, call) }
}
