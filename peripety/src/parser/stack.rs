//! Reports of the kernel that span many lines: a task that is blocked (kernel/hung_task.c), a bug or a warning
//! (lib/bug.c, arch/*/mm/fault.c). The first line says what happened, the stack below it where. Only those of storage code
//! become events.

use super::{Kdev, RawEvent};
use crate::{
    event::{EventType, Severity, SubSystem},
    record::{LogRecord, Stamp},
};

/// Lines of a report that are read at most.
const LINES_MAX: usize = 80;
/// A line that comes later after the first is of another report.
const REPORT_NS: u64 = 5_000_000_000;
/// Frames of a bug's stack that say where it is: the function itself, and who called it.
const FRAMES_OF_BUG: usize = 3;

/// Beginnings of the names of functions that wait for, or are of, storage.
const FUNCTIONS: &[&str] = &[
    "xfs_",
    "xlog_",
    "ext4_",
    "ext3_",
    "ext2_",
    "jbd2_",
    "journal_commit_transaction",
    "btrfs_",
    "f2fs_",
    "gfs2_",
    "ocfs2_",
    "reiserfs_",
    "nilfs_",
    "bch2_",
    "fat_",
    "exfat_",
    "ntfs_",
    "ntfs3_",
    "squashfs_",
    "erofs_",
    "iomap_",
    "nvme_",
    "scsi_",
    "sd_",
    "ata_",
    "ahci_",
    "blk_",
    "blk_mq_",
    "bio_",
    "__bio_",
    "submit_bio",
    "md_",
    "raid1_",
    "raid10_",
    "raid5_",
    "raid0_",
    "dm_",
    "__dm_",
    "kcryptd_",
    "crypt_",
    "thin_",
    "multipath_",
    "loop_",
    "nbd_",
    "rbd_",
    "ceph_",
    "bch_",
    "cached_dev_",
    "drbd_",
    "nfs_",
    "nfs4_",
    "rpc_wait_bit_killable",
    "cifs_",
    "smb2_",
    "zio_",
    "txg_",
    "dmu_",
    "spa_",
    "dbuf_",
    "zfs_",
    "zil_",
    "vdev_",
    "mmc_",
    "ufshcd_",
    "iscsi_",
    "virtblk_",
    "blkdev_",
    "__blkdev_",
    "io_schedule",
    "blk_io_schedule",
    "wait_on_buffer",
    "__wait_on_buffer",
    "__wait_on_bit_lock",
    "wait_on_page_writeback",
    "wait_on_page_bit",
    "folio_wait_writeback",
    "folio_wait_bit",
    "__filemap_fdatawait",
    "sync_inodes_sb",
    "__sync_dirty_buffer",
    "mpt3sas_",
    "megasas_",
    "lpfc_",
    "qla2x00_",
    "qla24xx_",
    "qla2xxx_",
    "hpsa_",
    "pqi_",
    "aac_",
    "storvsc_",
    "pvscsi_",
    "usb_stor_",
    "uas_",
];

/// Kernel modules of storage, for functions whose name does not show that. Those of device-mapper are known by their prefix, `dm_`.
const MODULES: &[&str] = &[
    "xfs",
    "ext4",
    "jbd2",
    "btrfs",
    "f2fs",
    "gfs2",
    "ocfs2",
    "bcachefs",
    "zfs",
    "spl",
    "nfs",
    "nfsv3",
    "nfsv4",
    "cifs",
    "ceph",
    "libceph",
    "rbd",
    "nbd",
    "loop",
    "nvme",
    "nvme_core",
    "nvme_tcp",
    "nvme_rdma",
    "nvme_fc",
    "scsi_mod",
    "sd_mod",
    "libata",
    "ahci",
    "libahci",
    "raid1",
    "raid10",
    "raid456",
    "md_mod",
    "bcache",
    "drbd",
    "mpt3sas",
    "mpt2sas",
    "megaraid_sas",
    "lpfc",
    "qla2xxx",
    "hpsa",
    "smartpqi",
    "aacraid",
    "hv_storvsc",
    "vmw_pvscsi",
    "usb_storage",
    "uas",
    "virtio_blk",
    "virtio_scsi",
    "libiscsi",
    "iscsi_tcp",
    "libfc",
    "libsas",
    "zram",
    "target_core_mod",
    "iscsi_target_mod",
    "nvmet",
    "nvmet_tcp",
    "nvmet_rdma",
];

/// Directories of the kernel's source that are storage.
const SOURCES: &[&str] = &[
    "block/",
    "drivers/ata/",
    "drivers/block/",
    "drivers/ide/",
    "drivers/md/",
    "drivers/mmc/",
    "drivers/mtd/",
    "drivers/nvdimm/",
    "drivers/nvme/",
    "drivers/s390/block/",
    "drivers/s390/scsi/",
    "drivers/scsi/",
    "drivers/message/fusion/",
    "drivers/ufs/",
    "drivers/target/",
    "drivers/usb/storage/",
    "fs/bcachefs/",
    "fs/btrfs/",
    "fs/buffer.c",
    "fs/ceph/",
    "fs/cifs/",
    "fs/direct-io.c",
    "fs/erofs/",
    "fs/exfat/",
    "fs/ext2/",
    "fs/ext3/",
    "fs/ext4/",
    "fs/f2fs/",
    "fs/fat/",
    "fs/fs-writeback.c",
    "fs/gfs2/",
    "fs/hfs/",
    "fs/hfsplus/",
    "fs/iomap/",
    "fs/isofs/",
    "fs/jbd/",
    "fs/jbd2/",
    "fs/jfs/",
    "fs/nfs/",
    "fs/nilfs2/",
    "fs/ntfs/",
    "fs/ntfs3/",
    "fs/ocfs2/",
    "fs/reiserfs/",
    "fs/smb/",
    "fs/squashfs/",
    "fs/ubifs/",
    "fs/udf/",
    "fs/xfs/",
    "fs/zonefs/",
    // Up to 2.6 the compiler was given the file's name alone.
    "jfs_",
    "xfs_",
    "net/ceph/",
];

/// Beginning of a message that the kernel prints by a warning, and that has a rule.
const REPORTED: &str = "BTRFS: Transaction ";

const BLOCKED: &str = "INFO: task ";
const BUG: &str = "kernel BUG at ";
const WARNING: &str = "WARNING: ";
const FAULTS: [&str; 6] = [
    "BUG: unable to handle ",
    "BUG: kernel NULL pointer dereference",
    "BUG: KASAN: ",
    "general protection fault",
    "Unable to handle kernel ",
    "watchdog: BUG: soft lockup",
];

/// What the first line of each report begins with.
pub(crate) fn beginnings() -> impl Iterator<Item = &'static str> {
    [BLOCKED, BUG, WARNING].into_iter().chain(FAULTS)
}

/// A report whose stack is still to come.
#[derive(Debug)]
struct Report {
    raw: RawEvent,
    text: String,
    lines: usize,
    frames: usize,
    is_bug: bool,
    /// The unwinder of this kernel marks each frame as a guess.
    guesses: bool,
}

/// Reads the kernel's lines for such reports.
#[derive(Debug, Default)]
pub(crate) struct StackReader {
    open: Option<Report>,
    /// When a rule took a line that the kernel prints a warning with.
    reported_ns: Option<u64>,
}

/// The warning comes after the line of the message, in the same report.
const WARNED_NS: u64 = 10_000_000;

impl StackReader {
    /// Reads a line of the kernel that no rule is about. Gives an event once the report is known to be of storage.
    pub(crate) fn push(&mut self, record: &LogRecord, time: Stamp) -> Option<RawEvent> {
        if record.identifier.is_some() || record.fragment {
            return None;
        }
        let text = record.text.as_str();
        if let Some((raw, source)) = head(record, time) {
            let is_reported = text.starts_with(WARNING)
                && self
                    .reported_ns
                    .zip(time.monotonic_ns)
                    .is_some_and(|(reported, now)| now.abs_diff(reported) <= WARNED_NS);
            if is_reported {
                (self.open, self.reported_ns) = (None, None);
                return None;
            }
            let is_bug = raw.event_type != EventType::TASK_BLOCKED;
            if source.is_some_and(is_storage_source) {
                self.open = None;
                return Some(raw);
            }
            self.open =
                Some(Report { raw, text: text.to_owned(), lines: 0, frames: 0, is_bug, guesses: false });
            return None;
        }
        let report = self.open.as_mut()?;
        report.lines += 1;
        let since =
            report.raw.time.monotonic_ns.zip(time.monotonic_ns).map(|(head, line)| line.saturating_sub(head));
        if report.lines > LINES_MAX || since.is_some_and(|since| since > REPORT_NS) {
            self.open = None;
            return None;
        }
        let (function, module, is_guess) = match frame(text) {
            Some((function, module)) => (function, module, false),
            None => match worker(text) {
                // What the worker does, and on which device.
                Some(work) if !report.is_bug => return self.of_worker(&work, text),
                _ => guess(text).map(|(function, module)| (function, module, true))?,
            },
        };
        report.guesses |= is_guess && report.frames == 0;
        if is_guess && !report.guesses {
            return None;
        }
        report.frames += 1;
        if !is_storage(function, module) {
            if report.is_bug && report.frames >= FRAMES_OF_BUG {
                self.open = None;
            }
            return None;
        }
        self.of_storage(function, module, text)
    }

    fn of_worker(&mut self, work: &Work<'_>, text: &str) -> Option<RawEvent> {
        let is_writeback = ["wb_workfn", "bdi_writeback_workfn"].contains(&work.function);
        if !is_writeback && !is_storage(work.function, work.module) {
            return None;
        }
        let mut raw = self.of_storage(work.function, work.module, text)?;
        if let Some(device) = work.device {
            raw.kdev = device.parse().map_or_else(|_| Kdev::Name(device.to_owned()), Kdev::Dev);
        }
        Some(raw)
    }

    /// The report is one of storage by this line.
    fn of_storage(&mut self, function: &str, module: Option<&str>, line: &str) -> Option<RawEvent> {
        let Report { mut raw, text: first, .. } = self.open.take()?;
        let kernel = raw.facts.kernel.get_or_insert_default();
        kernel.function = Some(function.to_owned());
        kernel.module = module.map(str::to_owned);
        raw.raw_msg = Some(format!("{first}\n{}", line.trim()));
        Some(raw)
    }

    /// Whether the stack of a report is still to come.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// A rule was about the line: whatever follows belongs to that.
    pub(crate) fn skip(&mut self) {
        self.open = None;
    }

    /// A rule was about the line: the warning with which the kernel says it is no bug of its own.
    pub(crate) fn note_reported(&mut self, record: &LogRecord, time: Stamp) {
        if record.text.starts_with(REPORTED) && record.identifier.is_none() {
            self.reported_ns = time.monotonic_ns;
        }
    }
}

/// The first line of a report, with the file of the kernel's source that it names.
fn head(record: &LogRecord, time: Stamp) -> Option<(RawEvent, Option<&str>)> {
    let text = record.text.as_str();
    let event = |event_type: EventType| {
        let mut raw = RawEvent::new(time, "kmsg", record.seq.to_string(), event_type);
        if let Some(info) = raw.event_type.info() {
            raw.sub_system = SubSystem::new(info.sub_system);
        }
        raw.raw_msg = Some(text.to_owned());
        raw
    };
    if let Some(rest) = text.strip_prefix(BLOCKED) {
        // The name may be anything, also with colons: the process number stands before the fixed words.
        let (who, words) = rest.split_once(" blocked for more than ")?;
        let (task, pid) = who.rsplit_once(':')?;
        let seconds: u64 = words.strip_suffix(" seconds.")?.parse().ok()?;
        let pid: u64 = pid.parse().ok()?;
        let mut raw = event(EventType::TASK_BLOCKED);
        let facts = raw.facts.task.get_or_insert_default();
        (facts.name, facts.pid, facts.seconds) = (Some(task.to_owned()), Some(pid), Some(seconds));
        return Some((raw, None));
    }
    if let Some(rest) = text.strip_prefix(BUG) {
        return Some((event(EventType::KERNEL_BUG_IN_STORAGE), Some(rest)));
    }
    if let Some(rest) = text.strip_prefix(WARNING) {
        let is_cpu = rest.starts_with("CPU: ");
        let source = if is_cpu { rest.split_once(" at ").map(|(_, source)| source) } else { Some(rest) };
        let is_source = |source: &&str| source.split_once(".c:").is_some_and(|(path, _)| !path.contains(' '));
        return source.filter(is_source).map(|source| {
            let mut raw = event(EventType::KERNEL_BUG_IN_STORAGE);
            raw.severity = Severity::Warning;
            (raw, Some(source))
        });
    }
    FAULTS
        .iter()
        .any(|fault| text.starts_with(fault))
        .then(|| (event(EventType::KERNEL_BUG_IN_STORAGE), None))
}

/// Function and module of a line of a stack: ` xfs_file_fsync+0x5e/0x2a0 [xfs]`, `RIP: 0010:dm_io+0x1/0x2`, and with an
/// address before it on kernels before 4.10. Frames with `?` are only guesses of the unwinder.
fn frame(line: &str) -> Option<(&str, Option<&str>)> {
    let mut text = line.trim();
    for before in ["RIP: 0010:", "pc : ", "IP: "] {
        text = text.strip_prefix(before).unwrap_or(text);
    }
    while let Some(rest) = text.strip_prefix("[<") {
        text = rest.split_once(">]")?.1.trim_start();
    }
    // 32-bit ARM: `(io_schedule) from [<8015c138>] (wait_on_page_bit+0x110/0x15c)`, since 5.16 without brackets.
    let (function, rest) = match text.split_once(" from ") {
        Some((function, _)) => {
            let function = function.trim_matches(['(', ')']);
            function.split_once(' ').map_or((function, ""), |(name, _)| (name, function))
        }
        None => text.split_once("+0x")?,
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if function.is_empty() || !function.chars().all(is_name) {
        return None;
    }
    let module = rest.split_once(" [").map(|(_, module)| module);
    let module = module.and_then(|module| module.split([']', ' ']).next()).filter(|name| !name.is_empty());
    Some((function, module))
}

/// A frame of which the unwinder is not sure.
fn guess(line: &str) -> Option<(&str, Option<&str>)> {
    let text = line.trim();
    let text = text.strip_prefix("[<").and_then(|rest| rest.split_once(">]")).map_or(text, |(_, rest)| rest);
    frame(text.trim_start().strip_prefix("? ")?)
}

/// What a worker was given to do.
struct Work<'t> {
    function: &'t str,
    module: Option<&'t str>,
    device: Option<&'t str>,
}

/// `Workqueue: writeback wb_workfn (flush-8:16)`, `Workqueue: xfs-cil/dm-3 xlog_cil_push_work [xfs]`.
fn worker(line: &str) -> Option<Work<'_>> {
    let (queue, rest) = line.trim().strip_prefix("Workqueue: ")?.split_once(' ')?;
    let (function, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let inner = |open: char, close: char| rest.split_once(open)?.1.split_once(close).map(|(inner, _)| inner);
    let of_disk = queue.split_once('/').map(|(_, device)| device).filter(|_| queue.starts_with("xfs-"));
    let flushed = inner('(', ')').and_then(|what| what.strip_prefix("flush-"));
    let is_name = |name: &&str| {
        name.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b":-!_".contains(&b))
    };
    let module = inner('[', ']').and_then(|module| module.split(' ').next());
    Some(Work { function, module, device: flushed.or(of_disk).filter(is_name) })
}

fn is_storage(function: &str, module: Option<&str>) -> bool {
    module.is_some_and(|module| MODULES.contains(&module) || module.starts_with("dm_"))
        || FUNCTIONS.iter().any(|beginning| function.starts_with(beginning))
}

fn is_storage_source(path: &str) -> bool {
    // A build out of tree prints where it was built.
    let path = path.trim_start_matches("./");
    SOURCES.iter().any(|source| path.starts_with(source))
}

#[cfg(test)]
mod tests;
