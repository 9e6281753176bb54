//! What probes and text say of a failure, in types: one set of facts for each subject, in the same form whoever said it.
//!
//! An [`Event`](super::Event) has those sections of [`Facts`] of which something is known, and of a section those fields.
//! In JSON a number that has a name in its standard is an object of both: `"sense_key": {"code": 3, "name": "Medium
//! Error"}`. The rules of text rules fill fields by their path: the group `scsi.tag` of an expression is
//! `facts.scsi.tag` of the event.

mod ata;
mod block;
mod code;
mod field;
mod fs;
mod gluster;
mod health;
mod host;
mod nvme;
pub mod nvme_status;
mod own;
mod scsi;
mod scsi_names;
mod scsi_opcodes;
mod stacked;
mod transport;

pub use ata::{AtaCommand, AtaError, AtaFacts, AtaStatus, Register};
pub use block::{BlockFacts, DrbdFacts, DriverFacts, MmcFacts, UfsFacts};
pub use code::Named;
pub use field::number;
pub use field::{FromText, Section};
pub use fs::{BcacheFacts, BtrfsFacts, FsFacts, Jbd2Facts, MountStage, ZfsFacts};
pub use gluster::GlusterFacts;
pub use health::HealthFacts;
pub use host::{KernelFacts, SmartFacts, SystemdFacts, TaskFacts, UeventFacts};
pub use nvme::opcode_name as nvme_opcode_name;
pub use nvme::{AenResult, NvmeFacts};
pub use own::{CountFacts, DaemonFacts, GroupFacts, ImpactFacts, LossFacts, Member, RemovalFacts, ScanFacts};
pub use scsi::{Cdb, DriverByte, HostByte, ScsiFacts, ScsiOpcode, SenseKey, StatusByte};
pub use scsi_names::additional_sense;
use serde_json::Value;
pub use stacked::{DmFacts, MdFacts, MpathFacts};
pub use transport::{AdapterFacts, FcFacts, IscsiFacts, NetFacts, PciFacts, UsbFacts};

/// A path that names no field of [`Facts`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no fact")]
pub struct UnknownField(pub String);

macro_rules! facts {
    ($($(#[$doc:meta])* $section:ident: $type:ident,)*) => {
        /// What is known of a failure, by subject. A section is there if one of its fields is known.
        #[derive(
            Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(default)]
        pub struct Facts {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $section: Option<Box<$type>>,)*
        }

        impl Facts {
            /// Sections with the names of their fields.
            pub const SECTIONS: &'static [(&'static str, &'static [&'static str])] =
                &[$((stringify!($section), $type::FIELDS)),*];

            /// Fills the field `SECTION.FIELD` by the text of a capture. Text that does not say such a value leaves it
            /// unknown.
            ///
            /// # Errors
            /// There is no such field.
            pub fn set_text(&mut self, path: &str, text: &str) -> Result<(), UnknownField> {
                if !Self::is_field(path) {
                    return Err(UnknownField(path.to_owned()));
                }
                let (section, field) = path.split_once('.').unwrap_or((path, ""));
                match section {
                    $(stringify!($section) => {
                        let facts = self.$section.get_or_insert_default();
                        facts.set_text(field, text);
                        if **facts == $type::default() {
                            self.$section = None;
                        }
                    })*
                    _ => {}
                }
                Ok(())
            }

            /// Takes each field that is not known yet from other facts.
            pub fn fill(&mut self, other: &Self) {
                $(match (&mut self.$section, &other.$section) {
                    (Some(mine), Some(theirs)) => mine.fill(theirs),
                    (mine @ None, Some(theirs)) => *mine = Some(theirs.clone()),
                    _ => {}
                })*
            }

            /// Whether nothing is known.
            pub fn is_empty(&self) -> bool {
                true $(&& self.$section.is_none())*
            }
        }
    };
}

facts! {
    /// A request of the block layer, or a disk.
    block: BlockFacts,
    /// A SCSI command, unit or host.
    scsi: ScsiFacts,
    /// An NVMe command or controller.
    nvme: NvmeFacts,
    /// An ATA command or port.
    ata: AtaFacts,
    /// An eMMC or SD card.
    mmc: MmcFacts,
    /// A UFS host.
    ufs: UfsFacts,
    /// nbd, rbd, zram, loop, virtio and others.
    driver: DriverFacts,
    /// DRBD.
    drbd: DrbdFacts,
    /// bcache.
    bcache: BcacheFacts,
    /// Device mapper.
    dm: DmFacts,
    /// Multipath.
    mpath: MpathFacts,
    /// md.
    md: MdFacts,
    /// A filesystem.
    fs: FsFacts,
    /// btrfs, what is its own.
    btrfs: BtrfsFacts,
    /// The journal of ext4, what is its own.
    jbd2: Jbd2Facts,
    /// ZFS.
    zfs: ZfsFacts,
    /// iSCSI and SRP.
    iscsi: IscsiFacts,
    /// Fibre Channel.
    fc: FcFacts,
    /// A SAS or RAID adapter, or one of a hypervisor.
    adapter: AdapterFacts,
    /// USB.
    usb: UsbFacts,
    /// PCI.
    pci: PciFacts,
    /// A server or cluster in the network.
    net: NetFacts,
    /// GlusterFS.
    gluster: GlusterFacts,
    /// Where in the kernel it was found.
    kernel: KernelFacts,
    /// A task.
    task: TaskFacts,
    /// A unit of systemd.
    systemd: SystemdFacts,
    /// A disk's own health.
    smart: SmartFacts,
    /// The state of a disk when something of it failed.
    health: HealthFacts,
    /// A device, by uevent.
    uevent: UeventFacts,
    /// How bad it is for those who use the data.
    impact: ImpactFacts,
    /// How far the numbers and texts go.
    counts: CountFacts,
    /// Those for which one event stands.
    group: GroupFacts,
    /// Devices that went together.
    removal: RemovalFacts,
    /// Records that were lost.
    loss: LossFacts,
    /// A scan of a device.
    scan: ScanFacts,
    /// What the daemon says of itself.
    daemon: DaemonFacts,
}

impl Facts {
    /// Whether a path `SECTION.FIELD` names a fact.
    pub fn is_field(path: &str) -> bool {
        let Some((section, field)) = path.split_once('.') else { return false };
        Self::SECTIONS.iter().any(|(name, fields)| *name == section && fields.contains(&field))
    }

    /// The path that is most like one that names nothing: what was meant, perhaps.
    pub fn nearest(path: &str) -> Option<String> {
        let (section, field) = path.split_once('.').unwrap_or(("", path));
        let of = |name: &str| Self::SECTIONS.iter().find(|(known, _)| *known == name);
        let here = of(section).filter(|(_, fields)| fields.contains(&field));
        let anywhere = || Self::SECTIONS.iter().find(|(_, fields)| fields.contains(&field));
        here.or_else(anywhere).map(|(name, _)| format!("{name}.{field}"))
    }

    /// Adds what follows from the rest: see [`ScsiFacts::complete`], [`NvmeFacts::complete`], [`AtaFacts::complete`].
    pub fn complete(&mut self) {
        if let Some(scsi) = &mut self.scsi {
            scsi.complete();
        }
        if let Some(nvme) = &mut self.nvme {
            nvme.complete();
        }
        if let Some(ata) = &mut self.ata {
            ata.complete();
        }
    }

    /// Each fact by its path and as one line of text: for tables and journal fields.
    pub fn rows(&self) -> Vec<(String, String)> {
        let Ok(Value::Object(sections)) = serde_json::to_value(self) else { return Vec::new() };
        let mut rows = Vec::new();
        for (section, fields) in sections {
            let Value::Object(fields) = fields else { continue };
            rows.extend(fields.iter().map(|(field, value)| (format!("{section}.{field}"), shown(value))));
        }
        rows
    }

    /// A fact by its path, as it stands in JSON.
    pub fn get(&self, path: &str) -> Option<Value> {
        let (section, field) = path.split_once('.')?;
        serde_json::to_value(self).ok()?.get(section)?.get(field).cloned()
    }
}

/// A value on one line: text without quotes, a number that has a name with it: `3 Medium Error`.
fn shown(value: &Value) -> String {
    if let Value::Object(named) = value
        && let (2, Some(code), Some(Value::String(name))) =
            (named.len(), named.get("code"), named.get("name"))
    {
        return format!("{code} {name}");
    }
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_filled_by_its_path() {
        let mut facts = Facts::default();
        facts.set_text("scsi.sense_key", "Medium Error").unwrap();
        facts.set_text("scsi.tag", "117").unwrap();
        facts.set_text("fs.inode", "0x84").unwrap();
        facts.set_text("nvme.lba", "no number").unwrap();
        assert_eq!(facts.scsi.as_ref().and_then(|scsi| scsi.tag), Some(117));
        assert_eq!(facts.fs.as_ref().and_then(|fs| fs.inode), Some(0x84));
        assert_eq!(facts.nvme, None);
        for path in ["scsi.hostbyte", "tag", "scsi", "scsi.", ""] {
            assert_eq!(facts.set_text(path, "1"), Err(UnknownField(path.to_owned())), "{path}");
        }
        let rows = facts.rows();
        assert!(rows.contains(&("scsi.sense_key".to_owned(), "3 Medium Error".to_owned())), "{rows:?}");
        assert_eq!(facts.get("scsi.tag"), Some(117.into()));
    }

    #[test]
    fn what_is_known_is_not_replaced() {
        let mut facts = Facts::default();
        facts.set_text("scsi.tag", "1").unwrap();
        let mut other = Facts::default();
        for (path, text) in [("scsi.tag", "2"), ("scsi.retries", "3"), ("ata.emask", "0x4")] {
            other.set_text(path, text).unwrap();
        }
        facts.fill(&other);
        let scsi = facts.scsi.as_deref().unwrap();
        assert_eq!((scsi.tag, scsi.retries), (Some(1), Some(3)));
        assert_eq!(facts.ata.as_deref().unwrap().emask, Some(4));
    }

    #[test]
    fn json_has_what_is_known_and_comes_back_the_same() {
        assert_eq!(serde_json::to_value(Facts::default()).unwrap(), serde_json::json!({}));
        let mut facts = Facts::default();
        for (section, fields) in Facts::SECTIONS {
            for field in *fields {
                facts.set_text(&format!("{section}.{field}"), "17").unwrap();
            }
        }
        let json = serde_json::to_value(&facts).unwrap();
        assert_eq!(serde_json::from_value::<Facts>(json).unwrap(), facts);
        assert_eq!(Facts::nearest("scsi.function").as_deref(), Some("fs.function"));
    }
}
