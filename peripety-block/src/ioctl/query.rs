//! Commands to disks, which only read: the health log of NVMe, SMART of ATA, log pages of SCSI.

#![expect(
    unsafe_code,
    reason = "the structs of these ioctls have pointers; nothing else passes a command to a disk"
)]

use std::{
    ffi::c_void,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd},
    ptr,
};

use rustix::{
    io::Errno,
    ioctl::{Ioctl, IoctlOutput, Opcode, opcode},
};

/// How long a disk may take for one of them.
const TIMEOUT_MS: u32 = 3000;
/// What SMART and the health log of NVMe fill.
const SECTOR: usize = 512;
/// The largest log page that is read.
const LOG_PAGE: usize = 1024;
const SENSE: usize = 64;

/// What a disk is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    /// Get Log Page, 02h.
    NvmeHealth,
    /// SMART READ DATA.
    AtaSmartData,
    /// SMART READ THRESHOLDS.
    AtaSmartThresholds,
    /// SMART RETURN STATUS: the answer is sense data with the registers.
    AtaSmartStatus,
    /// LOG SENSE, cumulative values.
    ScsiLog {
        /// Number of the page.
        page: u8,
    },
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    /// The kernel refuses it.
    #[error("{}", refused(*.0))]
    Kernel(Errno),
    /// The disk does.
    #[error("the disk refuses it (SCSI status {status:#04x}, host {host:#04x})")]
    Scsi { status: u8, host: u16 },
    /// The controller does.
    #[error("the controller refuses it (NVMe status {0:#06x})")]
    Nvme(u32),
}

fn refused(errno: Errno) -> String {
    match errno {
        // drivers/scsi/scsi_ioctl.c, scsi_cmd_allowed: commands of ATA are none that a reader may send.
        Errno::PERM => "the kernel refuses it without CAP_SYS_RAWIO".to_owned(),
        Errno::NOTTY | Errno::INVAL => "its driver passes no commands on".to_owned(),
        other => other.to_string(),
    }
}

/// Asks a disk.
pub(crate) fn query(file: impl AsFd, query: Query) -> Result<Vec<u8>, QueryError> {
    let file = file.as_fd();
    match query {
        Query::NvmeHealth => nvme_health(file),
        Query::AtaSmartData => scsi(file, &smart(0xd0), SECTOR),
        Query::AtaSmartThresholds => scsi(file, &smart(0xd1), SECTOR),
        Query::AtaSmartStatus => scsi(file, &smart(0xda), 0),
        Query::ScsiLog { page } => {
            let [high, low] = u16::try_from(LOG_PAGE).unwrap_or(u16::MAX).to_be_bytes();
            scsi(file, &[0x4d, 0, 0x40 | (page & 0x3f), 0, 0, 0, 0, high, low, 0], LOG_PAGE)
        }
    }
}

/// ATA PASS-THROUGH(16) with a subcommand of SMART (SAT-4).
fn smart(feature: u8) -> [u8; 16] {
    // Data comes by PIO and its length is the sector count, or there is none and the registers come as sense data.
    let (protocol, flags) = if feature == 0xda { (3 << 1, 0x20) } else { (4 << 1, 0x0e) };
    let count = u8::from(feature != 0xda);
    [0x85, protocol, flags, 0, feature, 0, count, 0, 0, 0, 0x4f, 0, 0xc2, 0, 0xb0, 0]
}

/// struct sg_io_hdr (include/scsi/sg.h).
#[repr(C)]
struct SgIo {
    interface_id: i32,
    dxfer_direction: i32,
    cmd_len: u8,
    mx_sb_len: u8,
    iovec_count: u16,
    dxfer_len: u32,
    dxferp: *mut c_void,
    cmdp: *const u8,
    sbp: *mut u8,
    timeout: u32,
    flags: u32,
    pack_id: i32,
    usr_ptr: *mut c_void,
    status: u8,
    masked_status: u8,
    msg_status: u8,
    sb_len_wr: u8,
    host_status: u16,
    driver_status: u16,
    resid: i32,
    duration: u32,
    info: u32,
}

const SG_IO: Opcode = 0x2285;
/// The drive gives data, or none.
const FROM_DEVICE: i32 = -3;
const NO_DATA: i32 = -1;
const CHECK_CONDITION: u8 = 2;

fn scsi(file: BorrowedFd<'_>, command: &[u8], length: usize) -> Result<Vec<u8>, QueryError> {
    let (mut data, mut sense) = (vec![0_u8; length], vec![0_u8; SENSE]);
    let mut header = SgIo {
        interface_id: i32::from(b'S'),
        dxfer_direction: if length > 0 { FROM_DEVICE } else { NO_DATA },
        cmd_len: u8::try_from(command.len()).unwrap_or(0),
        mx_sb_len: u8::try_from(SENSE).unwrap_or(0),
        iovec_count: 0,
        dxfer_len: u32::try_from(length).unwrap_or(0),
        dxferp: data.as_mut_ptr().cast(),
        cmdp: command.as_ptr(),
        sbp: sense.as_mut_ptr(),
        timeout: TIMEOUT_MS,
        flags: 0,
        pack_id: 0,
        usr_ptr: ptr::null_mut(),
        status: 0,
        masked_status: 0,
        msg_status: 0,
        sb_len_wr: 0,
        host_status: 0,
        driver_status: 0,
        resid: 0,
        duration: 0,
        info: 0,
    };
    // SAFETY: its pointers are to the command, the data and the sense buffer above, with their lengths, which live until the call
    // has returned; the command is one of those that this file makes, and none of them writes to the disk.
    unsafe { call(file, SG_IO, &mut header) }?;
    // The registers of an ATA command come with a status of CHECK CONDITION.
    if length == 0 && header.status == CHECK_CONDITION {
        sense.truncate(usize::from(header.sb_len_wr));
        return Ok(sense);
    }
    if header.status != 0 || header.host_status != 0 {
        return Err(QueryError::Scsi { status: header.status, host: header.host_status });
    }
    data.truncate(length.saturating_sub(usize::try_from(header.resid).unwrap_or(0)));
    Ok(data)
}

/// struct nvme_admin_cmd (include/uapi/linux/nvme_ioctl.h).
#[repr(C)]
struct NvmeAdmin {
    opcode: u8,
    flags: u8,
    rsvd1: u16,
    nsid: u32,
    cdw2: u32,
    cdw3: u32,
    metadata: u64,
    addr: u64,
    metadata_len: u32,
    data_len: u32,
    cdw10: u32,
    cdw11: u32,
    cdw12: u32,
    cdw13: u32,
    cdw14: u32,
    cdw15: u32,
    timeout_ms: u32,
    result: u32,
}

const GET_LOG_PAGE: u8 = 2;
const HEALTH: u32 = 2;
/// Of the controller, not of a namespace.
const ALL_NAMESPACES: u32 = 0xffff_ffff;

fn nvme_health(file: BorrowedFd<'_>) -> Result<Vec<u8>, QueryError> {
    let mut data = vec![0_u8; SECTOR];
    let length = u32::try_from(SECTOR).unwrap_or(0);
    let mut command = NvmeAdmin {
        opcode: GET_LOG_PAGE,
        flags: 0,
        rsvd1: 0,
        nsid: ALL_NAMESPACES,
        cdw2: 0,
        cdw3: 0,
        metadata: 0,
        addr: data.as_mut_ptr().expose_provenance() as u64,
        metadata_len: 0,
        data_len: length,
        // Dwords to read, less one.
        cdw10: HEALTH | (length / 4 - 1) << 16,
        cdw11: 0,
        cdw12: 0,
        cdw13: 0,
        cdw14: 0,
        cdw15: 0,
        timeout_ms: TIMEOUT_MS,
        result: 0,
    };
    let code = opcode::read_write::<NvmeAdmin>(b'N', 0x41);
    // SAFETY: `addr` is that of the data above, with its length, and lives until the call has returned; the command reads a log.
    let status = unsafe { call(file, code, &mut command) }?;
    if status != 0 {
        return Err(QueryError::Nvme(status.cast_unsigned()));
    }
    Ok(data)
}

/// An ioctl with a struct that has pointers in it.
struct Call<'a, T> {
    code: Opcode,
    argument: &'a mut T,
}

// SAFETY: the pointer is to the struct, which is borrowed for as long as the call lasts; the output is the number that the
// kernel returned.
unsafe impl<T> Ioctl for Call<'_, T> {
    type Output = i32;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.code
    }

    fn as_ptr(&mut self) -> *mut c_void {
        ptr::from_mut(self.argument).cast()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<i32> {
        Ok(out)
    }
}

/// # Safety
/// The struct is the one of this ioctl, and its pointers are to memory of the lengths that it names.
unsafe fn call<T>(file: BorrowedFd<'_>, code: Opcode, argument: &mut T) -> Result<i32, QueryError> {
    if file.as_raw_fd() < 0 {
        return Err(QueryError::Kernel(Errno::BADF));
    }
    // SAFETY: by the contract of this function.
    unsafe { rustix::ioctl::ioctl(file, Call { code, argument }) }.map_err(QueryError::Kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structs_are_as_large_as_the_kernels() {
        assert_eq!(size_of::<NvmeAdmin>(), 72);
        #[cfg(target_pointer_width = "64")]
        assert_eq!(size_of::<SgIo>(), 88);
    }

    #[test]
    fn a_file_that_is_no_disk_refuses_each() {
        let file = tempfile::tempfile().unwrap();
        let all = [
            Query::NvmeHealth,
            Query::AtaSmartData,
            Query::AtaSmartThresholds,
            Query::AtaSmartStatus,
            Query::ScsiLog { page: 0x2f },
        ];
        for asked in all {
            assert_eq!(query(&file, asked), Err(QueryError::Kernel(Errno::NOTTY)), "{asked:?}");
        }
    }
}
