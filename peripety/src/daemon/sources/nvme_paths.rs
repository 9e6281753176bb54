//! When to look again by which controllers NVMe namespaces are reached.
//!
//! The kernel announces a controller, then looks what namespaces it has, and says nothing of those that are reached by another
//! controller already. How long that takes nobody knows: there are some looks, ever farther apart, and then none until the
//! next uevent of a controller.

use std::time::Duration;

/// After how long the looks are.
const LOOKS: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// The looks that are planned.
#[derive(Debug, Default)]
pub(in crate::daemon) struct NvmePaths {
    since_ns: u64,
    next: Option<usize>,
}

impl NvmePaths {
    /// A controller came, went or changed.
    pub(in crate::daemon) fn changed(&mut self, now_ns: u64) {
        (self.since_ns, self.next) = (now_ns, Some(0));
    }

    /// When the next look is.
    pub(in crate::daemon) fn next_deadline_ns(&self) -> Option<u64> {
        let after = LOOKS.get(self.next?)?;
        Some(self.since_ns.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Whether a look is due; then the next one is planned.
    pub(in crate::daemon) fn is_due(&mut self, now_ns: u64) -> bool {
        let due = self.next_deadline_ns().is_some_and(|at| at <= now_ns);
        if due {
            self.next = self.next.map(|next| next + 1).filter(|next| *next < LOOKS.len());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_after_a_change_and_end() {
        let mut paths = NvmePaths::default();
        assert_eq!(paths.next_deadline_ns(), None);
        paths.changed(1_000);
        let mut looks = Vec::new();
        while let Some(at) = paths.next_deadline_ns() {
            assert!(!paths.is_due(at - 1));
            assert!(paths.is_due(at));
            looks.push((at - 1_000) / 1_000_000);
        }
        assert_eq!(looks, [100, 300, 1_000, 3_000, 10_000, 30_000]);
        assert!(!paths.is_due(u64::MAX));
        paths.changed(5);
        assert!(paths.next_deadline_ns().is_some(), "the next controller begins anew");
    }
}
