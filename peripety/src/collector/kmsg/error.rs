//! What can go wrong with /dev/kmsg.

use std::{io, path::PathBuf};

/// /dev/kmsg cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KmsgError {
    /// Opening failed for lack of a right.
    #[error(
        "cannot open {}: {source}: reading the kernel's log needs the capability CAP_SYSLOG (or the sysctl \
         kernel.dmesg_restrict=0) and, for another user than root, read permission on the file; run as root or add \
         AmbientCapabilities=CAP_SYSLOG to the unit",
        path.display()
    )]
    Permission {
        /// The device.
        path: PathBuf,
        /// EPERM or EACCES.
        source: io::Error,
    },
    /// There is no such device.
    #[error(
        "cannot open {}: {source}: in a container give it the host's /dev/kmsg; a kernel without CONFIG_PRINTK has none",
        path.display()
    )]
    Missing {
        /// The device.
        path: PathBuf,
        /// ENOENT, ENXIO or ENODEV.
        source: io::Error,
    },
    /// Opening failed otherwise.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// The device.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Reading failed.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The device.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl KmsgError {
    pub(super) fn open(path: PathBuf, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Permission { path, source },
            io::ErrorKind::NotFound => Self::Missing { path, source },
            _ if matches!(source.raw_os_error(), Some(6 | 19)) => Self::Missing { path, source },
            _ => Self::Open { path, source },
        }
    }
}
