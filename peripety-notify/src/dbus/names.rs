//! Names and paths on the bus, made as udisks2 makes its own.

use peripety_model::incident::IncidentId;

/// The name that is owned.
pub(super) const NAME: &str = "org.peripety1";
/// The object manager.
pub(super) const ROOT: &str = "/org/peripety1";
/// The daemon.
pub(super) const MANAGER: &str = "/org/peripety1/Manager";
/// Where an object is wanted and there is none, as udisks2 has it.
pub(super) const NONE: &str = "/";

/// The object of a block device, by the kernel's name.
pub(super) fn block(name: &str) -> String {
    format!("{ROOT}/block_devices/{}", escaped(name))
}

/// The object of an incident.
pub(super) fn incident(id: IncidentId) -> String {
    format!("{ROOT}/incidents/{}", id.simple())
}

/// Letters, digits and `_` stay; each other byte becomes `_` and two hexadecimal digits.
fn escaped(name: &str) -> String {
    let one = |byte: u8| {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            char::from(byte).to_string()
        } else {
            format!("_{byte:02x}")
        }
    };
    name.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_udisks2_would_give() {
        assert_eq!(block("sda"), "/org/peripety1/block_devices/sda");
        assert_eq!(block("dm-0"), "/org/peripety1/block_devices/dm_2d0");
        assert_eq!(block("cciss!c0d0"), "/org/peripety1/block_devices/cciss_21c0d0");
        let path = incident(IncidentId::from_u128(7));
        assert_eq!(path, "/org/peripety1/incidents/00000000000000000000000000000007");
    }
}
