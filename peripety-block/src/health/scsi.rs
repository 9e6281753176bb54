//! Log pages of SCSI disks (SPC-5 and SBC-4).

use std::fs::File;

use peripety_model::facts::HealthFacts;

use super::answer;
use crate::{bytes, ioctl::Query};

const WRITE_ERRORS: u8 = 0x02;
const READ_ERRORS: u8 = 0x03;
const VERIFY_ERRORS: u8 = 0x05;
const TEMPERATURE: u8 = 0x0d;
const SOLID_STATE: u8 = 0x11;
const BACKGROUND_SCAN: u8 = 0x15;
const EXCEPTIONS: u8 = 0x2f;

/// Pages that are read, the ones that say most first.
const PAGES: [u8; 7] =
    [EXCEPTIONS, READ_ERRORS, WRITE_ERRORS, VERIFY_ERRORS, TEMPERATURE, SOLID_STATE, BACKGROUND_SCAN];

/// FAILURE PREDICTION THRESHOLD EXCEEDED.
const ASC_PREDICTION: u8 = 0x5d;
/// WARNING, of temperature and others.
const ASC_WARNING: u8 = 0x0b;

/// Not every disk has every page, and of a virtual one none may be there.
pub(super) fn add(file: &File, facts: &mut HealthFacts) -> Result<(), String> {
    let supported = answer(file, Query::ScsiLog { page: 0 }, "it has no log pages")?;
    for page in PAGES.into_iter().filter(|page| supported.get(4..).is_some_and(|all| all.contains(page))) {
        let log = answer(file, Query::ScsiLog { page }, &format!("its log page {page:#04x} cannot be read"))?;
        decode(&log, facts);
    }
    Ok(())
}

/// A parameter of a log page: code, and value.
fn parameters(log: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let length = bytes::array::<2>(log, 2).map_or(0, |length| usize::from(u16::from_be_bytes(length)));
    let mut rest = log.get(4..log.len().min(4 + length)).unwrap_or_default();
    std::iter::from_fn(move || {
        let [high, low, _, length, after @ ..] = rest else { return None };
        let value = after.get(..usize::from(*length))?;
        rest = after.get(usize::from(*length)..).unwrap_or_default();
        Some((u16::from_be_bytes([*high, *low]), value))
    })
}

fn number(value: &[u8]) -> u64 {
    value.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
}

/// Takes a log page.
pub(super) fn decode(log: &[u8], facts: &mut HealthFacts) {
    let page = log.first().map_or(0, |page| page & 0x3f);
    for (code, value) in parameters(log) {
        match (page, code) {
            // Total errors corrected, and those that were not.
            (WRITE_ERRORS | READ_ERRORS | VERIFY_ERRORS, 3) => {
                add_to(&mut facts.corrected_errors, number(value))
            }
            (WRITE_ERRORS | READ_ERRORS | VERIFY_ERRORS, 6) => {
                add_to(&mut facts.uncorrected_errors, number(value))
            }
            // FFh is not known.
            (TEMPERATURE, 0) => {
                facts.temperature = value.get(1).filter(|c| **c != 0xff).map(|c| i64::from(*c));
            }
            (SOLID_STATE, 1) => facts.used_percent = value.get(3).map(|percent| u64::from(*percent)),
            // Minutes that it was switched on.
            (BACKGROUND_SCAN, 0) => facts.power_on_hours = value.get(..4).map(|minutes| number(minutes) / 60),
            (EXCEPTIONS, 0) => {
                let failing = value.first().is_some_and(|asc| [ASC_PREDICTION, ASC_WARNING].contains(asc));
                facts.failing = Some(failing);
                if let (true, [asc, ascq, ..]) = (failing, value) {
                    let words = peripety_model::facts::additional_sense(*asc, *ascq);
                    facts.failing_because =
                        Some(words.map_or_else(|| format!("{asc:#04x}/{ascq:#04x}"), str::to_owned));
                }
            }
            _ => {}
        }
    }
}

fn add_to(total: &mut Option<u64>, more: u64) {
    *total = Some(total.unwrap_or(0).saturating_add(more));
}
