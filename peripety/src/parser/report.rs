//! What filesystems report to peripety-watch: FAN_FS_ERROR and the health monitor of XFS.

use peripety_watch::message::{Failure, Reporter, What};

use super::{Kdev, RawEvent};
use crate::{
    event::{Errno, EventType, Io, Op, SubSystem},
    record::Stamp,
};

/// What a report says.
pub(crate) fn parse(failure: &Failure, time: Stamp) -> RawEvent {
    let event_type = match failure.what {
        What::Shutdown => EventType::FS_SHUTDOWN,
        What::DataLost => EventType::FS_DATA_LOST,
        What::Error | What::Corrupt | What::Media | What::Read | What::Write => EventType::FS_ERROR,
    };
    let inode = failure.inode.unwrap_or(0);
    let at = time.monotonic_ns.unwrap_or(0);
    let sequence = format!("{at}/{}/{inode}", failure.dev);
    let mut raw = RawEvent::new(time, failure.reporter.source(), sequence, event_type);
    raw.kdev = Kdev::Dev(failure.dev);
    if !failure.fs_type.is_empty() {
        raw.sub_system = SubSystem::new(&failure.fs_type);
    }
    raw.count = failure.count.max(1);
    let errno = failure.errno;
    let op = match failure.what {
        What::Read => Some(Op::Read),
        What::Write | What::DataLost => Some(Op::Write),
        _ => None,
    };
    raw.io = op.map(|op| Io {
        op,
        errno,
        errno_name: errno.and_then(Errno::name).map(str::to_owned),
        ..Io::default()
    });
    let fs = raw.facts.fs.get_or_insert_default();
    (fs.inode, fs.offset, fs.size) = (failure.inode, failure.offset, failure.length);
    // As the kernel prints it.
    fs.error = errno.map(|errno| -i64::from(errno.raw()));
    if !failure.detail.is_empty() {
        match failure.what {
            What::Shutdown => fs.reason = Some(failure.detail.clone()),
            _ => fs.structure = Some(failure.detail.clone()),
        }
    }
    raw
}

/// Whether it is a report.
pub(crate) fn is_report(raw: &RawEvent) -> bool {
    [Reporter::Fanotify, Reporter::XfsHealth].iter().any(|reporter| reporter.source() == raw.source)
}
