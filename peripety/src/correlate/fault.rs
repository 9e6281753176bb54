//! Which kind of trouble a driver names: what makes two failures of one device the same.

use serde::{Deserialize, Serialize};

use crate::{
    event::Errno,
    parser::{nvme::NvmeFault, scsi::ScsiFault},
};

/// A kind of trouble, by who named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fault {
    /// Sense data, host byte or status of a SCSI command.
    Scsi(ScsiFault),
    /// Status of an NVMe command.
    Nvme(NvmeFault),
    /// The SCSI layer's timeout hook: the command did not come back in time.
    TimedOut,
}

impl Fault {
    /// As it stands in keys; 0 stands for none.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Scsi(fault) => fault as u8,
            Self::Nvme(fault) => fault as u8,
            Self::TimedOut => 0x81,
        }
    }

    /// What SCSI calls it.
    pub(super) const fn scsi(self) -> Option<ScsiFault> {
        match self {
            Self::Scsi(fault) => Some(fault),
            Self::Nvme(_) | Self::TimedOut => None,
        }
    }
}

impl From<ScsiFault> for Fault {
    fn from(fault: ScsiFault) -> Self {
        Self::Scsi(fault)
    }
}

impl From<NvmeFault> for Fault {
    fn from(fault: NvmeFault) -> Self {
        Self::Nvme(fault)
    }
}

/// Whether sense or host byte are more precise than an errno. EREMOTEIO of a broken disk, but not of a request that the
/// disk did not like.
pub(super) fn refines(fault: ScsiFault, errno: Errno) -> bool {
    fault.refines_block()
        && match errno {
            Errno::EIO | Errno::ENODATA | Errno::ETIMEDOUT | Errno::ENOLINK | Errno::EBADE | Errno::ETIME => {
                true
            }
            Errno::EREMOTEIO => fault == ScsiFault::Hardware,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_faults_have_the_same_number() {
        let scsi = ScsiFault::ALL.iter().map(|fault| Fault::Scsi(*fault));
        let nvme = [NvmeFault::Medium, NvmeFault::Path, NvmeFault::Io, NvmeFault::Admin].map(Fault::Nvme);
        let all: Vec<u8> = scsi.chain(nvme).chain([Fault::TimedOut]).map(Fault::number).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(!all.contains(&0));
    }
}
