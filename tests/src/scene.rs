//! What most tests start with: journald, the daemon, and someone who watches.

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use peripety::event::Event;

use crate::{
    daemon::Daemon,
    events,
    journald::Journald,
    machine::{Machine, Need},
    prpt::{self, Monitor},
};

/// The scene; everything in it ends with its scope. Set it before the disks: their end is then asked to its daemon, and not
/// to that of the next test, which would find it in the kernel's log.
pub struct Scene<'m> {
    machine: &'m Machine,
    since: Timestamp,
    monitor: Monitor,
    pub daemon: Daemon,
    _journald: Option<Journald>,
}

impl<'m> Scene<'m> {
    /// Starts a journald if there is one, and the daemon with this configuration.
    pub fn start(machine: &'m Machine, config: &str) -> Result<Self> {
        let journald = machine.lacks(Need::Journald).is_none().then(Journald::start).transpose()?;
        let daemon = Daemon::start(machine, config)?;
        let monitor = Monitor::start(machine)?;
        // Kernel text has a clock of its own, which is off by some hundred milliseconds until it is calibrated.
        let since = Timestamp::now().saturating_sub(jiff::SignedDuration::from_millis(1500))?;
        Ok(Self { machine, since, monitor, daemon, _journald: journald })
    }

    /// What `prpt monitor` reported about a device since the start: names of loop devices come again.
    pub fn seen(&self, device: &str) -> Result<Vec<Event>> {
        Ok(self.of(self.monitor.events()?, device))
    }

    /// What `prpt query` finds about a device since the start.
    pub fn found(&self, device: &str) -> Result<Vec<Event>> {
        let events = prpt::events(self.machine, &["query", "-J", "--since", &self.since.to_string()])?;
        Ok(self.of(events, device))
    }

    /// Waits until `prpt monitor` reported an event about a device that `is_it`.
    pub fn expect(&self, what: &str, device: &str, is_it: impl Fn(&Event) -> bool) -> Result<Event> {
        events::expect(what, || self.seen(device), is_it)
    }

    /// The last revisions of all events about a device, when no more of them come.
    pub fn settled(&self, device: &str) -> Result<Vec<Event>> {
        crate::cmd::wait_for("events to be final", Duration::from_secs(40), || {
            let events = events::latest(self.seen(device)?);
            anyhow::ensure!(
                !events.is_empty() && events.iter().all(|e| e.is_final),
                "{}",
                events::reported(&events)
            );
            Ok(events)
        })
    }

    /// What `prpt monitor` reported since the start, about whatever device.
    pub fn all(&self) -> Result<Vec<Event>> {
        Ok(self.monitor.events()?.into_iter().filter(|e| e.first_timestamp >= self.since).collect())
    }

    fn of(&self, events: Vec<Event>, device: &str) -> Vec<Event> {
        events.into_iter().filter(|e| events::about(e, device) && e.first_timestamp >= self.since).collect()
    }
}
