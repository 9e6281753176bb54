//! The health log of NVMe (NVM Express base specification 2.0, figure 207: log page 02h).

use std::fs::File;

use peripety_model::facts::HealthFacts;

use super::answer;
use crate::{bytes, ioctl::Query};

/// Bits of the critical warning.
const WARNINGS: [&str; 6] = [
    "spare blocks below the threshold",
    "temperature beyond a threshold",
    "reliability is degraded by errors",
    "the media are read-only",
    "the backup of volatile memory failed",
    "persistent memory is read-only or unreliable",
];

const KELVIN: i64 = 273;

pub(super) fn add(file: &File, facts: &mut HealthFacts) -> Result<(), String> {
    decode(&answer(file, Query::NvmeHealth, "its health log cannot be read")?, facts);
    Ok(())
}

/// Takes what there is of the log.
pub(super) fn decode(log: &[u8], facts: &mut HealthFacts) {
    let byte = |at: usize| log.get(at).copied();
    // A number of 16 bytes, of which no disk fills the upper eight.
    let number = |at: usize| bytes::array::<8>(log, at).map(u64::from_le_bytes);
    if let Some(warning) = byte(0) {
        let words: Vec<&str> = (0..)
            .zip(WARNINGS)
            .filter(|(bit, _)| warning & (1 << bit) != 0)
            .map(|(_, words)| words)
            .collect();
        facts.failing = Some(warning != 0);
        facts.failing_because = (!words.is_empty()).then(|| words.join(", "));
    }
    let kelvin = bytes::array::<2>(log, 1).map(u16::from_le_bytes).filter(|kelvin| *kelvin > 0);
    facts.temperature = kelvin.map(|kelvin| i64::from(kelvin) - KELVIN);
    facts.spare_percent = byte(3).map(u64::from);
    facts.used_percent = byte(5).map(u64::from);
    facts.power_on_hours = number(128);
    facts.unsafe_shutdowns = number(144);
    facts.uncorrected_errors = number(160);
}
