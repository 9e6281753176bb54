//! What the probes cost a good read of a bio-based device: `block_bio_complete` fires for each of them, and nowhere else.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use rustix::{
    fs::OFlags,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
    time::{ClockId, clock_gettime},
};

use super::{
    Bench, Figure,
    daemon::Daemon,
    price::{READS, each},
};

const CONTROL: &str = "/sys/class/zram-control";
const MIB: u64 = 256;
/// Pairs that are made in any case, and at most.
const PAIRS: std::ops::RangeInclusive<usize> = 32..=1500;
/// The 95 % interval of the ratio is to be no wider.
const WIDTH: f64 = 0.005;
/// How long one half of a pair reads: so short that the machine is the same for both.
const SLICE: Duration = Duration::from_millis(250);

/// How long after its start the daemon has more to do.
const SETTLE: Duration = Duration::from_millis(1500);

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
        let mut random = File::open("/dev/urandom").context("opening /dev/urandom")?;
        let mut disk = File::create(&this.path).with_context(|| format!("opening {}", this.path))?;
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

/// One thread on one processor that reads 4 KiB at random places, past the page cache.
struct Reader {
    disk: File,
    buffer: Vec<u8>,
    start: usize,
    random: u64,
}

impl Reader {
    const BLOCK: usize = 4096;

    fn new(path: &str) -> Result<Self> {
        let direct = OFlags::DIRECT.bits().cast_signed();
        let disk = File::options().read(true).custom_flags(direct).open(path);
        let disk = disk.with_context(|| format!("opening {path}"))?;
        let buffer = vec![0; 2 * Self::BLOCK];
        let start = buffer.as_ptr().addr().next_multiple_of(Self::BLOCK) - buffer.as_ptr().addr();
        Ok(Self { disk, buffer, start, random: 0x9e37_79b9_7f4a_7c15 })
    }

    /// Processor time of one read, nanoseconds.
    fn price(&mut self) -> Result<f64> {
        let all = sched_getaffinity(None).context("processors")?;
        let mut one = CpuSet::new();
        one.set(0);
        sched_setaffinity(None, &one).context("staying on one processor")?;
        let price = self.read();
        sched_setaffinity(None, &all).context("all processors again")?;
        price
    }

    fn read(&mut self) -> Result<f64> {
        let block = self.buffer.get_mut(self.start..self.start + Self::BLOCK).context("a buffer")?;
        let blocks = (MIB << 20) / Self::BLOCK as u64;
        let (end, before, mut reads) = (Instant::now() + SLICE, processor_ns(), 0_u32);
        while reads % 1024 != 0 || Instant::now() < end {
            // xorshift64
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            self.disk.read_exact_at(block, (self.random % blocks) * Self::BLOCK as u64).context("reading")?;
            reads += 1;
        }
        Ok((processor_ns() - before) / f64::from(reads))
    }
}

/// Processor time of this thread.
fn processor_ns() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
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
    let mut reader = Reader::new(&zram.path)?;
    reader.price()?;
    let (mut ratios, mut least) = (Ratios::default(), f64::INFINITY);
    while ratios.number() < *PAIRS.start() || (ratios.number() < *PAIRS.end() && ratios.width() > WIDTH) {
        // Which comes first changes, so that a machine that gets slower favours neither.
        let first = (ratios.number() % 2 == 0).then(|| reader.price()).transpose()?;
        let with = {
            let _daemon = Daemon::start(bench, &[], "[main]\nsave_to_journald = false")?;
            // What it does after its start takes caches, and is no price of a read.
            thread::sleep(SETTLE);
            reader.price()?
        };
        let without = match first {
            Some(first) => first,
            None => reader.price()?,
        };
        least = least.min(without);
        ratios.add(without / with);
        if ratios.number() % 50 == 0 {
            let (low, high) = ratios.interval();
            eprintln!(
                "price: {} of at most {} pairs, {low:.4} to {high:.4}, {what}",
                ratios.number(),
                PAIRS.end()
            );
        }
    }
    let (low, high) = ratios.interval();
    Ok(vec![Figure {
        part: "price",
        what: format!("good random reads by time of processor, of {what}"),
        value: format!("{:.4}", ratios.mean()),
        of: "no daemon".to_owned(),
        detail: format!(
            "95 % interval {low:.4} to {high:.4} of {} pairs, up to {:.0} reads a second",
            ratios.number(),
            1e9 / least
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
