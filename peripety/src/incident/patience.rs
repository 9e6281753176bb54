//! How long the error handling of a device may take.

use jiff::SignedDuration;

use super::class::Class;
use crate::{
    block::{BlkId, Transport},
    event::{Event, Facts},
};

/// How often the kernel tries a command again that timed out (SD_MAX_RETRIES; nvme_max_retries).
const RETRIES: u64 = 5;
/// What error handling itself takes for each try: an abort, a reset, a TEST UNIT READY (scsi_device.eh_timeout).
const HANDLING_S: u64 = 10;
/// No device is waited for longer than that.
const LONGEST_S: u64 = 86_400;

/// How long the error handling of a device may take: its own command timeout for each try, and what its transport waits for a
/// way that is lost. Of what is made of others, that of the slowest of them.
pub(super) fn patience(event: &Event, class: Class) -> SignedDuration {
    let Facts { task, scsi, .. } = &event.facts;
    let seconds = |seconds: u64| i64::try_from(seconds.min(LONGEST_S)).unwrap_or(i64::MAX);
    let block = event.block.as_deref();
    let own = block.map(|block| &block.id).and_then(of_device);
    let below = block.into_iter().flat_map(|block| &block.owners).filter_map(of_device).max();
    let handling = own.max(below).unwrap_or_else(|| usual(event));
    let sane = |waited: Option<u64>| waited.filter(|s| *s < LONGEST_S).unwrap_or(0);
    let waited = match class {
        Class::Blocked => sane(task.as_ref().and_then(|task| task.seconds)).max(120),
        // A log does not say the timeout; how long a command waited does.
        _ => sane(scsi.as_ref().and_then(|scsi| scsi.cmd_age)),
    };
    SignedDuration::from_secs(seconds(handling) + seconds(waited))
}

/// By the timeouts that sysfs has for a device.
fn of_device(id: &BlkId) -> Option<u64> {
    let tries = match &id.transport {
        // An abort is waited for as long again, then the controller is reset.
        Some(Transport::Nvme { .. }) => id.command_timeout_s.map(|s| s.saturating_mul(2)),
        // Nobody aborts a request of virtio: what is slow stays slow.
        Some(Transport::Virtio { .. }) => id.command_timeout_s,
        _ => id.command_timeout_s.map(|s| s.saturating_add(HANDLING_S).saturating_mul(RETRIES + 1)),
    }?;
    Some(tries.saturating_add(id.recovery_s.unwrap_or(0)))
}

/// Where nothing says it: the defaults of the kernel. SD_TIMEOUT and its retries; nvme_core.io_timeout;
/// node.session.timeo.replacement_timeout; dev_loss_tmo.
fn usual(event: &Event) -> u64 {
    let name = event.kdev.as_str();
    match event.block.as_ref().and_then(|block| block.id.transport.as_ref()) {
        Some(Transport::Iscsi { .. }) => 120 + 60,
        Some(Transport::Fc { .. }) => 60 + 180,
        Some(Transport::Nvme { transport, .. }) if transport == "pcie" => 60,
        Some(Transport::Nvme { .. }) => 600,
        Some(Transport::Virtio { .. }) => 30,
        _ if name.starts_with("nvme") => 60,
        _ if name.starts_with("vd") => 30,
        _ => 180,
    }
}
