//! Status of NVMe commands (NVM Express base specification 2.0, section 3.3.3.2; include/linux/nvme.h).

/// Do not retry.
pub const DNR: u16 = 0x4000;

/// Status code type, bits 10:8.
pub const fn sct(status: u16) -> u8 {
    (status >> 8 & 7) as u8
}

/// Status code, bits 7:0.
pub const fn sc(status: u16) -> u8 {
    status as u8
}

/// Type and code together: what names a status.
pub const fn code(status: u16) -> u16 {
    status & 0x7ff
}

/// Name of a status; none for a vendor's own.
pub fn name(status: u16) -> Option<&'static str> {
    NAMES.iter().find(|row| row.0 == code(status)).map(|row| row.1)
}

/// Name of a status code type.
pub const fn type_name(status: u16) -> &'static str {
    match sct(status) {
        0 => "generic",
        1 => "command specific",
        2 => "media and data integrity",
        3 => "path",
        7 => "vendor specific",
        _ => "reserved",
    }
}

#[rustfmt::skip]
static NAMES: &[(u16, &str)] = &[
    (0x001, "Invalid Command Opcode"), (0x002, "Invalid Field in Command"), (0x003, "Command ID Conflict"),
    (0x004, "Data Transfer Error"), (0x005, "Commands Aborted due to Power Loss Notification"),
    (0x006, "Internal Error"), (0x007, "Command Abort Requested"), (0x008, "Command Aborted due to SQ Deletion"),
    (0x009, "Command Aborted due to Failed Fused Command"), (0x00a, "Command Aborted due to Missing Fused Command"),
    (0x00b, "Invalid Namespace or Format"), (0x00c, "Command Sequence Error"), (0x00d, "Invalid SGL Segment Descriptor"),
    (0x00f, "Data SGL Length Invalid"), (0x012, "Invalid Use of Controller Memory Buffer"),
    (0x013, "PRP Offset Invalid"), (0x014, "Atomic Write Unit Exceeded"), (0x015, "Operation Denied"),
    (0x018, "Host Identifier Inconsistent Format"), (0x019, "Keep Alive Timer Expired"),
    (0x01a, "Keep Alive Timeout Invalid"), (0x01b, "Command Aborted due to Preempt and Abort"),
    (0x01c, "Sanitize Failed"), (0x01d, "Sanitize In Progress"), (0x020, "Namespace is Write Protected"),
    (0x021, "Command Interrupted"), (0x022, "Transient Transport Error"), (0x024, "Admin Command Media Not Ready"),
    (0x080, "LBA Out of Range"), (0x081, "Capacity Exceeded"), (0x082, "Namespace Not Ready"),
    (0x083, "Reservation Conflict"), (0x084, "Format In Progress"),
    (0x100, "Completion Queue Invalid"), (0x101, "Invalid Queue Identifier"), (0x102, "Invalid Queue Size"),
    (0x103, "Abort Command Limit Exceeded"), (0x105, "Asynchronous Event Request Limit Exceeded"),
    (0x106, "Invalid Firmware Slot"), (0x107, "Invalid Firmware Image"), (0x108, "Invalid Interrupt Vector"),
    (0x109, "Invalid Log Page"), (0x10a, "Invalid Format"), (0x10d, "Feature Identifier Not Saveable"),
    (0x10e, "Feature Not Changeable"), (0x10f, "Feature Not Namespace Specific"),
    (0x115, "Namespace Insufficient Capacity"), (0x118, "Namespace Already Attached"), (0x11a, "Namespace Not Attached"),
    (0x11d, "Device Self-test In Progress"), (0x180, "Conflicting Attributes"),
    (0x181, "Invalid Protection Information"), (0x182, "Attempted Write to Read Only Range"),
    (0x1b8, "Zone Boundary Error"), (0x1b9, "Zone Is Full"), (0x1ba, "Zone Is Read Only"), (0x1bb, "Zone Is Offline"),
    (0x1bc, "Zone Invalid Write"), (0x1bd, "Too Many Active Zones"), (0x1be, "Too Many Open Zones"),
    (0x1bf, "Invalid Zone State Transition"),
    (0x280, "Write Fault"), (0x281, "Unrecovered Read Error"), (0x282, "End-to-end Guard Check Error"),
    (0x283, "End-to-end Application Tag Check Error"), (0x284, "End-to-end Reference Tag Check Error"),
    (0x285, "Compare Failure"), (0x286, "Access Denied"), (0x287, "Deallocated or Unwritten Logical Block"),
    (0x288, "End-to-end Storage Tag Check Error"),
    (0x300, "Internal Path Error"), (0x301, "Asymmetric Access Persistent Loss"),
    (0x302, "Asymmetric Access Inaccessible"), (0x303, "Asymmetric Access Transition"),
    (0x360, "Controller Pathing Error"), (0x370, "Host Pathing Error"), (0x371, "Host Aborted Command"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_apart() {
        let status = DNR | 0x281;
        assert_eq!((sct(status), sc(status), code(status)), (2, 0x81, 0x281));
        assert_eq!(name(status), Some("Unrecovered Read Error"));
        assert_eq!(type_name(status), "media and data integrity");
        assert_eq!(name(0x7ff), None);
        assert!(NAMES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
