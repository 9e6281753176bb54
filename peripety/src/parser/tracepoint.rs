//! Tracepoints that fire whenever the kernel prints a certain line, before any limit on the rate of lines.

use peripety_common::Kind;
use serde::{Deserialize, Serialize};

/// What a rule may name as `seen_by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tracepoint {
    /// `block:block_rq_error`; up to Linux 5.17 `block:block_rq_complete`.
    BlockRqError,
    /// `ext4:ext4_error`.
    Ext4Error,
    /// `ext4:ext4_shutdown`.
    Ext4Shutdown,
    /// `xfs:xfs_force_shutdown`.
    XfsForceShutdown,
}

impl Tracepoint {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::BlockRqError, Self::Ext4Error, Self::Ext4Shutdown, Self::XfsForceShutdown];

    /// Its name in rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlockRqError => "block_rq_error",
            Self::Ext4Error => "ext4_error",
            Self::Ext4Shutdown => "ext4_shutdown",
            Self::XfsForceShutdown => "xfs_force_shutdown",
        }
    }

    /// By its name in rules.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tracepoint| tracepoint.as_str() == name)
    }

    /// The probes of it.
    pub const fn probes(self) -> &'static [Kind] {
        match self {
            Self::BlockRqError => &[Kind::BlockRqError, Kind::BlockRqComplete],
            Self::Ext4Error => &[Kind::Ext4Error],
            Self::Ext4Shutdown => &[Kind::Ext4Shutdown],
            Self::XfsForceShutdown => &[Kind::XfsForceShutdown],
        }
    }
}
