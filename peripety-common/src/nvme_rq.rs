//! `nvme:nvme_complete_rq`: an NVMe command that ended with a status.

wire_struct! {
    /// An NVMe command (drivers/nvme/host/trace.h, nvme_complete_rq).
    #[cfg_attr(feature = "user", derive(serde::Serialize, serde::Deserialize))]
    NvmeRq {
        /// First logical block of a read or write, in logical blocks; u64::MAX where it is not known.
        slba: u64,
        /// Result field of the completion.
        result: u64,
        /// Instance of the controller: the 0 of nvme0.
        ctrl: i32,
        /// The disk in the kernel's encoding (a hidden one below native multipath), 0 where it is not known.
        dev: u32,
        /// Namespace id, 0 where it is not known.
        nsid: u32,
        /// Queue; 0 is the admin queue.
        qid: u32,
        /// Command id.
        cid: u32,
        /// Blocks of a read or write less one, as in the command.
        nlb: u16,
        /// Status field: DNR 0x4000, MORE 0x2000, CRD 0x1800, SCT 0x700, SC 0xff.
        status: u16,
        /// How often it was tried again.
        retries: u8,
        /// Flags of the request (NVME_REQ_*).
        flags: u8,
        /// Opcode, 0xff where it is not known.
        opcode: u8,
        /// Padding.
        reserved: [u8; 5],
        /// Name of the disk, empty for an admin command.
        disk: [u8; 32],
    }
}
