//! For how long an event waits for more of the same before it is over.
//!
//! One outage is one event, however long it lasts. What is a state (a path that is down, a server that does not answer) is
//! said again and again at the pace of whoever tries: it lasts until the type comes that ends it. One bout of error handling
//! has pauses as long as the time limits of commands and resets. All else is over after some seconds.

use crate::event::EventType;

/// After how long without a failure an event is over, where nothing else is known.
pub(super) const QUIET_NS: u64 = 5_000_000_000;
/// Error handlers wait half a minute for a command, and up to a minute for a link or a firmware.
const BOUT_NS: u64 = 90_000_000_000;
/// The check for blocked tasks comes every two minutes, and says the same up to ten times; what a link corrects comes at any
/// pace, and is counted.
const SLOW_NS: u64 = 600_000_000_000;
/// After how long a state of which nobody spoke again is over, though nobody said that it ended.
const STATE_NS: u64 = 7 * 86_400_000_000_000;
/// A state that ended and comes again so soon is the same outage: it flaps.
const FLAPS_NS: u64 = 300_000_000_000;

/// States, each with the types that end it.
const STATES: &[(EventType, &[EventType])] = &[
    (EventType::NVME_PATH_FAILED, NVME_WORKS),
    (EventType::NVME_CONTROLLER_RESET, NVME_WORKS),
    (EventType::NVME_CONTROLLER_FAILED, NVME_WORKS),
    (EventType::SCSI_HOST_ADAPTER_RESET, &[EventType::SCSI_HOST_ADAPTER_RECOVERED]),
    (EventType::SCSI_HOST_ADAPTER_FAILED, &[EventType::SCSI_HOST_ADAPTER_RECOVERED]),
    (EventType::SCSI_DEVICE_OFFLINED, &[EventType::DM_MPATH_PATH_REINSTATED]),
    (EventType::ATA_LINK_DOWN, &[EventType::ATA_LINK_UP]),
    (EventType::MULTIPATHD_PATH_DOWN, &[EventType::MULTIPATHD_PATH_UP, EventType::DM_MPATH_PATH_REINSTATED]),
    (EventType::NFS_SERVER_NOT_RESPONDING, &[EventType::NFS_SERVER_OK]),
    (EventType::CIFS_SERVER_NOT_RESPONDING, &[]),
    (EventType::CEPH_CONNECTION_LOST, &[EventType::CEPH_CONNECTION_RESTORED]),
    (EventType::ISCSI_CONNECTION_ERROR, &[EventType::ISCSI_SESSION_RECOVERED]),
    (EventType::FC_LINK_DOWN, &[EventType::FC_LINK_UP]),
    (EventType::NBD_CONNECTION_LOST, &[]),
    (EventType::ZFS_POOL_SUSPENDED, &[EventType::ZFS_POOL_ONLINE]),
    (EventType::GLUSTER_BRICK_DOWN, &[EventType::GLUSTER_BRICK_UP]),
    (EventType::GLUSTER_QUORUM_LOST, &[EventType::GLUSTER_QUORUM_MET]),
    (EventType::GLUSTER_PEER_DISCONNECTED, &[EventType::GLUSTER_PEER_CONNECTED]),
];

const NVME_WORKS: &[EventType] = &[EventType::NVME_PATH_RECOVERED, EventType::NVME_CONTROLLER_RECOVERED];

/// Ends that come as often as the state does, where it flaps.
const FLAPPING: &[EventType] = &[EventType::SCSI_HOST_ADAPTER_RECOVERED, EventType::ATA_LINK_UP];

/// What has pauses of its own, and no end that anybody reports.
const PAUSES: &[(EventType, u64)] = &[
    (EventType::SCSI_ERROR_RECOVERY, BOUT_NS),
    (EventType::ATA_TIMEOUT, BOUT_NS),
    (EventType::ATA_LINK_RESET, BOUT_NS),
    (EventType::ATA_SPEED_LIMITED, BOUT_NS),
    (EventType::USB_STORAGE_ERROR, BOUT_NS),
    (EventType::NVME_TIMEOUT, BOUT_NS),
    (EventType::MMC_ERROR, BOUT_NS),
    (EventType::DRBD_STATE_CHANGED, BOUT_NS),
    (EventType::TASK_BLOCKED, SLOW_NS),
    (EventType::PCIE_CORRECTED_ERROR, SLOW_NS),
    // A place in the kernel that leaves out lines does so again and again.
    (EventType::PERIPETY_EVENTS_LOST, 300_000_000_000),
];

/// After how long without another failure an event of this type is over; `ended` where it was said that its state is over.
pub(super) fn quiet_ns(event_type: &EventType, ended: bool) -> u64 {
    if STATES.iter().any(|(state, _)| state == event_type) {
        return if ended { FLAPS_NS } else { STATE_NS };
    }
    if FLAPPING.contains(event_type) {
        return FLAPS_NS;
    }
    PAUSES.iter().find(|(slow, _)| slow == event_type).map_or(QUIET_NS, |(_, ns)| *ns)
}

/// Whether events of one type end the state that another reports.
pub(super) fn ends(clear: &EventType, state: &EventType) -> bool {
    STATES.iter().any(|(known, ends)| known == state && ends.contains(clear))
}

/// Whether events of this type end any state.
pub(super) fn is_end(clear: &EventType) -> bool {
    STATES.iter().any(|(_, ends)| ends.contains(clear))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Nature, state::rows::ROWS};

    #[test]
    fn what_ends_a_state_here_ends_its_condition_and_each_type_has_one_pause() {
        for (state, ends) in STATES {
            assert_eq!(state.info().unwrap().nature, Nature::Fault);
            assert!(PAUSES.iter().all(|(other, _)| other != state), "{state}");
            for end in *ends {
                assert_eq!(end.info().unwrap().nature, Nature::Clears, "{end}");
                let is_row = |row: &crate::state::rows::Row| {
                    row.opens.contains(&state.as_str()) && row.closes.contains(&end.as_str())
                };
                // A reset that goes on opens no condition of its own.
                let opens_none = !ROWS.iter().any(|row| row.opens.contains(&state.as_str()));
                assert!(opens_none || ROWS.iter().any(is_row), "{end} ends {state}");
            }
        }
    }
}
