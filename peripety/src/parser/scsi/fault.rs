//! Which kind of trouble a SCSI result is, and which results are none.

use peripety_common::scsi_cmd::ScsiCmd;

use super::{cdb, sense};
use crate::event::{EventType, Severity};

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub(crate) enum ScsiFault {
    /// Sense key 3.
    Medium = 1,
    /// Sense key 4.
    Hardware,
    /// Sense key 1.
    Recovered,
    /// Sense key 2.
    NotReady,
    /// Sense key 5.
    IllegalRequest,
    /// Sense key 7.
    DataProtect,
    /// Sense key 0xb, or status TASK ABORTED.
    Aborted,
    /// Another sense key.
    OtherSense,
    /// The status says nothing more, and the sense data was out of reach.
    UnknownSense,
    /// 02/04/0A to 0C and their like: the target serves the unit by another port. Nothing is wrong.
    PathState,
    /// Host byte.
    Transport,
    /// DID_TIME_OUT.
    Timeout,
    /// Status RESERVATION CONFLICT.
    Reservation,
    /// Sense key 6.
    UnitAttention,
    /// 29/xx.
    PowerOnReset,
    /// 3F/0E or 3F/03.
    LunChanged,
    /// 2A/09.
    CapacityChanged,
    /// 2A/06.
    AluaChanged,
    /// 38/07.
    ThinThreshold,
    /// 5D/xx: the disk predicts its own failure.
    FailurePredicted,
    /// 0B/xx: temperature, enclosure, background scan.
    Warning,
}

impl ScsiFault {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[
        Self::Medium,
        Self::Hardware,
        Self::Recovered,
        Self::NotReady,
        Self::IllegalRequest,
        Self::DataProtect,
        Self::Aborted,
        Self::OtherSense,
        Self::UnknownSense,
        Self::PathState,
        Self::Transport,
        Self::Timeout,
        Self::Reservation,
        Self::UnitAttention,
        Self::PowerOnReset,
        Self::LunChanged,
        Self::CapacityChanged,
        Self::AluaChanged,
        Self::ThinThreshold,
        Self::FailurePredicted,
        Self::Warning,
    ];

    /// The event type.
    pub(crate) const fn event_type(self) -> EventType {
        match self {
            Self::Medium => EventType::SCSI_MEDIUM_ERROR,
            Self::Hardware => EventType::SCSI_HARDWARE_ERROR,
            Self::Recovered => EventType::SCSI_RECOVERED_ERROR,
            Self::NotReady | Self::PathState => EventType::SCSI_NOT_READY,
            Self::IllegalRequest => EventType::SCSI_ILLEGAL_REQUEST,
            Self::DataProtect => EventType::SCSI_DATA_PROTECT,
            Self::Aborted => EventType::SCSI_ABORTED_COMMAND,
            Self::OtherSense | Self::UnknownSense => EventType::SCSI_SENSE_OTHER,
            Self::Transport => EventType::SCSI_TRANSPORT_ERROR,
            Self::Timeout => EventType::SCSI_TIMEOUT,
            Self::Reservation => EventType::SCSI_RESERVATION_CONFLICT,
            Self::UnitAttention => EventType::SCSI_UNIT_ATTENTION,
            Self::PowerOnReset => EventType::SCSI_POWER_ON_RESET,
            Self::LunChanged => EventType::SCSI_LUN_CHANGED,
            Self::CapacityChanged => EventType::SCSI_CAPACITY_CHANGED,
            Self::AluaChanged => EventType::SCSI_ALUA_STATE_CHANGED,
            Self::ThinThreshold => EventType::SCSI_THIN_SOFT_THRESHOLD,
            Self::FailurePredicted => EventType::SMART_DISK_FAIL,
            Self::Warning => EventType::SMART_ATTRIBUTE_WARNING,
        }
    }

    /// Whether it makes a failed request of the block layer more precise than its errno does.
    pub(crate) const fn refines_block(self) -> bool {
        matches!(
            self,
            Self::Medium
                | Self::Hardware
                | Self::NotReady
                | Self::PathState
                | Self::DataProtect
                | Self::Aborted
                | Self::OtherSense
                | Self::Transport
                | Self::Timeout
                | Self::Reservation
        )
    }

    /// Whether it reports the unit and not of the command it came with: the command is simply sent again.
    pub(crate) const fn is_change(self) -> bool {
        matches!(
            self,
            Self::UnitAttention
                | Self::PowerOnReset
                | Self::LunChanged
                | Self::CapacityChanged
                | Self::AluaChanged
                | Self::ThinThreshold
                | Self::FailurePredicted
                | Self::Warning
        )
    }

    /// Severity of a command that failed but whose request did not: it was sent again.
    pub(crate) fn severity_when_retried(self) -> Severity {
        let usual = self.event_type().info().map_or(Severity::Warning, |info| info.severity);
        if self.is_change() { usual } else { usual.max(Severity::Warning) }
    }
}

const CHECK_CONDITION: u8 = 0x02;
const RESERVATION_CONFLICT: u8 = 0x18;
const TASK_ABORTED: u8 = 0x40;
const DID_OK: u8 = 0;
const DID_TIME_OUT: u8 = 3;
/// Host bytes by which a driver asks for the command again: DID_IMM_RETRY, DID_REQUEUE.
const ASKS_AGAIN: [u8; 2] = [0x0c, 0x0d];

/// The host byte of a command's result.
pub(super) const fn host_byte(result: u32) -> u8 {
    (result >> 16) as u8
}

/// The status byte of a command's result.
pub(super) const fn status_byte(result: u32) -> u8 {
    result as u8
}

/// The command's bytes.
pub(crate) fn command(cmd: &ScsiCmd) -> Option<cdb::Command> {
    let len = usize::from(cmd.cmd_len).min(cmd.cdb.len());
    cdb::decode(cmd.cdb.get(..len)?)
}

/// What is wrong with the result of a command; nothing if it is part of normal life: probing, polling, queues that are
/// full, passthrough commands that answer by sense data.
pub(crate) fn classify(cmd: &ScsiCmd) -> Option<ScsiFault> {
    let data_path = command(cmd).is_some_and(|c| c.op.is_some());
    match (host_byte(cmd.result), status_byte(cmd.result)) {
        (DID_OK, CHECK_CONDITION) => match sense::of(cmd) {
            Some(sense) => by_sense(&sense, data_path),
            None => data_path.then_some(ScsiFault::UnknownSense),
        },
        (DID_OK, RESERVATION_CONFLICT) => data_path.then_some(ScsiFault::Reservation),
        (DID_OK, TASK_ABORTED) => data_path.then_some(ScsiFault::Aborted),
        (DID_OK, _) => None,
        (host, _) if ASKS_AGAIN.contains(&host) => None,
        // A scan asks for units that are not there, and path checkers ask dead paths every few seconds.
        _ if !data_path => None,
        (DID_TIME_OUT, _) => Some(ScsiFault::Timeout),
        // The result of a command with sense data under another host byte, such as DID_TARGET_FAILURE.
        (_, CHECK_CONDITION) => {
            sense::of(cmd).and_then(|sense| by_sense(&sense, true)).or(Some(ScsiFault::Transport))
        }
        _ => Some(ScsiFault::Transport),
    }
}

/// Whether sense data say that a path is not the active one: a change of the port's state is under way, or it is in standby or
/// unavailable (SPC-4, 5.15.2), or the unit is owned by the other controller (LSI's RDAC, EMC's CLARiiON).
pub(crate) const fn is_path_state(key: u8, asc: u8, ascq: u8) -> bool {
    matches!((key, asc, ascq), (2, 0x04, 0x0a..=0x0c) | (5, 0x94, 0x01) | (5, 0x25, 0x01))
}

fn by_sense(sense: &sense::Sense, data_path: bool) -> Option<ScsiFault> {
    let reported = match (sense.key, sense.asc, sense.ascq) {
        // The test value of the failure prediction.
        (_, 0x5d, 0xff) => return None,
        (1 | 6, 0x5d, _) => return Some(ScsiFault::FailurePredicted),
        (1 | 6, 0x0b, _) => return Some(ScsiFault::Warning),
        (6, 0x29, _) => return Some(ScsiFault::PowerOnReset),
        (6, 0x3f, 0x03 | 0x0e) => return Some(ScsiFault::LunChanged),
        (6, 0x2a, 0x09) => return Some(ScsiFault::CapacityChanged),
        (6, 0x2a, 0x06) => return Some(ScsiFault::AluaChanged),
        (6, 0x38, 0x07) => return Some(ScsiFault::ThinThreshold),
        (6, ..) => return Some(ScsiFault::UnitAttention),
        // An answer to an ATA passthrough command that asked for the registers.
        (1, 0x00, 0x1d) => return None,
        // No medium in the drive; a unit that gets ready.
        (2, 0x3a, _) | (2, 0x04, 0x01) => return None,
        (0 | 0xf, ..) => return None,
        (key, asc, ascq) if is_path_state(key, asc, ascq) => ScsiFault::PathState,
        (1, ..) => ScsiFault::Recovered,
        (2, ..) => ScsiFault::NotReady,
        (3, ..) => ScsiFault::Medium,
        (4, ..) => ScsiFault::Hardware,
        (5, ..) => ScsiFault::IllegalRequest,
        (7, ..) => ScsiFault::DataProtect,
        (0xb, ..) => ScsiFault::Aborted,
        _ => ScsiFault::OtherSense,
    };
    // A disk that is broken is broken, whoever asked; the rest of what probes and tools are reported is their business.
    (data_path || matches!(reported, ScsiFault::Medium | ScsiFault::Hardware)).then_some(reported)
}
