//! What every record starts with.

/// Version of the record layouts: raised when a field is added at the end of any of them.
pub const VERSION: u8 = 2;

/// Flag of [`Header::flags`]: the record came by a classic tracepoint, so fields that only a raw one reaches are unset.
pub const FLAG_CLASSIC: u8 = 1;

wire_struct! {
    /// The first 24 bytes of every record.
    #[cfg_attr(feature = "user", derive(serde::Serialize, serde::Deserialize))]
    Header {
        /// Which hook made it: a [`Kind`].
        kind: u16,
        /// Bytes of the record with this header.
        len: u16,
        /// [`VERSION`] of the program that made it.
        version: u8,
        /// `FLAG_*`.
        flags: u8,
        /// CPU it was made on.
        cpu: u16,
        /// Count of this hook's records on this CPU, from 1: a gap is a loss.
        seq: u64,
        /// CLOCK_MONOTONIC in nanoseconds.
        mono_ns: u64,
    }
}

impl Header {
    /// Its size on the wire.
    pub const SIZE: usize = size_of::<Self>();
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal $text:literal,)*) => {
        /// The kernel hook that a record comes from. The numbers are on the wire and stay as they are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Kind {
            $($(#[$doc])* $name = $number,)*
        }

        impl Kind {
            /// Every kind, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The kind with this number.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The probe's name: that of its tracepoint in the kernel, where it is the only one there.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Its number: also its place in the map of counters.
            pub const fn number(self) -> u16 {
                self as u16
            }
        }
    };
}

kinds! {
    /// `block:block_rq_error`.
    BlockRqError = 0 "block_rq_error",
    /// `block:block_rq_complete` with an error.
    BlockRqComplete = 1 "block_rq_complete",
    /// `block:block_bio_complete` with an error.
    BlockBioComplete = 2 "block_bio_complete",
    /// `scsi:scsi_dispatch_cmd_done` with a result other than 0.
    ScsiDone = 3 "scsi_dispatch_cmd_done",
    /// `scsi:scsi_dispatch_cmd_timeout`.
    ScsiTimeout = 4 "scsi_dispatch_cmd_timeout",
    /// `scsi:scsi_eh_wakeup`.
    ScsiEhWakeup = 5 "scsi_eh_wakeup",
    /// `nvme:nvme_complete_rq` with a status other than 0.
    NvmeCompleteRq = 6 "nvme_complete_rq",
    /// `nvme:nvme_async_event`.
    NvmeAsyncEvent = 7 "nvme_async_event",
    /// `printk:console`.
    Console = 8 "console",
    /// `ext4:ext4_error`.
    Ext4Error = 9 "ext4_error",
    /// `ext4:ext4_shutdown`.
    Ext4Shutdown = 10 "ext4_shutdown",
    /// `xfs:xfs_force_shutdown`.
    XfsForceShutdown = 11 "xfs_force_shutdown",
    /// `filemap:filemap_set_wb_err`.
    FilemapSetWbErr = 12 "filemap_set_wb_err",
    /// `block:block_rq_complete` of a request that took long.
    BlockRqSlow = 13 "block_rq_slow",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_from_its_number() {
        for (place, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(
                usize::from(kind.number()),
                place,
                "the numbers have no hole: they index the counters"
            );
            assert_eq!(Kind::from_number(kind.number()), Some(*kind));
        }
        assert_eq!(Kind::from_number(Kind::ALL.len() as u16), None);
    }
}
