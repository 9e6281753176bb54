//! What the engine may ask about devices.

use std::sync::Arc;

use super::{BlkInfo, Dev};

/// Facts about block devices, answered from memory: the engine asks on the event path, where no file may be read.
///
/// `at_ns` is the CLOCK_MONOTONIC time of the record that asks. A name or number may have been given to another device
/// since: the answer is the device that had it then, or nothing.
pub trait DeviceFacts {
    /// The device with this number.
    fn by_dev(&self, dev: Dev, at_ns: Option<u64>) -> Option<Arc<BlkInfo>>;

    /// The device that kernel text names so: `sda`, `dm-0`, `8:16`, `4:0:0:1`, `nvme0n1`, `md127`, `/dev/sda1`;
    /// or the one that an NVMe controller reaches, `nvme0`; or the first one that an iSCSI session reaches, `session1`.
    fn by_name(&self, name: &str, at_ns: Option<u64>) -> Option<Arc<BlkInfo>>;
}

/// Knows no device: for text from another machine, and for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFacts;

impl DeviceFacts for NoFacts {
    fn by_dev(&self, _dev: Dev, _at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        None
    }

    fn by_name(&self, _name: &str, _at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        None
    }
}
