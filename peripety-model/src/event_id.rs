//! Ids that are the same for the same record, however often it is read.

use uuid::Uuid;

/// Id of an event: a UUID of version 5 (RFC 9562, section 5.5) over boot id, source and sequence.
pub type EventId = Uuid;

/// journald's `MESSAGE_ID`: 32 hexadecimal digits, one for each event type.
pub type MessageId = Uuid;

/// Name space of peripety's version 5 UUIDs.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f2a_52d4_3c1b_4a0e_9d57_70b6_5e7c_1f42);

/// The id of the event that the record (`source`, `sequence`) of boot `boot_id` opens.
///
/// `sequence` is what names the record within its source: kmsg's sequence number, or probe, CPU, sequence and time of a
/// ring record.
pub fn event_id(boot_id: &str, source: &str, sequence: &str) -> EventId {
    Uuid::new_v5(&NAMESPACE, format!("{boot_id}\0{source}\0{sequence}").as_bytes())
}

/// The `MESSAGE_ID` of an event type; also of a type that a user's rule introduced.
pub fn message_id(event_type: &str) -> MessageId {
    Uuid::new_v5(&NAMESPACE, format!("event_type\0{event_type}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_record_never_gives_two_ids() {
        assert_eq!(event_id("b", "kmsg", "1"), event_id("b", "kmsg", "1"));
        assert_ne!(event_id("b", "kmsg", "1"), event_id("b", "kmsg", "2"));
        assert_ne!(event_id("b", "kmsg", "1"), event_id("c", "kmsg", "1"));
        // The parts cannot run into each other.
        assert_ne!(event_id("b", "kmsg1", "1"), event_id("b", "kmsg", "11"));
    }

    #[test]
    fn message_ids_are_fixed_for_good() {
        assert_eq!(message_id("FS_ERROR").simple().to_string(), message_id("FS_ERROR").simple().to_string());
        assert_ne!(message_id("FS_ERROR"), message_id("FS_IO_ERROR"));
    }
}
