//! "N callbacks suppressed": the kernel says how many lines it left out, at which place.

use peripety_common::Kind;

use super::{super::active_sources::LiveSources, line::REQUEST_PROBES};
use crate::parser::RawEvent;

/// Places in the kernel whose text is limited, and the probes that count what the text leaves out.
const LIMITED: &[(&str, &[Kind])] = &[
    ("blk_print_req_error", REQUEST_PROBES),
    ("print_req_error", REQUEST_PROBES),
    ("blk_update_request", REQUEST_PROBES),
    // The pages of a file, and the buffers of a device or of metadata, whose requests fail.
    ("iomap_finish_ioend", &[Kind::FilemapSetWbErr]),
    ("iomap_finish_ioend_buffered", &[Kind::FilemapSetWbErr]),
    ("iomap_finish_ioend_buffered_write", &[Kind::FilemapSetWbErr]),
    ("buffer_io_error", REQUEST_PROBES),
    ("scsi_io_completion_action", &[Kind::ScsiDone]),
    ("nvme_log_error", &[Kind::NvmeCompleteRq]),
    ("nvme_log_err_passthru", &[Kind::NvmeCompleteRq]),
    ("EXT4-fs error", &[Kind::Ext4Error]),
];

/// The live probe that counts what the lines would have been about; none if they are lost.
pub(in super::super) fn counted_by(live: LiveSources, raw: &RawEvent) -> Option<Kind> {
    let site = raw.facts.loss.as_ref()?.site.as_deref()?;
    let (_, probes) = LIMITED.iter().find(|row| row.0 == site)?;
    probes.iter().copied().find(|kind| live.covers(&[*kind], raw.time.monotonic_ns))
}
