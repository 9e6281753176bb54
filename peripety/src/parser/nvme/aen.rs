//! Asynchronous events (NVM Express base specification 2.0, section 5.2.1).

use crate::event::{EventType, Severity};

/// What a controller reports by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aen {
    /// Type, bits 2:0 of the completion's dword 0.
    pub kind: u8,
    /// Information, bits 15:8.
    pub information: u8,
    /// Log page that reports more, bits 23:16.
    pub log_page: u8,
    /// In words.
    pub words: &'static str,
    /// How bad.
    pub severity: Severity,
}

impl Aen {
    /// Reads dword 0 of the completion.
    pub(crate) fn decode(result: u32) -> Self {
        let (kind, information, log_page) = ((result & 7) as u8, (result >> 8) as u8, (result >> 16) as u8);
        let (words, severity) = match (kind, information) {
            (0, 0) => ("write to an invalid doorbell register", Severity::Warning),
            (0, 1) => ("invalid doorbell write value", Severity::Warning),
            (0, 2) => ("diagnostic failure", Severity::Error),
            (0, 3) => ("persistent internal error", Severity::Critical),
            (0, 4) => ("transient internal error", Severity::Warning),
            (0, 5) => ("firmware image load error", Severity::Warning),
            (0, _) => ("error", Severity::Warning),
            (1, 0) => ("the reliability of the drive is degraded", Severity::Critical),
            (1, 1) => ("temperature outside its limits", Severity::Warning),
            (1, 2) => ("spare space below its threshold", Severity::Warning),
            (1, _) => ("critical warning in the health log", Severity::Warning),
            (2, 0) => ("namespaces changed", Severity::Info),
            (2, 1) => ("firmware activation starts", Severity::Notice),
            (2, 2) => ("telemetry log changed", Severity::Info),
            (2, 3) => ("asymmetric namespace access changed", Severity::Info),
            (2, 0xf0) => ("discovery log changed", Severity::Info),
            (2, _) => ("notice", Severity::Info),
            (6, 0) => ("reservation log page available", Severity::Info),
            (6, 1) => ("sanitize operation completed", Severity::Notice),
            (6, 2) => ("sanitize operation completed with unexpected deallocation", Severity::Warning),
            (6, _) => ("I/O command set event", Severity::Info),
            (7, _) => ("vendor specific event", Severity::Notice),
            _ => ("unknown event", Severity::Notice),
        };
        Self { kind, information, log_page, words, severity }
    }

    /// The event type.
    pub(crate) const fn event_type(self) -> EventType {
        match (self.kind, self.information) {
            (1, 0) => EventType::SMART_DISK_FAIL,
            (1, _) => EventType::SMART_ATTRIBUTE_WARNING,
            _ => EventType::NVME_ASYNC_EVENT,
        }
    }

    /// The name of the type.
    pub(crate) const fn kind_name(self) -> &'static str {
        match self.kind {
            0 => "error",
            1 => "health",
            2 => "notice",
            6 => "command set specific",
            7 => "vendor specific",
            _ => "reserved",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_health_warning_is_told_from_a_notice() {
        let degraded = Aen::decode(0x0002_0001);
        assert_eq!(
            (degraded.event_type(), degraded.severity),
            (EventType::SMART_DISK_FAIL, Severity::Critical)
        );
        assert_eq!(degraded.log_page, 2);
        let hot = Aen::decode(0x0002_0101);
        assert_eq!((hot.event_type(), hot.severity), (EventType::SMART_ATTRIBUTE_WARNING, Severity::Warning));
        let changed = Aen::decode(0x0004_0002);
        assert_eq!((changed.event_type(), changed.severity), (EventType::NVME_ASYNC_EVENT, Severity::Info));
        assert_eq!(Aen::decode(0x0001_0300).words, "persistent internal error");
        assert_eq!(Aen::decode(u32::MAX).kind_name(), "vendor specific");
    }
}
