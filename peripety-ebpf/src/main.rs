//! peripety's eBPF programs. This file only lists the entry points; each hook has its own file.
//!
//! Every hook exists twice: as a raw tracepoint, whose arguments are followed with struct offsets that user space resolved
//! from the running kernel's BTF, and as a classic one (name with `_c`), whose fields are read at offsets from tracefs'
//! `format` files. Both fill the same record by the same function. User space loads one of the two.
//!
//! What runs for good bios and requests too exists a third time (`_b`): as a raw tracepoint whose arguments have types for the
//! verifier, so that these cost one load and no call to read memory.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(unsafe_code, reason = "eBPF programs are made of kernel helpers and raw memory")]

#[macro_use]
mod read;

mod atomic;
mod block_bio;
mod block_rq;
mod console;
mod emit;
mod ext4;
mod nvme_aen;
mod nvme_rq;
mod scsi_cmd;
mod scsi_eh;
mod slow;
mod wb_err;
mod xfs;

use aya_ebpf::{
    macros::{btf_tracepoint, raw_tracepoint, tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext, TracePointContext},
};
use peripety_common::Kind;

macro_rules! hooks {
    ($($event:literal $raw:ident = $raw_body:expr, $classic:ident = $classic_body:expr;)*) => {$(
        #[raw_tracepoint(tracepoint = $event)]
        pub fn $raw(ctx: RawTracePointContext) -> i32 {
            let body: fn(&RawTracePointContext) -> Option<()> = $raw_body;
            let _ = body(&ctx);
            0
        }

        // 0 reports perf to go no further. For failures it may: others want to record them, too.
        #[tracepoint]
        pub fn $classic(ctx: TracePointContext) -> u32 {
            let body: fn(&TracePointContext) -> Option<()> = $classic_body;
            u32::from(body(&ctx).is_some())
        }
    )*};
}

// The kernel keeps 15 characters of a program's name.
hooks! {
    "block_rq_error"
        prpt_rq_error = |ctx| block_rq::raw(ctx, Kind::BlockRqError),
        prpt_rq_error_c = |ctx| block_rq::classic(ctx, Kind::BlockRqError);
    "block_rq_complete"
        prpt_rq_compl = |ctx| block_rq::raw(ctx, Kind::BlockRqComplete),
        prpt_rq_compl_c = |ctx| block_rq::classic(ctx, Kind::BlockRqComplete);
    "block_bio_complete"
        prpt_bio_err = block_bio::raw,
        prpt_bio_err_c = block_bio::classic;
    "scsi_dispatch_cmd_done"
        prpt_scsi_done = |ctx| scsi_cmd::raw(ctx, Kind::ScsiDone),
        prpt_scsi_dn_c = |ctx| scsi_cmd::classic(ctx, Kind::ScsiDone);
    "scsi_dispatch_cmd_timeout"
        prpt_scsi_tmo = |ctx| scsi_cmd::raw(ctx, Kind::ScsiTimeout),
        prpt_scsi_tmo_c = |ctx| scsi_cmd::classic(ctx, Kind::ScsiTimeout);
    "scsi_eh_wakeup"
        prpt_scsi_eh = scsi_eh::raw,
        prpt_scsi_eh_c = scsi_eh::classic;
    "nvme_complete_rq"
        prpt_nvme_rq = nvme_rq::raw,
        prpt_nvme_rq_c = nvme_rq::classic;
    "nvme_async_event"
        prpt_nvme_aen = nvme_aen::raw,
        prpt_nvme_aen_c = nvme_aen::classic;
    "console"
        prpt_console = console::raw,
        prpt_console_c = console::classic;
    "ext4_error"
        prpt_ext4_err = ext4::error_raw,
        prpt_ext4_err_c = ext4::error_classic;
    "ext4_shutdown"
        prpt_ext4_off = ext4::shutdown_raw,
        prpt_ext4_off_c = ext4::shutdown_classic;
    "xfs_force_shutdown"
        prpt_xfs_off = xfs::raw,
        prpt_xfs_off_c = xfs::classic;
    "filemap_set_wb_err"
        prpt_wb_err = wb_err::raw,
        prpt_wb_err_c = wb_err::classic;
}

#[btf_tracepoint(function = "block_bio_complete")]
pub fn prpt_bio_err_b(ctx: BtfTracePointContext) -> i32 {
    let _ = block_bio::typed(&ctx);
    0
}

// How long a request took stands in the request: only raw ways reach it.
#[raw_tracepoint(tracepoint = "block_rq_complete")]
pub fn prpt_rq_slow(ctx: RawTracePointContext) -> i32 {
    let _ = slow::raw(&ctx);
    0
}

#[btf_tracepoint(function = "block_rq_complete")]
pub fn prpt_rq_slow_b(ctx: BtfTracePointContext) -> i32 {
    let _ = slow::typed(&ctx);
    0
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Cannot be reached: the verifier refuses a program that could loop here.
    loop {}
}

/// GPL-compatible, as the helpers that read kernel memory demand.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
