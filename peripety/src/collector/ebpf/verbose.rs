//! The programs' own log, for `peripetyd --verbose`.

use aya_log::EbpfLogger;
use tokio::io::Interest;

use crate::collector::async_fd::watch;

/// Forwards what the programs log to the daemon's log, until the object is dropped.
pub(super) fn start(ebpf: &mut aya::Ebpf) {
    let logger = match EbpfLogger::init(ebpf) {
        Ok(logger) => logger,
        Err(error) => {
            tracing::warn!(%error, "the eBPF programs cannot log");
            return;
        }
    };
    let mut logger = match watch(logger, Interest::READABLE) {
        Ok(logger) => logger,
        Err(error) => {
            tracing::warn!(%error, "the eBPF programs cannot log");
            return;
        }
    };
    tokio::spawn(async move {
        while let Ok(mut guard) = logger.readable_mut().await {
            guard.get_inner_mut().flush();
            guard.clear_ready();
        }
    });
}
