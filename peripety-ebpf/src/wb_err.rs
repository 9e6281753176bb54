//! `filemap_set_wb_err`, which older kernels fire for every page: folded here by device, inode and error.

use core::ptr;

use aya_ebpf::{
    EbpfContext,
    bindings::BPF_ANY,
    helpers::bpf_ktime_get_ns,
    macros::map,
    maps::LruHashMap,
    programs::{RawTracePointContext, TracePointContext},
};
use peripety_common::{
    FLAG_CLASSIC, Kind,
    wb_err::{NAME_BYTES, NAMES, WbErr, WbErrKey, WbErrState},
};

use crate::{
    atomic::increment,
    emit::{emit, folded, seen},
    ext4::SB_DEV,
    read::{field, has, record, string},
};

#[map(name = "prpt_wb_err_ino")]
static INODES: LruHashMap<WbErrKey, WbErrState> = LruHashMap::with_max_entries(8192, 0);

offsets! {
    static MAPPING_HOST;
    static MAPPING_WB_ERR;
    static INODE_INO;
    static INODE_SB;
    static INODE_RDEV;
    static INODE_MODE;
}

offsets! {
    static INODE_DENTRY;
    static DENTRY_ALIAS;
    static DENTRY_PARENT;
    static DENTRY_NAME;
}

offsets! {
    static TP_WB_INO;
    static TP_WB_DEV;
    static TP_WB_ERRSEQ;
}

/// errseq_t keeps the errno in its low bits (lib/errseq.c, MAX_ERRNO).
const ERRNO_MASK: u32 = 0xfff;
const S_IFMT: u16 = 0o170_000;
const S_IFBLK: u16 = 0o060_000;
const SECOND_NS: u64 = 1_000_000_000;

pub(crate) fn raw(ctx: &RawTracePointContext) -> Option<()> {
    let mapping: *const u8 = ctx.arg(0);
    // What the hook hands over is what errseq_set() gives: of an inode's first error, the value before it.
    let errseq: u32 = field(mapping, &MAPPING_WB_ERR).unwrap_or_else(|| ctx.arg(1));
    if errseq & ERRNO_MASK == 0 {
        return None;
    }
    let inode: *const u8 = field(mapping, &MAPPING_HOST)?;
    let mode: u16 = field(inode, &INODE_MODE).unwrap_or(0);
    // A block device opened as a file: its inode is one of a pseudo filesystem, and names the device itself.
    let (dev, ino) = if mode & S_IFMT == S_IFBLK {
        (field(inode, &INODE_RDEV)?, 0)
    } else {
        let sb: *const u8 = field(inode, &INODE_SB)?;
        (field(sb, &SB_DEV)?, field(inode, &INODE_INO)?)
    };
    send(ctx, 0, dev, ino, errseq, inode)
}

/// Its record has the value before an inode's first error alone: that error goes unseen.
pub(crate) fn classic(ctx: &TracePointContext) -> Option<()> {
    let errseq: u32 = record(ctx, &TP_WB_ERRSEQ)?;
    if errseq & ERRNO_MASK == 0 {
        return None;
    }
    send(ctx, FLAG_CLASSIC, record(ctx, &TP_WB_DEV)?, record(ctx, &TP_WB_INO)?, errseq, ptr::null())
}

fn send(ctx: &impl EbpfContext, flags: u8, dev: u32, ino: u64, errseq: u32, inode: *const u8) -> Option<()> {
    let errno = (errseq & ERRNO_MASK) as i32;
    let key = WbErrKey { ino, dev, errno };
    let seq = seen(Kind::FilemapSetWbErr)?;
    // SAFETY: the helper takes nothing.
    let now = unsafe { bpf_ktime_get_ns() };
    let count = match INODES.get_ptr_mut(key) {
        Some(state) => {
            // SAFETY: the map's value, checked by the lookup. It may be handed to another key at any time (LRU): then a
            // count goes astray, and no memory is harmed.
            unsafe {
                increment(&raw mut (*state).count);
                if now.wrapping_sub((*state).sent_ns) < SECOND_NS {
                    folded(Kind::FilemapSetWbErr);
                    return None;
                }
                (*state).sent_ns = now;
                (*state).count
            }
        }
        None => {
            let _ = INODES.insert(key, WbErrState { count: 1, sent_ns: now }, u64::from(BPF_ANY));
            1
        }
    };
    emit(ctx, Kind::FilemapSetWbErr, flags, seq, |slot| {
        let body = slot.write(WbErr::unnamed(dev, ino, errno, count));
        // A device that was opened as a file has no name in its filesystem.
        if ino != 0 {
            let _ = name(inode, body);
        }
    })
}

/// The names of a file and of the directories that it lies in, from the dentry cache as it is now (include/linux/dcache.h). What
/// changes meanwhile gives a wrong name at worst: each read is checked.
fn name(inode: *const u8, body: &mut WbErr) -> Option<()> {
    let alias: *const u8 = field(inode, &INODE_DENTRY)?;
    if alias.is_null() || !has(&DENTRY_ALIAS) {
        return None;
    }
    let mut dentry = alias.wrapping_sub(usize::from(DENTRY_ALIAS.load()));
    for name in body.names.chunks_exact_mut(NAME_BYTES).take(NAMES) {
        let parent: *const u8 = field(dentry, &DENTRY_PARENT)?;
        if parent == dentry {
            body.whole = 1;
            return Some(());
        }
        string(field(dentry, &DENTRY_NAME)?, name);
        body.depth += 1;
        dentry = parent;
    }
    let parent: *const u8 = field(dentry, &DENTRY_PARENT)?;
    body.whole = u32::from(parent == dentry);
    Some(())
}
