//! What is known of a SCSI command and its unit (SPC-4, SBC-4; include/scsi/scsi_status.h).

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    code::{byte, code, unnamed},
    field::{FromText, hexadecimal, section},
    scsi_names as names, scsi_opcodes as opcodes,
};
use crate::Hctl;

code! {
    /// Sense key (SPC-4, 4.5.6): what kind of trouble the unit reports. 3 is a medium error.
    SenseKey, |key| Cow::Borrowed(names::sense_key(key)), |text| names::sense_key_of(text).or_else(|| byte(text))
}

code! {
    /// Host byte of a command's result (DID_*, include/scsi/scsi_status.h): what the host adapter's driver says.
    HostByte, names::host_byte, |text| names::host_byte_of(text).or_else(|| byte(text))
}

code! {
    /// Driver byte of a command's result (DRIVER_*): a constant from Linux 5.14 on.
    DriverByte, names::driver_byte, |text| names::driver_byte_of(text).or_else(|| byte(text))
}

code! {
    /// Status byte (SAM-5, 5.3.1): how the unit ended the command. 2 is CHECK CONDITION.
    StatusByte, names::status_byte, |text| hexadecimal(text).and_then(|n| n.try_into().ok())
}

code! {
    /// Operation code of a command (SPC-4, SBC-4). 0x28 is READ(10).
    ScsiOpcode,
    |opcode| opcodes::name(opcode).map_or_else(|| unnamed(opcode), Cow::Borrowed),
    |text| opcodes::opcode_of(text).or_else(|| hexadecimal(text).and_then(|n| n.try_into().ok()))
}

/// Bytes of a command (CDB), as the kernel prints them: `28 00 00 00 12 30 00 00 08 00`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cdb(pub Vec<u8>);

/// Bytes of the longest command that is kept: a variable length command may have 260.
const CDB_MAX: usize = 260;

impl fmt::Display for Cdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02x}", if place == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl FromText for Cdb {
    fn from_text(text: &str) -> Option<Self> {
        let bytes = text.split_ascii_whitespace().map_while(|byte| u8::from_str_radix(byte, 16).ok());
        let bytes: Vec<u8> = bytes.take(CDB_MAX).collect();
        (!bytes.is_empty()).then_some(Self(bytes))
    }
}

impl Serialize for Cdb {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cdb {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_text(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("'{text}' is no list of hexadecimal bytes")))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Cdb {
    fn schema_name() -> Cow<'static, str> {
        "Cdb".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9a-f]{2}( [0-9a-f]{2})*$",
            "description": "Bytes of a SCSI command in hexadecimal, as the kernel prints them."
        })
    }
}

section! {
    /// A SCSI command that failed, or what a unit reports of itself.
    ScsiFacts {
        /// Address of the unit: host, channel, target, LUN.
        hctl: Hctl,
        /// Number of the host (scsi_host), where the whole host is meant.
        host: u32,
        /// Tag of the command among those of its host (`scsi_cmnd.request->tag`).
        tag: u32,
        /// Operation code of the command.
        opcode: ScsiOpcode,
        /// Bytes of the command.
        cdb: Cdb,
        /// Host byte of the result.
        host_byte: HostByte,
        /// Driver byte of the result.
        driver_byte: DriverByte,
        /// Status byte of the result.
        status: StatusByte,
        /// Sense key.
        sense_key: SenseKey,
        /// Additional sense code (SPC-4, annex F.2).
        asc: u8,
        /// Additional sense code qualifier.
        ascq: u8,
        /// Name of the additional sense code with its qualifier.
        add_sense: String,
        /// Whether the sense data is about this command (`current`) or an earlier one (`deferred`).
        sense_type: String,
        /// How long the command was under way, in seconds.
        cmd_age: u64,
        /// How often the command was sent again already.
        retries: u32,
        /// Bytes of the command's data that were not transferred.
        resid: u64,
        /// Bytes of a logical block.
        sector_size: u64,
        /// Bytes that the driver asked for.
        length: u64,
        /// Time limit that ran out, in seconds.
        timeout_s: u64,
        /// What the kernel's line says beyond this.
        message: String,
        /// Dots that the kernel prints while a unit gets ready.
        progress: String,
        /// Target port group (SPC-4, 5.15).
        port_group: String,
        /// Asymmetric access state of the port group: a letter as the kernel prints it (A, N, S, U, L, O, T).
        access_state: String,
        /// Whether the port group is the preferred one.
        preference: String,
        /// Access states that the target supports, a letter each; capitals are supported.
        supports: String,
        /// Device handler (scsi_dh) that reports it.
        handler: String,
        /// Unit attention that the kernel reports by uevent (SDEV_UA, drivers/scsi/scsi_lib.c).
        unit_attention: String,
        /// Commands that wait for the error handler (`Scsi_Host.host_failed`).
        failed_commands: u32,
    }
}

impl ScsiFacts {
    /// Adds what follows from the rest, so that the facts have the same form whether a probe or a line gave them: the
    /// opcode of the command's bytes, numbers and name of the additional sense.
    pub fn complete(&mut self) {
        if let Some(first) = self.cdb.as_ref().and_then(|cdb| cdb.0.first()) {
            self.opcode = Some(ScsiOpcode(*first));
        }
        if let (Some(asc), Some(ascq)) = (self.asc, self.ascq) {
            if let Some(name) = names::additional_sense(asc, ascq) {
                self.add_sense = Some(name.to_owned());
            }
        } else if let Some((asc, ascq)) = self.add_sense.as_deref().and_then(names::additional_sense_code) {
            (self.asc, self.ascq) = (Some(asc), Some(ascq));
            self.add_sense = names::additional_sense(asc, ascq).map(str::to_owned);
        }
    }

    /// Whether it has something of the lines that the SCSI layer prints about a failed command: result, sense or command.
    pub fn is_of_command(&self) -> bool {
        self.tag.is_some() || self.has_result() || self.cdb.is_some()
    }

    /// Whether it says how a command ended.
    pub fn has_result(&self) -> bool {
        self.host_byte.is_some() || self.sense_key.is_some() || self.asc.is_some() || self.add_sense.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_and_a_probe_give_the_same_facts() {
        let mut line = ScsiFacts {
            sense_key: SenseKey::from_text("Medium Error"),
            add_sense: Some("Unrecovered read error".to_owned()),
            cdb: Cdb::from_text("28 00 00 00 12 30 00 00 08 00"),
            host_byte: HostByte::from_text("DID_OK"),
            ..ScsiFacts::default()
        };
        line.complete();
        let mut probe = ScsiFacts {
            sense_key: Some(SenseKey(3)),
            asc: Some(0x11),
            ascq: Some(0),
            cdb: Some(Cdb(vec![0x28, 0, 0, 0, 0x12, 0x30, 0, 0, 8, 0])),
            host_byte: Some(HostByte(0)),
            ..ScsiFacts::default()
        };
        probe.complete();
        assert_eq!(line, probe);
        let json = serde_json::to_value(&line).unwrap();
        assert_eq!(json["sense_key"], serde_json::json!({ "code": 3, "name": "Medium Error" }));
        assert_eq!(json["opcode"], serde_json::json!({ "code": 0x28, "name": "READ(10)" }));
        assert_eq!(serde_json::from_value::<ScsiFacts>(json).unwrap(), line);
    }

    #[test]
    fn a_kernel_built_without_names_prints_numbers() {
        assert_eq!(SenseKey::from_text("0x3"), Some(SenseKey(3)));
        assert_eq!(HostByte::from_text("0x0e").map(|b| b.name()), Some("DID_TRANSPORT_DISRUPTED".into()));
        assert_eq!(ScsiOpcode::from_text("2a"), Some(ScsiOpcode(0x2a)));
        assert_eq!(ScsiOpcode::from_text("Synchronize Cache(10)"), Some(ScsiOpcode(0x35)));
        assert_eq!((SenseKey::from_text("what"), Cdb::from_text("zz")), (None, None));
    }
}
