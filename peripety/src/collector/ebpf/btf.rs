//! Offsets of kernel struct members, from the running kernel's BTF.
//!
//! rustc emits no CO-RE relocations for structs of the kernel, so user space looks the offsets up and hands them to the
//! programs as globals.

use std::{collections::BTreeMap, path::PathBuf};

use btf_rs::{Backend, Btf, Type};

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
    member("INODE_INO", "inode", &["i_ino"]),
    member("INODE_SB", "inode", &["i_sb"]),
    member("INODE_RDEV", "inode", &["i_rdev"]),
    member("INODE_MODE", "inode", &["i_mode"]),
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

/// Why there are no offsets at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the kernel's type information {path}: {reason}")]
pub struct NoBtf {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// What BTF tells about this kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// Offset in bytes by the name of the program's global.
    pub members: BTreeMap<&'static str, u16>,
    /// scsi_cmnd.cmnd is an array (from 5.19) and no pointer.
    pub cmnd_is_array: bool,
    /// The second argument of block_rq_complete is an errno (up to 5.16) and no blk_status_t.
    pub rq_complete_errno: bool,
}

impl Offsets {
    /// Looks all offsets up; those of drivers that are not loaded are left out.
    ///
    /// # Errors
    /// [`NoBtf`] when the kernel has no BTF or it cannot be read.
    pub fn resolve(roots: &Roots) -> Result<Self, NoBtf> {
        let directory = roots.sysfs.join("kernel/btf");
        let path = directory.join("vmlinux");
        let vmlinux = Btf::from_file_with_backend(&path, Backend::Mmap)
            .or_else(|_cannot_map| Btf::from_file_with_backend(&path, Backend::Cache))
            .map_err(|error| NoBtf { path: path.clone(), reason: error.to_string() })?;

        let mut offsets = Self::default();
        let mut modules: BTreeMap<&str, Option<Btf>> = BTreeMap::new();
        for member in MEMBERS {
            let mut found = find(&vmlinux, member.of, member.path);
            if let (None, Some(module)) = (&found, member.module) {
                let split = modules
                    .entry(module)
                    .or_insert_with(|| Btf::from_split_file(directory.join(module), &vmlinux).ok());
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
        if let Some(size) = struct_size(&vmlinux, "request") {
            offsets.members.insert("RQ_SIZE", size);
        }
        offsets.rq_complete_errno = second_argument_is_int(&vmlinux, "btf_trace_block_rq_complete");
        Ok(offsets)
    }

    /// The first of `wanted` that this kernel does not have.
    pub fn missing(&self, wanted: &[&'static str]) -> Option<&'static str> {
        wanted.iter().copied().find(|name| !self.members.contains_key(name))
    }
}

struct Found {
    offset: u16,
    is_array: bool,
}

fn structure(btf: &Btf, name: &str) -> Option<btf_rs::Struct> {
    btf.resolve_types_by_name(name).ok()?.into_iter().find_map(|t| match t {
        // A declaration without members is of no use.
        Type::Struct(s) if !s.members.is_empty() => Some(s),
        _ => None,
    })
}

fn struct_size(btf: &Btf, name: &str) -> Option<u16> {
    u16::try_from(structure(btf, name)?.size()).ok()
}

/// Follows `path` from struct `of`, through anonymous members where need be.
fn find(btf: &Btf, of: &str, path: &[&str]) -> Option<Found> {
    let mut current = structure(btf, of)?;
    let mut bits: u32 = 0;
    let (last, inner) = path.split_last()?;
    for name in inner {
        let (offset, member_type) = member_of(btf, &current, name, 0)?;
        bits = bits.checked_add(offset)?;
        current = match member_type {
            Type::Struct(s) | Type::Union(s) => s,
            _ => return None,
        };
    }
    let (offset, member_type) = member_of(btf, &current, last, 0)?;
    let bits = bits.checked_add(offset)?;
    (bits % 8 == 0).then_some(())?;
    Some(Found { offset: u16::try_from(bits / 8).ok()?, is_array: matches!(member_type, Type::Array(_)) })
}

/// Offset in bits and type of a member, looked for in anonymous structs and unions as well.
fn member_of(btf: &Btf, structure: &btf_rs::Struct, name: &str, depth: u8) -> Option<(u32, Type)> {
    const DEEPEST: u8 = 8;
    for member in &structure.members {
        let member_name = btf.resolve_name(member).unwrap_or_default();
        if member_name == name {
            return Some((member.bit_offset(), strip(btf, member)?));
        }
        if member_name.is_empty()
            && depth < DEEPEST
            && let Some(Type::Struct(inner) | Type::Union(inner)) = strip(btf, member)
            && let Some((offset, found)) = member_of(btf, &inner, name, depth + 1)
        {
            return Some((member.bit_offset().checked_add(offset)?, found));
        }
    }
    None
}

/// The type behind typedefs and qualifiers.
fn strip(btf: &Btf, member: &btf_rs::Member) -> Option<Type> {
    btf.chained_type_iter(member).find(|t| {
        !matches!(
            t,
            Type::Typedef(_) | Type::Const(_) | Type::Volatile(_) | Type::Restrict(_) | Type::TypeTag(_)
        )
    })
}

/// Whether the second argument of a tracepoint's prototype is a plain `int`. The prototype's first parameter is the
/// tracer's own.
fn second_argument_is_int(btf: &Btf, typedef: &str) -> bool {
    let prototype = btf.resolve_types_by_name(typedef).ok().and_then(|types| {
        types.into_iter().find_map(|t| {
            let Type::Typedef(typedef) = t else { return None };
            btf.chained_type_iter(&typedef).find_map(|t| match t {
                Type::FuncProto(prototype) => Some(prototype),
                _ => None,
            })
        })
    });
    prototype
        .and_then(|p| p.parameters.get(2).and_then(|parameter| btf.resolve_chained_type(parameter).ok()))
        .is_some_and(|t| matches!(t, Type::Int(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{collector::ebpf::table::PROBES, roots::Roots};

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
        let Ok(offsets) = Offsets::resolve(&roots) else {
            eprintln!("skipped: this kernel has no BTF");
            return;
        };
        for probe in PROBES.iter().filter(|p| p.module.is_none()) {
            assert_eq!(offsets.missing(probe.btf), None, "{}", probe.event());
        }
        assert!(offsets.members.contains_key("Q_DISK") || offsets.members.contains_key("RQ_DISK"));
        assert!(offsets.members.contains_key("BIO_BDEV") || offsets.members.contains_key("BIO_DISK"));
    }

    #[test]
    fn no_btf_is_said_with_its_path() {
        let empty = tempfile::tempdir().unwrap();
        let error = Offsets::resolve(&Roots::under(empty.path())).unwrap_err();
        assert!(error.to_string().contains("kernel/btf/vmlinux"), "{error}");
    }
}
