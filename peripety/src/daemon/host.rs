//! Which host and which boot this is.

use std::fs;

use crate::{query::boot, roots::Roots};

/// Host and boot, as every event carries them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Host {
    /// Name of the host.
    pub hostname: String,
    /// Id of the boot, 32 hexadecimal digits as in journald's `_BOOT_ID`.
    pub boot_id: String,
}

impl Host {
    /// The running one.
    pub(crate) fn read(roots: &Roots) -> Self {
        let name = fs::read_to_string(roots.procfs.join("sys/kernel/hostname")).unwrap_or_default();
        Self { hostname: name.trim().to_owned(), boot_id: boot::current(roots) }
    }
}
