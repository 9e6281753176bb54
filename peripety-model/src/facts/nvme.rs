//! What is known of an NVMe command or controller (NVM Express base specification 2.0; drivers/nvme/host).

use super::{
    field::{FromText, hexadecimal, section},
    nvme_status as status,
};

/// Dword 0 of an asynchronous event's completion (NVM Express base specification 2.0, section 5.2.1), which the kernel
/// prints in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct AenResult(pub u32);

impl FromText for AenResult {
    fn from_text(text: &str) -> Option<Self> {
        hexadecimal(text).and_then(|n| n.try_into().ok()).map(Self)
    }
}

section! {
    /// An NVMe command that ended with a status, or what a controller reports of itself.
    NvmeFacts {
        /// Name of the controller: `nvme0`.
        controller: String,
        /// Namespace id; 0xffffffff is all of them.
        nsid: u32,
        /// Submission queue; 0 is the administrator's.
        qid: u32,
        /// Command id in its queue, as the controller knows it.
        cid: u32,
        /// Tag of the request, as the kernel's text names it.
        tag: u32,
        /// Opcode; what it means depends on whether the queue is the administrator's.
        opcode: u8,
        /// Name of the opcode.
        command: String,
        /// First logical block; of a size that is the namespace's own.
        lba: u64,
        /// Number of logical blocks.
        blocks: u32,
        /// Status code type (section 3.3.3.2.1): 0 generic, 1 command specific, 2 media, 3 path, 7 vendor's.
        sct: u8,
        /// Status code; what it means depends on the type.
        sc: u8,
        /// Name of the status.
        status_name: String,
        /// Do Not Retry: the same command would fail again.
        dnr: bool,
        /// How often the command was sent again already.
        retries: u32,
        /// Command dword 10 of a passthrough command.
        cdw10: u64,
        /// What the driver does about a command that does not come back.
        action: String,
        /// Operation of the request, as the driver prints it.
        req_op: String,
        /// Bytes of the request.
        size: u64,
        /// Controller status register (CSTS).
        csts: u64,
        /// Status register of the PCI function.
        pci_status: u64,
        /// The controller's answer where the driver prints it as a number: a status with its type, or an errno.
        status: u64,
        /// Error number that the driver prints.
        error: u64,
        /// What the kernel's line says beyond this.
        message: String,
        /// Why the controller went away.
        reason: String,
        /// Number of the attempt to connect.
        attempt: u32,
        /// How many attempts are made; -1 is without an end.
        attempts: i64,
        /// Digest that came with a fabrics message.
        received: u64,
        /// Digest that it should have had.
        expected: u64,
        /// Asynchronous event: dword 0 of its completion.
        aen_result: AenResult,
        /// Asynchronous event: its type.
        aen_type: String,
        /// Asynchronous event: its information in words.
        aen_info: String,
        /// Asynchronous event: the log page that reports more.
        log_page: u8,
        /// What the controller's uevent says (NVME_EVENT).
        event: String,
    }
}

/// Opcodes of I/O commands (NVM command set, figure 22; zoned namespaces).
#[rustfmt::skip]
static IO_OPCODES: &[(u8, &str)] = &[
    (0x00, "Flush"), (0x01, "Write"), (0x02, "Read"), (0x04, "Write Uncorrectable"), (0x05, "Compare"),
    (0x08, "Write Zeroes"), (0x09, "Dataset Management"), (0x0c, "Verify"), (0x0d, "Reservation Register"),
    (0x0e, "Reservation Report"), (0x11, "Reservation Acquire"), (0x15, "Reservation Release"), (0x19, "Copy"),
    (0x79, "Zone Management Send"), (0x7a, "Zone Management Receive"), (0x7d, "Zone Append"),
];

/// Opcodes of the administrator's commands (base specification, figure 138).
#[rustfmt::skip]
static ADMIN_OPCODES: &[(u8, &str)] = &[
    (0x00, "Delete SQ"), (0x01, "Create SQ"), (0x02, "Get Log Page"), (0x04, "Delete CQ"), (0x05, "Create CQ"),
    (0x06, "Identify"), (0x08, "Abort"), (0x09, "Set Features"), (0x0a, "Get Features"), (0x0c, "Async Event"),
    (0x0d, "Namespace Management"), (0x10, "Firmware Commit"), (0x11, "Firmware Download"), (0x14, "Device Self-test"),
    (0x15, "Namespace Attachment"), (0x18, "Keep Alive"), (0x19, "Directive Send"), (0x1a, "Directive Receive"),
    (0x1c, "Virtualization Management"), (0x1d, "NVMe-MI Send"), (0x1e, "NVMe-MI Receive"),
    (0x7c, "Doorbell Buffer Config"), (0x7f, "Fabrics"), (0x80, "Format NVM"), (0x81, "Security Send"),
    (0x82, "Security Receive"), (0x84, "Sanitize"), (0x86, "Get LBA Status"),
];

/// Name of an opcode; none for a vendor's own.
pub fn opcode_name(is_admin: bool, opcode: u8) -> Option<&'static str> {
    let names = if is_admin { ADMIN_OPCODES } else { IO_OPCODES };
    names.iter().find(|row| row.0 == opcode).map(|row| row.1)
}

impl NvmeFacts {
    /// Adds what follows from the rest, so that the facts have the same form whether a probe or a line gave them. A kernel
    /// built without names prints `I/O Cmd`, `Admin Cmd` and `I/O Error` in place of them.
    pub fn complete(&mut self) {
        let is_admin = match self.qid {
            Some(queue) => queue == 0,
            None => {
                self.lba.is_none() && self.command.as_deref().is_some_and(|name| name.starts_with("Admin"))
            }
        };
        let is_known = is_admin || self.qid.is_some() || self.lba.is_some();
        let name = self.opcode.filter(|_| is_known).and_then(|opcode| opcode_name(is_admin, opcode));
        if let Some(name) = name {
            self.command = Some(name.to_owned());
        }
        if let (Some(sct), Some(sc)) = (self.sct, self.sc) {
            let status = u16::from(sct & 7) << 8 | u16::from(sc);
            if let Some(name) = status::name(status) {
                self.status_name = Some(name.to_owned());
            } else if self.status_name.is_none() {
                self.status_name = Some(status::type_name(status).to_owned());
            }
            // The text prints the bit only where it is set.
            self.dnr = Some(self.dnr.unwrap_or(false));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_names_gives_the_same_facts_as_one_with_them() {
        let line = |command: &str, status: &str| {
            let mut facts = NvmeFacts {
                command: Some(command.to_owned()),
                opcode: u8::from_text("0x2"),
                lba: Some(2048),
                sct: Some(2),
                sc: Some(0x81),
                status_name: Some(status.to_owned()),
                ..NvmeFacts::default()
            };
            facts.complete();
            facts
        };
        assert_eq!(line("Read", "Unrecovered Read Error"), line("I/O Cmd", "I/O Error"));
        assert_eq!(line("I/O Cmd", "I/O Error").dnr, Some(false));
        let mut admin =
            NvmeFacts { command: Some("Admin Cmd".to_owned()), opcode: Some(6), ..NvmeFacts::default() };
        admin.complete();
        assert_eq!(admin.command.as_deref(), Some("Identify"));
        assert_eq!(AenResult::from_text("00010300"), Some(AenResult(0x0001_0300)));
        assert!(IO_OPCODES.windows(2).chain(ADMIN_OPCODES.windows(2)).all(|pair| pair[0].0 < pair[1].0));
    }
}
