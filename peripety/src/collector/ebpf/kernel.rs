//! What the running kernel says about itself, as far as probes depend on it.

use std::{fmt, fs, str::FromStr};

use crate::roots::Roots;

/// Version of a kernel, as far as features go by it: 6.12 of `6.12.95+deb12-amd64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion {
    /// 6 of 6.12.
    pub major: u16,
    /// 12 of 6.12.
    pub minor: u16,
}

impl KernelVersion {
    /// Version `major.minor`.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Version of the running kernel, 0.0 if it cannot be read.
    pub fn running(roots: &Roots) -> Self {
        fs::read_to_string(roots.procfs.join("sys/kernel/osrelease"))
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or_default()
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The text is no kernel release.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no kernel release such as 6.12.95-amd64")]
pub struct NoRelease(String);

impl FromStr for KernelVersion {
    type Err = NoRelease;

    fn from_str(release: &str) -> Result<Self, Self::Err> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u16>().ok());
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(NoRelease(release.to_owned())),
        }
    }
}

/// Mode of kernel lockdown (Documentation/admin-guide, kernel_lockdown.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lockdown {
    /// Off, not built in, or securityfs is not mounted.
    #[default]
    None,
    /// Nothing that peripety needs is forbidden.
    Integrity,
    /// Programs may not read kernel memory, and tracefs shows no events.
    Confidentiality,
}

impl Lockdown {
    /// Mode of the running kernel.
    pub(crate) fn running(roots: &Roots) -> Self {
        let text = fs::read_to_string(roots.sysfs.join("kernel/security/lockdown")).unwrap_or_default();
        if text.contains("[confidentiality]") {
            Self::Confidentiality
        } else if text.contains("[integrity]") {
            Self::Integrity
        } else {
            Self::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_all_distributions_are_read() {
        for (release, version) in [
            ("6.12.95+deb12-amd64", (6, 12)),
            ("5.14.0-427.el9.x86_64", (5, 14)),
            ("7.2-rc1", (7, 2)),
            ("5.10.0-32-amd64\n", (5, 10)),
            ("6.18.44-fc-v669", (6, 18)),
        ] {
            let read: KernelVersion = release.parse().unwrap();
            assert_eq!((read.major, read.minor), version, "{release}");
        }
        for release in ["", "six", "6", "-6.1", "99999.1"] {
            assert!(release.parse::<KernelVersion>().is_err(), "{release}");
        }
        assert!(KernelVersion::new(5, 18) < KernelVersion::new(6, 1));
    }
}
