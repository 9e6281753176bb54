//! What the kernel counted of a disk, and what drivers show of its life.

use peripety_model::facts::HealthFacts;

use super::Disk;

pub(super) fn add(disk: &Disk, facts: &mut HealthFacts) {
    // drivers/scsi/scsi_sysfs.c, in hexadecimal.
    let counter = |name: &str| {
        let text = disk.attr(&format!("device/{name}"))?;
        u64::from_str_radix(text.trim_start_matches("0x"), 16).ok()
    };
    facts.commands = counter("iorequest_cnt");
    facts.commands_failed = counter("ioerr_cnt");
    facts.commands_timed_out = counter("iotmo_cnt");
    // drivers/mmc/core/mmc.c: two estimates, in steps of 10 % (JESD84-B51, DEVICE_LIFE_TIME_EST_TYP_A and _B); 0 is not known.
    let life = disk.attr("device/life_time").unwrap_or_default();
    let steps = life.split_ascii_whitespace().filter_map(|word| {
        u64::from_str_radix(word.trim_start_matches("0x"), 16).ok().filter(|step| (1..=11).contains(step))
    });
    facts.used_percent = steps.max().map(|step| step * 10);
    // PRE_EOL_INFO: 1 normal, 2 warning (80 % of the spare blocks used), 3 urgent.
    let end = disk.attr("device/pre_eol_info").unwrap_or_default();
    let words = match end.as_str() {
        "0x02" => "80 % of its spare blocks are used",
        "0x03" => "its spare blocks are nearly used up",
        _ => return,
    };
    (facts.failing, facts.failing_because) = (Some(true), Some(words.to_owned()));
}
