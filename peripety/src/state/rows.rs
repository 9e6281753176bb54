//! What a condition is: what opens it and what ends it. The conditions themselves are the table.

mod table;

pub(crate) use self::table::ROWS;
use crate::event::{Errno, Event, Severity};

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The event's device.
    Device,
    /// The array that the device is a member of.
    Array,
    /// The path of a multipath map.
    Path,
    /// The NVMe controller.
    Controller,
    /// What the kernel named: a port, a host, a session.
    Named,
    /// The place in peripety or before it that lost records.
    Source,
}

/// What sysfs and mountinfo can show of the end of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The device is there no more, or another one has its name.
    Gone,
    /// Its filesystem is mounted nowhere.
    Unmounted,
    /// Its filesystem can be written to.
    Writable,
    /// The SCSI layer says that the device runs.
    Running,
    /// The md array has all its members.
    Whole,
    /// Nothing uses the device that was removed.
    Unused,
    /// Its filesystem was mounted anew since, and has no errors recorded.
    CleanMount,
    /// Requests succeeded since the last failure.
    Answers,
    /// The link, port or session is up, or is there no more.
    LinkUp,
    /// No multipath map uses the path any more.
    NoMap,
    /// The filesystem that holds the file of a loop device has room again.
    Space,
}

impl Check {
    /// What is seen then, as the end of a sentence that begins with "or when".
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Gone => "the device is there no more, or another one has its name",
            Self::Unmounted => "its filesystem is mounted nowhere",
            Self::Writable => "its filesystem can be written to",
            Self::Running => "the SCSI layer says that the device runs",
            Self::Whole => "the array has all its members",
            Self::Unused => "nothing uses the device that was removed",
            Self::CleanMount => "its filesystem was mounted anew since, and has no errors recorded",
            Self::Answers => "requests succeeded since the last failure",
            Self::LinkUp => "the link, port or session is up, or is there no more",
            Self::NoMap => "no multipath map uses the path any more",
            Self::Space => "the filesystem that holds the file of a loop device has room again",
        }
    }
}

/// How long a condition lasts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasts {
    /// Until something proves that it is over, also over reboots: it is about the medium or what is written on it.
    OverReboots,
    /// Until something proves that it is over, at the latest the end of the boot: it is a state of the running kernel.
    Boot,
    /// Seconds without another one: it is transient by nature.
    Seconds(i64),
}

impl Lasts {
    /// The same in words.
    pub(crate) fn words(self) -> String {
        match self {
            Self::OverReboots => "until something proves that it is over, also over reboots".to_owned(),
            Self::Boot => {
                "until something proves that it is over, at the latest the end of the boot".to_owned()
            }
            Self::Seconds(seconds) => format!("{seconds} seconds without another one"),
        }
    }
}

/// One condition.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its name in JSON.
    pub name: &'static str,
    /// Its name for humans.
    pub words: &'static str,
    /// What it is about.
    pub about: About,
    /// Event types that open it.
    pub opens: &'static [&'static str],
    /// Event types that end it.
    pub closes: &'static [&'static str],
    /// What else ends it.
    pub checks: &'static [Check],
    /// From which severity of an event on it is open.
    pub from: Severity,
    /// How long it lasts by itself.
    pub lasts: Lasts,
}

/// Removal of the device ends what is about it, as [`Check::Gone`] does.
pub(crate) const REMOVED: &str = "BLK_DEVICE_REMOVED";
/// A person says that a fault is over, whatever it is.
pub(crate) const RESOLVED: &str = "PERIPETY_RESOLVED";

/// The condition with this name.
pub(crate) fn row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

impl Row {
    /// What most conditions are: about a device, until something proves that it is over, also over reboots.
    const USUAL: Self = Self {
        name: "",
        words: "",
        about: About::Device,
        opens: &[],
        closes: &[],
        checks: &[],
        from: Severity::Warning,
        lasts: Lasts::OverReboots,
    };

    /// Whether this event opens it.
    pub(crate) fn is_opened_by(&self, event: &Event) -> bool {
        if !self.opens.contains(&event.event_type.as_str()) {
            return false;
        }
        match event.event_type.as_str() {
            // A member whose place another copy takes, and one that somebody took out, is a notice.
            REMOVED => event.severity.at_least(self.from) && super::condition::is_in_use(event),
            // Lines that the kernel left out and a probe counted are no loss, and what a retry healed is over.
            _ => event.severity.at_least(self.from) && self.fits(event),
        }
    }

    /// Whether requests that failed opened it: what is made of the device fails with it.
    pub(crate) fn is_of_requests(&self) -> bool {
        matches!(
            self.name,
            "medium_errors" | "not_answering" | "device_failing" | "device_offline" | "out_of_space"
        )
    }

    /// Whether an event whose type opens several conditions opens this one.
    fn fits(&self, event: &Event) -> bool {
        let errno = event.io.as_ref().and_then(|io| io.errno);
        // What fails because requests below failed ends with the mount; what a filesystem found in itself stays in it.
        let of_requests = event.root_cause_event_id.is_some() || errno == Some(Errno::EIO);
        match (self.name, event.event_type.as_str()) {
            ("filesystem_corrupt" | "data_lost", _) => !of_requests,
            ("filesystem_errors", "FS_IO_ERROR") => true,
            ("filesystem_errors", _) => of_requests,
            ("out_of_space", "BLK_LOST_WRITE") => errno == Some(Errno::ENOSPC),
            ("device_failing", "BLK_LOST_WRITE") => errno != Some(Errno::ENOSPC),
            _ => true,
        }
    }

    /// Whether this event ends it, if it is about the same.
    pub(crate) fn is_closed_by(&self, event_type: &str) -> bool {
        self.closes.contains(&event_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Nature, TYPES, info};

    #[test]
    fn every_name_is_an_event_type_and_every_type_that_clears_clears_something() {
        for name in ROWS.iter().flat_map(|row| row.opens.iter().chain(row.closes)) {
            assert!(info(name).is_some(), "{name}");
        }
        for cleared in TYPES.iter().filter(|t| t.nature == Nature::Clears) {
            assert!(ROWS.iter().any(|row| row.is_closed_by(cleared.name)), "{}", cleared.name);
        }
        let names: std::collections::BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len());
    }
}
