//! What the kernel and udev announce about devices.

use peripety_model::Dev;
use serde::{Deserialize, Serialize};

/// A uevent (Documentation/ABI/testing/sysfs-uevent), as far as block devices are kept by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uevent {
    /// Sequence number (SEQNUM).
    pub seq: u64,
    /// `add`, `remove`, `change` …
    pub action: String,
    /// `block`, `scsi` …
    pub subsystem: String,
    /// Path below /sys.
    pub devpath: String,
    /// Device number, for block devices.
    pub dev: Option<Dev>,
    /// Sent by udev after its rules ran, about the same event that the kernel had already announced.
    pub udev: bool,
    /// All `KEY=value` pairs in the order they came in.
    pub properties: Vec<(String, String)>,
}

impl Uevent {
    /// Value of a property.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.properties.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
}
