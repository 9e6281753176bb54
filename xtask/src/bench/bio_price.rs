//! What the probes cost a good read of a bio-based device: `block_bio_complete` fires for each of them, and nowhere else.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    Bench, Figure,
    daemon::Daemon,
    disks::fio,
    price::{READS, each},
};

const CONTROL: &str = "/sys/class/zram-control";
const MIB: u64 = 256;
/// Pairs that are made in any case, and at most.
const PAIRS: std::ops::RangeInclusive<usize> = 16..=500;
/// The 95 % interval of the ratio is to be no wider.
const WIDTH: f64 = 0.005;
/// One processor, so that the scheduler has no part in it.
const SHORT_READS: [&str; 6] = [
    "--rw=randread",
    "--ioengine=psync",
    "--runtime=700ms",
    "--time_based",
    "--randrepeat=0",
    "--cpus_allowed=0",
];

/// A compressed disk in memory; gone with the scope.
struct Zram {
    number: String,
    path: String,
}

impl Zram {
    /// A new one full of what cannot be compressed, so that a read is a copy; none if the kernel has no zram.
    fn new() -> Result<Option<Self>> {
        let Ok(number) = fs::read_to_string(format!("{CONTROL}/hot_add")) else { return Ok(None) };
        let number = number.trim().to_owned();
        let this = Self { path: format!("/dev/zram{number}"), number };
        let size = format!("/sys/block/zram{}/disksize", this.number);
        fs::write(&size, format!("{MIB}M")).with_context(|| format!("writing {size}"))?;
        let mut random = fs::File::open("/dev/urandom").context("opening /dev/urandom")?;
        let mut disk = fs::File::create(&this.path).with_context(|| format!("opening {}", this.path))?;
        std::io::copy(&mut std::io::Read::take(&mut random, MIB << 20), &mut disk)
            .with_context(|| format!("filling {}", this.path))?;
        disk.sync_all().with_context(|| format!("filling {}", this.path))?;
        Ok(Some(this))
    }

    /// An empty one with a limit of memory.
    fn limited() -> Result<Self> {
        let number = fs::read_to_string(format!("{CONTROL}/hot_add")).context("adding a zram disk")?;
        let number = number.trim().to_owned();
        let dir = format!("/sys/block/zram{number}");
        let this = Self { path: format!("/dev/zram{number}"), number };
        for (file, value) in [("mem_limit", "1M"), ("disksize", "16M")] {
            fs::write(format!("{dir}/{file}"), value).with_context(|| format!("writing {dir}/{file}"))?;
        }
        Ok(this)
    }
}

impl Drop for Zram {
    fn drop(&mut self) {
        let file = format!("{CONTROL}/hot_remove");
        if let Err(error) = fs::write(&file, &self.number) {
            eprintln!("{file}: {error}");
        }
    }
}

fn reads(disk: &str) -> Result<f64> {
    let report = fio(disk, &SHORT_READS)?;
    report.pointer("/jobs/0/read/iops").and_then(Value::as_f64).context("fio reports no iops")
}

pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let Some(zram) = Zram::new()? else { return Ok(Vec::new()) };
    let mut figures = pairs(bench, &zram, "zram alone, where the probe of bios waits")?;
    // A disk that needs the probe: a zram that may fail without a line of text.
    let limited = Zram::limited()?;
    figures.extend(pairs(bench, &zram, "zram beside a disk that needs the probe of bios")?);
    let of_zram = |figure: Figure| Figure { what: format!("{} (zram)", figure.what), ..figure };
    let rows = each(bench, &zram.path, &READS)?;
    figures.extend(rows.into_iter().filter(|row| row.what.ends_with("block_bio_complete")).map(of_zram));
    drop(limited);
    Ok(figures)
}

/// Reads of a disk with and without the daemon, in turns.
fn pairs(bench: &Bench, zram: &Zram, what: &str) -> Result<Vec<Figure>> {
    reads(&zram.path)?;
    let (mut ratios, mut rate) = (Ratios::default(), 0.0_f64);
    while ratios.number() < *PAIRS.start() || (ratios.number() < *PAIRS.end() && ratios.width() > WIDTH) {
        // Which comes first changes, so that a machine that gets slower favours neither.
        let first = (ratios.number() % 2 == 0).then(|| reads(&zram.path)).transpose()?;
        let with = {
            let _daemon = Daemon::start(bench, &[], "[main]\nsave_to_journald = false")?;
            reads(&zram.path)?
        };
        let without = match first {
            Some(first) => first,
            None => reads(&zram.path)?,
        };
        rate = rate.max(without);
        ratios.add(with / without);
        if ratios.number() % 50 == 0 {
            eprintln!("price: {} of at most {} pairs, {what}", ratios.number(), PAIRS.end());
        }
    }
    let (low, high) = ratios.interval();
    Ok(vec![Figure {
        part: "price",
        what: format!("good random reads a second of {what}"),
        value: format!("{:.4}", ratios.mean()),
        of: "no daemon".to_owned(),
        detail: format!(
            "95 % interval {low:.4} to {high:.4} of {} pairs, up to {rate:.0} reads a second",
            ratios.number()
        ),
    }])
}

/// Ratios of pairs, by their logarithms.
#[derive(Default)]
struct Ratios(Vec<f64>);

impl Ratios {
    fn add(&mut self, ratio: f64) {
        self.0.push(ratio.ln());
    }

    fn number(&self) -> usize {
        self.0.len()
    }

    /// Mean of the logarithms without the tenth that is lowest and the tenth that is highest, when another process came in
    /// between, and its standard error (of the mean of what was winsorized).
    fn trimmed(&self) -> (f64, f64) {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let cut = sorted.len() / 10;
        let kept = sorted.get(cut..sorted.len() - cut).unwrap_or_default();
        let (Some(low), Some(high)) = (kept.first(), kept.last()) else { return (0.0, f64::INFINITY) };
        let mean = kept.iter().sum::<f64>() / kept.len() as f64;
        let number = sorted.len() as f64;
        let winsorized: Vec<f64> = sorted.iter().map(|value| value.clamp(*low, *high)).collect();
        let middle = winsorized.iter().sum::<f64>() / number;
        let variance =
            winsorized.iter().map(|value| (value - middle).powi(2)).sum::<f64>() / (number - 1.0).max(1.0);
        (mean, variance.sqrt() / (kept.len() as f64 / number * number.sqrt()))
    }

    fn mean(&self) -> f64 {
        self.trimmed().0.exp()
    }

    fn interval(&self) -> (f64, f64) {
        let (mean, error) = self.trimmed();
        ((mean - 1.96 * error).exp(), (mean + 1.96 * error).exp())
    }

    fn width(&self) -> f64 {
        let (low, high) = self.interval();
        high - low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_ratio_and_an_outlier_does_not_move_it() {
        let mut ratios = Ratios::default();
        for n in 0..100_u32 {
            ratios.add(0.99 + f64::from(n % 11) * 0.001 - 0.005);
        }
        let (low, high) = ratios.interval();
        assert!(low < 0.99 && 0.99 < high && ratios.width() < 0.002, "{low} {high}");
        ratios.add(0.2);
        assert!((ratios.mean() - 0.99).abs() < 0.001 && ratios.width() < 0.002);
    }
}
