//! How much the files of a report may ask of the machine that reads them.
//!
//! A few hundred bytes can unpack to terabytes, so nothing is read without an end: not on disk, not in memory, not in time.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

/// Bytes of memory for sysfs and its like.
pub(crate) const TREE_MAX: usize = 64 << 20;
/// Bytes of a file that shows devices: a table of lsblk, udev's database. It is in memory twice while it is read.
pub(crate) const FACTS_MAX: u64 = 32 << 20;
/// Members of an archive, or entries of directories, that are looked at.
pub(crate) const MEMBERS_MAX: u64 = 1_000_000;
/// Logs and files that show devices.
pub const FILES_MAX: usize = 50_000;
/// Parts of a name.
pub(crate) const DEPTH_MAX: usize = 64;
/// Journal files: libsystemd maps each of them.
pub(crate) const JOURNALS_MAX: usize = 512;
/// What an archive may unpack to, most of which is passed over, in multiples of the room on disk.
const STREAM_FACTOR: u64 = 16;
/// What a compressed log may unpack to, in multiples of the room on disk: it is read and not kept.
const LOG_FACTOR: u64 = 4;
/// A log that unpacks to more than so many times its size may be made to take time, and has as much as a log of a report.
const BOMB_RATIO: u64 = 100;

/// The bounds that the command line sets.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes on disk for what an archive holds.
    pub disk: u64,
    /// CPU time for each log, and for unpacking.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { disk: 1 << 30, time: Duration::from_secs(60) }
    }
}

/// A bound that was reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reached {
    /// The room on disk.
    #[error("more than {} of logs: --max-disk gives them more room, or unpack the archive and give the directory", size(*.0))]
    Disk(u64),
    /// The bytes that a stream may unpack to.
    #[error("it unpacks to more than {}: --max-disk raises this with the room on disk", size(*.0))]
    Unpacked(u64),
    /// CPU time.
    #[error("it took more than {} s of CPU time: --max-time gives it more", .0.as_secs())]
    Time(Duration),
    /// Members of an archive.
    #[error("it has more than {0} members")]
    Members(u64),
    /// Files that are of use.
    #[error("it has more than {0} files that are of use")]
    Files(usize),
    /// Journal files.
    #[error("it has more than {0} journal files: give them in parts")]
    Journals(usize),
    /// Memory for sysfs.
    #[error("its sysfs takes more than {} of memory", size(*.0))]
    Tree(u64),
    /// A file that shows devices.
    #[error("a file that shows devices has more than {}", size(*.0))]
    Facts(u64),
}

impl From<Reached> for io::Error {
    fn from(reached: Reached) -> Self {
        Self::other(reached)
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

/// A reader that ends with an error where it reaches a bound.
#[derive(Debug)]
pub(crate) struct Bounded<R> {
    from: R,
    left: u64,
    most: u64,
    time: Duration,
    started: Duration,
    read: u64,
    /// The bytes before they were unpacked: time counts only for what unpacks to many times of them.
    packed: Option<Arc<AtomicU64>>,
}

impl<R: Read> Bounded<R> {
    /// What an archive unpacks to.
    pub(crate) fn archive(from: R, limits: &Limits) -> Self {
        Self::new(from, limits.disk.saturating_mul(STREAM_FACTOR), limits.time)
    }

    /// A log of a report.
    pub(crate) fn log(from: R, limits: &Limits) -> Self {
        Self::new(from, limits.disk.saturating_mul(LOG_FACTOR), limits.time)
    }

    /// A log that was named itself, and of which `packed` bytes were read so far: as long as those are many it may go on.
    pub(crate) fn named(from: R, limits: &Limits, packed: Arc<AtomicU64>) -> Self {
        Self { packed: Some(packed), ..Self::new(from, u64::MAX, limits.time) }
    }

    fn new(from: R, most: u64, time: Duration) -> Self {
        Self { from, left: most, most, time, started: cpu_time(), read: 0, packed: None }
    }

    fn out_of_time(&self) -> bool {
        let is_bomb =
            self.packed.as_ref().is_none_or(|packed| self.read / BOMB_RATIO > packed.load(Ordering::Relaxed));
        is_bomb && cpu_time().saturating_sub(self.started) > self.time
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.out_of_time() {
            return Err(Reached::Time(self.time).into());
        }
        if self.left == 0 && !to.is_empty() {
            // That it ends just here is no fault.
            let mut one = [0];
            return if self.from.read(&mut one)? == 0 {
                Ok(0)
            } else {
                Err(Reached::Unpacked(self.most).into())
            };
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(to.len());
        let length = self.from.read(to.get_mut(..most).unwrap_or_default())?;
        self.left -= length as u64;
        self.read += length as u64;
        Ok(length)
    }
}

/// CPU time of this thread: a slow pipe, or a machine that has much to do, is not the file's fault.
pub(crate) fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_ends_at_its_bounds_and_says_at_which() {
        let limits = Limits { disk: 100, ..Limits::default() };
        let mut out = Vec::new();
        let error = Bounded::log(io::repeat(b'\n'), &limits).read_to_end(&mut out).unwrap_err().to_string();
        assert_eq!(out.len(), 400);
        assert!(error.contains("more than 400 bytes") && error.contains("--max-disk"), "{error}");
        let exact = vec![b'x'; 400];
        assert_eq!(Bounded::log(exact.as_slice(), &limits).read_to_end(&mut Vec::new()).unwrap(), 400);

        let limits = Limits { time: Duration::ZERO, ..Limits::default() };
        std::hint::black_box((0..100_000u64).fold(0, u64::wrapping_add));
        let error = Bounded::archive(io::repeat(0), &limits).read_to_end(&mut out).unwrap_err().to_string();
        assert!(error.contains("CPU time") && error.contains("--max-time"), "{error}");
    }

    #[test]
    fn time_counts_for_a_named_log_only_where_it_unpacks_to_many_times_its_size() {
        let limits = Limits { time: Duration::ZERO, ..Limits::default() };
        let read = |packed: u64| {
            let mut reader = Bounded::named(io::repeat(b'x'), &limits, Arc::new(AtomicU64::new(packed)));
            io::copy(&mut (&mut reader).take(1 << 20), &mut io::sink())
        };
        assert_eq!(read(1 << 16).unwrap(), 1 << 20);
        assert!(read(100).unwrap_err().to_string().contains("CPU time"));
    }
}
