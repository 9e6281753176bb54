//! Reading /dev/kmsg without waiting.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
};

use rustix::{fs::OFlags, io::Errno};

use super::{KmsgError, KmsgRecord, parse_record, record::Head};
use crate::record::Lost;

/// Room for one record: the kernel formats a record with its dictionary into at most CONSOLE_EXT_LOG_MAX = 8192 bytes
/// and answers EINVAL to a smaller buffer.
const RECORD_MAX: usize = 8192;

/// Records of processes that are passed over in a row: they may come faster than they can be read.
const FOREIGN_MOST: u32 = 256;
/// How often in a row a read may fail before something else than an overrun must be the reason.
const FAILURES_MAX: u32 = 1000;

/// Where to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Start {
    /// With the oldest record that the kernel still has: early boot.
    #[default]
    Oldest,
    /// After the record with this sequence number of the same boot: what came while nobody read.
    After(u64),
}

/// What the kernel's log has next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KmsgItem {
    /// A record of the kernel.
    Record(KmsgRecord),
    /// Records are missing before the next one.
    Lost(Lost),
}

/// A reader of /dev/kmsg that never waits: for use with `tokio::io::unix::AsyncFd`, which waits for it.
#[derive(Debug)]
pub(crate) struct KmsgReader {
    file: File,
    path: PathBuf,
    order: Order,
    pending: Option<KmsgRecord>,
    foreign: u64,
    malformed: u64,
    /// Time of the last record, when reading stopped before the end.
    stopped_at: Option<u64>,
    buffer: Box<[u8; RECORD_MAX]>,
}

impl KmsgReader {
    /// Opens the kernel's log.
    pub(crate) fn open(path: &Path, start: Start) -> Result<Self, KmsgError> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed())
            .open(path)
            .map_err(|e| KmsgError::open(path.to_owned(), e))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            order: Order::new(start),
            pending: None,
            foreign: 0,
            malformed: 0,
            stopped_at: None,
            buffer: Box::new([0; RECORD_MAX]),
        })
    }

    /// The next record of the kernel, or that some are lost; none when there is nothing more for now, or nothing
    /// but what processes wrote for a while: [`KmsgReader::stopped_at`] says which.
    pub(crate) fn next(&mut self) -> Result<Option<KmsgItem>, KmsgError> {
        if let Some(record) = self.pending.take() {
            return Ok(Some(KmsgItem::Record(record)));
        }
        let (mut failures, mut passed) = (0, 0);
        self.stopped_at = None;
        while passed < FOREIGN_MOST {
            let length = match self.file.read(self.buffer.as_mut_slice()) {
                // The device never ends.
                Ok(0) => return Ok(self.at_the_end()),
                Ok(length) => length,
                Err(e) => match Errno::from_io_error(&e) {
                    Some(Errno::AGAIN) => return Ok(self.at_the_end()),
                    // PIPE: the place to read from was overwritten, the next read continues with the oldest record.
                    // INVAL: a record larger than any kernel writes was passed over. The hole in the sequence counts both.
                    Some(Errno::PIPE | Errno::INVAL | Errno::INTR) if failures < FAILURES_MAX => {
                        failures += 1;
                        continue;
                    }
                    _ => return Err(KmsgError::Read { path: self.path.clone(), source: e }),
                },
            };
            let bytes = self.buffer.get(..length).unwrap_or_default();
            let Ok(head) = Head::parse(bytes) else {
                (self.malformed, passed) = (self.malformed + 1, passed + 1);
                continue;
            };
            self.stopped_at = Some(head.usec);
            let lost = match self.order.take(head.seq) {
                Place::Seen => {
                    passed += 1;
                    continue;
                }
                Place::Next => None,
                Place::Gap(lost) => Some(lost),
            };
            // What a process wrote is not read any further: it may write millions of lines.
            let record = if head.facility() == 0 {
                parse_record(bytes).map_err(|_malformed| self.malformed += 1).ok()
            } else {
                self.foreign += 1;
                None
            };
            match (lost, record) {
                (Some(lost), record) => {
                    self.pending = record;
                    return Ok(Some(KmsgItem::Lost(lost)));
                }
                (None, Some(record)) => return Ok(Some(KmsgItem::Record(record))),
                (None, None) => passed += 1,
            }
        }
        self.stopped_at.get_or_insert(0);
        Ok(None)
    }

    const fn at_the_end(&mut self) -> Option<KmsgItem> {
        self.stopped_at = None;
        None
    }

    /// Whether [`KmsgReader::next`] gave nothing though there may be more: the time of the last record that it read,
    /// microseconds of the clock of kernel text.
    pub(crate) const fn stopped_at(&self) -> Option<u64> {
        self.stopped_at
    }

    /// Takes a record back: it will be the next.
    pub(crate) fn put_back(&mut self, record: KmsgRecord) {
        self.pending = Some(record);
    }

    /// Sequence number of the last record that was read: what [`Start::After`] takes after a restart.
    pub(crate) fn last_seq(&self) -> Option<u64> {
        self.order.last
    }

    /// Records that processes wrote, which are no kernel text.
    pub(crate) fn foreign(&self) -> u64 {
        self.foreign
    }

    /// Records that could not be understood.
    pub(crate) fn malformed(&self) -> u64 {
        self.malformed
    }
}

impl AsFd for KmsgReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for KmsgReader {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// Which record is expected.
#[derive(Debug)]
struct Order {
    last: Option<u64>,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Seen,
    Next,
    Gap(Lost),
}

impl Order {
    fn new(start: Start) -> Self {
        let last = match start {
            Start::Oldest => None,
            Start::After(seq) => Some(seq),
        };
        Self { last }
    }

    fn take(&mut self, seq: u64) -> Place {
        let expected = match self.last {
            Some(last) => last.saturating_add(1),
            None => seq,
        };
        if seq < expected {
            return Place::Seen;
        }
        self.last = Some(seq);
        if seq == expected {
            return Place::Next;
        }
        Place::Gap(Lost {
            source: "kmsg".to_owned(),
            reason: "overwritten".to_owned(),
            count: seq - expected,
            sequence: format!("{expected}-{}", seq - 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::*;

    fn lost(count: u64, sequence: &str) -> Place {
        let (source, reason) = ("kmsg".to_owned(), "overwritten".to_owned());
        Place::Gap(Lost { source, reason, count, sequence: sequence.to_owned() })
    }

    #[test]
    fn every_hole_in_the_sequence_is_counted_once() {
        let mut order = Order::new(Start::After(9));
        assert_eq!(order.take(8), Place::Seen);
        assert_eq!(order.take(9), Place::Seen);
        assert_eq!(order.take(10), Place::Next);
        assert_eq!(order.take(14), lost(3, "11-13"));
        assert_eq!(order.take(15), Place::Next);
        assert_eq!(order.take(u64::MAX), lost(u64::MAX - 16, "16-18446744073709551614"));
    }

    #[test]
    fn what_was_overwritten_before_the_start_is_known_but_no_loss_of_ours() {
        let mut order = Order::new(Start::Oldest);
        assert_eq!(order.take(700), Place::Next);
        assert_eq!(order.take(701), Place::Next);
        let mut order = Order::new(Start::After(600));
        assert_eq!(order.take(700), lost(99, "601-699"));
    }

    #[test]
    fn the_error_says_what_to_do() {
        let denied = KmsgError::open("/dev/kmsg".into(), io::Error::from_raw_os_error(1));
        assert!(matches!(denied, KmsgError::Permission { .. }));
        assert!(
            denied.to_string().contains("CAP_SYSLOG") && denied.to_string().contains("kernel.dmesg_restrict")
        );
        let missing = KmsgReader::open(Path::new("/nonexistent/kmsg"), Start::Oldest).unwrap_err();
        assert!(matches!(missing, KmsgError::Missing { .. }));
        let directory = KmsgReader::open(Path::new("/"), Start::Oldest).unwrap().next().unwrap_err();
        assert!(matches!(directory, KmsgError::Read { .. }));
    }

    /// The kernel's own log, where this process may read and write it.
    #[test]
    fn the_running_kernels_log_is_read_from_its_start() {
        let path = Path::new("/dev/kmsg");
        let Ok(mut reader) = KmsgReader::open(path, Start::Oldest) else {
            println!("skipped: no right to read /dev/kmsg");
            return;
        };
        let mut records = 0;
        let mut last = None;
        while let Some(item) = reader.next().unwrap() {
            if let KmsgItem::Record(record) = item {
                assert!(last < Some(record.log.seq), "in order");
                assert_eq!(record.facility, 0);
                last = Some(record.log.seq);
                records += 1;
            }
        }
        assert_eq!(reader.malformed(), 0);
        println!("{records} records, {} of processes, last {:?}", reader.foreign(), reader.last_seq());

        let devkmsg = std::fs::read_to_string("/proc/sys/kernel/printk_devkmsg").unwrap_or_default();
        let Ok(mut kmsg) = OpenOptions::new().write(true).open(path) else { return };
        let before = reader.foreign();
        kmsg.write_all(
            b"<3>Buffer I/O error on dev sda, logical block 0, lost async page write (a test wrote this)\n",
        )
        .unwrap();
        while let Some(item) = reader.next().unwrap() {
            if let KmsgItem::Record(record) = item {
                assert!(!record.log.text.contains("a test wrote this"), "a process is no kernel");
            }
        }
        // The sysctl may make the kernel drop what processes write.
        assert!(reader.foreign() > before || devkmsg.trim() == "off", "{devkmsg}");
        // Another reader goes on where this one stands.
        let seen = reader.last_seq().unwrap();
        let mut next = KmsgReader::open(path, Start::After(seen)).unwrap();
        while let Some(item) = next.next().unwrap() {
            assert!(matches!(item, KmsgItem::Record(record) if record.log.seq > seen));
        }
    }
}
