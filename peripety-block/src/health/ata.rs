//! SMART of ATA disks (ATA/ATAPI Command Set 2, B0h; attributes as all makers have them).

use std::fs::File;

use peripety_model::facts::HealthFacts;

use super::answer;
use crate::{bytes, ioctl::Query};

/// Attributes of SMART data, and where they begin.
const FIRST: usize = 2;
const EACH: usize = 12;
const MOST: usize = 30;
/// Flag of an attribute: its threshold foretells a failure.
const PREFAIL: u16 = 1;
/// LBA mid and high in the answer to SMART RETURN STATUS of a disk that fails.
const FAILS: [u8; 2] = [0xf4, 0x2c];

pub(super) fn add(file: &File, facts: &mut HealthFacts) -> Result<(), String> {
    let data = answer(file, Query::AtaSmartData, "its SMART data cannot be read")?;
    let thresholds = answer(file, Query::AtaSmartThresholds, "").unwrap_or_default();
    decode(&data, &thresholds, facts);
    if let Ok(registers) = answer(file, Query::AtaSmartStatus, "") {
        status(&registers, facts);
    }
    Ok(())
}

/// Takes the answer to SMART RETURN STATUS: descriptor sense data with the registers (SAT-4, ATA Status Return).
pub(super) fn status(sense: &[u8], facts: &mut HealthFacts) {
    // The descriptor stands behind a header of 8 bytes; LBA mid and high are its bytes 9 and 11.
    let is_registers = sense.get(8) == Some(&0x09);
    let of = |at: usize| sense.get(at).copied();
    if is_registers && of(17).zip(of(19)) == Some((FAILS[0], FAILS[1])) {
        facts.failing = Some(true);
        facts.failing_because.get_or_insert_with(|| "SMART status: it fails".to_owned());
    }
}

/// Takes SMART data and thresholds, of 512 bytes each.
pub(super) fn decode(data: &[u8], thresholds: &[u8], facts: &mut HealthFacts) {
    facts.failing.get_or_insert(false);
    let rows = |table: &'_ [u8]| -> Vec<[u8; EACH]> {
        (0..MOST)
            .filter_map(|n| bytes::array::<EACH>(table, FIRST + n * EACH))
            .filter(|row| row[0] != 0)
            .collect()
    };
    let limits = rows(thresholds);
    for row in rows(data) {
        let [id, flags_low, flags_high, value, _worst, raw @ ..] = row;
        let raw = &raw[..6];
        let number = raw.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        match id {
            5 => facts.reallocated_sectors = Some(number & 0xffff_ffff),
            // Some put minutes or milliseconds into the upper bytes.
            9 => facts.power_on_hours = Some(number & 0xff_ffff),
            187 => facts.uncorrected_errors = Some(number & 0xffff),
            190 if facts.temperature.is_none() => facts.temperature = raw.first().map(|c| i64::from(*c)),
            194 => facts.temperature = raw.first().map(|c| i64::from(*c)),
            197 => facts.pending_sectors = Some(number & 0xffff_ffff),
            198 => facts.offline_uncorrectable = Some(number & 0xffff_ffff),
            199 => facts.interface_errors = Some(number & 0xffff_ffff),
            _ => {}
        }
        let limit = limits.iter().find(|limit| limit[0] == id).map_or(0, |limit| limit[1]);
        let flags = u16::from_le_bytes([flags_low, flags_high]);
        // 0 as a threshold is none; 0, 254 and 255 as a value say nothing.
        if flags & PREFAIL != 0 && (1..=253).contains(&value) && limit > 0 && value <= limit {
            facts.failing = Some(true);
            facts.failing_because = Some(format!("SMART attribute {id} has reached its threshold"));
        }
    }
}
