//! Names of the numbers in SCSI results and sense data.

use std::borrow::Cow;

use super::code::unnamed;

/// Names of the sense keys, as the kernel prints them (drivers/scsi/constants.c).
#[rustfmt::skip]
static SENSE_KEYS: [&str; 16] = [
    "No Sense", "Recovered Error", "Not Ready", "Medium Error", "Hardware Error", "Illegal Request", "Unit Attention",
    "Data Protect", "Blank Check", "Vendor Specific(9)", "Copy Aborted", "Aborted Command", "Equal", "Volume Overflow",
    "Miscompare", "Completed",
];

/// Names of the host bytes (include/scsi/scsi_status.h).
#[rustfmt::skip]
static HOST_BYTES: [&str; 21] = [
    "DID_OK", "DID_NO_CONNECT", "DID_BUS_BUSY", "DID_TIME_OUT", "DID_BAD_TARGET", "DID_ABORT", "DID_PARITY", "DID_ERROR",
    "DID_RESET", "DID_BAD_INTR", "DID_PASSTHROUGH", "DID_SOFT_ERROR", "DID_IMM_RETRY", "DID_REQUEUE",
    "DID_TRANSPORT_DISRUPTED", "DID_TRANSPORT_FAILFAST", "DID_TARGET_FAILURE", "DID_NEXUS_FAILURE", "DID_ALLOC_FAILURE",
    "DID_MEDIUM_ERROR", "DID_TRANSPORT_MARGINAL",
];

/// Names of the driver bytes (include/scsi/scsi.h up to Linux 5.13).
#[rustfmt::skip]
static DRIVER_BYTES: [&str; 9] = [
    "DRIVER_OK", "DRIVER_BUSY", "DRIVER_SOFT", "DRIVER_MEDIA", "DRIVER_ERROR", "DRIVER_INVALID", "DRIVER_TIMEOUT",
    "DRIVER_HARD", "DRIVER_SENSE",
];

/// Names of the status bytes (SAM-5).
static STATUS_BYTES: &[(u8, &str)] = &[
    (0x00, "GOOD"),
    (0x02, "CHECK CONDITION"),
    (0x04, "CONDITION MET"),
    (0x08, "BUSY"),
    (0x18, "RESERVATION CONFLICT"),
    (0x28, "TASK SET FULL"),
    (0x30, "ACA ACTIVE"),
    (0x40, "TASK ABORTED"),
];

/// Name of a sense key.
pub(super) fn sense_key(key: u8) -> &'static str {
    SENSE_KEYS.get(usize::from(key & 0xf)).copied().unwrap_or("Unknown")
}

/// The sense key of a name.
pub(super) fn sense_key_of(name: &str) -> Option<u8> {
    position(&SENSE_KEYS, name)
}

/// Name of a host byte.
pub(super) fn host_byte(byte: u8) -> Cow<'static, str> {
    HOST_BYTES.get(usize::from(byte)).map_or_else(|| unnamed(byte), |name| Cow::Borrowed(*name))
}

/// The host byte of a name.
pub(super) fn host_byte_of(name: &str) -> Option<u8> {
    position(&HOST_BYTES, name)
}

/// Name of a driver byte.
pub(super) fn driver_byte(byte: u8) -> Cow<'static, str> {
    DRIVER_BYTES.get(usize::from(byte)).map_or_else(|| unnamed(byte), |name| Cow::Borrowed(*name))
}

/// The driver byte of a name.
pub(super) fn driver_byte_of(name: &str) -> Option<u8> {
    position(&DRIVER_BYTES, name)
}

/// Name of a status byte.
pub(super) fn status_byte(byte: u8) -> Cow<'static, str> {
    STATUS_BYTES.iter().find(|row| row.0 == byte).map_or_else(|| unnamed(byte), |row| Cow::Borrowed(row.1))
}

fn position(names: &[&str], name: &str) -> Option<u8> {
    names.iter().position(|known| known.eq_ignore_ascii_case(name.trim())).and_then(|n| n.try_into().ok())
}

/// Name of an additional sense code with its qualifier; of the code alone if the pair has none of its own.
pub fn additional_sense(asc: u8, ascq: u8) -> Option<&'static str> {
    let pair = u16::from_be_bytes([asc, ascq]);
    let find = |wanted: u16| ADDITIONAL_SENSE.iter().find(|row| row.0 == wanted).map(|row| row.1);
    find(pair).or_else(|| find(pair & 0xff00).filter(|_| asc != 0))
}

/// The code and qualifier with this name, in the kernel's spelling or ours.
pub(super) fn additional_sense_code(name: &str) -> Option<(u8, u8)> {
    let row = ADDITIONAL_SENSE.iter().find(|row| row.1.eq_ignore_ascii_case(name.trim()))?;
    let [asc, ascq] = row.0.to_be_bytes();
    Some((asc, ascq))
}

/// The common ones of SPC-4, annex F.2.
#[rustfmt::skip]
static ADDITIONAL_SENSE: &[(u16, &str)] = &[
    (0x0000, "No additional sense information"), (0x0006, "I/O process terminated"),
    (0x001d, "ATA pass through information available"), (0x0100, "No index/sector signal"),
    (0x0200, "No seek complete"), (0x0300, "Peripheral device write fault"), (0x0302, "Excessive write errors"),
    (0x0400, "Logical unit not ready, cause not reportable"),
    (0x0401, "Logical unit is in process of becoming ready"),
    (0x0402, "Logical unit not ready, initializing command required"),
    (0x0403, "Logical unit not ready, manual intervention required"),
    (0x0404, "Logical unit not ready, format in progress"), (0x0405, "Logical unit not ready, rebuild in progress"),
    (0x0409, "Logical unit not ready, self-test in progress"),
    (0x040a, "Logical unit not accessible, asymmetric access state transition"),
    (0x040b, "Logical unit not accessible, target port in standby state"),
    (0x040c, "Logical unit not accessible, target port in unavailable state"),
    (0x0411, "Logical unit not ready, notify (enable spinup) required"),
    (0x041b, "Logical unit not ready, sanitize in progress"), (0x0500, "Logical unit does not respond to selection"),
    (0x0800, "Logical unit communication failure"), (0x0801, "Logical unit communication time-out"),
    (0x0802, "Logical unit communication parity error"), (0x0803, "Logical unit communication CRC error (Ultra-DMA/32)"),
    (0x0900, "Track following error"), (0x0b00, "Warning"), (0x0b01, "Warning - specified temperature exceeded"),
    (0x0b02, "Warning - enclosure degraded"), (0x0b03, "Warning - background self-test failed"),
    (0x0b04, "Warning - background pre-scan detected medium error"),
    (0x0b05, "Warning - background medium scan detected medium error"),
    (0x0c00, "Write error"), (0x0c02, "Write error - auto reallocation failed"),
    (0x0c03, "Write error - recommend reassignment"), (0x0c04, "Compression check miscompare error"),
    (0x0e03, "Invalid field in command information unit"), (0x1000, "Id CRC or ECC error"),
    (0x1001, "Logical block guard check failed"), (0x1002, "Logical block application tag check failed"),
    (0x1003, "Logical block reference tag check failed"), (0x1100, "Unrecovered read error"),
    (0x1101, "Read retries exhausted"), (0x1102, "Error too long to correct"), (0x1103, "Multiple read errors"),
    (0x1104, "Unrecovered read error - auto reallocate failed"), (0x1105, "L-EC uncorrectable error"),
    (0x110b, "Unrecovered read error - recommend reassignment"),
    (0x110c, "Unrecovered read error - recommend rewrite the data"), (0x1114, "Read error - LBA marked bad by application client"),
    (0x1200, "Address mark not found for id field"), (0x1400, "Recorded entity not found"),
    (0x1401, "Record not found"), (0x1500, "Random positioning error"),
    (0x1501, "Mechanical positioning error"), (0x1600, "Data synchronization mark error"),
    (0x1700, "Recovered data with no error correction applied"), (0x1701, "Recovered data with retries"),
    (0x1706, "Recovered data without ECC - data auto-reallocated"),
    (0x1707, "Recovered data without ECC - recommend reassignment"),
    (0x1800, "Recovered data with error correction applied"),
    (0x1801, "Recovered data with error corr. & retries applied"),
    (0x1802, "Recovered data - data auto-reallocated"), (0x1900, "Defect list error"),
    (0x1a00, "Parameter list length error"), (0x1b00, "Synchronous data transfer error"),
    (0x1c00, "Defect list not found"), (0x1d00, "Miscompare during verify operation"),
    (0x2000, "Invalid command operation code"), (0x2100, "Logical block address out of range"),
    (0x2104, "Unaligned write command"), (0x2105, "Write boundary violation"),
    (0x2400, "Invalid field in cdb"), (0x2500, "Logical unit not supported"),
    (0x2600, "Invalid field in parameter list"), (0x2700, "Write protected"),
    (0x2701, "Hardware write protected"), (0x2702, "Logical unit software write protected"),
    (0x2707, "Space allocation failed write protect"),
    (0x2800, "Not ready to ready change, medium may have changed"),
    (0x2900, "Power on, reset, or bus device reset occurred"), (0x2901, "Power on occurred"),
    (0x2902, "Scsi bus reset occurred"), (0x2903, "Bus device reset function occurred"),
    (0x2904, "Device internal reset"), (0x2907, "I_T nexus loss occurred"), (0x2a00, "Parameters changed"),
    (0x2a01, "Mode parameters changed"), (0x2a02, "Log parameters changed"), (0x2a03, "Reservations preempted"),
    (0x2a04, "Reservations released"), (0x2a05, "Registrations preempted"),
    (0x2a06, "Asymmetric access state changed"), (0x2a07, "Implicit asymmetric access state transition failed"),
    (0x2a09, "Capacity data has changed"), (0x2c00, "Command sequence error"),
    (0x2f00, "Commands cleared by another initiator"), (0x3000, "Incompatible medium installed"),
    (0x3100, "Medium format corrupted"), (0x3101, "Format command failed"),
    (0x3200, "No defect spare location available"), (0x3201, "Defect list update failure"),
    (0x3500, "Enclosure services failure"), (0x3807, "Thin provisioning soft threshold reached"),
    (0x3a00, "Medium not present"), (0x3a01, "Medium not present - tray closed"),
    (0x3a02, "Medium not present - tray open"), (0x3e00, "Logical unit has not self-configured yet"),
    (0x3e01, "Logical unit failure"), (0x3e02, "Timeout on logical unit"), (0x3e03, "Logical unit failed self-test"),
    (0x3f00, "Target operating conditions have changed"), (0x3f01, "Microcode has been changed"),
    (0x3f03, "Inquiry data has changed"), (0x3f0e, "Reported luns data has changed"),
    (0x4000, "Ram failure (should use 40 nn)"), (0x4300, "Message error"), (0x4400, "Internal target failure"),
    (0x4500, "Select or reselect failure"), (0x4700, "Scsi parity error"),
    (0x4701, "Data phase CRC error detected"), (0x4703, "Information unit iuCRC error detected"),
    (0x4706, "Physical phy test failure"), (0x4800, "Initiator detected error message received"),
    (0x4900, "Invalid message error"), (0x4b00, "Data phase error"), (0x4b03, "Ack/nak timeout"),
    (0x4b04, "Nak received"), (0x4c00, "Logical unit failed self-configuration"),
    (0x4e00, "Overlapped commands attempted"), (0x5300, "Media load or eject failed"),
    (0x5506, "Auxiliary memory out of space"), (0x5d00, "Failure prediction threshold exceeded"),
    (0x5d10, "Hardware impending failure general hard drive failure"),
    (0x5d32, "Media impending failure data error rate too high"),
    (0x5d73, "Media impending failure endurance limit met"),
    (0x5dff, "Failure prediction threshold exceeded (false)"), (0x5e00, "Low power condition on"),
    (0x6500, "Voltage fault"), (0x6700, "Configuration failure"), (0x7400, "Security error"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_pair_then_by_code() {
        assert_eq!(additional_sense(0x11, 0), Some("Unrecovered read error"));
        assert_eq!(additional_sense(0x11, 0x77), Some("Unrecovered read error"));
        assert_eq!(additional_sense(0, 6), Some("I/O process terminated"));
        assert_eq!(additional_sense(0, 0x77), None);
        assert_eq!(additional_sense(0xfe, 0), None);
        assert_eq!(additional_sense_code("Unrecovered read error"), Some((0x11, 0)));
        assert_eq!(sense_key(0xff), "Completed");
        assert_eq!(host_byte(0x0e), "DID_TRANSPORT_DISRUPTED");
        assert_eq!(host_byte(0xff), "0xff");
        assert_eq!(status_byte(2), "CHECK CONDITION");
    }

    #[test]
    fn codes_stand_in_order_and_once() {
        assert!(ADDITIONAL_SENSE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
