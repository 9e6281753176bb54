//! What is known of an ATA command or port (ACS-4, Serial ATA 3.5; drivers/ata, include/linux/ata.h).

use std::borrow::Cow;

use super::{
    code::{bits, byte, code, unnamed},
    field::{FromText, hexadecimal, section},
};

code! {
    /// Status register (ACS-4, 6.3). The names are those of its bits.
    AtaStatus,
    |status| bits(status, &[(0x80, "BSY"), (0x40, "DRDY"), (0x20, "DF"), (0x08, "DRQ"), (0x02, "SENSE"), (0x01, "ERR")]),
    byte
}

code! {
    /// Error register (ACS-4, 6.2): valid where the status has ERR. The names are those of its bits.
    AtaError,
    |error| bits(error, &[(0x80, "ICRC"), (0x40, "UNC"), (0x10, "IDNF"), (0x04, "ABRT")]),
    byte
}

code! {
    /// Command register (ACS-4, 7; include/linux/ata.h).
    AtaCommand,
    |command| name(command).map_or_else(|| unnamed(command), Cow::Borrowed),
    |text| hexadecimal(text).and_then(|n| n.try_into().ok())
}

#[rustfmt::skip]
static COMMANDS: &[(u8, &str)] = &[
    (0x06, "DATA SET MANAGEMENT"), (0x20, "READ SECTOR(S)"), (0x24, "READ SECTOR(S) EXT"), (0x25, "READ DMA EXT"),
    (0x29, "READ MULTIPLE EXT"), (0x2b, "READ STREAM EXT"), (0x2f, "READ LOG EXT"), (0x30, "WRITE SECTOR(S)"),
    (0x34, "WRITE SECTOR(S) EXT"), (0x35, "WRITE DMA EXT"), (0x39, "WRITE MULTIPLE EXT"),
    (0x3d, "WRITE DMA FUA EXT"), (0x40, "READ VERIFY SECTOR(S)"), (0x42, "READ VERIFY SECTOR(S) EXT"),
    (0x47, "READ LOG DMA EXT"), (0x4a, "ZAC MANAGEMENT IN"), (0x60, "READ FPDMA QUEUED"), (0x61, "WRITE FPDMA QUEUED"),
    (0x63, "NCQ NON-DATA"), (0x64, "SEND FPDMA QUEUED"), (0x65, "RECEIVE FPDMA QUEUED"), (0x9f, "ZAC MANAGEMENT OUT"),
    (0xa0, "PACKET"), (0xa1, "IDENTIFY PACKET DEVICE"), (0xb0, "SMART"), (0xc4, "READ MULTIPLE"),
    (0xc5, "WRITE MULTIPLE"), (0xc8, "READ DMA"), (0xca, "WRITE DMA"), (0xe0, "STANDBY IMMEDIATE"),
    (0xe5, "CHECK POWER MODE"), (0xe6, "SLEEP"), (0xe7, "FLUSH CACHE"), (0xea, "FLUSH CACHE EXT"),
    (0xec, "IDENTIFY DEVICE"), (0xef, "SET FEATURES"),
];

fn name(command: u8) -> Option<&'static str> {
    COMMANDS.iter().find(|row| row.0 == command).map(|row| row.1)
}

/// A register that the kernel prints in hexadecimal, with or without `0x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Register(pub u64);

impl FromText for Register {
    fn from_text(text: &str) -> Option<Self> {
        hexadecimal(text).map(Self)
    }
}

section! {
    /// An ATA command that failed, or what happened to a port.
    AtaFacts {
        /// Command register.
        command: AtaCommand,
        /// The command's other registers, as libata prints them:
        /// `feature:nsect:lbal:lbam:lbah/` and the same with the high bytes, `/device`.
        registers: String,
        /// Tag of the command in its queue.
        tag: u32,
        /// How the data goes, with its length: ` ncq dma 4096 in`.
        protocol: String,
        /// The registers that the device answered with: `status/error:nsect:lbal…`, as libata prints them.
        result: String,
        /// Status register.
        status: AtaStatus,
        /// Error register.
        error: AtaError,
        /// What libata makes of it (AC_ERR_*, include/linux/libata.h), a bit each.
        emask: u32,
        /// The same in libata's words: `timeout`, `media error`, `ATA bus error`.
        reason: String,
        /// SActive register: queued commands under way, a bit each.
        sact: u64,
        /// SError register (Serial ATA 3.5, 14.1.2): what went wrong on the link, a bit each.
        serr: u32,
        /// What error handling is asked to do (ATA_EH_*), a bit each.
        action: u32,
        /// Whether the port was frozen: no command goes out until it is reset.
        frozen: bool,
        /// SStatus register (Serial ATA 3.5, 14.1.1): whether there is a device, and at which speed.
        sstatus: Register,
        /// SControl register (Serial ATA 3.5, 14.1.3).
        scontrol: Register,
        /// Speed of the link, as libata prints it: `6.0 Gbps`.
        speed: String,
        /// How hard the link is reset: `hard` or `soft`.
        reset: String,
        /// What libata found when it asked whether the device is ready.
        ready: i64,
        /// Time limit that ran out, in milliseconds.
        timeout_ms: u64,
        /// What the kernel's line says beyond this.
        message: String,
    }
}

impl AtaFacts {
    /// Adds what follows from the rest: status and error register from the registers that the device answered with.
    pub fn complete(&mut self) {
        let Some(result) = &self.result else { return };
        let mut parts = result.split(['/', ':']).map(|byte| u8::from_str_radix(byte, 16).ok());
        self.status = self.status.or(parts.next().flatten().map(AtaStatus));
        self.error = self.error.or(parts.next().flatten().map(AtaError));
    }

    /// Whether it is about a command that failed, with what the device answered.
    pub fn is_command(&self) -> bool {
        self.command.is_some() && self.result.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_have_the_names_of_their_bits() {
        let mut facts = AtaFacts {
            command: AtaCommand::from_text("60"),
            result: Some("41/40:08:00:08:00/00:00:00:00:00/00".to_owned()),
            ..AtaFacts::default()
        };
        facts.complete();
        let json = serde_json::to_value(&facts).unwrap();
        assert_eq!(json["status"], serde_json::json!({ "code": 0x41, "name": "DRDY ERR" }));
        assert_eq!(json["error"], serde_json::json!({ "code": 0x40, "name": "UNC" }));
        assert_eq!(json["command"], serde_json::json!({ "code": 0x60, "name": "READ FPDMA QUEUED" }));
        assert!(facts.is_command());
        assert_eq!(Register::from_text("133"), Some(Register(0x133)));
    }
}
