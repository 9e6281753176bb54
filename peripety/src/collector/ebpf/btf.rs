//! Offsets of kernel struct members, from the running kernel's BTF.
//!
//! rustc emits no CO-RE relocations for structs of the kernel, so user space looks the offsets up and hands them to the
//! programs as globals.

mod types;

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use self::types::{Btf, Malformed, Type};
use crate::roots::Roots;

/// A struct member that a program wants: its global, the struct, the path of members down to it.
#[derive(Debug)]
struct Member {
    global: &'static str,
    of: &'static str,
    /// Module that has the struct where it is not built in.
    module: Option<&'static str>,
    path: &'static [&'static str],
}

const fn member(global: &'static str, of: &'static str, path: &'static [&'static str]) -> Member {
    Member { global, of, module: None, path }
}

const fn module(
    module: &'static str,
    global: &'static str,
    of: &'static str,
    path: &'static [&'static str],
) -> Member {
    Member { global, of, module: Some(module), path }
}

static MEMBERS: &[Member] = &[
    member("RQ_SECTOR", "request", &["__sector"]),
    member("RQ_CMD_FLAGS", "request", &["cmd_flags"]),
    member("RQ_TAG", "request", &["tag"]),
    member("RQ_START", "request", &["start_time_ns"]),
    member("RQ_Q", "request", &["q"]),
    member("RQ_HCTX", "request", &["mq_hctx"]),
    // Up to 5.16; from 5.15 the queue has it (5.15 and 5.16 have both).
    member("RQ_DISK", "request", &["rq_disk"]),
    member("Q_DISK", "request_queue", &["disk"]),
    member("Q_QUEUEDATA", "request_queue", &["queuedata"]),
    member("HCTX_QUEUE_NUM", "blk_mq_hw_ctx", &["queue_num"]),
    member("DISK_MAJOR", "gendisk", &["major"]),
    member("DISK_MINOR", "gendisk", &["first_minor"]),
    member("DISK_NAME", "gendisk", &["disk_name"]),
    member("BIO_STATUS", "bio", &["bi_status"]),
    member("BIO_SECTOR", "bio", &["bi_iter", "bi_sector"]),
    member("BIO_SIZE", "bio", &["bi_iter", "bi_size"]),
    member("BIO_OPF", "bio", &["bi_opf"]),
    // From 5.12; before, bi_disk.
    member("BIO_BDEV", "bio", &["bi_bdev"]),
    member("BIO_DISK", "bio", &["bi_disk"]),
    member("BDEV_DEV", "block_device", &["bd_dev"]),
    member("SB_DEV", "super_block", &["s_dev"]),
    member("MAPPING_HOST", "address_space", &["host"]),
    member("BIO_IDX", "bio", &["bi_iter", "bi_idx"]),
    member("BIO_BVEC_DONE", "bio", &["bi_iter", "bi_bvec_done"]),
    member("BIO_IO_VEC", "bio", &["bi_io_vec"]),
    member("BVEC_LEN", "bio_vec", &["bv_len"]),
    member("MAPPING_WB_ERR", "address_space", &["wb_err"]),
    member("INODE_INO", "inode", &["i_ino"]),
    member("INODE_SB", "inode", &["i_sb"]),
    member("INODE_RDEV", "inode", &["i_rdev"]),
    member("INODE_MODE", "inode", &["i_mode"]),
    member("INODE_DENTRY", "inode", &["i_dentry", "first"]),
    member("DENTRY_ALIAS", "dentry", &["d_u", "d_alias"]),
    // Where the union has no name.
    member("DENTRY_ALIAS", "dentry", &["d_alias"]),
    member("DENTRY_PARENT", "dentry", &["d_parent"]),
    member("DENTRY_NAME", "dentry", &["d_name", "name"]),
    module("scsi_mod", "CMD_RESULT", "scsi_cmnd", &["result"]),
    module("scsi_mod", "CMD_DEVICE", "scsi_cmnd", &["device"]),
    module("scsi_mod", "CMD_CMND", "scsi_cmnd", &["cmnd"]),
    module("scsi_mod", "CMD_LEN", "scsi_cmnd", &["cmd_len"]),
    module("scsi_mod", "CMD_RETRIES", "scsi_cmnd", &["retries"]),
    module("scsi_mod", "CMD_ALLOWED", "scsi_cmnd", &["allowed"]),
    module("scsi_mod", "CMD_SENSE", "scsi_cmnd", &["sense_buffer"]),
    module("scsi_mod", "CMD_DATA_LEN", "scsi_cmnd", &["sdb", "length"]),
    module("scsi_mod", "CMD_REQUEST", "scsi_cmnd", &["request"]),
    module("scsi_mod", "SDEV_HOST", "scsi_device", &["host"]),
    module("scsi_mod", "SDEV_CHANNEL", "scsi_device", &["channel"]),
    module("scsi_mod", "SDEV_ID", "scsi_device", &["id"]),
    module("scsi_mod", "SDEV_LUN", "scsi_device", &["lun"]),
    module("scsi_mod", "HOST_NO", "Scsi_Host", &["host_no"]),
    module("scsi_mod", "HOST_FAILED", "Scsi_Host", &["host_failed"]),
    module("nvme_core", "NREQ_STATUS", "nvme_request", &["status"]),
    module("nvme_core", "NREQ_RESULT", "nvme_request", &["result"]),
    module("nvme_core", "NREQ_RETRIES", "nvme_request", &["retries"]),
    module("nvme_core", "NREQ_FLAGS", "nvme_request", &["flags"]),
    module("nvme_core", "NREQ_CTRL", "nvme_request", &["ctrl"]),
    module("nvme_core", "NREQ_CMD", "nvme_request", &["cmd"]),
    module("nvme_core", "CTRL_INSTANCE", "nvme_ctrl", &["instance"]),
    module("xfs", "MP_SUPER", "xfs_mount", &["m_super"]),
];

/// The tracepoint whose prototype says what its error is.
const RQ_COMPLETE: &str = "btf_trace_block_rq_complete";

/// Types of tracepoints that programs with typed arguments attach to, all of them of the kernel itself.
const PROTOTYPES: [&str; 2] = ["btf_trace_block_bio_complete", RQ_COMPLETE];

/// Why there are no offsets at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the kernel's type information {path}: {reason}")]
pub(crate) struct NoBtf {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// Why one file of type information is of no use.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// What BTF reports about this kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offsets {
    /// Offset in bytes by the name of the program's global.
    pub members: BTreeMap<&'static str, u16>,
    /// scsi_cmnd.cmnd is an array (from 5.19) and no pointer.
    pub cmnd_is_array: bool,
    /// Numbers of the types that programs with typed arguments are loaded for, by their names.
    pub prototypes: BTreeMap<&'static str, u32>,
    /// The second argument of block_rq_complete is an errno (up to 5.16) and no blk_status_t.
    pub rq_complete_errno: bool,
}

impl Offsets {
    /// Looks offsets up: of the kernel itself, and of those `drivers` that are loaded.
    ///
    /// # Errors
    /// [`NoBtf`] when the kernel has no BTF or it cannot be read.
    pub(crate) fn resolve(roots: &Roots, drivers: &[&str]) -> Result<Self, NoBtf> {
        let directory = roots.sysfs.join("kernel/btf");
        let path = directory.join("vmlinux");
        let mut wanted: Vec<&str> =
            MEMBERS.iter().map(|member| member.of).chain([RQ_COMPLETE]).chain(PROTOTYPES).collect();
        wanted.dedup();
        let read = |path: &PathBuf, base| -> Result<Btf<'_>, Unreadable> {
            Ok(Btf::parse(fs::read(path)?, base, &wanted)?)
        };
        let vmlinux =
            read(&path, None).map_err(|error| NoBtf { path: path.clone(), reason: error.to_string() })?;

        let mut offsets = Self::default();
        let mut modules: BTreeMap<&str, Option<Btf<'_>>> = BTreeMap::new();
        for member in MEMBERS {
            let mut found = find(&vmlinux, member.of, member.path);
            if let (None, Some(module)) = (&found, member.module)
                && drivers.contains(&module)
            {
                let split = modules
                    .entry(module)
                    .or_insert_with(|| read(&directory.join(module), Some(&vmlinux)).ok());
                found = split.as_ref().and_then(|btf| find(btf, member.of, member.path));
            }
            let Some(found) = found else { continue };
            offsets.members.insert(member.global, found.offset);
            if member.global == "CMD_CMND" {
                offsets.cmnd_is_array = found.is_array;
            }
        }
        // 5.15 and 5.16 have both ways; the queue's disk is the one that is always set.
        if offsets.members.contains_key("Q_DISK") {
            offsets.members.remove("RQ_DISK");
        }
        for (global, name) in [("RQ_SIZE", "request"), ("BVEC_SIZE", "bio_vec")] {
            if let Some(size) = vmlinux.named(name).and_then(|found| u16::try_from(found.size()).ok()) {
                offsets.members.insert(global, size);
            }
        }
        let prototype = |name| Some((name, vmlinux.named(name)?.id()));
        offsets.prototypes = PROTOTYPES.into_iter().filter_map(prototype).collect();
        // The prototype's first parameter is the tracer's own. blk_status_t is a typedef.
        offsets.rq_complete_errno = (vmlinux.named(RQ_COMPLETE))
            .and_then(|prototype| vmlinux.parameter(prototype, 2))
            .is_some_and(|parameter| parameter.is_int());
        Ok(offsets)
    }

    /// The first of `wanted` that this kernel does not have.
    pub(crate) fn missing(&self, wanted: &[&'static str]) -> Option<&'static str> {
        wanted.iter().copied().find(|name| !self.members.contains_key(name))
    }
}

struct Found {
    offset: u16,
    is_array: bool,
}

/// Follows `path` from struct `of`, through anonymous members where need be.
fn find(btf: &Btf<'_>, of: &str, path: &[&str]) -> Option<Found> {
    let mut current = btf.named(of)?;
    let mut bits: u32 = 0;
    for name in path {
        let (offset, member_type) = member_of(btf, current, name, 0)?;
        bits = bits.checked_add(offset)?;
        current = member_type;
    }
    bits.is_multiple_of(8).then_some(())?;
    Some(Found { offset: u16::try_from(bits / 8).ok()?, is_array: current.is_array() })
}

/// Offset in bits and type of a member, looked for in anonymous structs and unions as well.
fn member_of(btf: &Btf<'_>, of: Type, name: &str, depth: u8) -> Option<(u32, Type)> {
    const DEEPEST: u8 = 8;
    for member in btf.members(of) {
        if member.name == name.as_bytes() {
            return Some((member.bit_offset, btf.type_of(&member)?));
        }
        if member.name.is_empty()
            && depth < DEEPEST
            && let Some(inner) = btf.type_of(&member).filter(Type::has_members)
            && let Some((offset, found)) = member_of(btf, inner, name, depth + 1)
        {
            return Some((member.bit_offset.checked_add(offset)?, found));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        collector::ebpf::{kernel::KernelVersion, probes::PROBES},
        roots::Roots,
    };

    #[test]
    fn every_offset_that_a_probe_needs_is_looked_up() {
        for probe in PROBES {
            for global in probe.btf {
                assert!(*global == "RQ_SIZE" || MEMBERS.iter().any(|m| m.global == *global), "{global}");
            }
        }
    }

    #[test]
    fn the_running_kernel_is_understood() {
        let roots = Roots::system();
        let Ok(offsets) = Offsets::resolve(&roots, &[]) else {
            eprintln!("skipped: this kernel has no BTF");
            return;
        };
        for probe in PROBES.iter().filter(|p| p.module.is_none()) {
            assert_eq!(offsets.missing(probe.btf), None, "{}", probe.event());
        }
        let is_old = KernelVersion::running(&roots) < KernelVersion::new(5, 17);
        assert_eq!(offsets.rq_complete_errno, is_old);
        assert!(offsets.members.contains_key("Q_DISK") || offsets.members.contains_key("RQ_DISK"));
        assert!(offsets.members.contains_key("BIO_BDEV") || offsets.members.contains_key("BIO_DISK"));
    }

    #[test]
    fn no_btf_is_said_with_its_path() {
        let empty = tempfile::tempdir().unwrap();
        let error = Offsets::resolve(&Roots::under(empty.path()), &[]).unwrap_err();
        assert!(error.to_string().contains("kernel/btf/vmlinux"), "{error}");
    }
}
