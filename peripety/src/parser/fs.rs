//! What filesystems and the page cache say by tracepoints.

use peripety_common::{
    Header,
    ext4::{Ext4Error, Ext4Shutdown},
    text::until_nul,
    wb_err::{NAME_BYTES, NAMES, WbErr},
    xfs::XfsShutdown,
};

use super::{
    Kdev, RawEvent,
    kernel::{draft, draft_fs},
};
use crate::{
    block::Dev,
    event::{Errno, EventType, Io, Op},
    record::Stamp,
};

/// ext4 found itself inconsistent, or failed to read its metadata.
pub(super) fn ext4_error(h: &Header, error: &Ext4Error, time: Stamp) -> Option<RawEvent> {
    let mut raw = draft_fs(h, time, "ext4", EventType::FS_ERROR, kdev(error.dev));
    let fs = raw.facts.fs.get_or_insert_default();
    fs.function = Some(text(&error.function));
    fs.line = Some(error.line);
    Some(raw)
}

/// ext4 was shut down.
pub(super) fn ext4_shutdown(h: &Header, shutdown: &Ext4Shutdown, time: Stamp) -> Option<RawEvent> {
    let mut raw = draft_fs(h, time, "ext4", EventType::FS_SHUTDOWN, kdev(shutdown.dev));
    let fs = raw.facts.fs.get_or_insert_default();
    fs.flags = Some(shutdown.flags);
    let reason = match shutdown.flags {
        0 => "frozen first, nothing is lost",
        1 => "the journal is written first",
        2 => "the journal is not written",
        _ => "unknown",
    };
    fs.reason = Some(reason.to_owned());
    Some(raw)
}

/// SHUTDOWN_* (fs/xfs/xfs_mount.h), the graver ones first.
const XFS_REASONS: [(u32, &str); 6] = [
    (1 << 4, "corruption of on-disk metadata"),
    (1 << 3, "corruption of in-memory data"),
    (1 << 1, "log I/O error"),
    (1 << 5, "block device removed"),
    (1 << 0, "metadata I/O error"),
    (1 << 2, "forced by a user"),
];

/// xfs was shut down.
pub(super) fn xfs_shutdown(h: &Header, shutdown: &XfsShutdown, time: Stamp) -> Option<RawEvent> {
    let mut raw = draft_fs(h, time, "xfs", EventType::FS_SHUTDOWN, kdev(shutdown.dev));
    let reasons: Vec<&str> = XFS_REASONS
        .iter()
        .filter(|(flag, _)| shutdown.flags & flag != 0)
        .map(|(_, reason)| *reason)
        .collect();
    let fs = raw.facts.fs.get_or_insert_default();
    fs.flags = Some(shutdown.flags);
    fs.reason = Some(if reasons.is_empty() { "unknown".to_owned() } else { reasons.join(", ") });
    fs.file = Some(text(&shutdown.file));
    fs.line = Some(shutdown.line);
    Some(raw)
}

/// The page cache lost written data. The record counts the inode's pages so far, which are no failures: a write that fails
/// loses many of them.
pub(super) fn lost_write(h: &Header, wb: &WbErr, time: Stamp) -> Option<RawEvent> {
    let mut raw = draft(h, time, EventType::BLK_LOST_WRITE, kdev(wb.dev));
    let errno = Errno::from_raw(wb.errno);
    raw.io = Some(Io {
        op: Op::Write,
        errno: Some(errno),
        errno_name: errno.name().map(str::to_owned),
        lost_pages: Some(wb.count.max(1)),
        ..Io::default()
    });
    if wb.ino != 0 {
        let fs = raw.facts.fs.get_or_insert_default();
        (fs.inode, fs.path) = (Some(wb.ino), path(wb));
    }
    Some(raw)
}

/// The path of a file below the root of its filesystem; without its beginning, and a name without its end, where the record had no
/// room for them.
pub(crate) fn path(wb: &WbErr) -> Option<String> {
    let depth = usize::try_from(wb.depth).unwrap_or(0).min(NAMES);
    let mut names: Vec<String> = wb.names.chunks_exact(NAME_BYTES).take(depth).map(name).collect();
    names.reverse();
    // A file that has no name any more is the root of nothing.
    let begin = if wb.whole == 1 { "/" } else { "…/" };
    (!names.is_empty() && names.iter().all(|name| !name.is_empty()))
        .then(|| begin.to_owned() + &names.join("/"))
}

fn name(bytes: &[u8]) -> String {
    let name = until_nul(bytes);
    let cut = if name.len() + 1 >= NAME_BYTES { "…" } else { "" };
    String::from_utf8_lossy(name).trim_end_matches(char::REPLACEMENT_CHARACTER).to_owned() + cut
}

fn kdev(dev: u32) -> Kdev {
    if dev == 0 { Kdev::None } else { Kdev::Dev(Dev::from_kernel(dev)) }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(until_nul(bytes)).into_owned()
}

#[cfg(test)]
mod tests {
    use peripety_common::{Kind, ext4::FUNCTION_BYTES, xfs::FILE_BYTES};

    use super::{
        super::block::tests::{TIME, header},
        *,
    };
    use crate::event::Severity;

    pub(crate) fn padded<const N: usize>(text: &str) -> [u8; N] {
        let mut out = [0; N];
        out[..text.len()].copy_from_slice(text.as_bytes());
        out
    }

    #[test]
    fn an_ext4_error_names_where_it_was_found() {
        let error = Ext4Error {
            dev: Dev::new(7, 0).to_kernel(),
            line: 1683,
            function: padded::<FUNCTION_BYTES>("ext4_find_entry"),
        };
        let raw = ext4_error(&header(Kind::Ext4Error), &error, TIME).unwrap();
        assert_eq!((raw.event_type.as_str(), raw.sub_system.as_str()), ("FS_ERROR", "ext4"));
        assert_eq!(raw.kdev.to_text(), "7:0");
        let fs = raw.facts.fs.unwrap();
        assert_eq!((fs.function.as_deref(), fs.line), (Some("ext4_find_entry"), Some(1683)));
    }

    #[test]
    fn names_that_are_no_text_or_fill_the_field_are_kept_as_far_as_they_go() {
        let error = Ext4Error { dev: 0, line: 0, function: [0xff; FUNCTION_BYTES] };
        let raw = ext4_error(&header(Kind::Ext4Error), &error, TIME).unwrap();
        assert_eq!(raw.kdev, Kdev::None);
        assert!(raw.facts.fs.unwrap().function.unwrap().chars().all(|c| c == '\u{fffd}'));
    }

    #[test]
    fn an_xfs_shutdown_gives_its_reasons() {
        let mut shutdown = XfsShutdown {
            dev: Dev::new(253, 2).to_kernel(),
            ptag: 0,
            flags: 2,
            line: 1300,
            file: padded::<FILE_BYTES>("fs/xfs/xfs_log.c"),
        };
        let reason = |s: &XfsShutdown| {
            let raw = xfs_shutdown(&header(Kind::XfsForceShutdown), s, TIME).unwrap();
            assert_eq!(raw.severity, Severity::Critical);
            raw.facts.fs.unwrap().reason.unwrap()
        };
        assert_eq!(reason(&shutdown), "log I/O error");
        shutdown.flags = 2 | 4;
        assert_eq!(reason(&shutdown), "log I/O error, forced by a user");
        shutdown.flags = 1 << 30;
        assert_eq!(reason(&shutdown), "unknown");
    }

    #[test]
    fn a_lost_write_names_its_file_as_far_as_there_was_room() {
        let mut wb = WbErr::unnamed(1, 12, 5, 1);
        let mut put = |at: usize, name: &str| {
            let place = &mut wb.names[at * NAME_BYTES..][..NAME_BYTES];
            place[..name.len()].copy_from_slice(name.as_bytes());
        };
        put(0, "base.dat");
        put(1, &"d".repeat(NAME_BYTES - 1));
        assert_eq!(path(&wb), None, "there are no names");
        wb.depth = 2;
        let directory = "d".repeat(NAME_BYTES - 1) + "…";
        assert_eq!(path(&wb), Some(format!("…/{directory}/base.dat")));
        wb.whole = 1;
        assert_eq!(path(&wb), Some(format!("/{directory}/base.dat")));
        wb.depth = u32::MAX;
        assert_eq!(path(&wb), None, "names that are empty");
    }

    #[test]
    fn lost_writes_name_the_inode_but_not_the_one_of_a_device_file() {
        let mut wb = WbErr::unnamed(Dev::new(0, 45).to_kernel(), 12, 5, 494);
        let raw = lost_write(&header(Kind::FilemapSetWbErr), &wb, TIME).unwrap();
        assert_eq!((raw.severity, raw.count), (Severity::Critical, 1));
        assert_eq!(raw.io.as_ref().unwrap().lost_pages, Some(494));
        assert_eq!(raw.kdev.to_text(), "0:45");
        assert_eq!(raw.facts.fs.unwrap().inode, Some(12));
        wb.ino = 0;
        assert!(lost_write(&header(Kind::FilemapSetWbErr), &wb, TIME).unwrap().facts.is_empty());
    }
}
